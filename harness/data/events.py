"""Events of a camera or an ear, as plain arrays, and the files that hold them."""

from __future__ import annotations

from pathlib import Path
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

__all__ = ["Events", "Recording", "checked", "shrunk", "whole_numbers"]

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


LATEST_US = 2**40
"""Twelve days: no recording is as long, and products of times stay whole numbers."""


def checked(events: Events, height: int, width: int) -> Events:
    """Return `events` if they can come from a sensor of `height` x `width` pixels.

    Raises
    ------
    ValueError
        If there are none, or one lies off the sensor, has another polarity than 0 or 1, or comes before the one before.
    """
    if not events.t.size:
        raise ValueError("no events")
    for values, high in ((events.x, width), (events.y, height), (events.p, 2)):
        if values.min() < 0 or values.max() >= high:
            raise ValueError(f"an event lies off the {width} x {height} sensor, or has another polarity than 0 or 1")
    if events.t.min() < 0 or events.t.max() > LATEST_US:
        raise ValueError(f"an event at {int(events.t.min()):,} to {int(events.t.max()):,} us")
    # Of unsigned times a difference would wrap around.
    backwards = np.flatnonzero(events.t[1:] < events.t[:-1])
    if backwards.size:
        raise ValueError(f"event {backwards[0] + 1} comes before the one before it")
    return events


def whole_numbers(values: NDArray[np.generic], what: str) -> NDArray[np.int64]:
    """Return `values`, of whatever type a file has them in, as integers.

    Raises
    ------
    ValueError
        If one is no whole number; `what` says of what it was read.
    """
    if values.dtype.kind in "iu" and values.dtype != np.uint64:
        return values.astype(np.int64)
    if values.dtype.kind not in "iuf" or not np.all(np.isfinite(values)) or np.any(np.abs(values) > 2**53):
        raise ValueError(f"{what} are no whole numbers")
    whole = np.rint(values).astype(np.int64)
    if np.any(whole != values):
        raise ValueError(f"{what} are no whole numbers")
    return whole


def shrunk(events: Events, side: int, to: int) -> Events:
    """Move the events of a square sensor of `side` pixels to one of `to`, whole pixels of it together; none is lost."""
    x, y = (np.asarray(column, dtype=np.int64) * to // side for column in (events.x, events.y))
    return events._replace(x=x, y=y)
