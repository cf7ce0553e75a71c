"""Ranks by hand, the loss by hand, every system's contract, and that learning beats the trivial baseline."""

from __future__ import annotations

import math
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from torch import Tensor
from typer.testing import CliRunner

from harness.catalogue.cell import Cell
from harness.catalogue.compatibility import why_unsupported
from harness.catalogue.loading import load_registry
from harness.cli import app
from harness.conformance import run_checks
from harness.conformance.graph_tasks import GRAPH_CHECKS, GraphSubject
from harness.conformance.reasoners import REASONER_CHECKS, ReasonerSubject
from harness.conformance.systems import judged
from harness.suites.common.links import ranked
from harness.suites.link_prediction import LinkPrediction
from harness.suites.system_conformance import SystemConformance
from harness.tasks.common.graph import GraphSplit
from harness.workload import Workload
from reference_impls.building import build
from reference_impls.graphs import Answers, KnowledgeGraph, MakeOptimizer, Reasoner, both_ways
from reference_impls.link_training import TrainedReasoner, link_loss

ROWS = load_registry()
REASONERS = [name for name, row in ROWS.systems.items() if row.capabilities.answers == "links"]


class Fixed(Reasoner):
    """Scores of a table, whoever is asked about."""

    def __init__(self, scores: list[float]) -> None:
        super().__init__()
        self.scores = torch.tensor(scores)

    def prepare(self, graph: KnowledgeGraph, make_optimizer: MakeOptimizer) -> None:
        pass

    def update(self, facts: Tensor) -> float:
        return 0.0

    def score(self, queries: Tensor) -> Tensor:
        return self.scores.expand(len(queries), -1)


def ranks_of(scores: list[float], known: list[list[int]], fact: list[int]) -> tuple[float, dict[int, float]]:
    facts = torch.tensor([fact])
    graph = KnowledgeGraph(len(scores), 1, torch.tensor(known))
    split = GraphSplit(graph, facts, facts, "")
    answers = Answers(torch.cat([graph.facts, facts]), len(scores), 1)
    found = ranked(Fixed(scores), facts, split, answers, batch=1)
    return float(found.reciprocal), {k: float(value) for k, value in found.hits.items()}


def test_what_is_known_to_be_right_is_not_in_the_way() -> None:
    # Tail 2 is beaten by 0 and 1; (4, 0, 1) is known, 0 stays: rank 2. Head 4 is beaten by all but 3: rank 4.
    reciprocal, hits = ranks_of([0.9, 0.8, 0.7, 0.1, 0.2], [[4, 0, 1]], [4, 0, 2])
    assert reciprocal == pytest.approx((1 / 2 + 1 / 4) / 2)
    assert hits == {1: 0.0, 3: 0.5, 10: 1.0}


def test_equal_scores_are_worth_what_chance_is_worth() -> None:
    reciprocal, hits = ranks_of([0.0] * 5, [[0, 0, 1]], [2, 0, 3])
    assert reciprocal == pytest.approx(sum(1 / rank for rank in range(1, 6)) / 5)
    assert hits[1] == pytest.approx(1 / 5)
    assert hits[3] == pytest.approx(3 / 5)
    assert hits[10] == 1.0


def test_answers_are_those_of_all_facts_both_ways() -> None:
    facts = torch.tensor([[0, 0, 1], [0, 0, 2], [3, 1, 0]])
    mask = Answers(facts, 4, 2).mask(torch.tensor([[0, 0], [1, 2], [0, 3], [2, 0]]))
    assert [row.nonzero().flatten().tolist() for row in mask] == [[1, 2], [0], [3], []]
    queries, answers = both_ways(facts, 2)
    assert queries.tolist() == [[0, 0], [0, 0], [3, 1], [1, 2], [2, 2], [0, 3]]
    assert answers.tolist() == [1, 2, 0, 0, 0, 3]


def test_the_loss_is_that_of_the_paper() -> None:
    scores = torch.tensor([[2.0, -1.0, 0.5, 9.0]], requires_grad=True)
    negatives = torch.tensor([[False, True, True, False]])
    loss = link_loss(scores, torch.tensor([0]), negatives, temperature=0.5)
    weights = torch.softmax(torch.tensor([-2.0, 1.0]), 0)
    wrong = sum(float(w) * math.log1p(math.exp(s)) for w, s in zip(weights, (-1.0, 0.5), strict=True))
    assert loss.item() == pytest.approx((math.log1p(math.exp(-2.0)) + wrong) / 2, rel=1e-6)
    loss.backward()
    assert scores.grad is not None
    assert scores.grad[0, 3] == 0  # neither right nor drawn
    # The weights are constants: the gradient is that of a weighted sum.
    assert scores.grad[0, 1].item() == pytest.approx(float(weights[0]) * torch.sigmoid(torch.tensor(-1.0)).item() / 2)


def test_a_query_without_negatives_has_a_finite_loss() -> None:
    scores = torch.zeros(1, 2, requires_grad=True)
    loss = link_loss(scores, torch.tensor([0]), torch.zeros(1, 2, dtype=torch.bool), 1.0)
    loss.backward()
    assert loss.item() == pytest.approx(math.log(2) / 2)
    assert scores.grad is not None
    assert torch.isfinite(scores.grad).all()


def trained(**params: object) -> TrainedReasoner:
    torch.manual_seed(0)
    found: TrainedReasoner = build("system", "grsnn", Reasoner, params)
    facts = torch.tensor([[0, 0, 1], [0, 1, 1], [1, 0, 2], [2, 1, 0]])
    found.prepare(KnowledgeGraph(4, 2, facts), lambda parameters: torch.optim.Adam(parameters))
    return found


def test_a_fact_is_hidden_while_it_is_asked_for() -> None:
    asked = torch.tensor([[0, 0, 1]])
    left = trained()._without(asked)
    found = {tuple(edge) for edge in torch.stack(list(left), 1).tolist()}
    assert found == {(0, 1, 1), (1, 3, 0), (1, 0, 2), (2, 2, 1), (2, 1, 0), (0, 3, 2)}
    without_pair = trained(remove_one_hop=True)._without(asked)
    assert len(without_pair.source) == 4  # (0, 1, 1) leads from 0 to 1 as well


def test_negatives_are_no_facts() -> None:
    queries = torch.tensor([[0, 0], [0, 1]])
    assert trained()._drawn(queries).tolist() == [[True, False, True, True]] * 2
    for _ in range(20):
        drawn = trained(negatives=2)._drawn(queries)
        assert drawn.sum(1).tolist() == [2, 2]
        assert not drawn[:, 1].any()


@pytest.mark.parametrize("name", REASONERS)
def test_every_system_keeps_its_contract(name: str) -> None:
    assert [outcome.problem for outcome in judged(ROWS.systems[name]) if not outcome.passed] == []


def test_a_contract_that_is_broken_is_said() -> None:
    row = ROWS.systems["random-ranking"]
    able = replace(row.capabilities, learns=True, spiking=True)
    outcomes = run_checks(REASONER_CHECKS, ReasonerSubject(replace(row, capabilities=able)))
    assert {outcome.name for outcome in outcomes if not outcome.passed} == {"learns", "work"}


@pytest.mark.parametrize("task", ["kinship", "kinship-sparse"])
def test_generated_graphs_keep_the_contract_of_tasks(task: str) -> None:
    outcomes = run_checks(GRAPH_CHECKS, GraphSubject(task, ROWS))
    assert [outcome.problem for outcome in outcomes if not outcome.passed] == []


@pytest.mark.parametrize(
    ("cell", "said"),
    [
        (Cell("link_prediction", "kinship", "lif"), "asked of systems (spikeboard list systems); lif is a neuron"),
        (Cell("link_prediction", "digits", "grsnn"), "grsnn answers with facts to complete; digits asks for classes"),
        (Cell("accuracy", "digits", "grsnn"), "grsnn answers with facts to complete; accuracy is asked about classes"),
        (Cell("accuracy", "kinship", "lif", "bptt", "mlp"), "bptt learns classes; kinship asks for facts to complete"),
    ],
)
def test_what_makes_no_sense_is_said_in_a_sentence(cell: Cell, said: str) -> None:
    reason = why_unsupported(cell, ROWS)
    assert reason is not None
    assert said in reason


def answer(name: str, budget: str = "smoke", seed: int = 0) -> dict[str, float]:
    cell = Cell("link_prediction", "kinship", name, backend="-", budget=budget, seed=seed)
    found = LinkPrediction(ROWS.suite("link_prediction")).run(Workload(cell, ROWS))
    assert found.details["test_facts"] == 116
    return {metric: figure.value for metric, figure in found.figures.items()}


def test_chance_is_chance() -> None:
    figures = answer("random-ranking", "quick")
    assert figures["hits_at_1_fraction"] == pytest.approx(1 / 114, rel=0.05)  # of 116 entities, less other right ones
    assert "energy_joules" not in figures
    assert "best_epoch" not in figures


def test_the_same_cell_gives_the_same_figures() -> None:
    first, second = (answer("grsnn") for _ in range(2))
    assert first == second
    assert first["optimizer_updates"] == 4
    assert 0 < first["energy_joules"] < 1e-3


def test_check_asks_systems_and_graphs_for_their_contract() -> None:
    said = CliRunner().invoke(app, ["check", "random-ranking", "kinship"], catch_exceptions=False)
    assert said.exit_code == 0, said.output
    assert "2 entries pass." in said.output


def test_conformance_is_a_cell_like_any_other(tmp_path: Path) -> None:
    cell = Cell("system_conformance", neuron="relation-frequency", backend="-")
    found = SystemConformance(ROWS.suite("system_conformance")).run(Workload(cell, ROWS))
    assert found.figures["failed_checks"].value == 0
    assert found.figures["passed_checks"].value == len(REASONER_CHECKS)


@pytest.mark.slow
def test_paths_tell_more_than_frequencies_and_delays_more_than_none() -> None:
    """Under `quick`, with the least of three seeds; the baseline has no seed."""
    baseline = answer("relation-frequency", "quick")["mean_reciprocal_rank"]
    least = min(answer("grsnn", "quick", seed)["mean_reciprocal_rank"] for seed in range(3))
    without = max(answer("grsnn-no-delays", "quick", seed)["mean_reciprocal_rank"] for seed in range(3))
    assert least > 5 * baseline
    assert least > without > 2 * baseline
