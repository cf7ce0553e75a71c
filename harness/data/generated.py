"""Data made by code: problems of memory whose length can be set, and the check of what `motion` computes.

The stream of NumPy's ``RandomState`` is frozen, and a digest checks it, so the samples are the same everywhere. What
a network sees of them is decided by the tasks. Must not import torch.
"""

from __future__ import annotations

import hashlib
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from harness.data.base import DataSet, FileVerdict, Presence
from harness.data.motion import directions, moving_shapes

__all__ = ["GENERATED", "adding", "delayed_xor", "localisation"]

Frames = NDArray[np.uint8]
Labels = NDArray[np.int64]


def delayed_xor(
    count: int, T: int, channels: int, cue: int, delay: int, rates: tuple[float, float]
) -> tuple[Frames, Labels]:
    """Make trains of two cues, each one of two symbols; the class is whether the symbols differ.

    Each symbol has half of the channels. While it is shown, its channels spike with the higher rate; at any other
    time, and those of the other symbol always, with the lower one. The second cue ends the sequence, `delay` steps
    after the first one ended.

    Parameters
    ----------
    count : sequences; the four pairs of symbols are equally frequent, give or take one.
    T : steps.
    channels : even.
    cue : steps of a cue.
    delay : steps between the cues.
    rates : spikes per step and channel, without and with the symbol.

    Returns
    -------
    Spikes ``[count, T, channels]``, 0 or 1, and classes ``[count]``.

    Raises
    ------
    ValueError
        If two cues and the delay do not fit into T steps.
    """
    first = T - 2 * cue - delay
    if first < 0 or delay < 0:
        raise ValueError(f"two cues of {cue} steps and a delay of {delay} do not fit into {T} steps")
    random = np.random.RandomState(0)
    pair = random.permutation(np.arange(count) % 4)
    symbols = np.stack([pair // 2, pair % 2], axis=1)
    shown = np.zeros((count, T, 2, channels // 2), dtype=bool)
    for place, start in enumerate((first, T - cue)):
        for symbol in (0, 1):
            shown[symbols[:, place] == symbol, start : start + cue, symbol] = True
    rate = np.where(shown, rates[1], rates[0]).reshape(count, T, channels)
    spikes = (random.random_sample(rate.shape) < rate).astype(np.uint8)
    return spikes, (symbols[:, 0] != symbols[:, 1]).astype(np.int64)


def adding(count: int, T: int, largest: int, delay: int) -> tuple[Frames, Labels]:
    """Make sequences of digits of which two are marked; the class is the sum of these two.

    Parameters
    ----------
    count : sequences.
    T : steps.
    largest : digits are 0..largest, each equally likely.
    delay : steps between the two marks; the first is at a random place that leaves room.

    Returns
    -------
    Digits and marks ``[count, T, 2]`` (a mark is 0 or 1), and classes ``[count]``, 0..2 largest.

    Raises
    ------
    ValueError
        If the delay does not fit into T steps.
    """
    if not 0 < delay < T:
        raise ValueError(f"marks {delay} steps apart do not fit into {T} steps")
    random = np.random.RandomState(0)
    digits = random.randint(0, largest + 1, (count, T))
    first = random.randint(0, T - delay, count)
    sequence = np.arange(count)
    marks = np.zeros((count, T), dtype=np.int64)
    marks[sequence, first] = marks[sequence, first + delay] = 1
    classes = (digits * marks).sum(1)
    return np.stack([digits, marks], axis=2).astype(np.uint8), classes.astype(np.int64)


def localisation(count: int, T: int, turning: float) -> tuple[Frames, Labels]:
    """Make walks of a robot that turns left, turns right or goes on at every step; the class is where it ends.

    It starts in the middle and faces along the line between left and right. A turn is one of 90 degrees, going on moves
    it by 1. Every walk that ends on the right has its mirror image among those that end on the left.

    Parameters
    ----------
    count : walks, even.
    T : steps.
    turning : probability of a turn at a step, either way alike.

    Returns
    -------
    Actions ``[count, T, 3]``, one of them 1 at each step: left, right, on; and classes ``[count]``, 0 where it ends on
    the left, 1 on the right.

    Raises
    ------
    ValueError
        If `count` is odd: walks come in mirrored pairs.
    """
    if count % 2:
        raise ValueError(f"walks come in mirrored pairs: their number must be even, got {count}")
    random = np.random.RandomState(0)
    kept: list[NDArray[np.int64]] = []
    while sum(map(len, kept)) < count // 2:
        chance = random.random_sample((count, T))
        actions = np.where(chance < turning / 2, 0, np.where(chance < turning, 1, 2))
        kept.append(actions[_sideways(actions) != 0])
    walks = np.concatenate(kept)[: count // 2]
    mirrored = np.where(walks == 2, 2, 1 - walks)
    both = random.permutation(np.concatenate([walks, mirrored]))
    return np.eye(3, dtype=np.uint8)[both], (_sideways(both) > 0).astype(np.int64)


def _sideways(actions: NDArray[np.int64]) -> NDArray[np.int64]:
    """Return how far to the right walks ``[N, T]`` end."""
    heading = np.cumsum((actions == 1).astype(np.int64) - (actions == 0), axis=1) % 4
    to_the_right = np.array([0, 1, 0, -1])[heading]
    sums: NDArray[np.int64] = (to_the_right * (actions == 2)).sum(1)
    return sums


class Generated(DataSet):
    """No files at all."""

    def find(self, root: Path) -> Presence:  # noqa: ARG002
        """Return that it is there: it always is."""
        return Presence(self.name, True, Path(__file__))

    def verify(self, root: Path) -> tuple[FileVerdict, ...]:  # noqa: ARG002
        """Make some samples and compare their digests."""
        made = {
            "delayed_xor": delayed_xor(100, 40, 20, 5, 10, (0.05, 0.5)),
            "adding": adding(100, 40, 4, 10),
            "localisation": localisation(100, 100, 0.1),
            "moving_shapes": (moving_shapes(100, 10), directions(100)),
        }
        verdicts = []
        for name, (inputs, labels) in made.items():
            found = hashlib.sha256(inputs.tobytes() + labels.astype("<i8").tobytes()).hexdigest()
            verdicts.append(FileVerdict(name, found == SHA256[name], f"SHA-256 of 100 samples is {found}"))
        return tuple(verdicts)


SHA256 = {
    "delayed_xor": "5ce7cfdba08b111e124e5d1e34da0e94f160f153a16044310afcaf81b45e239a",
    "localisation": "7b20efd9330ac2e51c1f9717e06543a87dd84c29e4bb4bdfac72c2dcdc304ab5",
    "moving_shapes": "3426c92e6e0850845dc3fe358bab3ce3e9440bb99f7f7cd6dd813c264b603da4",
    "adding": "540e6022c901f419518bc1c9139b32cfd035e05cfae2f962864f10660d577655",
}

GENERATED = Generated(
    name="generated",
    title="Sequences made by the tasks themselves",
    licence="that of this project",
    source="harness/data/generated.py",
    how_to_get="Nothing to get: they are made when they are needed.",
    embedded=True,
)
"""What the tasks on data that no file holds name as their data set."""
