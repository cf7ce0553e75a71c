"""The harness: what plans, runs, measures, stores, ranks and shows. Torch is imported only where work is done."""

__version__ = "0.1.0"
