"""``python -m spikeboard``: the command ``spikeboard``."""

from harness.cli import main

if __name__ == "__main__":
    main()
