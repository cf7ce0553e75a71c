"""An event camera that looks at brightnesses over time: contrast threshold, refractory time, linear between two looks.

The standard model of such a camera (as in ESIM, Rebecq, Gehrig and Scaramuzza, CoRL 2018): each pixel remembers a
brightness and reports ON or OFF whenever the present one is `contrast` times it, or that part of it, which it then
remembers instead. Everything is one multiplication or one division, which IEEE 754 fixes to the last bit, so the same
events come out on every machine. Must not know what is seen, and must not import torch.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

__all__ = ["Camera", "Seen"]


class Seen(NamedTuple):
    """Events of all pixels, ``[E]`` each, in the order of looks, and within a look not sorted."""

    place: NDArray[np.int64]
    """Index of the pixel in a flattened look."""
    t: NDArray[np.int64]
    """Microseconds since the first look."""
    p: NDArray[np.int64]
    """1: brighter (ON), 0: darker (OFF)."""


@dataclass(frozen=True, slots=True)
class Camera:
    """What decides an event.

    Parameters
    ----------
    contrast : ratio of two brightnesses that makes an event; its logarithm is the contrast threshold.
    refractory_us : after an event a pixel reports nothing for so many microseconds. What it passes meanwhile it
        remembers all the same, as a sensor's comparator does.
    """

    contrast: float = 1.25
    refractory_us: int = 1_000

    def __post_init__(self) -> None:
        if not self.contrast > 1:
            raise ValueError(f"a contrast is a ratio above 1, got {self.contrast}")
        if self.refractory_us < 0:
            raise ValueError(f"a refractory time is not negative, got {self.refractory_us} us")

    def watch(self, looks: Iterable[NDArray[np.float64]], step_us: int) -> Seen:
        """Return what is reported of `looks`, one every `step_us` microseconds; the first is what it begins with.

        Parameters
        ----------
        looks : brightnesses above 0, all of one shape.
        step_us : time between two looks.

        Raises
        ------
        ValueError
            If there is no look, one has another shape than the first, or a brightness is not above 0.
        """
        views = iter(looks)
        before = _checked(next(views, None), None)
        memory, last = before.copy(), np.full(before.size, -self.refractory_us - 1, dtype=np.int64)
        found = [np.empty((3, 0), dtype=np.int64)]
        for step, look in enumerate(views):
            now = _checked(look, before.size)
            for polarity in (1, 0):
                found += self._crossings(memory, last, before, now, step * step_us, step_us, polarity)
            before = now
        return Seen(*np.concatenate(found, axis=1))

    def _crossings(
        self,
        memory: NDArray[np.float64],
        last: NDArray[np.int64],
        before: NDArray[np.float64],
        now: NDArray[np.float64],
        start: int,
        step_us: int,
        polarity: int,
    ) -> list[NDArray[np.int64]]:
        """Return the events of one polarity between two looks; `memory` and `last` event are brought up to date."""
        found = []
        reached = self._reaching(np.arange(memory.size), memory, now, polarity)
        while reached.size:
            level = self._level(memory[reached], polarity)
            share = (level - before[reached]) / (now[reached] - before[reached])
            # The share is above 0 and at most 1: rounding up and stepping back keeps the event inside the step.
            t = start + np.maximum(np.ceil(step_us * share).astype(np.int64) - 1, 0)
            memory[reached] = level
            rested = t - last[reached] > self.refractory_us
            reported = reached[rested]
            last[reported] = t[rested]
            found.append(np.stack([reported, t[rested], np.full(reported.size, polarity)]))
            reached = self._reaching(reached, memory, now, polarity)
        return found

    def _level(self, memory: NDArray[np.float64], polarity: int) -> NDArray[np.float64]:
        return memory * self.contrast if polarity else memory / self.contrast

    def _reaching(
        self, places: NDArray[np.int64], memory: NDArray[np.float64], now: NDArray[np.float64], polarity: int
    ) -> NDArray[np.int64]:
        level = self._level(memory[places], polarity)
        return places[now[places] >= level if polarity else now[places] <= level]


def _checked(look: NDArray[np.float64] | None, size: int | None) -> NDArray[np.float64]:
    if look is None:
        raise ValueError("a camera needs at least one look to begin with")
    flat = np.asarray(look, dtype=np.float64).ravel()
    if size not in (None, flat.size):
        raise ValueError(f"a look of {flat.size} pixels after one of {size}")
    if not flat.min(initial=1.0) > 0:
        raise ValueError("a brightness is not above 0: its logarithm is what a camera compares")
    return flat
