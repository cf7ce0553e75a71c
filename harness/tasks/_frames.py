"""Events to frames: every event in exactly one frame, empty frames allowed, counts as integers.

Our own, because the libraries' versions lose events at the end, fail on an empty bin, or change shape without
events. Must not know which camera the events come from.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from harness.data.events import Events

__all__ = ["frames_by_time"]


def frames_by_time(
    events: Events, bins: int, height: int, width: int, start: int | None = None, stop: int | None = None
) -> NDArray[np.int32]:
    """Count events in `bins` spans of equal duration.

    An event at time t goes to frame ``(t - start) * bins // (stop - start)``, in integers: spans that cannot be
    equal in whole microseconds differ by one.

    Parameters
    ----------
    events : in any order.
    bins : number of frames.
    height, width : of the sensor.
    start, stop : microseconds; the frames cover ``start <= t < stop``. None: from the first event to the last.

    Returns
    -------
    Counts ``[bins, 2, height, width]``; channel 0 holds OFF, channel 1 ON events.

    Raises
    ------
    ValueError
        If an event lies off the sensor or outside the span.
    """
    t, x, y, p = (np.asarray(column, dtype=np.int64) for column in (events.t, events.x, events.y, events.p))
    if t.size == 0:
        return np.zeros((bins, 2, height, width), dtype=np.int32)
    start = int(t.min()) if start is None else start
    stop = int(t.max()) + 1 if stop is None else stop
    for name, values, low, high in (("t", t, start, stop), ("x", x, 0, width), ("y", y, 0, height), ("p", p, 0, 2)):
        if values.min() < low or values.max() >= high:
            raise ValueError(f"{name} of an event lies outside {low} <= {name} < {high}")
    frame = (t - start) * bins // (stop - start)
    place = ((frame * 2 + p) * height + y) * width + x
    counts = np.bincount(place, minlength=bins * 2 * height * width)
    return counts.astype(np.int32).reshape(bins, 2, height, width)
