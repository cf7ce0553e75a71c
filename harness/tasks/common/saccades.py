"""An event camera's view of a small image that moves in three saccades, as N-MNIST was recorded.

The standard model of such a camera: each pixel remembers a brightness and reports, ON or OFF, whenever the present
one is twice or half of it, which it then remembers instead. All brightnesses are whole numbers, so the sums are
exact in any order; what remains is one division per event, which IEEE 754 fixes to the last bit. The same events
come out on every machine.
"""

from __future__ import annotations

from collections.abc import Iterator
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

from harness.data.events import Events

__all__ = ["DURATION_US", "SIDE", "record"]

SIDE = 16
"""Sensor pixels in a row and in a column."""
STEPS = 20
"""Brightness samples of one saccade; between them it is taken as linear in time."""
STEP_US = 5_000
IMAGE_PITCH = 30
"""Side of an image pixel; all lengths are in this unit of 1/30 of it."""
SENSOR_PITCH = 20
"""Side of a sensor pixel: an 8 x 8 image covers 12 x 12 of them, which leaves 4 to move in."""
CORNERS = ((0, 0), (40, 80), (80, 0), (0, 0))
"""(x, y) of the image at the ends of the saccades: a triangle, four sensor pixels wide and high."""
MARGIN = 3
"""Empty image pixels around the image, for sensor pixels that look beside it."""
DURATION_US = STEP_US * STEPS * (len(CORNERS) - 1)
DARK_LEVELS = 1
"""Brightness of the dark, in grey levels of the image; without it the dark would be infinitely far from ink."""


def record(images: NDArray[np.uint8]) -> Events:
    """Return what the camera reports of ``images[N, H, W]``.

    All recordings lie one below the other on a tall sensor: row ``n * SIDE + y`` is row y of recording n. Times run
    from 0 to below `DURATION_US`; events come step by step, not sorted within a step.
    """
    views = _views(images)
    before = next(views)
    doubled, halved = before * 2, before / 2
    found = [np.empty((3, 0), dtype=np.int64)]
    for step, now in enumerate(views):
        for polarity, level, factor in ((1, doubled, 2.0), (0, halved, 0.5)):
            reached = np.flatnonzero(now >= doubled if polarity else now <= halved)
            while reached.size:
                share = (level[reached] - before[reached]) / (now[reached] - before[reached])
                # The share is in (0, 1]: rounding up and stepping back keeps the event inside the step.
                t = step * STEP_US + np.ceil(STEP_US * share).astype(np.int64) - 1
                found.append(np.stack([reached, t, np.full(reached.size, polarity)]))
                doubled[reached] *= factor
                halved[reached] *= factor
                again = now[reached] >= doubled[reached] if polarity else now[reached] <= halved[reached]
                reached = reached[again]
        before = now
    place, t, p = np.concatenate(found, axis=1)
    x, y, n = np.unravel_index(place, (SIDE, SIDE, len(images)))
    return Events(t, x, n * SIDE + y, p)


def _views(images: NDArray[np.uint8]) -> Iterator[NDArray[np.float64]]:
    """Yield the brightness on the sensor at every step, flattened from ``[SIDE, SIDE, N]`` (column, row, recording).

    Bilinear interpolation, along x and then along y. Not a matrix product: BLAS would answer with threads, which
    made this ten times slower on a busy machine.
    """
    padded = np.pad(images.transpose(2, 1, 0), ((MARGIN, MARGIN), (MARGIN, MARGIN), (0, 0))).astype(np.float64)
    dark = DARK_LEVELS * IMAGE_PITCH**2
    for x, y in _path():
        left, share = _neighbours(x)
        across = padded[left] * (IMAGE_PITCH - share)[:, None, None] + padded[left + 1] * share[:, None, None]
        above, share = _neighbours(y)
        seen = across[:, above] * (IMAGE_PITCH - share)[:, None] + across[:, above + 1] * share[:, None]
        yield seen.ravel() + dark


def _path() -> Iterator[tuple[int, int]]:
    """Yield where the image is at every step, the first and the last included."""
    yield CORNERS[0]
    for (x0, y0), (x1, y1) in pairwise(CORNERS):
        for k in range(1, STEPS + 1):
            yield x0 + (x1 - x0) * k // STEPS, y0 + (y1 - y0) * k // STEPS


def _neighbours(shift: int) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Return, for every sensor pixel, the padded image's pixel before its centre and the share of the one after it.

    Shares are in units of 1 / IMAGE_PITCH.
    """
    centres = SENSOR_PITCH * np.arange(SIDE) + SENSOR_PITCH // 2
    before, share = np.divmod(centres - IMAGE_PITCH // 2 - shift, IMAGE_PITCH)
    return before + MARGIN, share
