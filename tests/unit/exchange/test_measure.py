"""An imported network is measured like a row, with records of its own; what does not fit its task is refused."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch

import spikeboard
from harness.catalogue.loading import load_registry
from harness.errors import UserError
from harness.exchange import METHOD, Imported, measure_imported
from harness.results.asked import tables_of
from harness.results.freshness import Today
from harness.results.store import Store

pytest.importorskip("nir")


def imported(name: str = "mine", read_out: Any = "mean", **shape: Any) -> Imported:
    sizes = shape or {"task": "digits"}
    network = spikeboard.build_network("mlp", "lif-hard", hidden=(8,), seed=0, **sizes)
    with torch.no_grad():
        for parameter in network.parameters():
            parameter.mul_(4)  # so that some neurons fire now and then, and not at every step
    return Imported(name, spikeboard.from_nir(spikeboard.to_nir(network)), read_out, "made here")


def test_figures_are_those_of_the_network(tmp_path: Path) -> None:
    registry, mine = load_registry(), imported()
    errors, spikes = measure_imported(mine, "digits", registry)
    task = spikeboard.load_task("digits")
    ((x, labels),) = task.batches("test")
    emitted: list[torch.Tensor] = []
    with torch.no_grad(), mine.network.observed_by(lambda _layer, s: emitted.append(s.clone())):
        wrong = (mine.network(x).mean(0).argmax(1) != labels).double().mean()
    assert errors.metrics["error_fraction"].value == pytest.approx(float(wrong))
    assert errors.metrics["parameters"].value == 64 * 8 + 8 + 8 * 10 + 10
    assert spikes.metrics["spikes_per_sample"].value == pytest.approx(float(emitted[0].sum()) / len(labels))
    assert spikes.metrics["energy_joules"].value > 0
    assert spikes.metrics["coverage"].value == 1
    assert (errors.cell.neuron, errors.cell.method) == ("mine", METHOD)
    today = Today(registry)
    for record in (errors, spikes):
        Store(tmp_path).write(record)
        assert today.is_current(record)
        assert record.details["convention"]["dt"] == 1e-4
    (table,) = tables_of([tmp_path], "imported", {"task": "digits"}).tables
    assert [row.name for row in table.rows] == ["mine"]


def test_a_read_out_decides() -> None:
    """The last step is another decision than the mean of all of them."""
    registry, mine = load_registry(), imported(read_out="last")
    errors, _ = measure_imported(mine, "digits", registry)
    ((x, labels),) = spikeboard.load_task("digits").batches("test")
    with torch.no_grad():
        outputs = mine.network(x)
    assert not torch.equal(outputs[-1].argmax(1), outputs.mean(0).argmax(1))
    wrong = (outputs[-1].argmax(1) != labels).double().mean()
    assert errors.metrics["error_fraction"].value == pytest.approx(float(wrong))


@pytest.mark.parametrize(
    ("given", "task", "says"),
    [
        ({"name": "lif"}, "digits", "'lif' is the name of a row"),
        ({}, "mnist", r"reads samples of shape \(64,\); one step of mnist has \(1, 28, 28\)"),
        ({"sample_shape": (64,), "classes": 3}, "digits", "has 3 outputs, and digits 10 classes"),
        ({}, "two-sines", "asks for a signal"),
    ],
)
def test_what_does_not_fit_is_refused(given: dict[str, Any], task: str, says: str) -> None:
    with pytest.raises(UserError, match=says):
        measure_imported(imported(**given), task, load_registry())
