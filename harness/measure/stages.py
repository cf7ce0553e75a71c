"""Firing rates of the simulations inside a training update, from the method's own counts.

SPIDE has two stages, most methods one; a -1 counts as one spike. Must not know how a method simulates.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from reference_impls.api import StageReport

__all__ = ["StageRates", "stage_rates"]


@dataclass(frozen=True, slots=True)
class StageRates:
    """Firing of one stage of an update."""

    name: str
    steps: int
    ternary: bool
    neurons: tuple[int, ...]
    """Of each layer."""
    spikes_per_sample: tuple[float, ...]
    """Of each layer; a -1 counts as one."""
    layer_rates: tuple[float, ...]
    """Spikes per neuron and step of each layer."""
    firing_rate: float
    """The same over all layers; every neuron weighs the same."""


def stage_rates(stages: Iterable[StageReport], samples: int) -> tuple[StageRates, ...]:
    """Return the firing rates of the stages of one update.

    Parameters
    ----------
    stages : of an `UpdateReport`; those of one name (the windows of truncated BPTT) are taken together.
    samples : size of the batch.

    Raises
    ------
    ValueError
        If the method did not count (``count_spikes`` was not set).
    """
    by_name: dict[str, list[StageReport]] = {}
    for stage in stages:
        by_name.setdefault(stage.name, []).append(stage)
    return tuple(_rates(parts, samples) for parts in by_name.values())


def _rates(parts: Sequence[StageReport], samples: int) -> StageRates:
    steps, neurons = sum(part.steps for part in parts), parts[0].neurons_per_layer
    counts = [part.spikes_per_layer for part in parts if part.spikes_per_layer is not None]
    if neurons is None or len(counts) != len(parts):
        raise ValueError(f"stage {parts[0].name!r} has no spike counts: set count_spikes = True on the training method")
    spikes = [sum(layer) for layer in zip(*counts, strict=True)]
    return StageRates(
        name=parts[0].name,
        steps=steps,
        ternary=parts[0].ternary,
        neurons=neurons,
        spikes_per_sample=tuple(count / samples for count in spikes),
        layer_rates=tuple(count / (samples * steps * n) for count, n in zip(spikes, neurons, strict=True)),
        firing_rate=sum(spikes) / (samples * steps * sum(neurons)),
    )
