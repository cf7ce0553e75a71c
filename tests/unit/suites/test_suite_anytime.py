"""A trained network that may be read at any step: errors, spikes and operations at each, and the ANN beside."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

from harness.catalogue.cell import Cell
from harness.catalogue.compatibility import why_unsupported
from harness.catalogue.loading import load_registry
from harness.measure.activity import count_activity
from harness.suites.anytime import AnytimeSuite
from harness.suites.common.anytime import COUNTED, STEPS, _beside_ann, _early, _explained, _Said
from harness.suites.common.base import Answer, to_metrics
from harness.suites.common.train import batches, limited
from harness.suites.common.weights import trained_method
from harness.suites.spikes import Spikes
from harness.tasks.common.encoding import stretched
from harness.workload import Workload

REGISTRY = load_registry()


def workload(method: str, scratch: Path | None = None, suite: str = "anytime") -> Workload:
    return Workload(Cell(suite, "digits", "if", method, "mlp", budget="smoke"), REGISTRY, scratch=scratch)


def measured(method: str, scratch: Path | None = None) -> Answer:
    return AnytimeSuite(REGISTRY.suite("anytime")).run(workload(method, scratch))


def said(errors: list[int], ann: int | None, size: int = 100) -> _Said:
    """Read-outs of two classes that miss so many samples at each number of steps."""
    read_outs = torch.zeros(len(STEPS), size, 2)
    for index, missed in enumerate(errors):
        read_outs[index, :, 0] = 1.0
        read_outs[index, :missed, 1] = 2.0
    classes = None if ann is None else (torch.arange(size) < ann).long()
    return _Said(read_outs, torch.zeros(size, dtype=torch.long), classes)


def test_a_converted_network_is_read_at_every_step_beside_its_ann(tmp_path: Path) -> None:
    found = measured("qcfs", tmp_path)
    to_metrics(REGISTRY.suite("anytime"), found.figures)
    for name in ("error_over_steps", "spikes_over_steps", "operations_over_steps", "ann_error_over_steps"):
        assert [x for x, _ in found.series[name].points] == list(STEPS)
    spikes = [y for _, y in found.series["spikes_over_steps"].points]
    operations = [y for _, y in found.series["operations_over_steps"].points]
    assert spikes == sorted(spikes)
    assert operations == sorted(operations)
    errors = dict(found.series["error_over_steps"].points)
    assert found.figures["error_t8_fraction"].value == errors[8.0]
    assert found.figures["error_t64_fraction"].value == errors[64.0]
    assert [x for x, _ in found.series["error_over_operations"].points] == operations

    load = workload("qcfs", tmp_path)
    method = trained_method(load)
    test = limited(load.split.test, load.budget.test_limit)
    x, labels = next(batches(test, len(test), load, None))
    missed = int((method.predict_ann(x).argmax(1) != labels).sum())
    assert found.figures["ann_error_fraction"].value == missed / len(test)
    alone = int((method.predict(stretched(x, 64)).argmax(1) != labels).sum())
    assert errors[64.0] == alone / len(test)
    counted = limited(test, COUNTED)
    sequences = (stretched(one, 4) for one, _ in batches(counted, 32, load, None))
    activity = count_activity(method.network, sequences, method.predict, method.synapses(), "analog")
    assert dict(found.series["spikes_over_steps"].points)[4.0] == activity.spikes_per_neuron
    work = activity.operations()
    total = (work.accumulates + work.multiply_accumulates) / len(counted)
    assert dict(found.series["operations_over_steps"].points)[4.0] == total
    hidden = load.registry.network("digits", "mlp")
    assert hidden == {"hidden": [64]}
    assert found.figures["ann_operations_per_sample"].value == 64 * 64 + 64 * 10


def test_a_method_that_is_trained_to_be_early_has_no_ann() -> None:
    found = measured("cutoff")
    assert {"early_error_fraction", "early_steps", "error_t64_fraction"} <= set(found.figures)
    assert not [name for name in (*found.figures, *found.series) if name.startswith("ann_")]


def test_other_methods_are_not_asked() -> None:
    cell = Cell("anytime", "digits", "if", "bptt", "mlp", budget="smoke")
    assert why_unsupported(cell, REGISTRY) == "anytime is asked of methods that are 'anytime'; bptt is not."


def test_an_anns_update_has_an_energy_and_no_firing_rate(tmp_path: Path) -> None:
    found = Spikes(REGISTRY.suite("spikes")).run(workload("qcfs", tmp_path, "spikes"))
    assert found.figures["training_energy_joules"].value > 0
    assert "training_firing_rate" not in found.figures
    assert found.figures["spikes_per_neuron"].value > 0
    assert not found.details["problems"]


def test_a_loss_of_more_than_a_point_is_explained_and_a_smaller_one_is_not() -> None:
    errors = [90, 50, 20, 9, 6, 6, 6, 6, 6]
    details = _explained(said(errors, 6), {"clipped": [0.25], "unsettled": [0.5]})
    assert details["conversion_loss_fraction"] == {"8": pytest.approx(0.03), "64": 0.0}
    assert details["conversion_loss"] == (
        "The network errs more than its ANN by 3.0 points at T = 8; layer by layer at T = 64, clipped 25.0%; "
        "unsettled 50.0%."
    )
    assert "conversion_loss" not in _explained(said([90, 50, 20, 7, 6, 6, 6, 6, 6], 6), {})
    assert _explained(said(errors, None), {}) == {}


@pytest.mark.parametrize(
    ("errors", "steps"),
    [
        ([90, 7, 20, 7, 6, 6, 6, 6, 6], 8.0),
        ([6] * 9, 1.0),
        ([9] * 9, None),
        ([6, 6, 6, 6, 6, 6, 6, 6, 8], None),
    ],
)
def test_steps_to_the_ann_are_those_from_which_on_it_stays_within_a_point(
    errors: list[int], steps: float | None
) -> None:
    load = workload("qcfs")
    method = load.method()
    method.prepare(load.network())
    x, _ = next(batches(load.split.test, 4, load, None))
    counts = [count_activity(method.network, [x], method.predict, method.synapses(), "analog")]
    figures = _beside_ann(said(errors, 6), counts)
    assert (figures["steps_within_a_point"].value if "steps_within_a_point" in figures else None) == steps


def test_samples_stop_where_they_are_as_right_as_at_the_end() -> None:
    sure = said([20, 20, 0, 0, 0, 0, 0, 0, 0], 0)
    sure.read_outs[:2] *= 0.1  # the early read-outs tell the wrong samples apart by a small gap
    sure.read_outs[:2, 50:] *= 30
    figures = _early(sure, sure)
    assert figures["early_error_fraction"].value == 0
    assert figures["early_steps"].value == pytest.approx((50 * 1 + 50 * 4) / 100)
