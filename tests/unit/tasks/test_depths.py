"""The depth test: one network at three depths, as wide as the task says."""

from __future__ import annotations

from pathlib import Path

import pytest

from harness.catalogue.cell import Cell
from harness.catalogue.compatibility import why_unsupported
from harness.catalogue.loading import load_registry
from harness.catalogue.presets import PRESETS
from harness.catalogue.presets.comparisons import DEPTHS
from harness.workload import Workload
from reference_impls.api import build_network, build_neuron

REGISTRY = load_registry()


@pytest.mark.parametrize(("topology", "depth"), list(zip(DEPTHS, (2, 4, 8), strict=True)))
@pytest.mark.parametrize(("task", "width"), [("smnist-rows", 128), ("delayed-xor", 64)])
def test_a_depth_has_so_many_layers_of_the_tasks_width(task: str, width: int, topology: str, depth: int) -> None:
    cell = Cell("accuracy", task, "lif", "bptt", topology, budget="standard")
    assert why_unsupported(cell, REGISTRY) is None
    network = Workload(cell, REGISTRY, Path("none")).network()
    assert [synapse.module for synapse in network.synapses()][-1].in_features == width
    assert len(network.neurons()) == depth


def test_the_preset_trains_all_depths_and_methods_of_few_layers_refuse_them() -> None:
    trained = {name for selection in PRESETS["depth"].selections for name in selection.topologies}
    assert set(DEPTHS) <= trained
    limited = next(row for row in REGISTRY.methods.values() if row.capabilities.hidden_layers == 1)
    reason = why_unsupported(Cell("accuracy", "smnist-rows", "if", limited.name, "mlp-depth-4"), REGISTRY)
    assert "1 hidden layer" in (reason or "")
    assert "has 4" in (reason or "")
    with pytest.raises(ValueError, match="depth must be at least 1"):
        build_network("mlp", (3,), 2, lambda: build_neuron("lif"), depth=0)
