"""Arithmetic energy of training one sample: SPIDE's second simulation against IDE's solver and BPTT's unrolling.

Formulas with dense connections and measured rates, for comparing methods; the counts behind an inference are exact,
these are not. Must not know how a method works beyond its stages.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from harness.errors import UserError
from harness.measure.counters import SynapseActivity
from harness.measure.energy import FP32_45NM, EnergyConstants
from harness.measure.stages import StageRates
from reference_impls.api import Join

__all__ = ["Connections", "TrainingEnergy", "bptt_energy", "connections", "ide_energy", "spide_energy"]


@dataclass(frozen=True, slots=True)
class Connections:
    """Connections of a network of N layers in one pass over one sample, zero weights included."""

    input_map: int
    out_of: tuple[int, ...]
    """Leaving each layer for another one or for itself, the read-out not."""
    into: tuple[int, ...]
    """Entering each layer from another one or from itself, the input map not."""
    readout: int

    @property
    def trained(self) -> int:
        """Return all below the read-out."""
        return self.input_map + sum(self.into)

    @property
    def total(self) -> int:
        """Return all."""
        return self.trained + self.readout


def connections(
    structure: str, synapses: Sequence[SynapseActivity], joins: Sequence[Join] | None = None
) -> Connections:
    """Sort the synapses of a network by the layers that they join.

    Parameters
    ----------
    structure : of the network: one of `SORTED`, if there are no `joins`.
    synapses : in the network's order: input map, maps from each layer to the next, for ``feedback`` the map from the
        last layer to the first, read-out. In a ``residual`` one a synapse ``*.shortcut`` leaves the same layer as the
        one before it and arrives with the one after it; for ``recurrent``, a layer's map to itself follows the map
        into it; in a ``reversible`` one the maps upwards come before those down.
    joins : the layers that each of them joins, for a network whose structure does not say it.
    """
    if joins is not None:
        return _joined(synapses, joins)
    if structure not in SORTED:
        raise UserError(
            f"cannot tell which layers the synapses of a {structure!r} network join",
            f"use a {' or '.join(SORTED)} network, or write its joins()",
        )
    return SORTED[structure](synapses)


def _chain(synapses: Sequence[SynapseActivity]) -> Connections:
    """Join layers that each drive the next."""
    first, *inner, last = [synapse.connections for synapse in synapses]
    return Connections(first, (*inner, 0), (0, *inner), last)


def _feedback(synapses: Sequence[SynapseActivity]) -> Connections:
    """Join layers that each drive the next, the last one the first."""
    first, *inner, last = [synapse.connections for synapse in synapses]
    return Connections(first, tuple(inner), (inner[-1], *inner[:-1]), last)


def _residual(synapses: Sequence[SynapseActivity]) -> Connections:
    """Join layers that have paths around them; what arrives behind the last layer counts as part of the read-out."""
    first, *inner, last = synapses
    out_of: list[int] = []
    into, around = [0], 0
    for synapse in inner:
        if synapse.name.endswith(".shortcut"):
            around = synapse.connections
            out_of[-1] += around
        else:
            out_of.append(synapse.connections)
            into.append(synapse.connections + around)
            around = 0
    *into, read = into
    out_of[-2] -= read - out_of[-1]
    return Connections(first.connections, (*out_of[:-1], 0), tuple(into), last.connections + read)


def _recurrent(synapses: Sequence[SynapseActivity]) -> Connections:
    """Join layers that each drive themselves and the next."""
    first, *inner, last = [synapse.connections for synapse in synapses]
    lateral, onwards = inner[::2], inner[1::2]
    out_of = tuple(own + away for own, away in zip(lateral, (*onwards, 0), strict=True))
    into = tuple(own + coming for own, coming in zip(lateral, (0, *onwards), strict=True))
    return Connections(first, out_of, into, last)


def _reversible(synapses: Sequence[SynapseActivity]) -> Connections:
    """Join levels that drive both neighbours."""
    first, *inner, last = [synapse.connections for synapse in synapses]
    up, down = inner[: len(inner) // 2], inner[len(inner) // 2 :]
    out_of = tuple(above + below for above, below in zip((*up, 0), (0, *down), strict=True))
    into = tuple(above + below for above, below in zip((0, *up), (*down, 0), strict=True))
    return Connections(first, out_of, into, last)


def _joined(synapses: Sequence[SynapseActivity], joins: Sequence[Join]) -> Connections:
    layers = 1 + max(join.receiver for join in joins if join.receiver is not None)
    out_of, into, input_map, readout = [0] * layers, [0] * layers, 0, 0
    for synapse, (senders, receiver) in zip(synapses, joins, strict=True):
        if receiver is None:
            readout += synapse.connections
        elif not senders:
            input_map += synapse.connections
        else:
            into[receiver] += synapse.connections
            for sender in senders:
                out_of[sender] += synapse.connections
    return Connections(input_map, tuple(out_of), tuple(into), readout)


SORTED: Mapping[str, Callable[[Sequence[SynapseActivity]], Connections]] = {
    "chain": _chain,
    "delayed": _chain,
    "residual": _residual,
    "feedback": _feedback,
    "recurrent": _recurrent,
    "reversible": _reversible,
}
"""Structures whose synapses can be told by their order and names."""


@dataclass(frozen=True, slots=True)
class TrainingEnergy:
    """Arithmetic energy of learning from one sample, by term."""

    forward_joules: float
    backward_joules: float
    readout_joules: float
    """Gradient of a read-out that is differentiated by itself; 0 where the backward pass includes it."""
    weights_joules: float
    """Outer products of averages that make the weights' gradient; 0 where the backward pass includes them."""
    neurons_joules: float
    """Neuron updates of all stages."""

    @property
    def total_joules(self) -> float:
        """Return the sum of the terms."""
        return (
            self.forward_joules + self.backward_joules + self.readout_joules + self.weights_joules + self.neurons_joules
        )


def spide_energy(
    forward: StageRates,
    backward: StageRates,
    joined: Connections,
    input_joules: float | None = None,
    update_joules: float = 0.0,
    constants: EnergyConstants = FP32_45NM,
) -> TrainingEnergy:
    """Return the energy of SPIDE: two simulations, an outer product once a sample.

    Parameters
    ----------
    forward, backward : the two stages; an error spike travels back over the connections into its layer.
    joined : connections of the network.
    input_joules : of the input map, per sample; None: an analog constant input, multiplied once.
    update_joules : of one neuron update (both stages).
    constants : energy of one operation.
    """
    multiply = constants.multiply_accumulate_joules
    return TrainingEnergy(
        forward_joules=_forward(forward, joined.out_of, joined, input_joules, constants),
        backward_joules=_spiking(backward, joined.into, constants),
        readout_joules=2 * multiply * joined.readout,
        weights_joules=multiply * joined.trained,
        neurons_joules=update_joules * (_updates(forward) + _updates(backward)),
    )


def ide_energy(
    forward: StageRates,
    solver_iterations: float,
    joined: Connections,
    input_joules: float | None = None,
    update_joules: float = 0.0,
    constants: EnergyConstants = FP32_45NM,
) -> TrainingEnergy:
    """Return the energy of IDE: every solver iteration, and the last gradient, cost two dense passes."""
    passes = 2 * (solver_iterations + 1)
    return TrainingEnergy(
        forward_joules=_forward(forward, joined.out_of, joined, input_joules, constants),
        backward_joules=passes * constants.multiply_accumulate_joules * joined.total,
        readout_joules=0.0,
        weights_joules=0.0,
        neurons_joules=update_joules * _updates(forward),
    )


def bptt_energy(
    forward: StageRates,
    joined: Connections,
    input_joules: float | None = None,
    update_joules: float = 0.0,
    constants: EnergyConstants = FP32_45NM,
) -> TrainingEnergy:
    """Return the energy of BPTT: two dense passes back for every time step; the read-out reads spikes."""
    *inner, last = joined.out_of
    read = (*inner, last + joined.readout)
    return TrainingEnergy(
        forward_joules=_forward(forward, read, joined, input_joules, constants),
        backward_joules=2 * forward.steps * constants.multiply_accumulate_joules * joined.total,
        readout_joules=0.0,
        weights_joules=0.0,
        neurons_joules=update_joules * _updates(forward),
    )


def _forward(
    stage: StageRates,
    out_of: Sequence[int],
    joined: Connections,
    input_joules: float | None,
    constants: EnergyConstants,
) -> float:
    if input_joules is None:
        input_joules = constants.multiply_accumulate_joules * joined.input_map
    return _spiking(stage, out_of, constants) + input_joules


def _spiking(stage: StageRates, connected: Sequence[int], constants: EnergyConstants) -> float:
    """Return the accumulates of a stage: spikes times the connections of a neuron, the layer's mean."""
    pairs = zip(stage.spikes_per_sample, stage.neurons, connected, strict=True)
    return constants.accumulate_joules * sum(spikes * synapses / neurons for spikes, neurons, synapses in pairs)


def _updates(stage: StageRates) -> int:
    return stage.steps * sum(stage.neurons)
