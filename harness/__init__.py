"""The harness: what plans, runs, measures, stores, ranks and shows. Torch is imported only where work is done."""

from harness import _former_names

__version__ = "0.1.0"

_former_names.install()
