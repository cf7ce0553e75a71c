"""The tasks that decide: which of them the boards of neurons and of methods rest on, once, as data.

A leaderboard over every task would count easy ones that tie, and one task alone answers another question than the
reader's. So each kind of data has one task that tells rows apart after tuning, and the reason why stands beside it.
Presets, tuning and the boards over tasks take the lists from here. Must not know what a task is made of.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Literal

__all__ = ["BESIDE", "FOR_METHODS", "FOR_NEURONS", "Deciding", "tasks_of"]

DataKind = Literal["static images", "event camera", "sound", "rows of images", "pixels of images", "delay and memory"]


@dataclass(frozen=True, slots=True)
class Deciding:
    """A task that decides on one kind of data, and the network that it decides with."""

    kind: DataKind
    task: str
    topology: str
    reason: str
    """Why this one: what it asks of a row that others of its kind do not."""


_IMAGES = Deciding(
    "static images",
    "fashion-mnist",
    "conv",
    "Nothing has to be remembered, so a row shows what its spikes cost a network that only has to see; harder than "
    "MNIST, on which a fully connected network of any neuron saturates.",
)
_MOTION = Deciding(
    "event camera",
    "moving-shapes",
    "mlp",
    "No frame tells forwards from backwards, so the order of events counts, and there are 10,000 recordings: the 220 "
    "test recordings a seed of nmnist-1100 cannot tell neurons apart.",
)
_SOUND = Deciding(
    "sound",
    "fsdd",
    "mlp",
    "Real speech in real time at a size that a CPU trains to the end: what was said is spread over half a second.",
)
_ROWS = Deciding(
    "rows of images",
    "smnist-rows",
    "mlp",
    "28 steps that are read once, in order; after tuning, neurons still differ by more than a factor of two in error.",
)
FOR_NEURONS = (
    _IMAGES,
    _MOTION,
    _SOUND,
    _ROWS,
    Deciding(
        "pixels of images",
        "smnist-49",
        "mlp",
        "One number a step for 49 steps, so membranes and gradients have far to go. The field's 784 steps ask the same "
        "of a GPU: a trial of smnist takes minutes on a core.",
    ),
    Deciding(
        "delay and memory",
        "delayed-xor",
        "mlp",
        "Nothing can be guessed: a row that does not carry a cue over 10 steps is at 50 %. Two more delays stand "
        "beside it, and the adding problem.",
    ),
)
"""What the board of neurons over all tasks rests on: one task for each kind of data."""
FOR_METHODS = (_IMAGES, _MOTION, _SOUND, _ROWS)
"""The same for training methods, which take two to ten times as long to train."""
BESIDE = (
    Deciding(
        "sound",
        "fsdd",
        "recurrent",
        "The same speech with connections among the neurons of a layer: what the network remembers is then no longer "
        "the neuron's alone, and the methods made for recurrence (e-prop) are at home.",
    ),
    Deciding(
        "sound", "fsdd-speakers", "mlp", "Speakers whom the network never heard: voices cannot be learned by heart."
    ),
    Deciding("delay and memory", "delayed-xor-0", "mlp", "The same cues without a delay: what is left is the XOR."),
    Deciding("delay and memory", "delayed-xor-30", "mlp", "A delay of six cues: gradients through 40 steps."),
    Deciding("delay and memory", "adding", "mlp", "Nine classes out of a marked sequence, where chance is at 80 %."),
)
"""Measured under the same budgets, for who asks one question in more depth; the boards over all tasks count none."""


def tasks_of(deciding: Iterable[Deciding], topology: str) -> tuple[str, ...]:
    """Return the tasks among `deciding` whose network is a `topology`, in order."""
    return tuple(one.task for one in deciding if one.topology == topology)
