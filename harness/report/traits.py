"""Badges of rows: what one has to know of a neuron or a method before taking it, in a word or two each.

From cards, and from what was counted. Must not judge.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from harness.catalogue.cards import Registry
from harness.results.table import TableRow
from reference_impls.card import NeuronCapabilities, TrainingCapabilities

__all__ = ["Trait", "Traits", "parameters_of"]


@dataclass(frozen=True, slots=True)
class Trait:
    """A badge."""

    text: str
    hint: str
    caution: bool = False
    """Whether it rules something out that most rows allow."""


_EVALUATION: Mapping[str, Trait] = {
    "sequential": Trait("step by step", "Takes one step after another, as data come"),
}
_WHOLE = Trait("whole sequence", "Computes all steps at once and needs the whole sequence first", caution=True)
_LATER = Trait("not causal", "A step sees later inputs", caution=True)
_RANDOM = Trait("stochastic", "Draws random numbers: the same input may give other spikes", caution=True)
_FIXED_T = Trait("fixed T", "Its parameters depend on the number of steps", caution=True)


class Traits:
    """What the cards of a registry say of rows."""

    def __init__(self, registry: Registry) -> None:
        self._registry = registry

    def of(self, axis: str, name: str) -> tuple[Trait, ...]:
        """Return the badges of a row; none for an axis that has no cards, or a name that no card has."""
        known = {"neuron": self._registry.cell_neurons, "method": self._registry.methods}.get(axis, {})
        row = known.get(name)
        able: Any = row.capabilities if row else None
        if isinstance(able, NeuronCapabilities):
            return _neuron(able)
        return _training(able) if isinstance(able, TrainingCapabilities) else ()


def _neuron(able: NeuronCapabilities) -> tuple[Trait, ...]:
    causal = Trait("causal", "A step sees no later input") if able.causal else _LATER
    found = [causal, _EVALUATION.get(able.parallel, _WHOLE)]
    found += [_RANDOM] if able.stochastic else []
    found += [_FIXED_T] if able.needs_T else []
    if able.output != "binary":
        found.append(Trait(able.output, f"Emits {able.output} values, not only 0 and 1", caution=True))
    return tuple(found)


def _training(able: TrainingCapabilities) -> tuple[Trait, ...]:
    online = able.memory_in_T == "O(1)"
    hint = (
        "Memory for learning does not grow with T" if online else "Memory for learning grows with the number of steps T"
    )
    found = [Trait(f"memory {able.memory_in_T}", hint)]
    if able.updates != "per_batch":
        found.append(Trait("updates within a sample", "The optimizer steps before the sequence is over"))
    if able.pretraining:
        found.append(Trait("pretrains", "Trains something else first, out of the same budget", caution=True))
    return tuple(found)


def parameters_of(row: TableRow) -> tuple[Trait, ...]:
    """Return a badge with the parameters of the network that a row was measured in; none where nothing counted them."""
    for value in row.values.values():
        figure = value.record.metrics.get("parameters")
        if figure is not None:
            count = figure.value
            text = f"{count / 1000:.3g}k" if count >= 1000 else f"{count:.0f}"
            return (Trait(f"{text} parameters", "What the whole network learns, the neuron's own parameters included"),)
    return ()
