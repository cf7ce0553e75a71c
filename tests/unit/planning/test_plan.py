"""Presets and filters become cells; what is done, impossible or without data is told apart."""

from __future__ import annotations

import itertools
from pathlib import Path
from random import Random
from typing import Any

import pytest
from synthetic import LAPTOP, older, record

from harness.catalogue.cell import NOT_APPLICABLE, Cell
from harness.catalogue.compatibility import why_unsupported
from harness.catalogue.loading import load_registry
from harness.catalogue.presets import PRESETS, find_preset
from harness.errors import UserError
from harness.planning import expansion
from harness.planning.durations import history_of
from harness.planning.plan import Filters, Plan, make_plan
from harness.results.fingerprint import code_hash
from harness.results.store import Store

REGISTRY = load_registry()
OTHER_CONVERSIONS = ("threshold-balancing", "noisy-quantisation", "stdb", "tandem", "hybrid-coding")
OTHER_SPIKE_TIMES = ("lc-ttfs", "t2fsnn", "dft", "stdbp")
NOT_IN_QUICK = ("forward-gradient", "stdp", "r-stdp", *OTHER_CONVERSIONS, *OTHER_SPIKE_TIMES)
"""Files of methods that the preset's summary leaves out: eight simulations an update, STDP, most conversions, and all
networks of spike times but one."""

NEURONS_NOT_IN_QUICK = ("c-silif",)
"""The other state-space layer, for which pmsn stands."""

SUITES_NOT_IN_QUICK = {
    "libraries",
    "layers",
    "training",
    "crossover",
    "control",
    "link_prediction",
    "detection",
}
"""Of peers and layers, and of systems, which stand in other presets."""


def plan(store: Path, preset: str | None = "quick", **options: Any) -> Plan:
    filters = Filters(**{key: options.pop(key) for key in list(options) if key in Filters.__dataclass_fields__})
    given: dict[str, Any] = {
        "budget": None,
        "device": "cpu",
        "cores": 2,
        "data_present": lambda name: name in ("digits", "generated"),
        "again": False,
    }
    chosen = None if preset is None else find_preset(preset)
    return make_plan(REGISTRY, Store(store), LAPTOP.name, preset=chosen, filters=filters, **given | options)


def test_quick_measures_every_implementation_file_with_three_seeds(tmp_path: Path) -> None:
    cells = [planned.cell for planned in plan(tmp_path).todo]
    trained = [cell for cell in cells if cell.suite == "accuracy"]
    learning = [cell for cell in cells if cell.suite in ("accuracy", "tracking")]
    for name in {row.card.name for row in REGISTRY.neurons.values()} - set(NEURONS_NOT_IN_QUICK):
        assert {cell.seed for cell in trained if cell.neuron == name} == {0, 1, 2}, name
    assert {cell.neuron for cell in learning} <= {cell.neuron for cell in cells if cell.suite == "conformance"}
    for name in {row.card.name for row in REGISTRY.methods.values()} - set(NOT_IN_QUICK):
        assert {cell.seed for cell in learning if cell.method == name} == {0, 1, 2}, name
    assert not {cell.method for cell in learning} & set(NOT_IN_QUICK), "its summary says so"
    assert not {cell.neuron for cell in learning} & set(NEURONS_NOT_IN_QUICK)
    assert all(REGISTRY.methods[name].capabilities.converts for name in OTHER_CONVERSIONS)
    assert {"qcfs", "hsd", "ttfs"} <= {cell.method for cell in learning}, "they stand for the other conversions"
    assert {cell.suite for cell in cells} == set(REGISTRY.suites) - SUITES_NOT_IN_QUICK
    assert {"digits", "digits-events", "digits-rows"} <= {cell.task for cell in cells}


def test_filters_choose_by_pattern(tmp_path: Path) -> None:
    chosen = plan(tmp_path, method=("ottt*",), task=("digits",), suite=("accuracy",))
    assert {planned.cell.method for planned in chosen.todo} == {"ottt-a", "ottt-o"}
    assert {planned.cell.suite for planned in chosen.todo} == {"accuracy"}


def test_the_gate_stays_with_what_it_stands_before(tmp_path: Path) -> None:
    chosen = plan(tmp_path, neuron=("lif",), method=("bptt",))
    gate = [planned.cell for planned in chosen.todo if planned.cell.suite == "conformance"]
    assert {cell.neuron for cell in gate if cell.method == NOT_APPLICABLE} == {"lif"}
    alone = plan(tmp_path, suite=("conformance",))
    assert {planned.cell.neuron for planned in alone.todo if planned.cell.method == NOT_APPLICABLE} == set(
        REGISTRY.neurons
    )


def test_timing_has_the_machine_to_itself(tmp_path: Path) -> None:
    for planned in plan(tmp_path).todo:
        assert planned.cell.threads == (2 if REGISTRY.suite(planned.cell.suite).exclusive else 1)


def test_what_is_done_is_not_done_again(tmp_path: Path) -> None:
    first = plan(tmp_path, suite=("accuracy",), neuron=("lif",), task=("digits",), method=("bptt",), topology=("mlp",))
    done, failed, *rest = first.todo
    for planned, status in ((done, "ok"), (failed, "timeout")):
        written = record(planned.cell, status)
        provenance = written.provenance.model_copy(update={"code_hash": code_hash(planned.cell, REGISTRY)})
        Store(tmp_path).write(written.model_copy(update={"provenance": provenance}))
    again = plan(tmp_path, suite=("accuracy",), neuron=("lif",), task=("digits",), method=("bptt",), topology=("mlp",))
    assert again.done == (done.cell,)
    assert [planned.cell for planned in again.todo] == [failed.cell, *(planned.cell for planned in rest)]
    forced = plan(
        tmp_path,
        suite=("accuracy",),
        neuron=("lif",),
        task=("digits",),
        method=("bptt",),
        topology=("mlp",),
        again=True,
    )
    assert len(forced.todo) == len(first.todo)


def test_code_that_changed_is_measured_anew(tmp_path: Path) -> None:
    first = plan(tmp_path, suite=("accuracy",), neuron=("lif",), task=("digits",))
    Store(tmp_path).write(older(record(first.todo[0].cell)))
    assert plan(tmp_path, suite=("accuracy",), neuron=("lif",), task=("digits",)).done == ()


def test_cells_without_data_wait_for_it(tmp_path: Path) -> None:
    waiting = plan(tmp_path, preset="standard", task=("mnist",), neuron=("lif",), method=("bptt",))
    assert waiting.missing["mnist"] > 0
    assert {planned.cell.task for planned in waiting.todo} == {NOT_APPLICABLE}


def test_one_cell_can_be_named_axis_by_axis(tmp_path: Path) -> None:
    (only,) = plan(
        tmp_path,
        preset=None,
        budget="quick",
        suite=("accuracy",),
        task=("digits-events",),
        neuron=("klif",),
        method=("bptt-tet",),
        topology=("conv",),
        backend=("compiled",),
        seed=(7,),
    ).todo
    assert only.cell == Cell(
        "accuracy", "digits-events", "klif", "bptt-tet", "conv", "compiled", budget="quick", seed=7
    )


def test_estimates_learn_from_what_was_measured(tmp_path: Path) -> None:
    options = {
        "suite": ("accuracy",),
        "neuron": ("lif",),
        "task": ("digits",),
        "method": ("bptt",),
        "topology": ("mlp",),
    }
    first = plan(tmp_path, **options)
    assert first.todo[0].estimated_seconds == REGISTRY.suite("accuracy").typical_seconds
    Store(tmp_path).write(record(first.todo[0].cell, duration_seconds=99.0))
    history = history_of(Store(tmp_path).read().records)
    # A seed that was not measured yet, and on another store: somebody else's records are a guide too.
    assert plan(tmp_path, history=history, **options).todo[0].estimated_seconds == 99.0
    assert plan(tmp_path / "empty", history=history, **options).todo[1].estimated_seconds == 99.0


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"neuron": ("liff",)}, "did you mean 'lif'"),
        ({"task": ("digit",)}, "did you mean 'digits'"),
        ({"suite": ("acuracy",)}, "did you mean 'accuracy'"),
        ({"method": ("otta-*",)}, "unknown method"),
        ({"task": ("mnist",)}, "no cell of preset 'quick' has the task 'mnist'"),
        ({"neuron": ("klif",), "method": ("spide",)}, "no cell of preset 'quick' has the method 'spide'"),
    ],
)
def test_filters_that_leave_nothing_say_so(tmp_path: Path, options: dict[str, Any], message: str) -> None:
    with pytest.raises(UserError, match=message):
        plan(tmp_path, **options)


def test_an_unknown_preset_suggests_the_nearest() -> None:
    with pytest.raises(UserError, match="did you mean 'quick'"):
        find_preset("quik")


@pytest.mark.parametrize("name", PRESETS)
def test_every_preset_has_cells(tmp_path: Path, name: str) -> None:
    # Of every combination there is, a corner: the rest of them is no faster.
    corner = {"neuron": ("lif", "psn"), "task": ("digits", "nmnist-1100"), "method": ("bptt", "ottt-a")}
    some = corner if name in ("standard", "full") else {}
    assert plan(tmp_path, preset=name, data_present=lambda _name: True, **some).todo


def test_a_cell_that_is_decided_axis_by_axis_is_ruled_out_by_the_same_sentence() -> None:
    """Asking only what the last axis touches leaves nothing unasked, whatever a cell is made of."""
    random = Random(0)
    names = {
        "task": [NOT_APPLICABLE, *REGISTRY.tasks],
        "topology": [NOT_APPLICABLE, *REGISTRY.topologies],
        "method": [NOT_APPLICABLE, *REGISTRY.methods],
        "neuron": [*REGISTRY.cell_neurons],
        "backend": ["eager", "compiled", "fused-numba", "fused-cupy"],
        "suite": [*REGISTRY.suites],
    }
    sentences = set()
    for _ in range(4000):
        cell, recipe = Cell("", budget="quick"), random.choice(("default", "tuned"))
        cell = cell.but(recipe=recipe, device=random.choice(("cpu", "cuda")))
        for axis in expansion.ORDER:
            cell = cell.but(**{axis: random.choice(names[axis])})
            whole = why_unsupported(cell, REGISTRY)
            assert why_unsupported(cell, REGISTRY, axis) == whole, cell
            if whole is not None:
                sentences.add(whole.split()[1])
                break
    assert len(sentences) > 5


@pytest.mark.slow
def test_every_combination_is_possible_or_has_a_sentence() -> None:
    """Over the whole product: what the cards forbid is said, and what they allow is of a structure that is trained."""
    reasons = set()
    for task, neuron, method, topology in itertools.product(
        REGISTRY.tasks, REGISTRY.neurons, REGISTRY.methods, REGISTRY.topologies
    ):
        reason = why_unsupported(Cell("accuracy", task, neuron, method, topology, budget="quick"), REGISTRY)
        if reason is None:
            structure = REGISTRY.topologies[topology].capabilities.structure
            assert structure in REGISTRY.methods[method].capabilities.structures
        else:
            assert reason.endswith(".")
            assert len(reason) > 20
            reasons.add(reason)
    assert len(reasons) > 20


@pytest.mark.parametrize(
    ("cell", "sentence"),
    [
        (Cell("accuracy", "digits", "lif", "ide", "mlp"), "ide trains feedback networks; mlp is a chain network."),
        (
            Cell("accuracy", "digits", "klif", "ottt-a", "mlp"),
            "needs a neuron whose membrane is linear; klif's is nonlinear.",
        ),
        (Cell("accuracy", "digits", "psn", "bptt", "feedback"), "feedback needs a neuron's spikes step by step"),
        (Cell("accuracy", "digits-rows", "lif", "bptt", "conv"), "conv takes samples of 3 dimensions"),
        (Cell("throughput", "digits", "psn", "bptt", "mlp", "fused-numba"), "replaces a loop over T; psn has none"),
        (Cell("throughput", "digits", "if", "bptt", "feedback", "fused"), "feedback needs its layers step by step"),
        (Cell("throughput", "digits", "lif", "bptt", "mlp", "fused-cupy"), "fused-cupy runs on cuda, not on cpu."),
    ],
)
def test_the_sentence_says_why(cell: Cell, sentence: str) -> None:
    assert sentence in (why_unsupported(cell, REGISTRY) or "")


def test_first_seeds_of_all_rows_come_before_second_ones(tmp_path: Path) -> None:
    cells = [planned.cell for planned in plan(tmp_path).todo if planned.cell.suite == "accuracy"]
    assert len({cell.seed for cell in cells}) > 1
    assert [cell.seed for cell in cells] == sorted(cell.seed for cell in cells)


def test_accuracy_to_convergence_takes_the_fastest_backend_that_can_run_it(tmp_path: Path) -> None:
    chosen = plan(tmp_path, "standard", neuron=("lif", "psn"), method=("bptt", "ottt-o", "dsr"), suite=("accuracy",))
    found = {(p.cell.neuron, p.cell.method): p.cell.backend for p in chosen.todo if p.cell.topology == "mlp"}
    assert found == {
        ("lif", "bptt"): "fused-numba",
        ("lif", "ottt-o"): "eager",  # takes step after step by itself
        ("lif", "dsr"): "eager",  # learns the threshold, which a kernel has as a constant
        ("psn", "bptt"): "eager",  # has no loop over T
    }
    gated = plan(tmp_path, "standard", neuron=("lif",), method=("bptt",), topology=("mlp",))
    gate = {p.cell.backend for p in gated.todo if p.cell.suite == "conformance" and p.cell.method == NOT_APPLICABLE}
    assert "fused-numba" in gate


def test_a_backend_that_is_named_is_taken_instead_of_the_fastest(tmp_path: Path) -> None:
    chosen = plan(tmp_path, "standard", neuron=("lif",), method=("bptt",), suite=("accuracy",), backend=("eager",))
    assert {planned.cell.backend for planned in chosen.todo} == {"eager"}


def test_the_fastest_backend_is_one_that_is_installed(monkeypatch: pytest.MonkeyPatch) -> None:
    def chosen(device: str, installed: set[str]) -> str:
        monkeypatch.setattr(expansion, "find_spec", lambda name: name if name in installed else None)
        cell = Cell("accuracy", "digits", "lif", "bptt", "mlp", device=device, budget="quick")
        return expansion._with_fastest_backend(cell, load_registry()).backend

    assert chosen("cuda", {"cupy", "numba"}) == "fused-cupy"
    assert chosen("cuda", {"numba"}) == "eager"
    assert chosen("cpu", {"cupy", "numba"}) == "fused-numba"
    assert chosen("cpu", set()) == "eager"
