"""GRSNN against the authors' numbers and against its equations restated naively; its operations counted by hand."""

from __future__ import annotations

import json
import math
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import torch

import harness.golden
from harness.conformance.reasoners import small_graph
from reference_impls.building import build
from reference_impls.graphs import Edges, KnowledgeGraph, Reasoner, both_ways
from reference_impls.message_passing import delayed_messages, places_of
from reference_impls.systems.grsnn import GRSNN, _Line

VECTORS = Path(harness.golden.__file__).parent / "vectors" / "neurons" / "grsnn-delay.json"
CASES = json.loads(VECTORS.read_text(encoding="utf-8"))["cases"]


@pytest.fixture(autouse=True)
def _float64() -> Iterator[None]:
    torch.set_default_dtype(torch.float64)
    yield
    torch.set_default_dtype(torch.float32)


def grsnn(**params: Any) -> GRSNN:
    torch.manual_seed(0)
    found: GRSNN = build("system", "grsnn", Reasoner, params)
    found.prepare(small_graph(), lambda parameters: torch.optim.SGD(parameters, lr=0.0))
    return found


@pytest.mark.parametrize("case", CASES, ids=lambda case: f"T{case['params']['T']}-seed{case['params']['seed']}")
def test_the_walk_is_the_authors(case: dict[str, Any]) -> None:
    params = case["params"]
    given = {name: params[name] for name in ("linear_scale", "v_threshold")}
    network = grsnn(width=1, longest=int(params["delay_bound"]), **given)
    with torch.no_grad():
        network.linear.weight.fill_(params["linear_weight"])
        network.linear.bias.fill_(params["linear_bias"])
    source, target = torch.tensor(params["edges"]).unbind(1)
    edges = Edges(source, torch.arange(len(source)), target)  # a delay of its own for every edge
    raw = torch.tensor(params["raw_delay"]).requires_grad_()
    weight = torch.tensor(params["edge_weight"]).requires_grad_()
    injected = torch.tensor(case["input"])[:, None, :, None].requires_grad_()  # [T, 1, N, 1]
    smooth = params["delay_bound"] * torch.sigmoid(raw)[None, :, None]
    steps = list(network.walk(list(injected), smooth, edges, weight))
    spikes = torch.stack([step.spikes for step in steps])[:, 0, :, 0]
    assert torch.equal(spikes, torch.tensor(case["spikes"]))
    for name, expected in (("v", "v_post"), ("i", "i_syn")):
        got = torch.stack([getattr(step.state, name) for step in steps])[:, 0, :, 0]
        assert torch.allclose(got, torch.tensor(case[expected]), rtol=1e-9, atol=1e-12), name
    (spikes * torch.tensor(case["grad_output"])).sum().backward()
    assert injected.grad is not None
    assert torch.allclose(injected.grad[:, 0, :, 0], torch.tensor(case["grad_input"]), rtol=1e-9, atol=1e-12)
    learned = {
        "raw_delay": raw,
        "edge_weight": weight,
        "linear_weight": network.linear.weight,
        "linear_bias": network.linear.bias,
    }
    for name, leaf in learned.items():
        got = torch.zeros_like(leaf) if leaf.grad is None else leaf.grad
        expected_grad = torch.tensor(case["grad_params"][name]).reshape(got.shape)
        assert torch.allclose(got, expected_grad, rtol=1e-9, atol=1e-12), name


def test_messages_come_as_late_as_their_relation_says() -> None:
    torch.manual_seed(0)
    history = (torch.rand(4, 2, 5, 3) < 0.5).double()
    edges = Edges(torch.tensor([0, 1, 4, 4]), torch.tensor([0, 1, 1, 0]), torch.tensor([2, 2, 0, 2]))
    delays = torch.randint(4, (2, 2, 3))
    weight = torch.rand(4)
    wanted = torch.zeros(2, 5, 3)
    for b in range(2):
        for edge, (source, relation, target) in enumerate(zip(*edges, strict=True)):
            for n in range(3):
                wanted[b, target, n] += weight[edge] * history[delays[b, relation, n], b, source, n]
    got = delayed_messages(history, places_of(delays, edges, 5), edges, weight=weight)
    assert torch.allclose(got, wanted)


def test_the_gradient_of_messages_is_that_of_their_sum() -> None:
    torch.manual_seed(0)
    history = torch.rand(3, 2, 4, 2, requires_grad=True)
    weight = torch.rand(5, requires_grad=True)
    edges = Edges(torch.randint(4, (5,)), torch.randint(3, (5,)), torch.randint(4, (5,)))
    places = places_of(torch.randint(3, (2, 3, 2)), edges, 4)

    def summed(past: torch.Tensor, weights: torch.Tensor) -> torch.Tensor:
        return delayed_messages(past, places, edges, weight=weights)

    assert torch.autograd.gradcheck(summed, (history, weight))


def test_a_spike_near_the_source_is_heard_at_the_step_that_its_delay_says() -> None:
    network = grsnn(width=1, delays="fixed")
    network.fixed.fill_(0.0)
    network.fixed[0] = 3.0  # relation 0 leads one entity on
    with torch.no_grad():
        network.linear.weight.fill_(100.0)
        network.linear.bias.zero_()
    injected = torch.zeros(1, 9, 1)
    injected[0, 0] = 2.0  # the threshold: it fires at once
    silent = torch.zeros_like(injected)
    steps = list(network.walk([injected] + [silent] * 5, network.fixed[None], small_graph().edges))
    first = {node: next(t for t, step in enumerate(steps) if step.spikes[0, node, 0]) for node in (1, 2, 3)}
    assert first == {2: 1, 3: 1, 1: 2}  # two on by relation 1, three on by relation 2; one on sooner by a way round
    heard = [step.arrived[0, 1, 0].item() for step in steps]
    assert heard[4] >= 1  # what entity 0 sent at step 0 along relation 0


def test_operations_are_those_of_the_run() -> None:
    network = grsnn(width=2, T=4)
    queries = both_ways(small_graph().facts[:3], 3)[0]
    work = network.work(queries)
    asked = network.query(queries[:, 1]) + 1.0
    injected = torch.zeros(len(queries), 9, 2).index_put((torch.arange(len(queries)), queries[:, 0]), asked)
    with torch.no_grad():
        steps = list(network.walk([injected] * 4, network._smooth(asked), small_graph().edges))
    spikes = sum(int(step.spikes.sum()) for step in steps)
    delivered = sum(int(step.arrived.sum()) for step in steps)
    ones = sum(int((step.arrived == 1).sum()) for step in steps)
    more = sum(int((step.arrived > 1).sum()) for step in steps)
    read = 2 * 4 + 4  # of the features alone: 2 -> 4 -> 1
    assert work == (
        spikes,
        spikes + delivered + 2 * ones,
        2 * more + len(queries) * 9 * read,
        4 * len(queries) * 9 * 2,
        len(queries) * 9 * 2,
    )
    assert spikes > 0
    assert delivered > 0


def test_scores_do_not_depend_on_what_entities_are_called() -> None:
    network, order = grsnn(), torch.randperm(9)
    queries = both_ways(small_graph().facts[::3], 3)[0]
    plain = network.score(queries)
    edges = small_graph().edges
    renamed = Edges(order[edges.source], edges.relation, order[edges.target])
    network.eval()
    with torch.no_grad():
        other = network.scored(torch.stack([order[queries[:, 0]], queries[:, 1]], 1), renamed)
    assert torch.allclose(other[:, order], plain)


def test_early_spikes_weigh_more() -> None:
    network = grsnn(width=1, T=3)
    with torch.no_grad():
        network.linear.weight.zero_()
        network.linear.bias.zero_()
        network.query.weight.fill_(2.0)  # a current of 3: above the threshold at every step
    run = network._run(torch.tensor([[0, 0]]), small_graph().edges, counting=False)
    assert run.features[0, 0, 0].item() == pytest.approx(1.0)
    with torch.no_grad():
        network.query.weight.fill_(0.0)  # 1, so that it fires when 1 + decay + decay^2 > 2 only
    late = network._run(torch.tensor([[0, 0]]), small_graph().edges, counting=False)
    assert late.features[0, 0, 0].item() == pytest.approx(0.95**2 / (1 + 0.95 + 0.95**2))


def test_parameters_are_as_many_as_the_released_code_has() -> None:
    network: GRSNN = build("system", "grsnn", Reasoner, {})
    network.build(KnowledgeGraph(2, 237, torch.tensor([[0, 0, 1]])))
    found = sum(parameter.numel() for parameter in network.parameters())
    assert found == 520_993  # counted from the released code, on FB15k-237


@pytest.mark.parametrize(
    ("params", "named"),
    [
        ({"delays": "learnt"}, "learned"),
        ({"T": 0}, "T 0"),
        ({"negatives": 0}, "negatives"),
        ({"temperature": 0.0}, "0.0"),
    ],
)
def test_what_cannot_be_is_refused(params: dict[str, Any], named: str) -> None:
    with pytest.raises((ValueError, KeyError, LookupError), match=named):
        build("system", "grsnn", Reasoner, params)


def test_the_slope_is_that_of_the_response() -> None:
    """What `walk` keeps in two numbers a neuron is the convolution that the paper writes."""
    torch.manual_seed(0)
    spikes = (torch.rand(8, 1, 1, 3) < 0.4).double()
    line, slopes = _Line(1, spikes[0], 4.0, learning=True), []
    for step in spikes:
        line.push(step)
        assert line.slopes is not None
        slopes.append(line.slopes[0])

    def kernel(x: int) -> float:
        return (math.e / 4) * (1 - (x + 1) / 4) * math.exp(-x / 4)

    wanted = [-sum(kernel(t - i) * spikes[i] for i in range(t + 1)) for t in range(8)]
    assert torch.allclose(torch.stack(slopes), torch.stack(wanted))
