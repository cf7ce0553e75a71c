"""Searches: what may be chosen, what is chosen next, and a study that survives whatever happens to it."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from synthetic import record

from harness.catalogue.cell import Cell
from harness.catalogue.loading import load_registry
from harness.errors import UserError
from harness.results.record import Metric, Record
from harness.search.evaluation import Evaluation, candidate_row
from harness.search.export import check_exportable
from harness.search.request import SearchRequest
from harness.search.space import FORMS, Candidate, Space, code_of, symbols_of
from harness.search.surrogate import HammingProcess
from reference_impls.topologies._wiring import ASC, DSC, NONE, parameter_count, read_wiring

pytest.importorskip("optuna", reason="optuna is not installed: pip install -c constraints.txt -e '.[search]'")

import optuna

from harness.search.plot import best_so_far, draw_search
from harness.search.sampler import SkipSampler, candidate_of, distributions, settled
from harness.search.study import BAYES, RANDOM, Search, Settings, Tried

ROOT = Path(__file__).resolve().parents[3]
REGISTRY = load_registry()
SEED = st.integers(0, 2**16)
REQUEST = SearchRequest("digits", "skip-mlp", "lif", "bptt", "cpu", "free", ("asc", "dsc"), None, None)


def skips(candidate: Candidate) -> int:
    return sum(symbol != NONE for symbol in symbols_of(candidate))


@settings(deadline=None)
@given(SEED, st.sampled_from(FORMS), st.lists(st.integers(1, 5), min_size=1, max_size=3), st.integers(1, 3), st.data())
def test_what_is_drawn_or_mutated_keeps_the_constraints(
    seed: int, form: str, depths: list[int], most: int, data: Any
) -> None:
    depths = [*depths, 2]
    limit = data.draw(st.integers(0, 6))
    space = Space(tuple(depths), form, (DSC, ASC), most, lambda candidate: skips(candidate) <= limit)
    rng = np.random.default_rng(seed)
    values = space.draw(rng)
    for _ in range(5):
        candidate = space.read(values)
        assert [len(matrix) - 1 for matrix in candidate] == depths
        assert skips(candidate) <= limit
        for matrix in candidate:
            arriving = [[i for i in range(len(matrix)) if matrix[i][j]] for j in range(len(matrix))]
            assert max(map(len, arriving)) <= most
            if form != "free":
                assert len({symbol for row in matrix for symbol in row if symbol}) <= 1
            if form == "counts":
                assert all(sources == list(range(j - 1 - len(sources), j - 1)) for j, sources in enumerate(arriving))
        values = space.mutated(values, rng)


@pytest.mark.parametrize("depth", [2, 3, 4, 5])
def test_counts_are_as_many_as_the_paper_says(depth: int) -> None:
    choices = math.prod(len(gene.choices) for gene in Space((depth,), "counts").genes)
    assert choices == 2 * math.prod(range(1, depth + 1))
    distinct = Space((depth,), "counts").pool(np.random.default_rng(0), [], choices, set())
    assert len(distinct) == choices - 1  # no skips at all are the same with either type


def test_a_pool_holds_what_was_not_seen_and_ends() -> None:
    space, rng = Space((3,)), np.random.default_rng(0)
    everything = space.pool(rng, [], 27, set())
    assert len(everything) == 3**3
    assert all(space.read(values) == candidate for candidate, values in everything.items())
    assert space.pool(rng, [], 27, set(everything)) == {}
    some = set(list(everything)[:20])
    assert not some & set(space.pool(rng, [space.draw(rng)], 10, some))


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"depths": (1, 1)}, "no place for a skip"),
        ({"form": "fre"}, "did you mean 'free'"),
        ({"types": ()}, "at least one type"),
        ({"max_skips": 0}, "at least one skip a layer"),
        ({"admits": lambda _: False}, "exclude even the network without skips"),
    ],
)
def test_a_space_with_nothing_in_it_is_refused(change: dict[str, Any], message: str) -> None:
    with pytest.raises((UserError, ValueError), match=message):
        Space(**{"depths": (3,), **change})


def test_the_budget_of_parameters_is_that_of_the_network() -> None:
    free = REQUEST.space(REGISTRY)
    plain = parameter_count(read_wiring(free.plain, 5), [32] * 5, 64, 32, 10)
    assert plain == 6634
    tight = SearchRequest("digits", "skip-mlp", "lif", "bptt", "cpu", "free", ("dsc",), None, plain + 32 * 32).space(
        REGISTRY
    )
    one = tuple(tuple(DSC if (i, j) == (0, 2) else NONE for j in range(5)) for i in range(5))
    two = tuple(tuple(DSC if j == 2 + i else NONE for j in range(5)) for i in range(5))
    assert tight.allowed((one,))
    assert not tight.allowed((two,))


def test_the_process_gives_back_what_it_saw_and_knows_nothing_far_away() -> None:
    rng = np.random.default_rng(3)
    tried = rng.integers(0, 3, (24, 6))
    values = (tried == DSC).sum(1) / 6
    process = HammingProcess(tried, values)
    mean, deviation = process.predict(tried)
    np.testing.assert_allclose(mean, values, atol=0.02)
    assert deviation.max() < 0.1
    mean, deviation = process.predict(np.full((1, 6), 7))  # a symbol that no candidate has: as far as can be
    assert deviation[0] > 10 * process.predict(tried)[1].max()
    _, near = process.predict([[*tried[0][:-1], 7]])
    assert near[0] < deviation[0]


def test_the_process_is_the_textbook_one() -> None:
    """Two candidates that differ at one of two pairs: the posterior can be written down."""
    process = HammingProcess([[0, 0], [0, 1]], [1.0, 3.0])
    correlation = process.signal * math.exp(-1 / process.length)
    covariance = np.array([[process.signal, correlation], [correlation, process.signal]])
    noisy = covariance + (process.noise + 1e-8) * np.eye(2)
    towards = np.array([process.signal * math.exp(-1 / process.length), process.signal * math.exp(-2 / process.length)])
    mean, deviation = process.predict([[1, 0]])
    expected = 2 + towards @ np.linalg.solve(noisy, [-1.0, 1.0])
    assert mean[0] == pytest.approx(expected, rel=1e-9)
    assert deviation[0] ** 2 == pytest.approx(process.signal - towards @ np.linalg.solve(noisy, towards), rel=1e-6)


def course(space: Space, sampler: SkipSampler, value: Any, evaluations: int) -> list[float]:
    study = optuna.create_study(sampler=sampler, direction="maximize")
    for _ in range(evaluations):
        trial = study.ask(distributions(space))
        study.tell(trial, value(candidate_of(space, trial)))
    return [trial.value for trial in settled(study)]  # type: ignore[misc]


def test_it_beats_random_search_where_skips_add_up() -> None:
    """Regret on an additive objective with noise-free values; 3^6 = 729 candidates, 30 evaluations."""
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    space = Space((4,))
    gains = np.random.default_rng(7).normal(size=(6, 3))
    best = gains.max(1).sum()

    def value(candidate: Candidate) -> float:
        return float(sum(gains[at, symbol] for at, symbol in enumerate(symbols_of(candidate))))

    regrets = {
        initial: [best - max(course(space, SkipSampler(space, seed, initial), value, 30)) for seed in range(4)]
        for initial in (8, None)
    }
    assert np.mean(regrets[8]) < 0.25 * np.mean(regrets[None])
    first = course(space, SkipSampler(space, 0, 8), value, 8)
    assert first == course(space, SkipSampler(space, 0, None), value, 8)  # both begin with the same candidates


def evaluation(candidate: Candidate, status: Any = "ok", interrupted: bool = False) -> Evaluation:
    """What a training would give that errs less the more skips are concatenated."""
    error = 0.5 - 0.05 * symbols_of(candidate).count(DSC)
    cell = Cell("accuracy", "digits", "lif", "bptt", f"skip-mlp[{code_of(candidate)}]", budget="smoke")
    metrics = {
        "validation_error_fraction": Metric(value=error, unit="fraction", direction="lower"),
        "parameters": Metric(value=100.0, unit="parameters", direction="lower"),
    }
    found: Record = record(cell, status=status, metrics=metrics if status == "ok" else {}, reason=None)
    return Evaluation((found,), interrupted)


def search_in(folder: Path, **change: Any) -> Search:
    space = Space((4,))
    where = ("digits", "skip-mlp", "lif", "bptt", "cpu", "smoke", 1)
    kept = Settings(*where, "free", ("asc", "dsc"), None, None, initial=3, kappa=2.0, seed=0, code="c0de")
    return Search(folder, replace(kept, **change), space)


def quiet(_name: str, _tried: Tried) -> None:
    """Say nothing."""


def test_an_interrupted_search_goes_on_as_if_it_had_not_been(tmp_path: Path) -> None:
    whole = search_in(tmp_path / "whole")
    assert whole.run(BAYES, 7, evaluation, quiet)
    answers: Iterator[Any] = iter([evaluation, evaluation, KeyboardInterrupt, "interrupted", evaluation, "killed"])

    def until_cut(candidate: Candidate) -> Evaluation:
        answer = next(answers)
        if answer is KeyboardInterrupt:
            raise KeyboardInterrupt
        if answer == "interrupted":
            return Evaluation((), interrupted=True)
        assert answer is evaluation
        return evaluation(candidate)

    with pytest.raises(KeyboardInterrupt):
        search_in(tmp_path / "cut").run(BAYES, 7, until_cut, quiet)
    assert not search_in(tmp_path / "cut").run(BAYES, 7, until_cut, quiet)
    killed = search_in(tmp_path / "cut")
    killed._studies[BAYES].ask(distributions(Space((4,))))  # a process that dies leaves its trial running
    again = search_in(tmp_path / "cut")
    assert again.run(BAYES, 7, evaluation, quiet)
    assert again.tried(BAYES) == whole.tried(BAYES)
    assert search_in(tmp_path / "cut").run(BAYES, 5, until_cut, quiet)  # enough are there: nothing is trained
    assert len(again.tried(BAYES)) == 7
    assert again.tried(RANDOM) == []


def test_a_candidate_that_fails_is_told_counted_and_left_alone(tmp_path: Path) -> None:
    search, told = search_in(tmp_path), []

    def half(candidate: Candidate) -> Evaluation:
        return evaluation(candidate, "diverged" if len(told) % 2 else "ok")

    assert search.run(BAYES, 8, half, lambda _, tried: told.append(tried))
    assert told == search.tried(BAYES)
    assert [one.accuracy is None for one in told] == [False, True] * 4
    assert all("diverged" in (one.reason or "") for one in told if one.accuracy is None)
    assert len({one.candidate for one in told}) == 8
    best = search.best(BAYES)
    assert best is not None
    assert best.accuracy == max(one.accuracy for one in told if one.accuracy is not None)


def test_all_wirings_may_be_tried_and_then_it_says_so(tmp_path: Path) -> None:
    space = Space((2,))
    search = search_in(tmp_path)
    search._space = space
    search._studies[BAYES].sampler = SkipSampler(space, 0)
    with pytest.raises(UserError, match="all 3 wirings"):
        search.run(BAYES, 4, evaluation, quiet)
    assert len(search.tried(BAYES)) == 3


def test_another_search_in_the_same_folder_is_refused(tmp_path: Path) -> None:
    search_in(tmp_path)
    with pytest.raises(UserError, match=r"budget smoke and not quick.*\n.*another --name"):
        search_in(tmp_path, budget="quick")
    with pytest.raises(UserError, match="an older state of the code"):
        search_in(tmp_path, code="0ther")
    (tmp_path / "foreign").mkdir()
    (tmp_path / "foreign" / "study.db").write_text("no data base")
    with pytest.raises(UserError, match="cannot be used as a search"):
        search_in(tmp_path / "foreign")


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"task": "digit"}, "did you mean 'digits'"),
        ({"topology": "skip-mlp-asc"}, "unknown topology to search 'skip-mlp-asc'"),
        ({"topology": "mlp"}, "unknown topology to search 'mlp'"),
        ({"method": "ottt-a"}, "ottt-a trains chain and residual and feedback networks; skip-mlp is a skip network"),
        ({"task": "digits-rows", "topology": "skip-conv"}, "skip-conv takes samples of 3 dimensions"),
        ({"types": ("dcs",)}, "did you mean 'dsc'"),
        ({"max_parameters": 10}, "without skips has 6,634 parameters already, more than 10"),
    ],
)
def test_what_cannot_be_searched_is_an_error_that_says_why(change: dict[str, Any], message: str) -> None:
    wanted = replace(REQUEST, **change)
    with pytest.raises((UserError, ValueError), match=message):
        _ = wanted.cell(REGISTRY, "quick"), wanted.space(REGISTRY)


@pytest.mark.parametrize(
    ("name", "message"), [("Skip MLP", "small letters"), ("mlp", "is a topology"), ("_skip", "small letters")]
)
def test_a_name_that_cannot_be_exported_is_refused_before_anything_is_trained(name: str, message: str) -> None:
    with pytest.raises(UserError, match=message):
        check_exportable(name, REGISTRY)


def test_a_candidate_is_a_row_of_its_own() -> None:
    candidate = Space((2, 2)).read([DSC, ASC])
    row = candidate_row(REGISTRY.topologies["skip-mlp"], candidate)
    assert row.name == "skip-mlp[1-2]"
    assert row.params["skips"] == candidate
    assert row.capabilities == REGISTRY.topologies["skip-mlp"].capabilities


def test_the_figure_shows_the_best_so_far(tmp_path: Path) -> None:
    candidates = list(Space((3,)).pool(np.random.default_rng(0), [], 27, set()))
    accuracies = [None, 0.8, 0.7, 0.9, None]
    tried = [Tried(n, candidates[n], value, 1.0, None) for n, value in enumerate(accuracies, start=1)]
    assert best_so_far(tried) == [(2, 0.8), (3, 0.8), (4, 0.9), (5, 0.9)]
    draw_search({BAYES: tried, RANDOM: tried[:3]}, 0.75, tmp_path / "new" / "search.svg")
    assert "best so far" in (tmp_path / "new" / "search.svg").read_text()
    with pytest.raises(UserError, match="no evaluation gave an accuracy"):
        draw_search({BAYES: tried[:1]}, None, tmp_path / "none.png")
    with pytest.raises(UserError, match="cannot draw"):
        draw_search({BAYES: tried}, None, tmp_path / "search.txt")
