"""What networks with skips promise: the connections of their matrices, those and no others, and exact counts."""

from __future__ import annotations

import functools
import math
from collections.abc import Sequence
from typing import Any

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor, nn
from torch.nn import functional

from harness.catalogue.cell import Cell
from harness.catalogue.compatibility import why_unsupported
from harness.catalogue.loading import load_registry
from harness.golden import float64_default
from harness.measure.activity import count_activity
from reference_impls.api import Network, build_method, build_network, build_neuron
from reference_impls.surrogate import smooth_spikes
from reference_impls.topologies._wiring import ASC, DSC, NONE, filled, pairs, parameter_count, read_wiring

REGISTRY = load_registry()
T, BATCH, CLASSES = 5, 4, 3
MIXED = [[[0, 0, 2, 1], [0, 0, 0, 2], [0, 0, 0, 0], [0, 0, 0, 0]]]
"""Layer 2 adds the block's input; layer 3 concatenates it and adds layer 1."""
TWO_BLOCKS = [[[0, 0, 1], [0, 0, 0], [0, 0, 0]], [[0, 0, 2], [0, 0, 0], [0, 0, 0]]]
WIDTHS = [7, 6, 6, 5]
"""Of four layers, such that some skips need a projection and some do not."""


def lif(**params: Any) -> Any:
    return functools.partial(build_neuron, "lif", **{"v_threshold": 0.3, **params})  # low: every layer fires


def skip_mlp(skips: Any, hidden: Sequence[int] = WIDTHS, **params: Any) -> Network:
    torch.manual_seed(2)
    return build_network("skip-mlp", (9,), CLASSES, params.pop("neuron", lif()), hidden=hidden, skips=skips, **params)


def skip_conv(skips: Any, pools: Sequence[int] = (1, 2, 1, 2), **params: Any) -> Network:
    torch.manual_seed(2)
    return build_network(
        "skip-conv", (2, 8, 8), CLASSES, lif(), channels=[3, 4, 4, 5], pools=pools, skips=skips, **params
    )


def sample(*shape: int) -> Tensor:
    return 3 * torch.rand(T, BATCH, *shape, generator=torch.Generator().manual_seed(4))


SYMBOLS = st.sampled_from([NONE, DSC, ASC])


@st.composite
def matrices(draw: Any) -> list[Any]:
    depths = draw(st.lists(st.integers(1, 5), min_size=1, max_size=3))
    return [filled(d, draw(st.lists(SYMBOLS, min_size=len(pairs(d)), max_size=len(pairs(d))))) for d in depths]


@given(matrices())
def test_each_symbol_of_a_matrix_is_one_arrival_and_nothing_else_is(blocks: list[Any]) -> None:
    layers = 1 + sum(len(matrix) - 1 for matrix in blocks)
    found = read_wiring(blocks, layers)
    assert len(found) == layers
    assert found[0] == ((), ())
    first = 0
    for matrix in blocks:
        for j in range(1, len(matrix)):
            added, concatenated = found[first + j]
            assert {j - k for k in added} == {i for i in range(j) if matrix[i][j] == ASC}
            assert {j - k for k in concatenated} == {i for i in range(j) if matrix[i][j] == DSC}
            assert len(added) + len(concatenated) <= j - 1
        first += len(matrix) - 1


@given(st.integers(1, 4), st.data())
def test_a_symbol_where_no_skip_can_be_is_refused(depth: int, data: Any) -> None:
    i = data.draw(st.integers(0, depth))
    j = data.draw(st.integers(0, min(i + 1, depth)))
    matrix = [list(row) for row in filled(depth, [NONE] * len(pairs(depth)))]
    matrix[i][j] = DSC
    with pytest.raises(ValueError, match=rf"entry \({i}, {j}\) must be 0"):
        read_wiring([matrix], depth + 1)


@pytest.mark.parametrize(
    ("skips", "depths", "message"),
    [
        ("dense", None, "unknown skips 'dense'"),
        ([[[0, 0], [0]]], None, "row 1 of this one has 1 entries, not 2"),
        ([[[0, 0, 3], [0, 0, 0], [0, 0, 0]]], None, "must be 0 .none., 1 .DSC. or 2 .ASC., got 3"),
        (MIXED, [1, 2], "matrices for blocks of .3. layers do not fit blocks of .1, 2."),
        ("asc", [2], "blocks of .2. layers do not make up the 3 layers after the first"),
    ],
)
def test_a_wiring_that_does_not_fit_is_refused_with_a_reason(skips: Any, depths: Any, message: str) -> None:
    layers = 2 if isinstance(skips, list) and len(skips[0]) == 2 else 3 if "got 3" in message else 4
    with pytest.raises(ValueError, match=message):
        read_wiring(skips, layers, depths)


def test_without_skips_both_are_the_plain_network_to_the_last_bit() -> None:
    x = sample(9)
    torch.manual_seed(2)
    plain = build_network("mlp", (9,), CLASSES, lif(), hidden=WIDTHS)
    assert torch.equal(skip_mlp("none")(x), plain(x))
    assert torch.equal(skip_mlp([filled(1, []), filled(2, [NONE])])(x), plain(x))
    x = sample(2, 8, 8)
    torch.manual_seed(2)
    conv = build_network("conv", (2, 8, 8), CLASSES, lif(), channels=[3, 4], pool=2)
    torch.manual_seed(2)
    skipless = build_network("skip-conv", (2, 8, 8), CLASSES, lif(), channels=[3, 4], pools=[2, 2], skips="none")
    assert torch.equal(skipless(x), conv(x))


def naive(network: Any, x: Tensor, matrix: Any, pools: Sequence[int] = (1, 1, 1, 1)) -> Tensor:
    """One block after a first layer, with concatenated inputs and weights, as the definition has it."""
    blocks = network.layers()
    apply = functional.linear if pools == (1, 1, 1, 1) else functools.partial(functional.conv2d, padding=1)
    states: list[Any] = [None] * len(blocks)
    logits = []
    for x_t in x.unbind(0):
        z: list[Tensor] = []
        for j, block in enumerate(blocks):
            here = matrix[0] if j else None
            parts, weights = [z[j - 1] if j else x_t], [leaf(block.synapse).weight]
            projections, taps = list(block.projections), list(block.taps)
            for i in reversed(range(j - 1 if j else 0)):
                if here[i][j] == ASC:
                    parts[0] = parts[0] + projections.pop(0)(z[i])
            for i in reversed(range(j - 1 if j else 0)):
                if here[i][j] == DSC:
                    ratio = math.prod(pools[i : j - 1])
                    parts.append(functional.avg_pool2d(z[i], ratio) if ratio > 1 else z[i])
                    weights.append(leaf(taps.pop(0)).weight)
            whole = torch.cat(parts, dim=1)
            if j and pools[j - 1] > 1:
                whole = functional.avg_pool2d(whole, pools[j - 1])
            current = apply(whole, torch.cat(weights, dim=1), leaf(block.synapse).bias)
            state = block.neuron.init_state(current) if states[j] is None else states[j]
            s, states[j] = block.neuron.advance(current, state)
            z.append(s)
        logits.append(network.readout(z[-1]))
    return torch.stack(logits)


def leaf(module: nn.Module) -> Any:
    return module[-1] if isinstance(module, nn.Sequential) else module


@pytest.mark.parametrize("skips", [MIXED, "dsc", "asc"], ids=str)
@pytest.mark.parametrize("kind", ["dense", "convolutional"])
def test_it_equals_the_network_written_with_concatenations(kind: str, skips: Any) -> None:
    with float64_default():
        matrix = skips if isinstance(skips, list) else [filled(3, [{"dsc": DSC, "asc": ASC}[skips]] * 3)]
        pools = (1, 1, 1, 1) if kind == "dense" else (1, 2, 1, 2)
        network = skip_mlp(skips) if kind == "dense" else skip_conv(skips, pools)
        x = sample(9) if kind == "dense" else sample(2, 8, 8)
        ours, theirs = network(x), naive(network, x, matrix, pools)
        torch.testing.assert_close(ours, theirs, rtol=0, atol=1e-12)
        assert ours.std() > 0
        parameters = list(network.parameters())
        first = torch.autograd.grad(ours.square().sum(), parameters)
        second = torch.autograd.grad(theirs.square().sum(), parameters)
        for one, other in zip(first, second, strict=True):
            torch.testing.assert_close(one, other, rtol=1e-10, atol=1e-12)


def test_an_added_skip_over_one_layer_is_a_residual_block() -> None:
    network: Any = skip_mlp([filled(2, [ASC])], [6, 6, 6])
    x = sample(9)
    stem, inner, outer = network.layers()
    z0 = stem.neuron(stem.synapse(x))
    residual = z0 + inner.neuron(inner.synapse(z0))
    torch.testing.assert_close(network(x), network.readout(outer.neuron(outer.synapse(residual))))


def inputs_of_maps(network: Any, x: Tensor) -> list[Tensor]:
    seen: list[Tensor] = []
    for synapse in network.synapses()[1:]:
        synapse.module.register_forward_pre_hook(lambda _m, args: seen.append(args[0].detach()))
    network(x)
    return seen


def test_concatenated_inputs_are_spikes_and_added_ones_are_whole_numbers() -> None:
    for fed in inputs_of_maps(skip_conv("dsc"), sample(2, 8, 8)):
        assert set(fed.unique().tolist()) <= {0.0, 1.0}
    added = torch.cat([fed.flatten() for fed in inputs_of_maps(skip_mlp("asc", [6, 6, 6, 6]), sample(9))])
    assert torch.equal(added, added.round())
    assert added.min() >= 0
    assert added.max() > 1


@settings(max_examples=25)
@given(st.lists(SYMBOLS, min_size=3, max_size=3))
def test_parameters_are_those_of_the_formula(symbols: list[int]) -> None:
    skips = [filled(3, symbols)]
    wiring = read_wiring(skips, 4)
    dense = sum(parameter.numel() for parameter in skip_mlp(skips).parameters())
    assert dense == parameter_count(wiring, WIDTHS, 9, WIDTHS[-1], CLASSES)
    conv = sum(parameter.numel() for parameter in skip_conv(skips).parameters())
    assert conv == parameter_count(wiring, [3, 4, 4, 5], 2, 5 * 2 * 2, CLASSES, 9, (1, 2, 1, 2))


@settings(max_examples=15)
@given(st.lists(SYMBOLS, min_size=3, max_size=3))
def test_every_spike_is_counted_on_each_way_that_it_takes(symbols: list[int]) -> None:
    """Widths are equal, so nothing is projected: layer i's spikes meet 6 neurons on each of their ways."""
    network = skip_mlp([filled(3, symbols)], [6, 6, 6, 6])
    x = (torch.rand(T, BATCH, 9, generator=torch.Generator().manual_seed(1)) > 0.4).float()
    found = count_activity(network, [x], input_kind="events")
    assert found.problems() == ()
    assert found.coverage == 1
    ways = [1 + sum(symbol != NONE for (i, _), symbol in zip(pairs(3), symbols, strict=True) if i == k) for k in (0, 1)]
    leaving = [6 * ways[0], 6 * ways[1], 6, CLASSES]
    expected = 6 * int(x.sum()) + sum(n * layer.events for n, layer in zip(leaving, found.layers, strict=True))
    assert found.operations().accumulates == expected
    assert found.operations().multiply_accumulates == 0


def test_pooled_skips_count_spikes_and_projected_ones_count_products() -> None:
    x = (sample(2, 8, 8) > 1.5).float()
    pooled = count_activity(skip_conv("dsc"), [x], input_kind="events")
    assert pooled.problems() == ()
    assert pooled.operations().multiply_accumulates == 0
    # 3 -> 4 channels: layer 3 (index 2) adds the block's input through a strided 1 x 1 convolution.
    found = count_activity(skip_conv([filled(3, [ASC, NONE, NONE])]), [x], input_kind="events")
    assert found.problems() == ()
    kinds = {synapse.name: synapse for synapse in found.synapses}
    assert kinds["layer3.projection1"].cached.multiply_accumulates == 0
    assert kinds["layer3.projection1"].cached.accumulates > 0
    assert kinds["layer3"].cached.multiply_accumulates > 0
    assert kinds["layer4"].cached.multiply_accumulates == 0


def test_the_gradient_is_that_of_finite_differences() -> None:
    with float64_default():
        network = skip_mlp(MIXED, [3, 3, 4, 3], neuron=lif(detach_reset=False))
        x, weights = sample(9)[:3, :2], list(network.parameters())
        start = [w.detach().clone().requires_grad_() for w in weights]
        names = [name for name, _ in network.named_parameters()]

        def run(*values: Tensor) -> Any:
            return torch.func.functional_call(network, dict(zip(names, values, strict=True)), (x,))

        with smooth_spikes():
            assert torch.autograd.gradcheck(run, start)


@pytest.mark.parametrize("name", list(REGISTRY.neurons))
def test_every_neuron_can_be_put_in(name: str) -> None:
    row = REGISTRY.neurons[name]
    make = functools.partial(build_neuron, name, **({"T": T} if row.capabilities.needs_T else {}))
    for skips in ("dsc", "asc"):
        network = skip_mlp(skips, neuron=make)
        assert torch.isfinite(network(sample(9))).all()


def test_states_carry_over_between_two_halves_of_a_sequence() -> None:
    network, x = skip_mlp(MIXED), sample(9)
    first = network.run(x[:2])
    second = network.run(x[2:], first.states)
    assert torch.equal(torch.cat([first.logits, second.logits]), network(x))


def test_methods_that_walk_a_chain_are_impossible_and_the_others_are_not() -> None:
    sentence = why_unsupported(Cell("accuracy", "digits", "if", "ottt-a", "skip-mlp"), REGISTRY)
    assert sentence == "ottt-a trains chain and residual and feedback networks; skip-mlp is a skip network."
    for method in ("bptt", "bptt-tet", "tbptt", "bptt-checkpointed", "sltt", "sltt-k"):
        for topology in ("skip-mlp", "skip-mlp-asc", "skip-conv", "skip-conv-plain"):
            assert why_unsupported(Cell("accuracy", "digits", "if", method, topology), REGISTRY) is None
    missing = why_unsupported(Cell("accuracy", "digits-rows", "if", "bptt", "skip-conv"), REGISTRY)
    assert missing is not None
    assert missing.startswith("skip-conv takes samples of 3 dimensions")


def test_sltt_is_exact_where_the_membrane_forgets() -> None:
    """With decay 0 a step depends on no other, so the spatial gradient is the whole one."""
    with float64_default():
        network = skip_mlp(MIXED, neuron=lif(decay=0.0))
        x, target = sample(9), torch.arange(BATCH) % CLASSES
        found = []
        for method in (build_method("bptt", loss="per_step_ce"), build_method("sltt", mse_weight=0.0)):
            method.prepare(network)
            found.append(method.gradients(x, target))
        for name, gradient in found[0].items():
            torch.testing.assert_close(found[1][name], gradient, rtol=1e-10, atol=1e-14, msg=name)


def test_an_added_skip_that_leaves_a_remainder_is_refused() -> None:
    with pytest.raises(ValueError, match="the added skip from layer 1 to layer 3 strides by 3 over 8 x 8 spikes"):
        skip_conv("asc", pools=(3, 1, 1, 1))
