"""Arithmetic energy estimates (45 nm): what the counted operations would cost, and no more than that.

Not measured energy: memory traffic, control and idle time are left out, and one access to DRAM costs as much as
hundreds of these operations. Must not know how the operations were counted.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from harness.measure.activity import Activity, Convention
from harness.measure.arithmetic import FP32_45NM, EnergyConstants
from harness.measure.neuron_work import NeuronWork

__all__ = ["EnergyEstimate", "estimate_energy"]


@dataclass(frozen=True, slots=True)
class EnergyEstimate:
    """Arithmetic energy of one inference of one sample, by term."""

    spikes_joules: float
    """Accumulates of all synapses that spikes feed."""
    analog_joules: float
    """Multiply-accumulates of the same synapses: read-outs of rates, entries that are no spikes."""
    input_cached_joules: float
    """The input map, if the product of a constant input is kept."""
    input_recomputed_joules: float
    """The input map, if it is computed at every step, as published figures often have it; equal to the above for an
    input that varies."""
    neurons_joules: float
    """Updates of all neurons at all steps, products over time included; most papers leave them out."""
    uncovered_joules: float
    """Matrix products outside synapses and neurons, as dense multiply-accumulates."""
    dense_ann_joules: float
    """One dense pass through the same maps: the network without time and spikes."""
    spikes_per_neuron: float
    accumulate_ratio: float
    """E_MAC / E_AC: spikes per neuron at which the synapses alone equal the dense network."""

    def total_joules(self, convention: Convention = "cached") -> float:
        """Return the sum of all terms but the dense network's."""
        return self.spikes_joules + self._fixed_joules(convention)

    def relative_to_dense(self, convention: Convention = "cached") -> float:
        """Return the total as a multiple of the dense network's."""
        return self.total_joules(convention) / self.dense_ann_joules

    def break_even_spikes_per_neuron(self, convention: Convention = "cached") -> float | None:
        """Return the spikes per neuron at which the total would equal the dense network's.

        The spikes' share is taken as proportional to their number. Negative: the other terms alone cost more. None:
        nothing fired, so there is no proportion.
        """
        if self.spikes_joules == 0:
            return None
        left = self.dense_ann_joules - self._fixed_joules(convention)
        return self.spikes_per_neuron * left / self.spikes_joules

    def _fixed_joules(self, convention: Convention) -> float:
        entered = self.input_cached_joules if convention == "cached" else self.input_recomputed_joules
        return self.analog_joules + entered + self.neurons_joules + self.uncovered_joules


def estimate_energy(
    activity: Activity, neurons: Sequence[NeuronWork], constants: EnergyConstants = FP32_45NM
) -> EnergyEstimate:
    """Return the arithmetic energy of one sample, the mean over those that `activity` was counted on.

    Not included: biases, normalisation, residual additions, memory. Zero weights and borders cost nothing, average
    pooling is folded into the weights.

    Parameters
    ----------
    activity : the counts.
    neurons : what one update of each layer's neurons takes, in the order of `activity.layers`.
    constants : energy of one operation.
    """
    accumulate, multiply = constants.accumulate_joules, constants.multiply_accumulate_joules
    inner = [synapse.cached for synapse in activity.synapses if synapse.source != "input"]
    entered = [synapse for synapse in activity.synapses if synapse.source == "input"]

    def input_joules(convention: Convention) -> float:
        work = [synapse.operations(convention) for synapse in entered]
        return sum(item.accumulates * accumulate + item.multiply_accumulates * multiply for item in work)

    updates = sum(layer.updates * cost.joules(constants) for layer, cost in zip(activity.layers, neurons, strict=True))
    dense = sum(synapse.connections for synapse in activity.synapses)
    return EnergyEstimate(
        spikes_joules=sum(item.accumulates for item in inner) * accumulate / activity.samples,
        analog_joules=sum(item.multiply_accumulates for item in inner) * multiply / activity.samples,
        input_cached_joules=input_joules("cached") / activity.samples,
        input_recomputed_joules=input_joules("recomputed") / activity.samples,
        neurons_joules=updates / activity.samples,
        uncovered_joules=activity.outside_neurons * multiply / activity.samples,
        dense_ann_joules=dense * multiply,
        spikes_per_neuron=activity.spikes_per_neuron,
        accumulate_ratio=multiply / accumulate,
    )
