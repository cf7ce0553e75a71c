"""Recordings that are computed, with boxes: an event camera sees one to three objects move, each with a form.

The objects are those of :mod:`harness.data.motion`, each in a quarter of the view of its own, so that no two centres
meet. All geometry is in whole numbers and the stream of NumPy's ``RandomState`` is frozen, so recordings and boxes are
the same on every machine. Must not import torch.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from harness.data.motion import DIRECTIONS, LOOKS, NOISE, PIXEL

__all__ = ["CELLS", "FORMS", "MOST", "SENSOR", "Recorded", "placed", "record"]

SENSOR = 64
"""Pixels in a row and in a column."""
CELLS = 32
"""Cells in a row and in a column of a frame: pixels are counted together two by two."""
FORMS = ("square", "disc", "diamond")
"""Classes; a diamond is a square on its corner."""
MOST = 3
"""Objects in a view, at most; at least one."""
SPEEDS = (51, 103)
"""Least and, exclusive, greatest way from one look to the next, in 1/256 pixel: 0.8 to 1.6 pixels a frame."""
RADII = (1280, 2305)
"""Least and, exclusive, greatest half extent of an object, in 1/256 pixel: 5 to 9 pixels."""
OFF_CENTRE = 7 * PIXEL
"""How far from the middle of its quarter, in x and y, an object may be at half time."""
AT_ONCE = 300
"""Recordings that are computed at a time; the noise is drawn in such pieces."""
QUARTERS = ((16, 16), (48, 16), (16, 48), (48, 48))


class Recorded(NamedTuple):
    """What the camera reported and what was there."""

    frames: NDArray[np.uint8]
    """``[N, T, 2, CELLS, CELLS]``: 1 where a pixel became darker (channel 0) or brighter (1), or by chance."""
    boxes: NDArray[np.float32]
    """``[N, windows, MOST, 4]``: left, top, right and lower edge in pixels at the end of each window, cut at the
    borders of the view; nan where there are fewer objects."""
    forms: NDArray[np.int64]
    """``[N, MOST]``, an index of `FORMS`; -1 where there are fewer objects."""


class _Object(NamedTuple):
    """One object of each recording, ``[N]`` each."""

    there: NDArray[np.bool_]
    x: NDArray[np.int64]
    y: NDArray[np.int64]
    way_x: NDArray[np.int64]
    """From one look to the next, in 1/65536 pixel."""
    way_y: NDArray[np.int64]
    radius: NDArray[np.int64]
    form: NDArray[np.int64]
    bright: NDArray[np.bool_]

    def at(self, piece: slice) -> _Object:
        """Return those of some of the recordings."""
        return _Object(*(values[piece] for values in self))

    def centre(self, look: int, looks: int) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
        """Return where it is after `look` of `looks` looks, ``[N]`` each, in 1/256 pixel."""
        way = 2 * look - looks
        return self.x + self.way_x * way // 512, self.y + self.way_y * way // 512


def record(count: int, T: int, windows: int, seed: int = 2) -> Recorded:
    """Record `count` views in T frames.

    Parameters
    ----------
    count : recordings.
    T : frames of each.
    windows : of equal length; there are boxes at the end of each.
    seed : of everything that is drawn.

    Raises
    ------
    ValueError
        If the frames are not so many windows.
    """
    random = np.random.RandomState(seed)
    objects = _drawn(random, count)
    boxes, forms = _told(objects, T, windows)
    frames = np.empty((count, T, 2, CELLS, CELLS), dtype=np.uint8)
    for start in range(0, count, AT_ONCE):
        piece = slice(start, start + AT_ONCE)
        noise = random.randint(0, 256, frames[piece].shape, dtype=np.uint8) < NOISE
        frames[piece] = noise | _seen([one.at(piece) for one in objects], T)
    return Recorded(frames, boxes, forms)


def placed(count: int, T: int, windows: int, seed: int = 2) -> tuple[NDArray[np.float32], NDArray[np.int64]]:
    """Return boxes and forms of what `record` of the same arguments records, which takes no time."""
    return _told(_drawn(np.random.RandomState(seed), count), T, windows)


def _told(objects: Sequence[_Object], T: int, windows: int) -> tuple[NDArray[np.float32], NDArray[np.int64]]:
    """Return ``boxes[N, windows, MOST, 4]`` and ``forms[N, MOST]``."""
    if windows < 1 or T % windows:
        raise ValueError(f"{T} frames are not {windows} windows of equal length")
    ends = [(window + 1) * (T // windows) * LOOKS for window in range(windows)]
    boxes = np.stack([np.stack([_boxes(one, end, T * LOOKS) for one in objects], axis=1) for end in ends], axis=1)
    return boxes, np.stack([np.where(one.there, one.form, -1) for one in objects], axis=1)


def _seen(objects: Sequence[_Object], T: int) -> NDArray[np.bool_]:
    """Return which cells report something in each frame, ``[N, T, 2, CELLS, CELLS]``, without noise."""
    count = len(objects[0].x)
    changed = np.zeros((count, T, 2, SENSOR, SENSOR), dtype=bool)
    for one in objects:
        for look, (gone, come) in enumerate(_edges(one, T * LOOKS)):
            darker, brighter = _by_brightness(gone, come, one.bright)
            changed[:, look // LOOKS, 0] |= darker
            changed[:, look // LOOKS, 1] |= brighter
    blocks = changed.reshape(count, T, 2, CELLS, SENSOR // CELLS, CELLS, SENSOR // CELLS)
    cells: NDArray[np.bool_] = np.asarray(blocks.any((4, 6)))
    return cells


def _drawn(random: np.random.RandomState, count: int) -> list[_Object]:
    """Draw the objects of every recording; those that are not there are drawn too, so that the stream is the same."""
    number = random.randint(1, MOST + 1, count)
    quarters = np.array(QUARTERS) * PIXEL
    order = np.argsort(random.randint(0, 2**31, (count, len(QUARTERS)), dtype=np.int64), axis=1, kind="stable")
    found = []
    for index in range(MOST):
        middle = quarters[order[:, index]]
        ways = np.array(DIRECTIONS)[random.randint(0, len(DIRECTIONS), count)] * random.randint(*SPEEDS, count)[:, None]
        found.append(
            _Object(
                there=index < number,
                x=middle[:, 0] + random.randint(-OFF_CENTRE, OFF_CENTRE + 1, count),
                y=middle[:, 1] + random.randint(-OFF_CENTRE, OFF_CENTRE + 1, count),
                way_x=ways[:, 0],
                way_y=ways[:, 1],
                radius=random.randint(*RADII, count),
                form=random.randint(0, len(FORMS), count),
                bright=random.randint(0, 2, count) == 1,
            )
        )
    return found


def _edges(one: _Object, looks: int) -> Iterator[tuple[NDArray[np.bool_], NDArray[np.bool_]]]:
    """Yield which pixels an object left and which it reached between looks, ``[N, SENSOR, SENSOR]`` each."""
    before = _covered(one, 0, looks)
    for look in range(1, looks + 1):
        now = _covered(one, look, looks)
        yield before & ~now, now & ~before
        before = now


def _covered(one: _Object, look: int, looks: int) -> NDArray[np.bool_]:
    centres = PIXEL * np.arange(SENSOR) + PIXEL // 2
    x, y = one.centre(look, looks)
    dx = np.abs(centres[None, None, :] - x[:, None, None])
    dy = np.abs(centres[None, :, None] - y[:, None, None])
    radius, form = one.radius[:, None, None], one.form[:, None, None]
    square = np.maximum(dx, dy) <= radius
    disc = dx * dx + dy * dy <= radius * radius
    inside: NDArray[np.bool_] = np.where(form == 0, square, np.where(form == 1, disc, dx + dy <= radius))
    return inside & one.there[:, None, None]


def _by_brightness(
    gone: NDArray[np.bool_], come: NDArray[np.bool_], bright: NDArray[np.bool_]
) -> tuple[NDArray[np.bool_], NDArray[np.bool_]]:
    """Return what became darker and what became brighter: a bright object brightens what it reaches."""
    is_bright = bright[:, None, None]
    return np.where(is_bright, gone, come), np.where(is_bright, come, gone)


def _boxes(one: _Object, look: int, looks: int) -> NDArray[np.float32]:
    """Return the boxes ``[N, 4]`` of an object; every form reaches as far as its radius in x and in y."""
    x, y = one.centre(look, looks)
    edges = np.stack([x - one.radius, y - one.radius, x + one.radius, y + one.radius], axis=1) / PIXEL
    return np.where(one.there[:, None], edges.clip(0, SENSOR), np.nan).astype(np.float32)
