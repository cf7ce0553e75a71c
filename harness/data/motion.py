"""Recordings that are computed: an event camera of N-MNIST's size sees one object move straight through its view.

The class is the direction. An edge in front of a bright object looks like the edge behind a dark one, and objects are
either: no single frame tells forwards from backwards, so what came first has to be remembered. All geometry is in whole
numbers and the stream of NumPy's ``RandomState`` is frozen, so the recordings are the same on every machine. Must not
import torch.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

__all__ = ["CELLS", "DIRECTIONS", "SENSOR", "directions", "moving_shapes"]

SENSOR = 34
"""Pixels in a row and in a column: those of N-MNIST's recordings."""
CELLS = 17
"""Cells in a row and in a column of a frame: pixels are counted together two by two."""
DIRECTIONS = ((256, 0), (181, 181), (0, 256), (-181, 181), (-256, 0), (-181, -181), (0, -256), (181, -181))
"""(x, y) of each class, in 1/256 of its length: to the right, down to the right, down, ..."""
LOOKS = 4
"""How often within a frame the camera compares what it sees with what it saw."""
PIXEL = 256
"""All lengths are in this unit of 1/256 pixel."""
SPEEDS = (51, 154)
"""Least and, exclusive, greatest way from one look to the next: 0.8 to 2.4 pixels a frame."""
RADII = (768, 1537)
"""The same for half the extent of an object: 3 to 6 pixels."""
OFF_CENTRE = 768
"""How far from the middle of the view, in x and y, an object may be at half time: 3 pixels."""
NOISE = 5
"""Of 256 entries of a frame, how many are set by chance."""
AT_ONCE = 500
"""Recordings that are computed at a time; the noise is drawn in such pieces."""


class Objects(NamedTuple):
    """What moves in each recording, ``[N]`` each."""

    direction: NDArray[np.int64]
    speed: NDArray[np.int64]
    x: NDArray[np.int64]
    """Where the centre is at half time."""
    y: NDArray[np.int64]
    radius: NDArray[np.int64]
    form: NDArray[np.int64]
    """0: square, 1: disc, 2: square on its corner."""
    bright: NDArray[np.bool_]

    def at(self, piece: slice) -> Objects:
        """Return some of them."""
        return Objects(
            self.direction[piece],
            self.speed[piece],
            self.x[piece],
            self.y[piece],
            self.radius[piece],
            self.form[piece],
            self.bright[piece],
        )


def directions(count: int) -> NDArray[np.int64]:
    """Return the class of each of `count` recordings, an index of `DIRECTIONS`; equally frequent, give or take one."""
    return np.random.RandomState(0).permutation(np.arange(count) % len(DIRECTIONS)).astype(np.int64)


def moving_shapes(count: int, T: int) -> NDArray[np.uint8]:
    """Record `count` objects in T frames; `directions` says where each goes.

    Returns
    -------
    Frames ``[count, T, 2, CELLS, CELLS]``: 1 where a pixel of the cell became darker (channel 0) or brighter (channel
    1) at least once, or by chance.
    """
    random = np.random.RandomState(1)
    middle = SENSOR * PIXEL // 2
    drawn = Objects(
        direction=directions(count),
        speed=random.randint(*SPEEDS, count),
        x=middle + random.randint(-OFF_CENTRE, OFF_CENTRE + 1, count),
        y=middle + random.randint(-OFF_CENTRE, OFF_CENTRE + 1, count),
        radius=random.randint(*RADII, count),
        form=random.randint(0, 3, count),
        bright=random.randint(0, 2, count) == 1,
    )
    frames = np.empty((count, T, 2, CELLS, CELLS), dtype=np.uint8)
    for start in range(0, count, AT_ONCE):
        piece = slice(start, start + AT_ONCE)
        noise = random.randint(0, 256, frames[piece].shape, dtype=np.uint8) < NOISE
        frames[piece] = noise | _seen(drawn.at(piece), T)
    return frames


def _seen(objects: Objects, T: int) -> NDArray[np.bool_]:
    """Return what changes in each frame, ``[N, T, 2, CELLS, CELLS]``, without noise."""
    changed = np.zeros((len(objects.x), T, 2, SENSOR, SENSOR), dtype=bool)
    views = _views(objects, T * LOOKS)
    before: NDArray[np.bool_] = next(views)
    for look, now in enumerate(views):
        changed[:, look // LOOKS, 0] |= before & ~now
        changed[:, look // LOOKS, 1] |= now & ~before
        before = now
    blocks = changed.reshape(len(objects.x), T, 2, CELLS, SENSOR // CELLS, CELLS, SENSOR // CELLS)
    cells: NDArray[np.bool_] = np.asarray(blocks.any((4, 6)))
    seen: NDArray[np.bool_] = np.where(objects.bright[:, None, None, None, None], cells, cells[:, :, ::-1])
    return seen


def _views(objects: Objects, looks: int) -> Iterator[NDArray[np.bool_]]:
    """Yield which pixels' centres the object covers, ``[N, SENSOR, SENSOR]``, at the start and after every look."""
    centres = PIXEL * np.arange(SENSOR) + PIXEL // 2
    along_x, along_y = (np.array(DIRECTIONS)[objects.direction] * objects.speed[:, None]).T
    radius, form = objects.radius[:, None, None], objects.form[:, None, None]
    for look in range(looks + 1):
        # Twice the distance from half time, so that an odd number of looks has a middle too.
        way = 2 * look - looks
        dx = np.abs(centres[None, None, :] - (objects.x + along_x * way // 512)[:, None, None])
        dy = np.abs(centres[None, :, None] - (objects.y + along_y * way // 512)[:, None, None])
        square = np.maximum(dx, dy) <= radius
        disc = dx * dx + dy * dy <= radius * radius
        yield np.where(form == 0, square, np.where(form == 1, disc, dx + dy <= radius))
