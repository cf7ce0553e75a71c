"""What the fork server imports, so that no cell has to: torch, scipy, the worker, the harness's suites and tasks.

Implementations stay out: their code runs for the first time in their own cell. The cards are read here once, so all
cells of a pool see the implementations of the moment it was started. Nothing imported here may touch CUDA.
"""

from __future__ import annotations

import gc

import scipy.stats  # noqa: F401 - intervals: a second
import torch._dynamo  # noqa: F401 - the first optimizer step imports it: another

from harness.catalogue.loading import load_registry
from harness.execute import worker  # noqa: F401 - imported for those who are forked
from harness.execute.descendants import adopt_orphans
from harness.execute.imports import import_named

# Should a cell kill its supervisor, what it has started comes here, where the pool finds it.
adopt_orphans()
_rows = load_registry()
import_named(dict.fromkeys(row.module for row in (*_rows.suites.values(), *_rows.tasks.values())))

# Objects that will not die need not be looked at by any child's collector, which would copy their pages.
gc.collect()
gc.freeze()
