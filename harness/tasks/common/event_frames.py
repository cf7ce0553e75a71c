"""Events to frames: every event in exactly one frame, empty frames allowed, counts as integers.

The one place where a frame's boundaries are decided. Our own two rules, because the libraries' versions lose events
at the end, fail on an empty bin, or change shape without events; tonic's can be had by name, to compare. Must not
know which camera or ear the events come from.
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Mapping

import numpy as np
from numpy.typing import NDArray

from harness.data.events import Events
from reference_impls.names import check_name

__all__ = ["FRAMINGS", "frames", "frames_by_number", "frames_by_time"]

Counts = NDArray[np.int32]


def frames_by_time(
    events: Events, bins: int, height: int, width: int, start: int | None = None, stop: int | None = None
) -> Counts:
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
    t = np.asarray(events.t, dtype=np.int64)
    if t.size == 0:
        return np.zeros((bins, 2, height, width), dtype=np.int32)
    start = int(t.min()) if start is None else start
    stop = int(t.max()) + 1 if stop is None else stop
    _inside("t", t, start, stop)
    return _counted(events, (t - start) * bins // (stop - start), bins, height, width)


def frames_by_number(events: Events, bins: int, height: int, width: int) -> Counts:
    """Count events in `bins` spans of equal number, so that a frame lasts as long as the scene is still.

    Event number i of N, in order of time, goes to frame ``i * bins // N``: the frames hold as many events as each
    other, give or take one. Events of the same microsecond keep the order in which they come.

    Parameters and errors as in `frames_by_time`.

    Returns
    -------
    Counts ``[bins, 2, height, width]``; with fewer events than frames, some frames are empty.
    """
    t = np.asarray(events.t)
    frame = np.empty(t.size, dtype=np.int64)
    frame[np.argsort(t, kind="stable")] = np.arange(t.size) * bins // max(t.size, 1)
    return _counted(events, frame, bins, height, width)


def _tonic(events: Events, bins: int, height: int, width: int, slicing: str) -> Counts:
    """Return what tonic's ``ToFrame`` makes; it leaves out the last event, or up to `bins` - 1 of them."""
    from tonic.io import make_structured_array  # imported here: only a comparison with tonic needs it
    from tonic.transforms import ToFrame

    if np.asarray(events.t).size == 0:
        # Without events tonic swaps height and width.
        return np.zeros((bins, 2, height, width), dtype=np.int32)
    recorded = make_structured_array(events.x, events.y, events.t, events.p)
    return np.asarray(ToFrame((width, height, 2), **{slicing: bins})(recorded)).astype(np.int32)


FRAMINGS: Mapping[str, Callable[[Events, int, int, int], Counts]] = {
    "by-time": frames_by_time,
    "by-number": frames_by_number,
    "tonic-n-time-bins": functools.partial(_tonic, slicing="n_time_bins"),
    "tonic-n-event-bins": functools.partial(_tonic, slicing="n_event_bins"),
}
"""Rules by the name that a task's card gives them."""


def frames(framing: str, events: Events, bins: int, height: int, width: int) -> Counts:
    """Count events in `bins` frames by the rule called `framing`, ``[bins, 2, height, width]``.

    Raises
    ------
    reference_impls.names.UnknownNameError
        If there is no such rule; the message suggests the nearest.
    """
    return FRAMINGS[check_name("framing", framing, FRAMINGS)](events, bins, height, width)


def _counted(events: Events, frame: NDArray[np.int64], bins: int, height: int, width: int) -> Counts:
    x, y, p = (np.asarray(column, dtype=np.int64) for column in (events.x, events.y, events.p))
    for name, values, high in (("x", x, width), ("y", y, height), ("p", p, 2)):
        _inside(name, values, 0, high)
    place = ((frame * 2 + p) * height + y) * width + x
    counts = np.bincount(place, minlength=bins * 2 * height * width)
    return counts.astype(np.int32).reshape(bins, 2, height, width)


def _inside(name: str, values: NDArray[np.int64], low: int, high: int) -> None:
    if values.size and (values.min() < low or values.max() >= high):
        raise ValueError(f"{name} of an event lies outside {low} <= {name} < {high}")
