"""Windows of events as bins for networks of dense targets: signed and shared between two bins, or counted by polarity.

Must not know where the events come from.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from harness.data.events import Events

__all__ = ["counted_bins", "normalised", "shared_bins"]


def shared_bins(events: Events, window: NDArray[np.int64], shape: tuple[int, int, int, int], span: int) -> NDArray:
    """Share each event's sign between the two bins that are nearest in time, as E2VID's voxel grid does.

    The time in a window is scaled to 0 .. bins - 1; an event at b + f gives 1 - f to bin b and f to bin b + 1.

    Parameters
    ----------
    events : times are microseconds since the start of the event's window, below `span`.
    window : of each event, ``[E]``.
    shape : (windows, bins, height, width).
    span : length of a window, microseconds.

    Returns
    -------
    float32 of `shape`.

    Raises
    ------
    ValueError
        If an event lies off the shape or the span.
    """
    bins = shape[1]
    t, x, y, p = _columns(events, window, shape, span)
    at = t * (bins - 1) / span
    earlier = np.floor(at).astype(np.int64)
    share, sign = at - earlier, 2.0 * p - 1
    total = np.zeros(shape)
    for bin_, weight in ((earlier, sign * (1 - share)), (np.minimum(earlier + 1, bins - 1), sign * share)):
        place = np.ravel_multi_index((window, bin_, y, x), shape)
        total += np.bincount(place, weight, minlength=total.size).reshape(shape)
    return total.astype(np.float32)


def normalised(windows: NDArray[np.float32]) -> NDArray[np.float32]:
    """Return ``windows[N, ...]`` whose entries that are not 0 have mean 0 and standard deviation 1 in each window.

    Where all of them are equal nothing is divided; a window without events stays 0.
    """
    axes = tuple(range(1, windows.ndim))
    there = windows != 0
    count = np.maximum(there.sum(axes, keepdims=True), 1)
    mean = windows.sum(axes, keepdims=True, dtype=np.float64) / count
    away = np.where(there, windows - mean, 0.0)
    deviation = np.sqrt((away * away).sum(axes, keepdims=True) / count)
    return (away / np.where(deviation > 0, deviation, 1.0)).astype(np.float32)


def counted_bins(
    events: Events, window: NDArray[np.int64], shape: tuple[int, int, int, int], span: int
) -> NDArray[np.uint8]:
    """Count events of each polarity in bins of equal duration, ``[windows, bins, 2, height, width]``, at most 255.

    Channel 0 holds OFF and channel 1 ON events. Parameters and errors as of `shared_bins`.
    """
    windows, bins, height, width = shape
    t, x, y, p = _columns(events, window, shape, span)
    whole = (windows, bins, 2, height, width)
    place = np.ravel_multi_index((window, t * bins // span, p, y, x), whole)
    counts = np.bincount(place, minlength=int(np.prod(whole))).reshape(whole)
    return np.minimum(counts, 255).astype(np.uint8)


def _columns(
    events: Events, window: NDArray[np.int64], shape: tuple[int, int, int, int], span: int
) -> tuple[NDArray[np.int64], ...]:
    """Return times, columns, rows and polarities, or say which of them is out of bounds."""
    t, x, y, p = (np.asarray(column, dtype=np.int64) for column in events)
    windows, _, height, width = shape
    for name, values, high in (
        ("window", window, windows),
        ("t", t, span),
        ("x", x, width),
        ("y", y, height),
        ("p", p, 2),
    ):
        if values.size and (values.min() < 0 or values.max() >= high):
            raise ValueError(f"{name} of an event lies outside 0 <= {name} < {high}")
    return t, x, y, p
