"""The streaming rollout is the sequential one, later by the edges of the path, where that is true; else it is not."""

from __future__ import annotations

import functools
import re
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor

from harness.measure.activity import count_activity
from reference_impls.api import Network, build_method, build_network, build_neuron
from reference_impls.rollout import Latency, Streaming, latency, why_no_streaming

T, BATCH, CLASSES = 9, 3, 4
SHAPE = (2, 8, 8)
NETWORKS: dict[str, dict[str, Any]] = {
    "mlp": {"hidden": [12, 10, 8]},
    "conv": {"channels": [4, 6]},
    "skip-mlp": {"hidden": [8, 8, 8, 8], "skips": "none"},
    "hybrid-conv": {"channels": [4, 6, 6], "strides": [2, 1, 2], "window": 3, "head": [5]},
}
"""Networks without a path that is shorter than others."""
EDGES = {"mlp": 3, "conv": 2, "skip-mlp": 4, "hybrid-conv": 3 + 1}
METHODS = ("bptt", *(pytest.param(name, marks=pytest.mark.slow) for name in ("bptt-tet", "tbptt", "bptt-checkpointed")))
NEURONS = ("lif", "if", "cuba-lif", "ternary-lif", "sliding-psn")


def network(topology: str, neuron: str = "lif", bias: float = 0.0, **params: Any) -> Network:
    """Build a network whose layers fire; every bias but the read-out's is `bias`."""
    torch.manual_seed(0)
    build = functools.partial(build_neuron, neuron)
    built = build_network(topology, SHAPE, CLASSES, build, **{**NETWORKS.get(topology, {}), **params}).double()
    with torch.no_grad():
        for synapse in built.synapses()[:-1]:
            for name, parameter in synapse.module.named_parameters():
                fan_in = parameter[0].numel()
                if name.endswith("weight"):
                    parameter.normal_(2 / fan_in, 2 / fan_in**0.5)
                else:
                    parameter.fill_(bias)
    return built


def recording(steps: int = T, seed: int = 1) -> Tensor:
    return (torch.rand(steps, BATCH, *SHAPE, generator=torch.Generator().manual_seed(seed)) < 0.3).double()


def fired(built: Network, x: Tensor) -> list[float]:
    """Return how often each layer fires, so that no relation holds because nothing happens."""
    rates = [0.0] * len(built.neurons())
    with built.observed_by(lambda layer, spikes: rates.__setitem__(layer, float(spikes.detach().abs().mean()))):
        built.run(x)
    return rates


@pytest.mark.parametrize("neuron", NEURONS)
@pytest.mark.parametrize("topology", NETWORKS)
def test_a_chain_without_biases_answers_the_same_later(topology: str, neuron: str) -> None:
    built = network(topology, neuron)
    x = recording()
    assert min(fired(built, x)) > 0.005
    streaming = Streaming(built)
    late = EDGES[topology]
    assert streaming.latency == latency(built) == Latency(late, late)
    sequential = built.run(x).logits
    assert sequential.std() > 0
    # What comes after the recording has not reached the read-out yet, whatever it is.
    streamed = streaming.run(torch.cat([x, recording(late, seed=2)])).logits
    assert torch.equal(streamed[late:], sequential)


@pytest.mark.parametrize("topology", ["mlp", "conv"])
def test_before_any_input_a_chain_reads_out_silence(topology: str) -> None:
    built = network(topology)
    late = EDGES[topology]
    streamed = Streaming(built).run(recording()).logits
    silence = built.run(torch.zeros_like(recording(1))).logits
    assert torch.equal(streamed[:late], silence.expand(late, -1, -1))
    assert not torch.equal(streamed[late], silence[0])


@pytest.mark.parametrize("topology", ["mlp", "conv"])
def test_with_a_bias_layers_fire_before_an_input_has_come(topology: str) -> None:
    built = network(topology, bias=0.4)
    late, x = EDGES[topology], recording()
    sequential = built.run(x).logits
    streamed = Streaming(built).run(torch.cat([x, torch.zeros_like(x[:late])])).logits
    assert not torch.allclose(streamed[late:], sequential)


def test_every_edge_costs_a_step_whatever_its_length() -> None:
    """A skip from the first layer to the last: its spikes reach the read-out after two edges, not after all."""
    built = network("skip-mlp", hidden=[8, 8, 8, 8], skips="dsc")
    streaming = Streaming(built)
    assert streaming.latency == Latency(2, 4)
    x = recording()
    other = x.clone()
    other[0] = 1 - other[0]
    differ = (streaming.run(x).logits != streaming.run(other).logits).flatten(1).any(1)
    assert differ[:3].tolist() == [False, False, True]
    assert not torch.allclose(streaming.run(torch.cat([x, x[:4]])).logits[4:], built.run(x).logits)


def test_a_skip_network_is_what_its_layers_say_one_edge_at_a_time() -> None:
    """The definition, layer by layer and step by step, from what every layer sent at the step before."""
    built: Any = network("skip-mlp", hidden=[8, 8, 8], skips="asc")
    x = recording()
    sent, states = [torch.zeros(BATCH, 8, dtype=torch.float64)] * 3, [None] * 3
    logits = []
    for x_t in x:
        now = []
        for layer, block in enumerate(built.layers()):
            arriving = [x_t, *sent][: layer + 1]
            out = block.neuron.run(block.current(*(arriving[-d] for d in block.distances))[None], states[layer])
            states[layer] = out.state
            now.append(out.spikes[0])
        logits.append(built.readout(sent[-1]))
        sent = now
    assert torch.equal(Streaming(built).run(x).logits, torch.stack(logits))


@pytest.mark.parametrize("topology", NETWORKS)
@pytest.mark.parametrize("streamed", [False, True], ids=["sequential", "streaming"])
def test_a_sequence_may_be_cut_anywhere(topology: str, streamed: bool) -> None:
    built: Network = network(topology)
    built = Streaming(built) if streamed else built
    x = recording()
    whole = built.run(x).logits
    for lengths in ([1] * T, [2, 5, 2], [4, 1, 4]):
        states, parts = None, []
        for part in x.split(lengths):
            out = built.run(part, states)
            states = out.states
            parts.append(out.logits)
        torch.testing.assert_close(torch.cat(parts), whole, rtol=0, atol=1e-12, msg=str(lengths))


@pytest.mark.parametrize("topology", NETWORKS)
def test_gradients_of_both_rollouts_agree(topology: str) -> None:
    """A loss on the same answers has the same gradient, for every weight and for the input."""
    built, late = network(topology), EDGES[topology]
    weights = torch.randn(T, BATCH, CLASSES, dtype=torch.float64)
    found = []
    for streamed in (False, True):
        x = recording().requires_grad_()
        flushed = torch.cat([x, torch.zeros(late, BATCH, *SHAPE, dtype=torch.float64)])
        logits = Streaming(built).run(flushed).logits[late:] if streamed else built.run(x).logits
        built.zero_grad(set_to_none=True)
        (logits * weights).sum().backward()
        assert x.grad is not None
        # A bias acts on silence too, which only the streaming rollout goes through, so its gradient is another.
        hidden = {id(parameter) for synapse in built.synapses()[:-1] for parameter in synapse.module.parameters()}
        gradients = {
            name: parameter.grad
            for name, parameter in built.named_parameters()
            if topology == "hybrid-conv" or parameter.dim() > 1 or id(parameter) not in hidden
        }
        found.append({"x": x.grad, **gradients})
    for name, gradient in found[0].items():
        torch.testing.assert_close(found[1][name], gradient, rtol=1e-9, atol=1e-12, msg=name)
    assert float(found[0]["x"].abs().sum()) > 0


@pytest.mark.parametrize("topology", NETWORKS)
@pytest.mark.parametrize("method", METHODS)
def test_a_streaming_rollout_is_trained_as_a_network(topology: str, method: str) -> None:
    """Its loss falls; what is learned are the weights of the network, which needs no streaming afterwards."""
    built = network(topology)
    trained = build_method(method)
    trained.prepare(Streaming(built), lambda parameters: torch.optim.Adam(parameters, 0.02))
    before = {name: value.clone() for name, value in built.state_dict().items()}
    x, target = recording(12), torch.tensor([0, 1, 2])
    losses = [trained.update(x, target).loss for _ in range(12)]
    assert losses[-1] < losses[0] - 0.05
    assert any(not torch.equal(value, before[name]) for name, value in built.state_dict().items())


@pytest.mark.parametrize("topology", ["mlp", "conv"])
def test_what_is_counted_does_not_depend_on_the_rollout_but_for_what_is_still_under_way(topology: str) -> None:
    built, late = network(topology), EDGES[topology]
    x = recording()
    sequential = count_activity(built, [x], input_kind="events")
    silence = torch.zeros(late, BATCH, *SHAPE, dtype=torch.float64)
    streaming = count_activity(Streaming(built), [torch.cat([x, silence])], input_kind="events")
    assert streaming.coverage == 1
    assert streaming.problems() == ()
    # A layer goes on firing while the flush lasts; what reaches the read-out in time is the same.
    assert streaming.synapses[0].recomputed.events == sequential.synapses[0].recomputed.events
    assert streaming.synapses[-1].recomputed.events == sequential.synapses[-1].recomputed.events
    assert all(a.events >= b.events > 0 for a, b in zip(streaming.layers, sequential.layers, strict=True))


def test_the_example_of_the_page_runs(capsys: pytest.CaptureFixture[str]) -> None:
    page = (Path(__file__).parents[2] / "docs" / "streaming.md").read_text(encoding="utf-8")
    (code,) = re.findall(r"```python\n(.*?)```", page, re.DOTALL)
    exec(code, {})
    assert capsys.readouterr().out.strip() in code, "the comment says what it prints"


def test_networks_with_loops_have_no_streaming_rollout() -> None:
    for topology in ("recurrent", "feedback", "delayed"):
        built = build_network(topology, (6,), 2, functools.partial(build_neuron, "if"))
        reason = why_no_streaming(built)
        assert reason is not None
        assert repr(built.structure) in reason
        with pytest.raises(ValueError, match="no streaming rollout"):
            Streaming(built)
        with pytest.raises(ValueError, match="no streaming rollout"):
            latency(built)


@pytest.mark.parametrize("topology", NETWORKS)
def test_states_of_the_other_rollout_or_of_another_batch_are_refused(topology: str) -> None:
    built = network(topology)
    streaming = Streaming(built)
    x = recording()
    with pytest.raises(ValueError, match=r"states of (its own|the other rollout)"):
        streaming.run(x, built.run(x).states)
    if topology == "hybrid-conv":
        with pytest.raises(ValueError, match="states of the other rollout"):
            built.run(x, streaming.run(x).states)
    with pytest.raises(ValueError, match="batch of 3, this input of 2"):
        streaming.run(x[:, :2], streaming.run(x).states)
