"""spikes: how often neurons fire, how many synaptic operations that makes, and what the arithmetic would cost.

Counts are exact integers over the whole test split, on the network that the cell's accuracy run trained. The energy
is the 45 nm arithmetic estimate, not a measurement; what it leaves out stands in ``docs/measuring.md``.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, replace
from typing import Any

import torch

from harness.measure.activity import Activity, count_activity
from harness.measure.arithmetic import FP32_45NM
from harness.measure.energy import EnergyEstimate, estimate_energy
from harness.measure.neuron_work import NeuronWork, neuron_work
from harness.measure.stages import StageRates, stage_rates
from harness.measure.training_energy import TrainingWork, training_work
from harness.suites.common.base import Answer, Measurement, Suite
from harness.suites.common.train import EVALUATION_BATCH, batches, limited
from harness.suites.common.weights import trained_method
from harness.tasks.common.base import Samples
from harness.workload import Workload
from reference_impls.api import Synapse, TrainingMethod, UnsupportedError

__all__ = ["Spikes", "count_details", "counts", "energies", "energy_details", "fed", "neuron_works"]

CARD = {
    "name": "spikes",
    "kind": "suite",
    "version": 2,
    "title": "Spikes and energy",
    "summary": (
        "Counts spikes, synaptic operations and neuron updates of the trained network on the test split, exactly, and "
        "estimates the arithmetic energy of an inference and of learning from a sample (45 nm, 32-bit). A neuron's "
        "update is counted from its traced step, what learning takes from the operators that ran."
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
        "energy_input_recomputed_joules": {
            "title": "the same, if the product of a constant input is computed anew at every step",
            "unit": "joules",
            "direction": "lower",
            "judged": False,
        },
        "neuron_update_joules": {
            "title": "arithmetic energy of one neuron in one step",
            "unit": "joules",
            "direction": "lower",
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
            "short": "training energy",
            "title": "arithmetic energy estimate of training one sample",
            "unit": "joules",
            "direction": "lower",
        },
    },
}


class Spikes(Suite):
    """Count what fires."""

    def run(self, workload: Workload) -> Answer:
        """Count on the test split, and on one training batch what learning takes."""
        method = trained_method(workload)
        test = limited(workload.split.test, workload.budget.test_limit)
        figures, details = counted(method, test, workload, fed(workload, method))
        stages, learning = _training(workload, method)
        return Answer(figures | _training_figures(stages, learning), details=details | _learned(stages, learning))


def counted(
    method: TrainingMethod, samples: Samples, workload: Workload, synapses: Sequence[Synapse] | None
) -> tuple[dict[str, Measurement], dict[str, Any]]:
    """Return figures and details of what fires when `method` predicts `samples`, with the energy where that is known.

    `synapses` are the network's linear maps with what feeds them; None: the network's own.
    """
    activity = count_activity(
        method.network,
        (x for x, _ in batches(samples, EVALUATION_BATCH, workload, None)),
        method.predict,
        synapses,
        workload.task_card.input_kind,
    )
    figures, details = counts(activity), count_details(activity)
    try:
        works = neuron_works(method, workload.task_card.T)
    except UnsupportedError as error:
        details["no_energy"] = str(error)
    else:
        energy = estimate_energy(activity, works)
        figures |= energies(activity, energy, works)
        details |= energy_details(energy, works)
    return figures, details


def neuron_works(method: TrainingMethod, T: int) -> list[NeuronWork]:
    """Return what an update of each layer's neurons takes.

    Raises
    ------
    UnsupportedError
        If a neuron's arithmetic cannot be counted.
    """
    return [neuron_work(neuron, T) for neuron in method.network.neurons()]


def fed(workload: Workload, method: TrainingMethod) -> Sequence[Synapse]:
    """Return the linear maps; what neurons that emit numbers feed is multiplied, though some be 0 or 1."""
    synapses = method.synapses()
    if workload.registry.neurons[workload.cell.neuron].capabilities.output != "analog":
        return synapses
    return [synapse._replace(source="rates") if synapse.source == "spikes" else synapse for synapse in synapses]


def counts(activity: Activity) -> dict[str, Measurement]:
    """Return the figures that are counted."""
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
    }
    # One training each: what another seed would give, only other seeds tell.
    return {name: Measurement(value) for name, value in values.items()}


def energies(activity: Activity, energy: EnergyEstimate, works: Sequence[NeuronWork]) -> dict[str, Measurement]:
    """Return the figures of what the counted operations would cost."""
    updates = [layer.updates for layer in activity.layers]
    joules = [work.joules(FP32_45NM) for work in works]
    values = {
        "energy_joules": energy.total_joules("cached"),
        "energy_input_recomputed_joules": energy.total_joules("recomputed"),
        "energy_relative_to_dense": energy.relative_to_dense("cached"),
    }
    if sum(updates):
        values["neuron_update_joules"] = sum(n * each for n, each in zip(updates, joules, strict=True)) / sum(updates)
    return {name: Measurement(value) for name, value in values.items()}


def _training(workload: Workload, method: TrainingMethod) -> tuple[tuple[StageRates, ...], TrainingWork]:
    """Learn from one training batch with the trained weights, step by step, and count what that takes.

    Under the eager backend whatever the cell's: kernels of another hide their operations, and compute the same.
    """
    eager = replace(workload, cell=replace(workload.cell, backend="eager"))
    own = eager.method()
    own.prepare(eager.network())
    own.load_state_dict(method.state_dict())
    torch.manual_seed(workload.cell.seed)
    x, target = next(batches(workload.split.train, workload.budget.batch_size, workload, None))
    work = training_work(lambda: own.accumulate(x, target), x)
    own.network.zero_grad(set_to_none=True)
    torch.manual_seed(workload.cell.seed)
    own.count_spikes = True
    return stage_rates(own.accumulate(x, target).stages, x.shape[1]), work


def _training_figures(stages: Sequence[StageRates], learning: TrainingWork) -> dict[str, Measurement]:
    figures = {}
    if learning.reason is None:
        figures["training_energy_joules"] = Measurement(sum(learning.joules(FP32_45NM).values()))
    for stage in stages:
        name = "training_backward_firing_rate" if stage.name == "backward" else "training_firing_rate"
        figures[name] = Measurement(stage.firing_rate)
    return figures


def count_details(activity: Activity) -> dict[str, Any]:
    """Give the counts layer by layer and synapse by synapse."""
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
    }


def energy_details(energy: EnergyEstimate, works: Sequence[NeuronWork]) -> dict[str, Any]:
    """Give what a reader needs to compute the energy again by hand."""
    return {
        "energy": asdict(energy),
        "energy_constants": asdict(FP32_45NM)
        | {
            "divide_joules": FP32_45NM.divide_joules,
            "root_joules": FP32_45NM.root_joules,
            "elementary_joules": FP32_45NM.elementary_joules,
            "draw_joules": FP32_45NM.draw_joules,
        },
        "neuron_updates": [
            {"operations": str(work.work), "joules": work.joules(FP32_45NM), "counted_from": work.form}
            for work in works
        ],
        "break_even_spikes_per_neuron": energy.break_even_spikes_per_neuron(),
    }


def _learned(stages: Sequence[StageRates], learning: TrainingWork) -> dict[str, Any]:
    found: dict[str, Any] = {
        "stages": [asdict(stage) for stage in stages],
        "training_operations": {name: str(work) for name, work in learning.parts.items()},
        "training_energy": learning.joules(FP32_45NM),
        "input_operations_kept": learning.kept_products,
    }
    return found if learning.reason is None else found | {"no_training_energy": learning.reason}
