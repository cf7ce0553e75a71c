"""The suite streaming: answers, latencies and traffic are those of the trained network, read step by step."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
import torch

from harness.catalogue.boards import find_board
from harness.catalogue.cell import Cell
from harness.catalogue.loading import load_registry
from harness.suites.common.base import to_metrics
from harness.suites.common.rollouts import Answers, answers_of, read_both
from harness.suites.common.train import batches, evaluated, limited
from harness.suites.common.weights import trained_method
from harness.suites.streaming import StreamingSuite
from harness.workload import Workload
from reference_impls.api import UnsupportedError
from reference_impls.rollout import Streaming

REGISTRY = load_registry()
CARD = REGISTRY.suite("streaming")
SUITE = StreamingSuite(CARD)


def workload(topology: str, neuron: str = "lif", method: str = "bptt", scratch: Path | None = None) -> Workload:
    cell = Cell("streaming", "digits-events", neuron, method, topology, budget="smoke")
    return Workload(cell, REGISTRY, Path("no data needed"), scratch)


def test_answers_are_sums_and_silence_is_none() -> None:
    logits = torch.tensor([[[0.0, 0.0]], [[0.0, 1.0]], [[3.0, 0.0]], [[0.0, 1.0]], [[0.0, 2.0]]])
    said = answers_of(logits)
    assert said.tolist() == [[-1], [1], [0], [0], [1]]
    answers = Answers(said, torch.tensor([1]))
    assert answers.errors == [1, 0, 1, 1, 0]
    assert answers.first.tolist() == [2]
    assert answers.final.tolist() == [5]
    silent = Answers(torch.full((4, 2), -1), torch.tensor([0, 1]))
    assert silent.errors == [2] * 4
    assert silent.first.tolist() == [4, 4]
    settled = Answers(torch.tensor([[1], [1]]), torch.tensor([1]))
    assert (settled.first.tolist(), settled.final.tolist()) == ([1], [1])


@pytest.mark.parametrize("topology", ["hybrid-conv", "mlp"])
def test_figures_are_those_of_the_trained_network(tmp_path: Path, topology: str) -> None:
    of = workload(topology, scratch=tmp_path)
    method = trained_method(of)
    test = limited(of.split.test, of.budget.test_limit)
    SUITE.validate(of)
    answer = SUITE.run(of)  # from the weights that were kept
    found = {name: metric.value for name, metric in to_metrics(CARD, answer.figures).items()}
    assert set(found) == set(CARD.metrics)

    x, labels = next(batches(test, len(test), of, None))
    T, size, late = x.shape[0], len(test), int(found["latency_steps"])
    assert late == {"hybrid-conv": 3, "mlp": 1}[topology]
    window = {"hybrid-conv": 4, "mlp": 1}[topology]
    assert found["error_fraction"] == pytest.approx(evaluated(method, test, of).errors / size)
    assert found["first_answer_steps"] == window
    assert found["streaming_first_answer_steps"] == window + late

    streaming, states, summed, errors = Streaming(method.network), None, torch.zeros(size, of.task_card.classes), []
    with torch.no_grad():
        for step in range(T + late):
            out = streaming.run(x[step : step + 1] if step < T else torch.zeros_like(x[:1]), states)
            states = out.states
            summed = summed + out.logits[0] * (step >= late)
            wrong = size if step < window + late - 1 else int((summed.argmax(1) != labels).sum())
            errors.append(wrong / size)
    points = answer.series["streaming_error_over_steps"].points
    assert [y for _, y in points] == pytest.approx(errors, abs=1.5 / size)  # float32: a tie may fall either way
    assert [x for x, _ in points] == list(range(1, T + late + 1))
    assert found["streaming_error_fraction"] == points[-1][1]
    assert found["streaming_mean_error_fraction"] == pytest.approx(sum(y for _, y in points) / len(points))
    assert len(answer.series["error_over_steps"].points) == T + late
    if topology == "hybrid-conv":  # without biases it is the same network, later
        assert found["rollout_mismatch_fraction"] == 0
        assert found["streaming_final_answer_steps"] == pytest.approx(found["final_answer_steps"] + late)

    spikes: list[torch.Tensor] = []
    with method.network.observed_by(lambda layer, s: spikes.append(s) if layer == len(streaming.neurons()) - 1 else 0):
        method.predict(x)
    neurons, per_step = spikes[0][0, 0].numel(), float(spikes[0].sum()) / (T * size)
    assert found["interface_events_per_step"] == pytest.approx(per_step)
    assert found["interface_event_bytes_per_step"] == pytest.approx(per_step * (1 if neurons <= 256 else 2))
    assert found["interface_bitmap_bytes_per_step"] == neurons / 8
    assert found["interface_dense_bytes_per_step"] == 4 * neurons / window


def test_the_sign_of_a_ternary_spike_needs_a_place() -> None:
    of = workload("mlp", "ternary-lif")
    both = read_both(trained_method(of), of)
    assert both.interface.neurons == 64
    assert replace(both, interface=replace(both.interface, neurons=256, negative_entries=0)).address_bytes == 1
    assert replace(both, interface=replace(both.interface, neurons=256, negative_entries=1)).address_bytes == 2
    assert replace(both, interface=replace(both.interface, neurons=1, negative_entries=0)).address_bytes == 1


@pytest.mark.parametrize(
    ("topology", "neuron", "sentence"),
    [
        ("mlp", "psn", "psn reads later steps"),
        ("mlp", "masked-psn", "masked-psn is made for a number of them"),
        ("mlp", "relu", "relu sends numbers"),
        ("feedback", "lif", "no streaming rollout of a FeedbackNetwork"),
    ],
)
def test_what_cannot_be_streamed_is_said(topology: str, neuron: str, sentence: str) -> None:
    with pytest.raises(UnsupportedError, match=sentence):
        SUITE.validate(workload(topology, neuron))


def test_another_read_out_is_refused() -> None:
    of = Workload(Cell("streaming", "digits", "if", "ttfs", "mlp", budget="smoke"), REGISTRY, Path("none"))
    with pytest.raises(UnsupportedError, match="ttfs reads out otherwise"):
        SUITE.run(of)


def test_the_board_ranks_what_the_suite_gives() -> None:
    board = find_board("streaming")
    assert {column.metric for column in board.columns} <= set(CARD.metrics)
    assert board.rank_by == "streaming.streaming_mean_error_fraction"
