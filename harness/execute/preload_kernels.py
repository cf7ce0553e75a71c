"""What the fork server imports besides, where several cells run in fused kernels: Numba, and what tracing needs.

Nothing imported here may touch CUDA or start a thread: Numba's are started in the forked cell, where its first kernel
is compiled or read from the disk.
"""

from __future__ import annotations

import contextlib
import gc

from reference_impls.backends.fused import program  # noqa: F401  # with NetworkX
from reference_impls.backends.fused.aten import decompositions

decompositions()
# Without Numba the cells say what they need.
with contextlib.suppress(ImportError):
    import numba

    # Numba finds out what it can compile when it first does.
    numba.njit("int64(int64)")(lambda number: number)

gc.collect()
gc.freeze()
