"""Events of a camera or an ear, as plain arrays, and the files that hold them."""

from __future__ import annotations

from pathlib import Path
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

__all__ = ["Events", "Recording", "shrunk"]

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


class Recording(NamedTuple):
    """One file of events."""

    path: Path
    part: str
    """``train`` or ``test``."""
    number: int
    """Which one of its part or class, as its name says."""
    label: int


def shrunk(events: Events, side: int, to: int) -> Events:
    """Move the events of a square sensor of `side` pixels to one of `to`, whole pixels of it together; none is lost."""
    x, y = (np.asarray(column, dtype=np.int64) * to // side for column in (events.x, events.y))
    return events._replace(x=x, y=y)
