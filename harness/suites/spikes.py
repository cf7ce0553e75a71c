"""spikes: how often neurons fire, how many synaptic operations that makes, and what the arithmetic would cost.

Counts are exact integers over the whole test split, on the network that the cell's accuracy run trained. The energy
is the 45 nm arithmetic estimate, not a measurement; what it leaves out stands in ``docs/measuring.md``.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict
from typing import Any

import torch

from harness.measure.activity import Activity, count_activity
from harness.measure.energy import FP32_45NM, EnergyEstimate, NeuronCost, estimate_energy, neuron_cost
from harness.measure.stages import StageRates, stage_rates
from harness.measure.training_energy import TrainingEnergy, bptt_energy, connections, ide_energy, spide_energy
from harness.suites.common.base import Answer, Measurement, Suite
from harness.suites.common.train import EVALUATION_BATCH, batches, limited
from harness.suites.common.weights import trained_method
from harness.workload import Workload
from reference_impls.api import TrainingMethod

CARD = {
    "name": "spikes",
    "kind": "suite",
    "version": 1,
    "title": "Spikes and energy",
    "summary": (
        "Counts spikes, synaptic operations and neuron updates of the trained network on the test split, exactly, and "
        "estimates the arithmetic energy of an inference and of a training sample (45 nm, 32-bit)."
    ),
    "exclusive": False,
    "timeout_seconds": 7200.0,
    "typical_seconds": 1.5,
    "metrics": {
        "spikes_per_neuron": {
            "short": "spikes/neuron",
            "title": "spikes per neuron and sample",
            "unit": "spikes",
            "direction": "lower",
        },
        "spikes_per_sample": {"title": "spikes per sample", "unit": "spikes", "direction": "lower", "judged": False},
        "firing_rate": {
            "title": "firing rate",
            "unit": "spikes per neuron and step",
            "direction": "lower",
            "judged": False,
        },
        "dead_fraction": {"title": "neurons that never fired", "unit": "fraction", "direction": "lower"},
        "saturated_fraction": {"title": "neurons that always fired", "unit": "fraction", "direction": "lower"},
        "input_events_per_sample": {"title": "input spikes per sample", "unit": "spikes", "direction": "none"},
        "accumulates_per_sample": {
            "title": "accumulates per sample",
            "unit": "operations",
            "direction": "lower",
            "judged": False,
        },
        "multiply_accumulates_per_sample": {
            "title": "multiply-accumulates per sample",
            "unit": "operations",
            "direction": "lower",
            "judged": False,
        },
        "dense_operations_per_sample": {
            "title": "operations of a dense machine per sample",
            "unit": "operations",
            "direction": "lower",
        },
        "coverage": {"title": "operations covered by the count", "unit": "fraction", "direction": "higher"},
        "energy_joules": {
            "short": "energy",
            "title": "arithmetic energy estimate (45 nm)",
            "unit": "joules",
            "direction": "lower",
        },
        "energy_input_cached_joules": {
            "title": "the same, if the product of a constant input is kept",
            "unit": "joules",
            "direction": "lower",
            "judged": False,
        },
        "energy_relative_to_dense": {
            "title": "arithmetic energy / one dense pass",
            "unit": "ratio",
            "direction": "lower",
            "judged": False,
        },
        "training_firing_rate": {
            "title": "firing rate of the forward stage, training",
            "unit": "spikes per neuron and step",
            "direction": "lower",
        },
        "training_backward_firing_rate": {
            "title": "firing rate of the backward stage, training",
            "unit": "spikes per neuron and step",
            "direction": "lower",
        },
        "training_energy_joules": {
            "title": "arithmetic energy estimate of training one sample",
            "unit": "joules",
            "direction": "lower",
        },
    },
}


class Spikes(Suite):
    """Count what fires."""

    def run(self, workload: Workload) -> Answer:
        """Count on the test split, and on one training batch for the stages of an update."""
        method = trained_method(workload)
        test = limited(workload.split.test, workload.budget.test_limit)
        activity = count_activity(
            method.network,
            (x for x, _ in batches(test, EVALUATION_BATCH, workload, None)),
            method.predict,
            method.synapses(),
            workload.task_card.input_kind,
        )
        capabilities = workload.registry.neurons[workload.cell.neuron].capabilities
        costs = [neuron_cost(neuron, capabilities) for neuron in method.network.neurons()]
        energy = estimate_energy(activity, costs)
        stages, training = _training(workload, method, activity, energy, costs)
        figures = _figures(activity, energy) | _training_figures(stages, training)
        return Answer(figures, details=_details(activity, energy, costs, stages, training))


def _figures(activity: Activity, energy: EnergyEstimate) -> dict[str, Measurement]:
    operations, samples = activity.operations(), activity.samples
    counts = {
        "spikes_per_neuron": activity.spikes_per_neuron,
        "spikes_per_sample": activity.spikes_per_sample,
        "firing_rate": activity.firing_rate,
        "dead_fraction": activity.dead_fraction,
        "saturated_fraction": activity.saturated_fraction,
    }
    if any(layer.graded_entries for layer in activity.layers):  # no count holds them: 0 would look like the best
        counts = {}
    values = {
        **counts,
        "input_events_per_sample": activity.input_events / samples,
        "accumulates_per_sample": operations.accumulates / samples,
        "multiply_accumulates_per_sample": operations.multiply_accumulates / samples,
        "dense_operations_per_sample": operations.dense / samples,
        "coverage": activity.coverage,
        "energy_joules": energy.total_joules(),
        "energy_input_cached_joules": energy.total_joules("cached"),
        "energy_relative_to_dense": energy.relative_to_dense(),
    }
    return {name: Measurement(value, n=samples) for name, value in values.items()}


def _training_figures(stages: Sequence[StageRates], energy: TrainingEnergy | None) -> dict[str, Measurement]:
    figures = {} if energy is None else {"training_energy_joules": Measurement(energy.total_joules)}
    for stage in stages:
        name = "training_backward_firing_rate" if stage.name == "backward" else "training_firing_rate"
        figures[name] = Measurement(stage.firing_rate)
    return figures


def _training(
    workload: Workload, method: TrainingMethod, activity: Activity, energy: EnergyEstimate, costs: Sequence[NeuronCost]
) -> tuple[tuple[StageRates, ...], TrainingEnergy | None]:
    """Differentiate one training batch on the trained network, and count the stages of that; an ANN's has none."""
    torch.manual_seed(workload.cell.seed)
    x, target = next(batches(workload.split.train, workload.budget.batch_size, workload, None))
    method.count_spikes = True
    report = method.accumulate(x, target)
    stages = stage_rates(report.stages, x.shape[1])
    if not stages:
        return (), None
    joined = connections(method.network.structure, activity.synapses, method.network.joins())
    update_joules = costs[0].joules(FP32_45NM)
    given = (energy.input_recomputed_joules, update_joules)
    capabilities = workload.registry.methods[workload.cell.method].capabilities
    if capabilities.spiking_backward:
        return stages, spide_energy(stages[0], stages[1], joined, energy.input_cached_joules, update_joules)
    if "solver_iterations" in report.counters:
        return stages, ide_energy(stages[0], report.counters["solver_iterations"], joined, *given)
    return stages, bptt_energy(stages[0], joined, *given)


def _details(
    activity: Activity,
    energy: EnergyEstimate,
    costs: Sequence[NeuronCost],
    stages: Sequence[StageRates],
    training: TrainingEnergy | None,
) -> dict[str, Any]:
    return {
        "samples": activity.samples,
        "layers": [asdict(layer) | {"rate": layer.rate} for layer in activity.layers],
        "synapses": [
            {
                "name": synapse.name,
                "feed": synapse.feed,
                "cached": synapse.cached._asdict(),
                "recomputed": synapse.recomputed._asdict(),
                "synapses": synapse.synapses,
                "bias_additions": synapse.bias_additions,
            }
            for synapse in activity.synapses
        ],
        "problems": list(activity.problems()),
        "energy": asdict(energy),
        "energy_constants": asdict(FP32_45NM),
        "neuron_cost": costs[0].assumption,
        "break_even_spikes_per_neuron": energy.break_even_spikes_per_neuron(),
        "stages": [asdict(stage) for stage in stages],
        "training_energy": None if training is None else asdict(training),
    }
