"""What a training rests on, in full, as its record states it: defaults of classes, cards, budget and recipe resolved.

It decides no figure, so that a word more does not make figures old. Must not know how anything is trained.
"""

from __future__ import annotations

from dataclasses import asdict
from typing import Any

from harness.workload import Workload
from reference_impls.api import Network, Neuron, TrainingMethod
from reference_impls.building import parameters_of
from reference_impls.peer import Peer

__all__ = ["hyper_parameters"]

_BUDGET = ("epochs", "batch_size", "train_limit", "test_limit")
"""What of a budget is not the optimizer's."""


def hyper_parameters(workload: Workload) -> dict[str, dict[str, Any]]:
    """Return every number and switch that a training of the cell rests on, those that nobody has set included."""
    cell, (topology, sizes) = workload.cell, workload.topology()
    peer = cell.neuron in workload.registry.peers
    of_neuron = parameters_of(
        "peer" if peer else "neuron", cell.neuron, Peer if peer else Neuron, workload.recipe("neuron")
    )
    return {
        "budget": {name: getattr(workload.budget, name) for name in _BUDGET},
        "optimizer": asdict(workload.optimizer_settings),
        "neuron": of_neuron,
        "method": parameters_of("training", cell.method, TrainingMethod, workload.recipe("method")),
        "topology": parameters_of("topology", topology, Network, sizes),
    }
