"""NIR both ways: read graphs against the documented equations written anew, written ones against the network."""

from __future__ import annotations

from collections.abc import Callable
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from numpy.typing import NDArray

nir = pytest.importorskip("nir")

from reference_impls.api import Network, UnknownNameError, build_network, build_neuron  # noqa: E402
from reference_impls.exchange import NirError, from_nir, read_nir, to_nir, write_nir  # noqa: E402

Floats = NDArray[np.float64]
DT = 1e-4
RANDOM = np.random.RandomState(0)
X = RANDOM.random_sample((30, 3, 4)) * 4


def values(n: int, low: float, high: float) -> Floats:
    """A value of its own for every neuron."""
    return np.linspace(low, high, n)


def graph(node: Any, **between: Any) -> Any:
    shape = next(iter(node.input_type.values()))
    nodes = {"input": nir.Input(shape), "node": node, **between, "output": nir.Output(shape)}
    names = list(nodes)
    return nir.NIRGraph(nodes, list(pairwise(names)), type_check=False)


def stepped(
    x: Floats, node: Any, dt: float, current: bool = False, leak: bool = True, fire: Callable[..., Any] = np.greater
) -> Floats:
    """NIR's documented equations by forward Euler, a neuron at a time, in double precision."""
    out = np.zeros_like(x)
    for b in range(x.shape[1]):
        for n in range(x.shape[2]):
            v = i = 0.0
            for t in range(x.shape[0]):
                if current:
                    i += dt / node.tau_syn[n] * (-i + node.w_in[n] * x[t, b, n])
                    given = i
                else:
                    given = x[t, b, n]
                if leak:
                    tau = node.tau_mem[n] if current else node.tau[n]
                    v += dt / tau * (node.v_leak[n] - v + node.r[n] * given)
                else:
                    v += dt * node.r[n] * given
                if hasattr(node, "v_threshold"):
                    out[t, b, n] = fire(v, node.v_threshold[n])
                    v = node.v_reset[n] if out[t, b, n] else v
                else:
                    out[t, b, n] = v
    return out


NODES: dict[str, tuple[Any, dict[str, bool]]] = {
    "LIF": (
        nir.LIF(
            tau=values(4, 2e-4, 1e-3),
            r=values(4, 1.0, 3.0),
            v_leak=values(4, -0.1, 0.2),
            v_threshold=values(4, 0.5, 1.5),
            v_reset=values(4, -0.3, 0.1),
        ),
        {},
    ),
    "IF": (
        nir.IF(r=values(4, 1e3, 4e3), v_threshold=values(4, 0.5, 1.5), v_reset=values(4, -0.3, 0.1)),
        {"leak": False},
    ),
    "CubaLIF": (
        nir.CubaLIF(
            tau_syn=values(4, 1e-4, 5e-4),
            tau_mem=values(4, 2e-4, 1e-3),
            r=values(4, 1.0, 3.0),
            v_leak=values(4, -0.1, 0.2),
            v_threshold=values(4, 0.5, 1.5),
            v_reset=values(4, -0.3, 0.1),
            w_in=values(4, 0.5, 2.0),
        ),
        {"current": True},
    ),
    "LI": (nir.LI(tau=values(4, 2e-4, 1e-3), r=values(4, 1.0, 3.0), v_leak=values(4, -0.1, 0.2)), {}),
    "I": (nir.I(r=values(4, 1e3, 4e3)), {"leak": False}),
    "CubaLI": (
        nir.CubaLI(
            tau_syn=values(4, 1e-4, 5e-4),
            tau_mem=values(4, 2e-4, 1e-3),
            r=values(4, 1.0, 3.0),
            v_leak=values(4, -0.1, 0.2),
            w_in=values(4, 0.5, 2.0),
        ),
        {"current": True},
    ),
}


@pytest.mark.parametrize("kind", NODES)
def test_a_neuron_is_stepped_by_the_documented_equations(kind: str) -> None:
    node, how = NODES[kind]
    network = from_nir(graph(node)).double()
    expected = stepped(X, node, DT, **how)  # type: ignore[arg-type]
    found = network(torch.as_tensor(X)).detach().numpy()
    assert np.abs(expected).mean() > 0.02
    np.testing.assert_allclose(found, expected, atol=1e-4)  # parameters are held in single precision
    assert len(network.neurons()) == ("threshold" in str(vars(node)))


def test_a_step_of_another_length_gives_other_spikes() -> None:
    node, _ = NODES["LIF"]
    half = from_nir(graph(node), dt=DT / 2).double()
    np.testing.assert_array_equal(half(torch.as_tensor(X)).detach().numpy(), stepped(X, node, DT / 2))
    assert half.convention.dt == DT / 2


def test_a_graph_that_says_its_step_is_believed(tmp_path: Path) -> None:
    network = build_network("mlp", (4,), 2, lambda: build_neuron("lif-hard"), hidden=[5])
    write_nir(tmp_path / "net.nir", network, dt=0.02)
    read = read_nir(tmp_path / "net.nir")
    assert read.convention.dt == 0.02
    with pytest.raises(NirError, match="a step of 1 s is 25 times the membrane's time constant; give the dt"):
        read_nir(tmp_path / "net.nir", dt=1.0)


def test_maps_are_torchs_own() -> None:
    weight, bias = RANDOM.randn(6, 2, 3, 3).astype(np.float32), RANDOM.randn(6).astype(np.float32)
    dense = RANDOM.randn(5, 6 * 4).astype(np.float32)
    convolution = nir.Conv2d((9, 9), weight, stride=2, padding=1, dilation=1, groups=1, bias=bias)
    nodes = {
        "input": nir.Input(np.array([2, 9, 9])),
        "conv": convolution,
        "pool": nir.SumPool2d(np.array([2, 2]), np.array([2, 2]), np.array([0, 0])),
        "flat": nir.Flatten(np.array([6, 2, 2]), start_dim=0, end_dim=-1),
        "dense": nir.Linear(dense),
        "scale": nir.Scale(np.arange(5, dtype=np.float32)),
        "output": nir.Output(np.array([5])),
    }
    names = list(nodes)
    network = from_nir(nir.NIRGraph(nodes, list(pairwise(names)), type_check=False))
    x = torch.rand(3, 2, 2, 9, 9)
    y = torch.nn.functional.conv2d(x.flatten(0, 1), torch.as_tensor(weight), torch.as_tensor(bias), 2, 1)
    y = 4 * torch.nn.functional.avg_pool2d(y, 2)
    expected = (y.flatten(1) @ torch.as_tensor(dense).T) * torch.arange(5.0)
    torch.testing.assert_close(network(x), expected.unflatten(0, (3, 2)), rtol=1e-4, atol=1e-4)
    assert [(one.name, one.source) for one in network.synapses()] == [
        ("conv", "input"),
        ("dense", "rates"),
        ("scale", "rates"),
    ]


def test_a_loop_comes_a_step_late() -> None:
    n = 4
    recurrent = RANDOM.randn(n, n)
    node, _ = NODES["LIF"]
    inner = {"input": nir.Input(np.array([n])), "lif": node, "w": nir.Linear(recurrent), "output": nir.Output([n])}
    edges = [("input", "lif"), ("lif", "w"), ("w", "lif"), ("lif", "output")]
    whole = {"input": nir.Input(np.array([n])), "rnn": nir.NIRGraph(inner, edges, type_check=False)}
    whole["output"] = nir.Output(np.array([n]))
    network = from_nir(nir.NIRGraph(whole, [("input", "rnn"), ("rnn", "output")], type_check=False)).double()
    v, s, expected = np.zeros((3, n)), np.zeros((3, n)), []
    for x_t in X:
        v = v + DT / node.tau * (node.v_leak - v + node.r * (x_t + s @ recurrent.T))
        s = (v > node.v_threshold).astype(float)
        v = np.where(s > 0, node.v_reset, v)
        expected.append(s)
    assert 0.05 < np.mean(expected) < 0.95
    np.testing.assert_array_equal(network(torch.as_tensor(X)).detach().numpy(), np.stack(expected))
    x = torch.as_tensor(X)
    half = network.run(x[:11])
    rest = network.run(x[11:], half.states)
    assert torch.equal(torch.cat([half.logits, rest.logits]), network(x))
    with pytest.raises(ValueError, match="batch"):
        network.run(x[:, :1], half.states)


NEURONS = {
    "if": {"reset_mode": "hard"},
    "lif-hard": {},
    "lif-decay-input": {"reset_mode": "hard", "v_reset": 0.0},
    "plif": {},
    "lif-box-norse": {"v_rest": 0.0},
    "cuba-lif": {},
    "cuba-lif-norse": {},
}
SHAPES = {"mlp": (5,), "conv": (1, 8, 8), "recurrent": (5,), "feedback": (5,)}


@pytest.mark.parametrize("name", NEURONS)
@pytest.mark.parametrize("topology", SHAPES)
def test_what_is_written_is_the_network(topology: str, name: str, tmp_path: Path) -> None:
    torch.manual_seed(0)
    shape = SHAPES[topology]
    network = built(topology, shape, name, **NEURONS[name])
    x = torch.rand(15, 4, *shape) * 8
    write_nir(tmp_path / "net.nir", network, shape)
    read = read_nir(tmp_path / "net.nir")
    spikes = {}
    for which, one in (("written", network), ("read", read)):
        emitted: dict[int, list[torch.Tensor]] = {}
        with (
            torch.no_grad(),
            one.observed_by(lambda layer, s, emitted=emitted: emitted.setdefault(layer, []).append(s.clone())),
        ):
            logits = one(x)
        spikes[which] = {layer: torch.cat(parts) for layer, parts in emitted.items()}, logits
    (ours, logits), (theirs, others) = spikes["written"], spikes["read"]
    assert ours.keys() == theirs.keys()
    assert sum(float(s.mean()) for s in ours.values()) > 0.02
    for layer, s in ours.items():
        assert torch.equal(s, theirs[layer])
    torch.testing.assert_close(logits, others)


def built(topology: str, shape: tuple[int, ...], name: str, **params: Any) -> Network:
    return build_network(topology, shape, 3, lambda **_: build_neuron(name, **params))


def test_a_tie_that_fires_is_written_as_one() -> None:
    """Whole numbers meet a threshold of 1 exactly; NIR fires above it only."""
    network = build_network("mlp", (3,), 3, lambda: build_neuron("if", reset_mode="hard"), hidden=[3])
    with torch.no_grad():
        for parameter in network.parameters():
            parameter.copy_(torch.eye(3) if parameter.dim() == 2 else torch.zeros(3))
    x = torch.ones(4, 1, 3)
    assert network(x).sum() == 12
    assert from_nir(to_nir(network))(x).sum() == 12


def test_a_leaky_read_out_rests_at_its_bias() -> None:
    network = build_network("recurrent", (5,), 3, lambda: build_neuron("lif-hard"), readout_decay=0.7)
    x = torch.rand(9, 2, 5) * 4
    torch.testing.assert_close(from_nir(to_nir(network))(x), network(x))


def test_weights_that_a_map_makes_of_its_own_are_written_as_used() -> None:
    network = build_network("mlp", (5,), 3, lambda: build_neuron("lif-hard"), weight_standardisation=True)
    x = torch.rand(9, 2, 5) * 4
    torch.testing.assert_close(from_nir(to_nir(network))(x), network(x), rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize(
    ("topology", "name", "params", "says"),
    [
        ("mlp", "lif", {}, "a spike subtracts from its membrane.*lif-hard"),
        ("mlp", "lif", {"reset_mode": "none"}, "its reset is 'none'"),
        ("mlp", "lif-hard", {"v_init": 0.5}, "starts at 0.5"),
        ("mlp", "klif", {}, "KLIF cannot be written to NIR: its equations are none of NIR's"),
        ("mlp", "lif-beta-snntorch", {}, "cannot be written"),
        ("skip-mlp", "lif-hard", {}, r"its connections \(skips, delays"),
        ("mlp", "lif-hard", {"decay": 1.0, "input_gain": "one_minus_decay"}, "no time constant"),
    ],
)
def test_what_nir_cannot_say_is_refused_in_words(topology: str, name: str, params: dict[str, Any], says: str) -> None:
    with pytest.raises(NirError, match=says):
        to_nir(built(topology, (5,), name, **params))


def test_a_convolution_asks_for_the_size_of_a_sample() -> None:
    with pytest.raises(NirError, match="sample_shape=\\(channels"):
        to_nir(built("conv", (1, 8, 8), "lif-hard"))


def test_what_cannot_be_read_is_named(tmp_path: Path) -> None:
    with pytest.raises(NirError, match="'node' is a Delay, which cannot be translated; known: Input"):
        from_nir(graph(nir.Delay(np.ones(4))))
    with pytest.raises(NirError, match="the edge 'a' -> 'b' names 'a'"):
        from_nir(nir.NIRGraph({"input": nir.Input([2]), "output": nir.Output([2])}, [("a", "b")], type_check=False))
    square = nir.Linear(np.eye(4))
    looped = {"input": nir.Input([4]), "a": square, "b": nir.Linear(np.eye(4)), "output": nir.Output([4])}
    edges = [("input", "a"), ("a", "b"), ("b", "a"), ("a", "output")]
    with pytest.raises(NirError, match="loop"):
        from_nir(nir.NIRGraph(looped, edges, type_check=False))
    nodes = {"input": nir.Input([3]), "node": NODES["LIF"][0], "output": nir.Output([4])}
    wrong = nir.NIRGraph(nodes, list(pairwise(nodes)), type_check=False)
    with pytest.raises(NirError, match=r"'node' .*\(4,\) .*\(3,\)|'node' cannot take values of shape \(3,\)"):
        from_nir(wrong)
    (tmp_path / "text.nir").write_text("no graph")
    with pytest.raises(NirError, match="cannot be read as a NIR graph"):
        read_nir(tmp_path / "text.nir")
    with pytest.raises(UnknownNameError, match="did you mean 'snntorch'"):
        from_nir(graph(NODES["LIF"][0]), "snntoch")


def test_what_was_read_can_be_trained_on() -> None:
    network = from_nir(to_nir(built("mlp", (5,), "lif-hard")))
    network(torch.rand(6, 4, 5) * 3).sum().backward()
    assert all(parameter.grad is not None for parameter in network.parameters())
