"""Answers follow from records: who qualifies, who is tied, what is not known; and quantities are read as written."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace

import pytest
from synthetic import Factory, error_metric, metric, older, record

from harness.catalogue.boards import find_board
from harness.catalogue.cell import Cell
from harness.catalogue.kinds import KINDS, kind_of
from harness.catalogue.loading import load_registry
from harness.errors import UserError
from harness.report.quantities import read_limit
from harness.report.recommend_view import command_of, not_known, sentence
from harness.results.questions import Answer, Limit, Question, has
from harness.results.recommend import Chooser
from harness.results.record import Record
from harness.results.tables import build_tables

REGISTRY = load_registry()
CARDS = {suite: REGISTRY.suite(suite).metrics for suite in REGISTRY.suites}
BASE = Cell("accuracy", "fsdd", "lif", "bptt", "mlp", budget="standard")
NEURONS = ("lif", "if", "psn", "glif", "ternary-lif")
GATE = [
    *(Factory(REGISTRY).conformance(Cell("conformance", neuron=name, dtype="float64")) for name in NEURONS),
    *(
        Factory(REGISTRY).conformance(Cell("conformance", neuron="if", method=name, topology="mlp", dtype="float64"))
        for name in ("bptt", "ottt-a")
    ),
]


def row(neuron: str, errors: Iterable[int], energy: float, method: str = "bptt", **axes: object) -> list[Record]:
    """Return the records of a row: a seed for each number of errors in a thousand; energy in nanojoules."""
    cell = replace(BASE, neuron=neuron, method=method, **axes)
    errors = list(errors)
    made = [
        record(
            replace(cell, seed=seed),
            metrics={
                "error_fraction": error_metric(wrong, CARDS["accuracy"]["error_fraction"], 1000),
                "parameters": metric(10.0 * errors[0], CARDS["accuracy"]["parameters"]),
            },
        )
        for seed, wrong in enumerate(errors)
    ]
    card = CARDS["spikes"]["energy_joules"]
    return [*made, record(replace(cell, suite="spikes"), metrics={"energy_joules": metric(energy * 1e-9, card)})]


def timed(neuron: str, seconds: float) -> Record:
    cell = replace(BASE, suite="throughput", neuron=neuron, threads=2)
    card = CARDS["throughput"]["train_step_seconds"]
    return record(cell, metrics={"train_step_seconds": metric(seconds, card, seconds / 50)})


STORE = [
    *GATE,
    *row("lif", (200, 204, 196, 200, 202), 100),
    *row("if", (203, 201, 198, 199, 200), 80),
    *row("psn", (100, 103, 98, 101, 97), 300),
    *row("ternary-lif", (150, 148, 153, 151, 147), 90),
]


def ask(records: Iterable[Record], question: Question, machine: str = "neurons") -> Answer:
    return Chooser(build_tables(records, REGISTRY, find_board(machine)), REGISTRY).answer(question)


def test_the_best_row_is_taken_and_said_to_cost_what_it_costs() -> None:
    answer = ask(STORE, Question("sound"))
    assert (answer.winner, answer.tied) == ("psn", ())
    assert {cost.cost: round(cost.ratio, 3) for cost in answer.costs} == {"energy": 3.0, "parameters": 0.5}
    text = sentence(answer)
    assert text.startswith("For sound, take psn: test error 9.98 ")
    assert "50 % fewer errors than LIF" in text
    assert "no other is tied with it" in text
    assert "beside LIF it takes 3 times the energy and 0.5 times the parameters." in text


@pytest.mark.parametrize(
    ("question", "winner"),
    [
        (Question("sound", limits=(Limit("energy", 95e-9),)), "ternary-lif"),
        (Question("sound", limits=(Limit("energy", 1.0, of_baseline=True),)), "ternary-lif"),
        (Question("sound", limits=(Limit("energy", 85e-9),)), "if"),
        (Question("sound", properties=("online",)), "ternary-lif"),
        (Question("sound", limits=(Limit("energy", 1e-12),)), None),
        (Question("sound", limits=(Limit("parameters", 1200),)), "psn"),
        (Question("sound", limits=(Limit("parameters", 500),)), None),
    ],
)
def test_only_rows_that_qualify_are_taken(question: Question, winner: str | None) -> None:
    answer = ask(STORE, question)
    assert answer.winner == winner
    assert set(answer.meeting) | set(answer.failing) | set(answer.unknown) == {"lif", "if", "psn", "ternary-lif"}
    if winner is None:
        assert "no neuron is known to qualify, of 4 that were tried" in sentence(answer)


def test_several_conditions_hold_at_once_and_ties_are_named() -> None:
    answer = ask(STORE, Question("sound", properties=("online", "binary")))
    assert {answer.winner, *answer.tied} == {"lif", "if"}
    assert answer.cheapest == "if"
    assert answer.failing == {"psn": "online", "ternary-lif": "binary"}
    assert "not told apart from it: " in sentence(answer)


def test_an_unknown_cost_is_no_cost_that_is_met() -> None:
    question = Question("sound", limits=(Limit("step", 1.0),))
    assert ask(STORE, question).winner is None
    answer = ask([*STORE, timed("lif", 2e-3), timed("psn", 1e-3)], question)
    assert answer.winner == "psn"
    assert answer.unknown == {"if": "step on fsdd, mlp", "ternary-lif": "step on fsdd, mlp"}
    assert "of 2 rows (if and ternary-lif), step on fsdd, mlp (2)" in not_known(answer, REGISTRY)


def test_what_has_not_passed_its_contract_has_no_known_speed() -> None:
    broken = Factory(REGISTRY).conformance(Cell("conformance", neuron="psn", dtype="float64"), broken=1)
    records = [one for one in STORE if one.cell_id != broken.cell_id]
    answer = ask(
        [*records, broken, timed("lif", 2e-3), timed("psn", 1e-3)], Question("sound", limits=(Limit("step", 1.0),))
    )
    assert answer.winner == "lif"
    assert "psn" in answer.unknown


def test_older_records_answer_nothing() -> None:
    answer = ask([*GATE, *(older(one) for one in STORE if one.cell.suite != "conformance")], Question("sound"))
    assert answer.bundle is None
    assert "nothing current has been measured" in sentence(answer)
    assert "fsdd" in not_known(answer, REGISTRY)


def test_a_failed_row_is_not_taken_and_is_named() -> None:
    failed = [record(replace(BASE, neuron="glif", seed=seed), "diverged") for seed in range(5)]
    answer = ask([*STORE, *failed], Question("sound"))
    assert answer.winner == "psn"
    assert answer.unknown["glif"].startswith("fsdd, mlp: diverged")
    assert "diverged on fsdd, mlp" in not_known(answer, REGISTRY)


def test_over_several_tasks_of_a_kind_all_count() -> None:
    other = [
        *row("lif", (100, 99, 101, 100, 98), 100, task="fsdd-speakers"),
        *row("psn", (190, 188, 191, 193, 187), 300, task="fsdd-speakers"),
        *row("if", (99, 101, 100, 98, 100), 80, task="fsdd-speakers"),
    ]
    answer = ask([*STORE, *other], Question("sound"))
    assert {setting.task for setting in answer.settings} == {"fsdd", "fsdd-speakers"}
    assert answer.winner in ("lif", "if")  # half the errors on one task and twice as many on the other win nothing
    assert "ternary-lif" in answer.unknown


def test_what_does_not_spike_is_no_answer_and_stands_beside_it() -> None:
    answer = ask([*STORE, *row("gru", (50, 51, 49, 50, 52), 500)], Question("sound"))
    assert answer.winner == "psn"
    assert answer.without_spikes is not None
    name, share = answer.without_spikes
    assert (name, share) == ("gru", pytest.approx(0.5, abs=0.02))
    assert "without spikes, gru makes 0.51 times its errors" in sentence(answer)
    limited = ask([*STORE, *row("gru", (50,) * 5, 500)], Question("sound", limits=(Limit("energy", 400e-9),)))
    assert limited.without_spikes is None


def test_methods_are_chosen_under_one_neuron() -> None:
    records = [*GATE, *row("if", (200,) * 5, 80), *row("if", (150, 151, 149, 150, 152), 80, method="ottt-a")]
    answer = ask(records, Question("sound", "method", properties=("online",)), "methods")
    assert (answer.winner, answer.failing) == ("ottt-a", {"bptt": "online"})
    assert "than BPTT" in sentence(answer)


def test_every_task_of_classes_has_a_kind_and_cards_say_what_rows_are() -> None:
    for name in REGISTRY.tasks:
        card = REGISTRY.task(name)
        assert (kind_of(card) in KINDS) == (card.target == "classes"), name
    kinds = {
        name: kind_of(REGISTRY.task(name))
        for name in ("fsdd", "nmnist", "mnist", "smnist-rows", "adding", "digits-events")
    }
    assert list(kinds.values()) == ["sound", "events", "images", "sequences", "memory", "events"]
    able = {name: REGISTRY.neurons[name].capabilities for name in ("lif", "psn", "psu", "ternary-lif", "mpe-psn")}
    assert [has(able[name], "causal") for name in ("lif", "psn", "psu")] == [True, False, True]
    assert not has(able["psu"], "online")
    assert not has(able["ternary-lif"], "binary")
    assert not has(able["mpe-psn"], "deterministic")
    assert has(REGISTRY.methods["ottt-a"].capabilities, "online")
    assert not has(REGISTRY.methods["bptt"].capabilities, "online")


@pytest.mark.parametrize(
    ("cost", "text", "limit"),
    [
        ("energy", "0.2uJ", Limit("energy", 2e-7)),
        ("energy", "200 nJ", Limit("energy", 2e-7)),
        ("energy", "0.2µJ", Limit("energy", 2e-7)),
        ("memory", "4MiB", Limit("memory", 4 * 1024**2)),
        ("memory", "4MB", Limit("memory", 4e6)),
        ("step", "3ms", Limit("step", 3e-3)),
        ("inference", "1e2us", Limit("inference", 1e-4)),
        ("parameters", "20k", Limit("parameters", 2e4)),
        ("parameters", "500", Limit("parameters", 500)),
        ("energy", "0.5x", Limit("energy", 0.5, of_baseline=True)),
    ],
)
def test_quantities_are_read_as_they_are_written(cost: str, text: str, limit: Limit) -> None:
    found = read_limit(cost, text)
    assert (found.cost, found.of_baseline) == (limit.cost, limit.of_baseline)
    assert found.value == pytest.approx(limit.value)


@pytest.mark.parametrize(
    ("cost", "text"),
    [
        ("energy", "0.2"),
        ("energy", "3ms"),
        ("memory", "-4MiB"),
        ("step", "0ms"),
        ("energy", "nanJ"),
        ("energy", ""),
        ("step", "1e999s"),
    ],
)
def test_what_is_no_quantity_says_how_to_write_one(cost: str, text: str) -> None:
    with pytest.raises(UserError, match="such as"):
        read_limit(cost, text)


def test_the_command_asks_the_same_question() -> None:
    question = Question("sound", "method", (Limit("energy", 2e-7), Limit("step", 0.5, of_baseline=True)), ("online",))
    assert command_of(question) == (
        "spikeboard recommend --data sound --choose method --energy 200nJ --step-time 0.5x --online"
    )
