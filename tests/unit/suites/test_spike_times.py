"""The suite spike_times: what it says is what the method's own times, read-outs and ANN say."""

from __future__ import annotations

from pathlib import Path

import pytest

from harness.catalogue.cell import Cell
from harness.catalogue.loading import load_registry
from harness.suites.common.base import to_metrics
from harness.suites.common.train import batches, limited
from harness.suites.common.weights import trained_method
from harness.suites.spike_times import STEPS, SpikeTimesSuite
from harness.tasks.common.encoding import stretched
from harness.workload import Workload

REGISTRY = load_registry()
CARD = REGISTRY.suite("spike_times")


def test_figures_are_those_of_the_trained_network(tmp_path: Path) -> None:
    of = Workload(Cell("spike_times", "digits", "if", "ttfs", "mlp", budget="smoke"), REGISTRY, scratch=tmp_path)
    method = trained_method(of)
    test = limited(of.split.test, of.budget.test_limit)
    x, labels = next(batches(test, len(test), of, None))
    answer = SpikeTimesSuite(CARD).run(of)  # from the weights that were kept
    found = {name: metric.value for name, metric in to_metrics(CARD, answer.figures).items()}

    times, size = method.spike_times(x), len(test)  # type: ignore[attr-defined]
    inputs, *layers = times.shares
    fired, neurons = sum(int((share < 1).sum()) for share in layers), sum(share.numel() for share in layers)
    assert found["spikes_per_neuron"] == pytest.approx(fired / neurons)
    assert 0 < found["spikes_per_neuron"] < 1
    assert found["input_spikes_per_entry"] == pytest.approx(float((inputs < 1).double().mean()))
    assert found["early_fraction"] == pytest.approx(float(times.early[0].double().mean()))
    assert found["latency_windows"] == pytest.approx(1 + method.windows.layers[0] / method.windows.input)
    assert found["error_fraction"] == pytest.approx(int((times.logits.argmax(1) != labels).sum()) / size)
    ann = method.predict_ann(x)
    ann_errors = int((ann.argmax(1) != labels).sum())
    assert found["ann_error_fraction"] == pytest.approx(ann_errors / size)
    gap = float((times.logits - ann).abs().max() / ann.abs().max())
    assert found["ann_difference"] == pytest.approx(gap, rel=1e-4)

    points = dict(answer.series["error_over_latency"].points)
    assert list(points) == [2 * steps for steps in STEPS], "two windows: the input's, and the layer's"
    for steps in (2, 16):
        missed = int((method.predict(stretched(x, steps)).argmax(1) != labels).sum())
        assert points[2 * steps] == pytest.approx(missed / size, abs=1.5 / size)  # float32: a tie may fall either way
    settled = found["latency_steps"]
    assert all(error <= ann_errors / size + 0.01 for steps, error in points.items() if steps >= settled)
