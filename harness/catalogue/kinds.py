"""Kinds of data, as one who looks for a neuron or a method names them; every task of classes has one.

Worked out from a task's card, so that a new task has its kind by being described.
"""

from __future__ import annotations

from collections.abc import Mapping

from harness.catalogue.cards import TaskCard

__all__ = ["KINDS", "kind_of"]

KINDS: Mapping[str, str] = {
    "sound": "spoken words, as channels of a cochlea or a spectrum over time",
    "events": "events of a camera that sees changes",
    "images": "still images, shown at every step",
    "sequences": "images read row by row or pixel by pixel",
    "memory": "generated sequences in which a step depends on one long before",
}
"""Kind -> what it is, in the order in which it is offered."""
_SPOKEN = ("fsdd", "shd", "ssc", "heidelberg", "gsc")
"""Beginnings of the names of data sets of speech."""


def kind_of(card: TaskCard) -> str | None:
    """Return the kind of a task's data; None for signals that are to be produced, and for data of a task's own."""
    if card.target != "classes" or card.data is None:
        return None
    if card.data.startswith(_SPOKEN):
        return "sound"
    if len(card.sample_shape) == 1:
        return "memory" if card.data == "generated" else "sequences"
    # Frames of events are counts, which a card may call analog; two channels are the two signs of a change.
    return "events" if card.input_kind == "events" or card.sample_shape[0] == 2 else "images"
