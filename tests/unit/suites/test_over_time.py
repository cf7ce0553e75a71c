"""The suite over_time: its last step is the network's own answer, and every step what a shorter run would say."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

from harness.catalogue.cell import Cell
from harness.catalogue.loading import load_registry
from harness.suites.common.base import to_metrics
from harness.suites.common.train import batches, evaluated, limited
from harness.suites.common.weights import trained_method
from harness.suites.over_time import OverTime, missed_over_time
from harness.workload import Workload
from reference_impls.api import UnsupportedError

REGISTRY = load_registry()
SUITE = OverTime(REGISTRY.suite("over_time"))


def workload(neuron: str, method: str = "bptt", scratch: Path | None = None) -> Workload:
    cell = Cell("over_time", "digits-rows", neuron, method, "mlp", budget="smoke")
    return Workload(cell, REGISTRY, Path("no data needed"), scratch)


def test_every_step_says_what_a_run_stopped_there_would_say(tmp_path: Path) -> None:
    of = workload("lif", scratch=tmp_path)
    method = trained_method(of)
    test = limited(of.split.test, of.budget.test_limit)
    wrong = missed_over_time(method, of)
    assert wrong.shape == (8, len(test))
    x, labels = next(batches(test, len(test), of, None))
    for steps in (1, 4, 8):
        stopped = method.predict(x[:steps]).argmax(1) != labels
        assert torch.equal(wrong[steps - 1], stopped)
    assert int(wrong[-1].sum()) == evaluated(method, test, of).errors
    answer = SUITE.run(of)  # from the weights that were kept
    assert [point[1] for point in answer.series["error_over_steps"].points] == pytest.approx(
        wrong.double().mean(1).tolist()
    )
    metrics = to_metrics(REGISTRY.suite("over_time"), answer.figures)
    assert set(metrics) == set(REGISTRY.suite("over_time").metrics)
    assert metrics["half_error_fraction"].value == pytest.approx(float(wrong[3].double().mean()))
    assert metrics["mean_error_fraction"].value == pytest.approx(float(wrong.double().mean()))
    first = int(metrics["steps_within_a_point"].value)
    errors = wrong.double().mean(1)
    assert (errors[first - 1 :] <= errors[-1] + 0.01).all()
    assert first == 1 or errors[first - 2] > errors[-1] + 0.01


def test_a_neuron_that_reads_later_steps_is_not_asked() -> None:
    with pytest.raises(UnsupportedError, match="psn reads later steps"):
        SUITE.validate(workload("psn"))
    SUITE.validate(workload("masked-psn"))
