"""The bridge to asv: the only code that knows asv's names, files and pages.

The record store is the truth; asv's result tree is a projection of it, and of what asv itself measures commit by
commit with the classes in ``benchmarks/``. :mod:`~harness.asv.series` says what is tracked and under which names and
needs nothing of asv; everything else works on asv's files. Must not import torch.
"""
