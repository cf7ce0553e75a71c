"""The scenes of the tasks with dense targets, filmed once and remembered; which scene is in which part is fixed.

Scenes are drawn one by one from seeds of their own, so the parts are simply the first, the next and the last of them.
Must not know what is asked of them.
"""

from __future__ import annotations

import functools
import hashlib
from collections.abc import Callable
from typing import NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray

from harness.data import event_camera, textures
from harness.data.events import Events
from harness.data.textures import EVENT, WINDOW_US, Filmed
from harness.tasks.common.base import Samples, Split
from harness.tasks.common.cache import remembered

__all__ = ["FLOW", "VIDEO", "Film", "filmed", "in_windows", "split_scenes"]

SIDE, LOOKS = 24, 8
"""Pixels along a side; looks of the camera in a window."""


class Film(NamedTuple):
    """What decides which scenes are filmed."""

    counts: tuple[int, int, int]
    """Scenes to train with, to validate with, and to test with."""
    windows: int
    seed: int
    speed: float
    """Pixels a window that a layer moves at most along an axis."""


VIDEO = Film((128, 16, 32), 4, 0, 2.5)
FLOW = Film((768, 64, 128), 1, 1, 4.0)
"""Many scenes of one window: in all windows of a scene the motion is the same."""


@functools.lru_cache(maxsize=2)
def filmed(of: Film) -> Filmed:
    """Return what is known of the scenes of all parts, in the order of parts."""
    camera, count, windows, side = event_camera.Camera(), sum(of.counts), of.windows, SIDE

    @functools.cache
    def film() -> Filmed:
        return textures.film(textures.scenes(count, of.seed, side, windows, of.speed), camera, LOOKS)

    def kept(name: str, make: Callable[[], NDArray[np.generic]]) -> NDArray[np.uint8]:
        decided = (count, side, windows, of.seed, of.speed, LOOKS, camera, name)
        code = (event_camera.__file__, textures.__file__)
        return remembered(f"moving-textures-{name}", decided, code, lambda: _bytes(make()))

    return Filmed(
        kept("frames", lambda: film().frames).reshape(count, windows + 1, side, side),
        kept("flow", lambda: film().flow).view("<f4").reshape(count, windows, 2, side, side),
        kept("events", lambda: film().events).view(EVENT),
    )


def in_windows(film: Filmed) -> tuple[Events, NDArray[np.int64]]:
    """Return all events with times since the start of their window, and the window of each, scene after scene."""
    windows = film.flow.shape[1]
    window, t = np.divmod(film.events["t"].astype(np.int64), WINDOW_US)
    events = Events(t, *(film.events[name].astype(np.int64) for name in ("x", "y", "p")))
    return events, film.events["scene"].astype(np.int64) * windows + window


def split_scenes(inputs: NDArray[np.generic], labels: NDArray[np.float32], counts: tuple[int, int, int]) -> Split:
    """Cut arrays ``[scenes, ...]`` into the parts; a digest stands for every target."""
    digest = hashlib.sha256(np.round(labels.astype(np.float64) * 4096).astype("<i4").tobytes())
    digest.update(repr(counts).encode())
    ends = np.cumsum(counts)[:-1]
    parts = [
        Samples(torch.from_numpy(x.copy()), torch.from_numpy(y.copy()))
        for x, y in zip(np.split(inputs, ends), np.split(labels, ends), strict=True)
    ]
    return Split(parts[0], parts[1], parts[2], digest.hexdigest())


def _bytes(values: NDArray[np.generic]) -> NDArray[np.uint8]:
    little = values if values.dtype.names else values.astype(values.dtype.newbyteorder("<"))
    return np.frombuffer(little.tobytes(), dtype=np.uint8)
