"""Events of an event camera, as plain arrays."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

__all__ = ["Events"]

Integers = NDArray[np.integer]


class Events(NamedTuple):
    """One recording; all arrays have the same length ``[E]``, in the order of time."""

    t: Integers
    """Microseconds."""
    x: Integers
    """Column."""
    y: Integers
    """Row, from the top."""
    p: Integers
    """1: brighter (ON), 0: darker (OFF)."""
