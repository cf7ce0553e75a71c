"""Verdicts follow from records: each kind of verdict from a made-up truth, and none from unequal means."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace

import pytest
from synthetic import GPU, Factory, error_metric, metric, older, record

from harness.catalogue.cell import Cell
from harness.catalogue.claims import CLAIMS, Claim, Comparison
from harness.catalogue.loading import load_registry
from harness.report.claims_view import claims_sheet, view_claims
from harness.report.links import Sitemap
from harness.report.sheets import SHEET_FORMATS, sheets_to_text
from harness.results import claims as judging
from harness.results.claims import Judged, judge
from harness.results.record import Record

REGISTRY = load_registry()
BASE = Cell("accuracy", "fsdd", "lif", "bptt", "mlp", budget="standard")
LIF = {"neuron": ("lif",)}
KLIF = {"neuron": ("klif",)}
GATE = [
    Factory(REGISTRY).conformance(Cell("conformance", neuron=name, dtype="float64")) for name in ("lif", "klif", "if")
]
GATE += [
    Factory(REGISTRY).conformance(Cell("conformance", neuron="if", method=name, topology="mlp", dtype="float64"))
    for name in ("bptt", "ottt-a")
]
EQUAL, BETTER, WORSE = (200, 203, 198, 201, 199, 202), (150, 153, 147, 151, 148, 152), (260, 263, 257, 262, 258, 261)


@pytest.fixture
def tuned(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let records without a recipe count as tuned: what is asked of here is what follows from equal means."""
    monkeypatch.setattr(judging, "TUNED", "default")


def errors(neuron: str, wrong: Iterable[int], **axes: object) -> list[Record]:
    card = REGISTRY.suite("accuracy").metrics["error_fraction"]
    cells = [replace(BASE, neuron=neuron, seed=seed, **axes) for seed in range(len(list(wrong)))]
    return [
        record(cell, metrics={"error_fraction": error_metric(count, card, 1000)})
        for cell, count in zip(cells, wrong, strict=True)
    ]


def step(neuron: str, seconds: float, status: str = "ok") -> Record:
    card = REGISTRY.suite("throughput").metrics["train_step_ratio"]
    cell = replace(BASE, suite="throughput", neuron=neuron, threads=2)
    return record(cell, status, metrics={"train_step_ratio": metric(seconds * 1e3, card, seconds * 10)})  # type: ignore[arg-type]


def saved(method: str, value: float) -> Record:
    card = REGISTRY.suite("memory").metrics["saved_bytes_per_time_step"]
    cell = replace(BASE, suite="memory", neuron="if", method=method, threads=2)
    return record(cell, metrics={"saved_bytes_per_time_step": metric(value, card)})


def claim(*tests: Comparison) -> Claim:
    return Claim("made-up", "It is better", "Nobody (2026)", "2601.00000", "abstract", tests)


ERROR = Comparison("accuracy.error_fraction", KLIF, LIF, ("fsdd", "smnist-rows"))
NO_WORSE = replace(ERROR, expects="no worse")
COST = Comparison("throughput.train_step_ratio", KLIF, LIF, ("fsdd",))


def verdict(records: Iterable[Record], *tests: Comparison) -> Judged:
    (found,) = judge([*GATE, *records], REGISTRY, [claim(*tests)])
    return found


@pytest.mark.usefixtures("tuned")
@pytest.mark.parametrize(
    ("mine", "test", "expected"),
    [
        (BETTER, ERROR, "confirmed"),
        (EQUAL, ERROR, "not confirmed"),
        (WORSE, ERROR, "reversed"),
        (BETTER, NO_WORSE, "confirmed"),
        (WORSE, NO_WORSE, "reversed"),
        (BETTER, replace(ERROR, size=0.04), "confirmed"),
        (BETTER, replace(ERROR, size=0.2), "not confirmed"),
    ],
)
def test_errors_are_judged_by_paired_comparison(mine: tuple[int, ...], test: Comparison, expected: str) -> None:
    found = verdict([*errors("lif", EQUAL), *errors("klif", mine)], test)
    assert found.verdict == expected
    (evidence,) = found.tried[0].evidence
    assert evidence.points
    assert evidence.seeds == 6
    assert evidence.effect.value == pytest.approx(sum(mine) / 6000 - sum(EQUAL) / 6000, abs=1e-9)
    assert evidence.effect.low is not None
    assert evidence.effect.high is not None
    assert evidence.effect.low < evidence.effect.value < evidence.effect.high


@pytest.mark.usefixtures("tuned")
def test_errors_count_whichever_backend_or_machine_has_run_them() -> None:
    test = replace(ERROR, given={"method": ("bptt",), "backend": ("eager",)})
    fused = errors("klif", BETTER, backend="fused-numba")
    elsewhere = [
        one.model_copy(update={"provenance": one.provenance.model_copy(update={"machine": GPU})}) for one in fused
    ]
    for mine in (fused, elsewhere, [*fused[:3], *elsewhere[3:]]):
        found = verdict([*errors("lif", EQUAL), *mine], test)
        assert found.verdict == "confirmed"
        (evidence,) = found.tried[0].evidence
        assert evidence.seeds == 6


def test_untuned_rows_are_shown_and_give_no_verdict() -> None:
    found = verdict([*errors("lif", EQUAL), *errors("klif", BETTER)], ERROR)
    assert found.verdict == "not measured yet"
    (evidence,) = found.tried[0].evidence
    assert (evidence.verdict, evidence.reason) == (None, "not tuned with equal means")
    assert evidence.effect.value < -0.04


@pytest.mark.usefixtures("tuned")
def test_few_seeds_and_older_records_give_no_verdict() -> None:
    few = verdict([*errors("lif", EQUAL[:2]), *errors("klif", BETTER[:2])], ERROR)
    assert (few.verdict, few.tried[0].evidence[0].reason) == ("not measured yet", "2 of the 3 seeds that it takes")
    gone = verdict([*errors("lif", EQUAL), *(older(one) for one in errors("klif", BETTER))], ERROR)
    assert (gone.verdict, gone.tried[0].evidence) == ("not measured yet", ())
    apart = verdict([*errors("lif", EQUAL), *errors("klif", BETTER, topology="feedback")], ERROR)
    assert apart.tried[0].evidence == ()


@pytest.mark.usefixtures("tuned")
def test_every_condition_that_decides_has_to_confirm() -> None:
    records = [*errors("lif", EQUAL), *errors("klif", BETTER), *errors("lif", EQUAL, task="smnist-rows")]
    mixed = verdict([*records, *errors("klif", WORSE, task="smnist-rows")], ERROR)
    assert mixed.verdict == "not confirmed"
    assert "smnist-rows" in mixed.reason
    both = verdict([*records, *errors("klif", BETTER, task="smnist-rows")], ERROR)
    assert (both.verdict, len(both.tried[0].evidence)) == ("confirmed", 2)


@pytest.mark.usefixtures("tuned")
def test_all_tests_of_a_claim_have_to_hold_and_the_first_is_the_headline() -> None:
    gained = [*errors("lif", EQUAL), *errors("klif", BETTER)]
    dear, cheap = [step("lif", 1e-3), step("klif", 2e-3)], [step("lif", 1e-3), step("klif", 0.5e-3)]
    free = replace(COST, expects="no worse")
    assert verdict([*gained, *cheap], ERROR, free).verdict == "confirmed"
    assert verdict([*gained, *dear], ERROR, free).verdict == "not confirmed"
    assert verdict([*gained, *dear], free, ERROR).verdict == "reversed"
    assert verdict(gained, ERROR, free).verdict == "not measured yet"
    half = verdict(dear, ERROR, free)  # half a claim is no claim; what is known of it is shown
    assert (half.verdict, half.tried[1].verdict) == ("not measured yet", "reversed")


def test_costs_need_a_contract_and_a_quiet_machine_and_no_tuning() -> None:
    assert verdict([step("lif", 1e-3), step("klif", 0.5e-3)], COST).verdict == "confirmed"
    noisy = verdict([step("lif", 1e-3), step("klif", 0.5e-3, "noisy")], COST)
    assert (noisy.verdict, noisy.tried[0].evidence[0].reason) == ("not measured yet", "timed too noisily")
    broken = Factory(REGISTRY).conformance(Cell("conformance", neuron="klif", dtype="float64"), broken=1)
    records = [*(one for one in GATE if one.cell_id != broken.cell_id), broken, step("lif", 1e-3), step("klif", 5e-4)]
    (found,) = judge(records, REGISTRY, [claim(COST)])
    assert found.tried[0].evidence[0].reason == "contract not passed"


def test_a_size_is_reached_if_the_interval_reaches_it() -> None:
    slope = Comparison(
        "memory.saved_bytes_per_time_step", {"method": ("ottt-a",)}, {"method": ("bptt",)}, ("fsdd",), size=0.99
    )
    nothing = verdict([saved("bptt", 65536.0), saved("ottt-a", 0.0)], slope)
    assert nothing.verdict == "confirmed"
    assert nothing.tried[0].evidence[0].effect.value == -1.0
    half = verdict([saved("bptt", 65536.0), saved("ottt-a", 32768.0)], slope)
    assert (half.verdict, half.tried[0].evidence[0].effect.value) == ("not confirmed", -0.5)
    assert verdict([saved("bptt", 65536.0), saved("ottt-a", 70000.0)], slope).verdict == "reversed"


@pytest.mark.usefixtures("tuned")
def test_a_figure_is_held_against_a_number_with_its_whole_interval() -> None:
    test = Comparison("accuracy.error_fraction", KLIF, {}, ("fsdd",), expects="at most", limit=0.2)
    assert verdict(errors("klif", BETTER), test).verdict == "confirmed"
    assert verdict(errors("klif", EQUAL), test).verdict == "not confirmed"
    assert verdict(errors("klif", BETTER), replace(test, expects="at least")).verdict == "not confirmed"


def test_rows_and_figures_that_are_not_here_make_a_claim_untestable() -> None:
    nobody = replace(ERROR, row={"neuron": ("no-such-neuron",)})
    assert verdict([], nobody).verdict == "not testable here"
    assert "no-such-neuron" in verdict([], nobody).reason
    assert verdict([], replace(ERROR, figure="accuracy.happiness")).verdict == "not testable here"
    preferred = replace(ERROR, row={"neuron": ("no-such-neuron", "klif")})
    assert verdict([], preferred).tried[0].row == "klif"


def test_the_claims_name_rows_tasks_and_figures_that_exist() -> None:
    assert len({one.id for one in CLAIMS}) == len(CLAIMS)
    known = {"neuron": REGISTRY.cell_neurons, "method": REGISTRY.methods, "topology": REGISTRY.topologies}
    untestable = {one.claim.id for one in judge([], REGISTRY) if one.verdict == "not testable here"}
    for one in CLAIMS:
        assert bool(one.tests) != bool(one.untestable), one.id
        assert one.paper
        assert one.where, one.id
        for test in one.tests:
            assert set(test.tasks) <= set(REGISTRY.tasks), one.id
            assert test.row, one.id
            assert (test.expects in ("at most", "at least")) == (not test.against), one.id
            for axis, names in test.given.items():
                assert axis == "backend" or set(names) <= set(known[axis]), one.id
            if one.id not in untestable:
                suite, _, metric_name = test.figure.partition(".")
                assert metric_name in REGISTRY.suite(suite).metrics, one.id


def test_nothing_is_confirmed_where_nothing_was_measured() -> None:
    assert {one.verdict for one in judge([], REGISTRY)} == {"not testable here", "not measured yet"}


@pytest.mark.usefixtures("tuned")
def test_claims_are_told_in_every_format_and_on_the_page() -> None:
    judged = judge([*GATE, *errors("lif", EQUAL), *errors("klif", BETTER)], REGISTRY, [claim(ERROR)])
    texts = {name: sheets_to_text([claims_sheet(judged)], name) for name in SHEET_FORMATS}
    for name, text in texts.items():
        assert "confirmed" in text, name
    assert "-5.0 points" in texts["md"]
    assert "effect.low" in texts["csv"]
    assert r"\begin{tabular}" in texts["latex"]
    (view,) = view_claims(judged, Sitemap({("neuron", "klif"): "neuron-klif.html"})).claims
    assert view.rows == (("klif", "neuron-klif.html"),)
    assert view.tests[0].asks == "test error of klif better than that of lif"
    assert view.tests[0].evidence[0].figures == "15.0 against 20.1 %"
