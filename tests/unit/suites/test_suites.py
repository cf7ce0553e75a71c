"""Every suite answers its question for real work, in figures that its card knows."""

from __future__ import annotations

import functools
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from structures import TOPOLOGY_OF

from harness.catalogue.cell import Cell
from harness.catalogue.compatibility import why_unsupported
from harness.catalogue.loading import load_registry
from harness.measure.clock import TimingProtocol
from harness.measure.memory import slope_over_steps
from harness.results.predictions import unpack
from harness.suites import frontier, memory, scaling
from harness.suites.common import steps
from harness.suites.common.base import Answer, DivergedError, Measurement, Suite, to_metrics
from harness.suites.common.steps import stretched
from harness.suites.common.train import Epoch, TrainingRun, to_target, train
from harness.suites.common.weights import trained_method, weights_path
from harness.workload import Workload
from reference_impls.api import Network, UnknownNameError, UnsupportedError, build_network, build_neuron
from reference_impls.discovery import load_class

REGISTRY = load_registry()
CELL = Cell("accuracy", "digits", "lif", "bptt", "mlp", budget="smoke")
LENGTHS = (2, 4, 16, 64, 256)
SHORTEST = TimingProtocol(warmup_calls=1, warmup_seconds=0, block_seconds=0, min_blocks=6, max_blocks=6)


@pytest.fixture(autouse=True)
def _short(monkeypatch: pytest.MonkeyPatch, set_aside: None) -> None:
    monkeypatch.setitem(steps._PROTOCOLS, "smoke", SHORTEST)
    for suite in (memory, scaling):
        monkeypatch.setattr(suite, "STEPS", (2, 4, 8))


def answer(cell: Cell, scratch: Path | None = None) -> Answer:
    suite: Suite = load_class(REGISTRY.suites[cell.suite].module, Suite)(REGISTRY.suite(cell.suite))
    torch.manual_seed(cell.seed)
    found = suite.run(Workload(cell, REGISTRY, scratch=scratch))
    to_metrics(suite.card, found.figures)
    return found


OTHERS = ("conformance", "libraries", "layers", "training", "crossover")
NETWORK_SUITES = [name for name in REGISTRY.suites if name not in OTHERS and "classes" in REGISTRY.suite(name).targets]
COMBINATIONS = [
    ("lif", "bptt", "mlp", "digits"),
    ("psn", "bptt-tet", "conv", "digits"),
    ("mpe-psn", "bptt", "mlp", "digits-rows"),
    ("if", "ottt-o", "mlp", "digits-rows"),
    ("if", "ide", "feedback", "digits"),
    ("lif", "spide", "feedback", "digits-events"),
    ("klif", "tbptt", "feedback", "digits"),
    ("lif", "bptt", "skip-conv", "digits"),
    ("if", "ttfs", "mlp", "digits"),
    ("if", "hsd", "conv", "digits"),
]
REFUSED = {("over_time", "spide"): "spide reads out otherwise", ("over_time", "ttfs"): "ttfs reads out otherwise"}
"""What only the trained network tells: the suite refuses it, in words."""
ASKED = [
    cell
    for suite in NETWORK_SUITES
    for neuron, method, topology, task in COMBINATIONS
    if why_unsupported(cell := Cell(suite, task, neuron, method, topology, budget="smoke"), REGISTRY) is None
]


def _combination(cell: Cell) -> tuple[str, str, str, str]:
    return cell.neuron, cell.method, cell.topology, cell.task


def _asked_first() -> list[Cell]:
    """Return so few that each suite and each combination is among them, beside what is refused."""
    chosen: list[Cell] = []
    for cell in sorted(ASKED, key=lambda one: _distance(one)):
        known = {one.suite for one in chosen}, {_combination(one) for one in chosen}
        if (cell.suite, cell.method) in REFUSED or cell.suite not in known[0] or _combination(cell) not in known[1]:
            chosen.append(cell)
    return chosen


def _distance(cell: Cell) -> int:
    """How far a cell lies from the diagonal of suites and combinations."""
    return (NETWORK_SUITES.index(cell.suite) - COMBINATIONS.index(_combination(cell))) % len(COMBINATIONS)


EVERY_RUN = _asked_first()
"""The slow tests ask them all."""


def test_every_suite_and_combination_is_asked() -> None:
    for asked in (ASKED, EVERY_RUN):
        assert {cell.suite for cell in asked} == set(NETWORK_SUITES)
        assert {_combination(cell) for cell in asked} == set(COMBINATIONS)
    assert set(REFUSED) <= {(cell.suite, cell.method) for cell in ASKED}


@pytest.mark.parametrize(
    "cell",
    [
        pytest.param(
            one, id="-".join((one.suite, *_combination(one))), marks=() if one in EVERY_RUN else pytest.mark.slow
        )
        for one in ASKED
    ],
)
def test_suites_answer_for_all_kinds_of_work(cell: Cell) -> None:
    refusal = REFUSED.get((cell.suite, cell.method))
    if refusal is not None:
        with pytest.raises(UnsupportedError, match=refusal):
            answer(cell)
        return
    found = answer(cell)
    known = REGISTRY.suite(cell.suite).metrics
    assert set(found.figures) <= set(known)
    exact = {name for name in found.figures if known[name].exact}
    again = answer(cell) if exact else found
    for name in exact:
        assert again.figures[name].value == found.figures[name].value, name


def test_training_is_the_same_for_the_same_seed_and_another_for_another() -> None:
    first, second, other = (answer(replace(CELL, seed=seed)) for seed in (0, 0, 1))
    assert first.series == second.series
    assert first.series != other.series


def test_the_epoch_is_chosen_on_validation_and_never_on_test() -> None:
    _, run = train(Workload(replace(CELL, budget="quick"), REGISTRY))
    validation = [epoch.validation_errors for epoch in run.epochs]
    assert run.best_epoch == validation.index(min(validation))
    figures = answer(replace(CELL, budget="quick")).figures
    assert figures["best_test_error_fraction"].value <= figures["error_fraction"].value
    assert figures["error_fraction"].value == run.epochs[run.best_epoch].test_errors / run.test_size
    assert figures["last_error_fraction"].value == run.epochs[-1].test_errors / run.test_size


def test_an_accuracy_interval_is_that_of_the_test_set() -> None:
    figure = answer(CELL).figures["error_fraction"]
    assert figure.covers == "test samples"
    assert figure.low is not None
    assert figure.high is not None
    assert figure.low < figure.value < figure.high


def test_accuracy_keeps_what_the_chosen_epoch_said_of_every_test_sample() -> None:
    cell = replace(CELL, budget="quick")
    found = answer(cell)
    assert found.predictions is not None
    said, split = unpack(found.predictions), Workload(cell, REGISTRY).split
    labels = split.test.labels[: found.predictions.samples].numpy()
    assert said.missed.tolist() == (said.classes != labels).tolist()
    assert said.missed.mean() == found.figures["error_fraction"].value
    method, run = train(Workload(cell, REGISTRY))
    assert run.best_test is not None
    logits = method.predict(Workload(cell, REGISTRY).task.encode(split.test.inputs.float()))
    others = logits.clone()
    others[torch.arange(len(labels)), split.test.labels] = -torch.inf
    margins = logits[torch.arange(len(labels)), split.test.labels] - others.amax(1)
    assert torch.allclose(run.best_test.margins, margins, atol=1e-5)
    assert np.allclose(said.margins.astype(float), margins.detach().numpy(), rtol=1 / 16, atol=1e-4)


def test_every_row_and_seed_of_a_task_is_tested_on_the_same_samples() -> None:
    cells = (CELL, replace(CELL, neuron="if"), replace(CELL, seed=1))
    assert len({found.digest for cell in cells if (found := answer(cell).predictions)}) == 1


def test_spikes_are_counted_on_the_weights_that_accuracy_left(tmp_path: Path) -> None:
    accuracy = Workload(CELL, REGISTRY, scratch=tmp_path)
    answer(CELL, tmp_path)
    path = weights_path(accuracy)
    assert path is not None
    before = path.stat().st_mtime_ns
    counting = Workload(replace(CELL, suite="spikes"), REGISTRY, scratch=tmp_path)
    method = trained_method(counting)
    assert path.stat().st_mtime_ns == before
    trained, _ = train(accuracy)
    for ours, theirs in zip(method.network.parameters(), trained.network.parameters(), strict=True):
        assert torch.equal(ours, theirs)
    assert [file.name for file in tmp_path.rglob("*.tmp")] == []


def test_other_seeds_and_neurons_leave_their_weights_elsewhere(tmp_path: Path) -> None:
    cells = (CELL, replace(CELL, seed=1), replace(CELL, neuron="klif"), replace(CELL, method="bptt-tet"))
    assert len({weights_path(Workload(cell, REGISTRY, scratch=tmp_path)) for cell in cells}) == 4


def test_bptt_grows_with_t_and_ottt_does_not() -> None:
    bptt = answer(replace(CELL, suite="memory")).figures["saved_bytes_per_time_step"]
    ottt = answer(replace(CELL, suite="memory", method="ottt-a")).figures["saved_bytes_per_time_step"]
    assert bptt.value > 0
    assert ottt.value == 0


CONSTANT = [
    cell
    for task in ("digits-rows", "digits")
    for name, row in REGISTRY.methods.items()
    for structure in row.capabilities.structures
    if row.capabilities.memory_in_T == "O(1)"
    and why_unsupported(cell := Cell("memory", task, "if", name, TOPOLOGY_OF[structure], budget="smoke"), REGISTRY)
    is None
]
ROWS_WITHOUT_TASKS = {(cell.method, cell.topology): cell for cell in reversed(CONSTANT)}


def _often(cell: Cell) -> bool:
    """Whether every run asks it: the first row of a file, on every network, on the task whose input moves if it can.

    The forward gradient, eight simulations an update, takes as long as all others together.
    """
    row = REGISTRY.methods[cell.method]
    first = ROWS_WITHOUT_TASKS[cell.method, cell.topology] is cell
    return first and row.name == row.card.name and cell.method != "forward-gradient"


CONSTANT_CASES = [
    pytest.param(
        cell,
        id=f"{cell.method}-{cell.topology}-{cell.task}",
        marks=[] if _often(cell) else [pytest.mark.slow],
    )
    for cell in CONSTANT
]


@pytest.mark.parametrize("cell", CONSTANT_CASES)
def test_methods_that_claim_constant_memory_have_it_from_2_to_256_steps(cell: Cell) -> None:
    workload = Workload(cell, REGISTRY)
    kept = {T: memory.saved_at(workload, 2, T) for T in LENGTHS}
    if not any(kept.values()):  # no graph at all: then nothing else may pile up
        kept = {T: memory.live_at(workload, 2, T) for T in LENGTHS}
    assert slope_over_steps(list(kept), list(kept.values())).per_step < 0.01 * kept[2], kept


def test_every_method_that_claims_constant_memory_is_among_them() -> None:
    claims = {name for name, row in REGISTRY.methods.items() if row.capabilities.memory_in_T == "O(1)"}
    on_signals = {name for name in claims if "classes" not in REGISTRY.methods[name].capabilities.targets}
    assert {cell.method for cell in CONSTANT} == claims - on_signals


def test_lengths_that_would_keep_too_much_are_left_out(monkeypatch: pytest.MonkeyPatch) -> None:
    workload = Workload(replace(CELL, suite="memory"), REGISTRY)
    assert memory.affordable(workload, 16, LENGTHS) == LENGTHS
    monkeypatch.setattr(memory, "MOST_BYTES", memory.saved_at(workload, 16, 16))
    assert memory.affordable(workload, 16, LENGTHS) == (2, 4, 16)
    compiled = Workload(replace(CELL, suite="memory", backend="compiled"), REGISTRY)
    monkeypatch.undo()
    monkeypatch.setattr(memory, "saved_at", lambda _workload, _batch_size, T: T)
    assert memory.affordable(compiled, 16, LENGTHS) == (2, 4, 16, 64)


def test_the_target_is_reached_with_the_first_epoch_that_is_as_good() -> None:
    made = [
        Epoch(1.0, errors, 0, updates=10 * number, samples=300 * number)
        for number, errors in enumerate((50, 10, 30, 5), start=1)
    ]
    run = TrainingRun(made, validation_size=100)
    reached = to_target(run, 0.1)
    assert (reached["updates_to_target"].value, reached["samples_to_target"].value) == (20.0, 600.0)
    assert to_target(run, 0.04) == {}


@pytest.mark.parametrize(
    ("neuron", "method"),
    [
        ("lif", "bptt"),
        # As many updates as time steps, and a pretraining: test_suite_time_to_target counts both on every run.
        *(pytest.param("if", method, marks=pytest.mark.slow) for method in ("ottt-o", "hsd")),
    ],
)
def test_time_to_target_makes_the_updates_of_accuracy_and_stops_at_the_target(neuron: str, method: str) -> None:
    cell = replace(CELL, neuron=neuron, method=method, budget="quick")
    counted, timed = answer(cell), answer(replace(cell, suite="time_to_target"))
    budget = REGISTRY.task("digits").budgets["quick"]
    reached = [value <= budget.target_error for _, value in counted.series["validation_error_fraction"].points]
    before = counted.figures["pretraining_updates"].value if "pretraining_updates" in counted.figures else 0
    if not any(reached):
        assert timed.figures.keys() == {"reached_fraction"}
        assert timed.figures["reached_fraction"].value == 0
        return
    first = reached.index(True)
    assert timed.figures["updates_to_target"].value == before + counted.details["updates_by_epoch"][first]
    assert timed.figures["reached_fraction"].value == 1
    trained = len(Workload(cell, REGISTRY).split.train)
    assert timed.figures["samples_to_target"].value == timed.details["epochs"] * trained
    assert "pretraining_updates" in counted.figures or "pretraining_seconds" not in timed.figures
    assert "seconds_to_target" not in counted.figures


def test_a_target_out_of_reach_has_no_time(monkeypatch: pytest.MonkeyPatch) -> None:
    card = REGISTRY.task("digits")
    card = replace(card, budgets={"smoke": replace(card.budgets["smoke"], target_error=0.0)})
    monkeypatch.setattr(Workload, "task_card", card)
    found = answer(replace(CELL, suite="time_to_target"))
    assert {name: figure.value for name, figure in found.figures.items()} == {"reached_fraction": 0.0}
    assert found.details["target_reached"] is False
    assert found.details["epochs"] == card.budgets["smoke"].epochs


def test_no_suite_that_shares_the_machine_gives_a_wall_time() -> None:
    shared = [name for name in REGISTRY.suites if not REGISTRY.suite(name).exclusive]
    assert {"accuracy", "tracking", "spikes"} <= set(shared)
    for name in shared:
        assert not [metric for metric, card in REGISTRY.suite(name).metrics.items() if "second" in card.unit], name


def test_what_stops_being_finite_ends_the_run(monkeypatch: pytest.MonkeyPatch) -> None:
    workload = Workload(CELL, REGISTRY)
    encode = workload.task.encode
    monkeypatch.setattr(workload.task, "encode", lambda inputs: encode(inputs) * float("nan"))
    with pytest.raises(DivergedError, match="stopped being finite in epoch 1"):
        train(workload)


def test_a_loss_that_is_not_finite_ends_the_run(monkeypatch: pytest.MonkeyPatch) -> None:
    workload = Workload(CELL, REGISTRY)
    make = workload.network

    def overflowing() -> Network:
        network = make()
        with torch.no_grad():
            network.synapses()[-1].module.weight.fill_(float("inf"))
        return network

    monkeypatch.setattr(Workload, "network", lambda _self: overflowing())
    with pytest.raises(DivergedError, match="the loss became nan in epoch 1"):
        train(workload)


def test_figures_that_the_card_does_not_know_are_refused() -> None:
    with pytest.raises(UnknownNameError, match="did you mean 'error_fraction'"):
        to_metrics(REGISTRY.suite("accuracy"), {"eror_fraction": Measurement(0.1)})


def test_figures_that_are_not_finite_are_refused() -> None:
    with pytest.raises(DivergedError, match="error_fraction is nan"):
        to_metrics(REGISTRY.suite("accuracy"), {"error_fraction": Measurement(float("nan"))})


def test_stretching_keeps_a_constant_input_a_broadcast() -> None:
    constant = torch.rand(2, 3).expand(8, 2, 3)
    assert stretched(constant, 20).shape == (20, 2, 3)
    assert stretched(constant, 20).stride(0) == 0
    moving = torch.arange(4.0).view(4, 1, 1)
    assert stretched(moving, 6).flatten().tolist() == [0, 1, 2, 3, 0, 1]
    assert stretched(moving, 3).flatten().tolist() == [0, 1, 2]


@pytest.mark.parametrize("neuron", ["lif", "psn"])
def test_conformance_passes_and_lists_its_clauses(neuron: str) -> None:
    found = answer(Cell("conformance", neuron=neuron, dtype="float64"))
    assert found.figures["failed_checks"].value == 0
    assert found.figures["passed_checks"].value == len(found.details["checks"]) > 5


def test_outputs_that_are_no_spikes_are_not_counted_as_none() -> None:
    figures = answer(replace(CELL, suite="spikes", neuron="amp-lif")).figures
    assert "energy_joules" in figures
    assert "spikes_per_neuron" not in figures
    assert "spikes_per_neuron" in answer(replace(CELL, suite="spikes")).figures


def test_weights_that_cannot_be_written_or_read_cost_nothing(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    wall = tmp_path / "wall"
    wall.touch()
    found = answer(CELL, wall / "scratch")  # a folder that cannot be made
    assert "error_fraction" in found.figures
    assert "the trained weights are not kept" in capsys.readouterr().out
    answer(CELL, tmp_path)
    path = weights_path(Workload(CELL, REGISTRY, scratch=tmp_path))
    assert path is not None
    good = path.read_bytes()
    for broken in (b"", b"no weights", good[: len(good) // 2]):
        path.write_bytes(broken)
        method = trained_method(Workload(replace(CELL, suite="spikes"), REGISTRY, scratch=tmp_path))
        assert all(parameter.isfinite().all() for parameter in method.network.parameters())
        assert len(path.read_bytes()) > len(broken), "they are trained and kept again"


def test_the_frontier_is_the_cheapest_drive_that_reaches_the_target(tmp_path: Path) -> None:
    workload = Workload(replace(CELL, suite="frontier"), REGISTRY, scratch=tmp_path)
    found = frontier.Frontier(REGISTRY.suite("frontier")).run(workload)
    assert [point["drive"] for point in found.details["validation"]] == list(frontier.DRIVES)
    joules = [point["energy_joules"] for point in found.details["validation"]]
    assert joules == sorted(joules), "the more current, the more spikes"
    target = found.details["target_error_fraction"]
    good = [point for point in found.details["validation"] if point["error_fraction"] <= target]
    if good:
        cheapest = min(good, key=lambda point: point["energy_joules"])
        assert found.figures["drive"].value == cheapest["drive"]
    else:
        assert found.figures == {}


def test_a_target_that_any_network_reaches_takes_the_least_drive(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    workload = Workload(replace(CELL, suite="frontier"), REGISTRY, scratch=tmp_path)
    monkeypatch.setattr(Workload, "budget", replace(workload.budget, target_error=1.0))
    monkeypatch.setattr(frontier, "DRIVES", (0.5, 1.0))
    found = frontier.Frontier(REGISTRY.suite("frontier")).run(workload)
    assert found.figures["drive"].value == 0.5
    assert found.figures.keys() == {"joules_to_target", "spikes_to_target", "error_fraction", "drive"}


def test_scaled_currents_are_scaled_thresholds_and_leave_nothing_behind() -> None:
    torch.manual_seed(0)
    x = torch.rand(6, 4, 10) * 2
    networks = []
    for threshold in (1.0, 2.0):
        torch.manual_seed(1)
        make = functools.partial(build_neuron, "lif", v_threshold=threshold)
        networks.append(build_network("mlp", (10,), 3, make, hidden=[20]))
    plain, harder = networks
    before = plain(x)
    with frontier.driven(plain, 0.5):
        assert torch.equal(plain(x), harder(x))
    assert torch.equal(plain(x), before)
