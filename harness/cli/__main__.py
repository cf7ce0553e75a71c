"""``python -m harness.cli``: the command where no script ``spikeboard`` is installed."""

from harness.cli import main

main()
