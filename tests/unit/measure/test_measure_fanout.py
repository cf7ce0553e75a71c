"""Fan-out maps against brute force: every input switched on by itself, in double precision."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from torch import Tensor, nn
from torch.nn.utils import parametrizations, prune

from harness.errors import UserError
from harness.measure.fanout import LinearMap
from reference_impls.synapses import ScaledWSConv2d, ScaledWSLinear, restrict


@torch.no_grad()
def brute_force(module: nn.Module, features: tuple[int, ...]) -> Tensor:
    """Count the outputs that change when an input is switched on, for each input by itself."""
    size = torch.Size(features).numel()
    module = module.double().eval()
    at_rest = module(torch.zeros(1, *features, dtype=torch.float64))
    responses = module(torch.eye(size, dtype=torch.float64).view(size, *features)) - at_rest
    return (responses.abs() > 1e-12).flatten(1).sum(1).view(features)


def assert_exact(module: nn.Module, features: tuple[int, ...]) -> None:
    found = LinearMap("map", module).fan_out(torch.Size(features))
    expected = brute_force(module, features)
    assert found.per_position.dtype == torch.int64
    assert torch.equal(found.per_position, expected)
    assert found.synapses == int(expected.sum())


@torch.no_grad()
def prune_at_random(weight: Tensor, share: float) -> None:
    weight[torch.rand_like(weight) < share] = 0


@st.composite
def convolutions(draw: st.DrawFn) -> tuple[nn.Module, tuple[int, ...]]:
    dims = draw(st.sampled_from([1, 2, 3]))
    groups = draw(st.sampled_from([1, 1, 2]))
    channels_in, channels_out = groups * draw(st.integers(1, 2)), groups * draw(st.integers(1, 3))
    transposed = draw(st.booleans())
    options: dict[str, Any] = {
        "kernel_size": draw(st.integers(1, 3)),
        "stride": draw(st.integers(1, 3)),
        "padding": draw(st.integers(0, 2)),
        "dilation": draw(st.integers(1, 2)),
        "groups": groups,
        "bias": draw(st.booleans()),
    }
    sides = [draw(st.integers(3, 4 if dims == 3 else 7)) for _ in range(dims)]
    name = f"Conv{'Transpose' if transposed else ''}{dims}d"
    torch.manual_seed(draw(st.integers(0, 1000)))
    module = getattr(nn, name)(channels_in, channels_out, **options)
    prune_at_random(module.weight, draw(st.sampled_from([0.0, 0.3, 1.0])))
    pool = draw(st.sampled_from([None, None, 1, 2]))
    if pool and dims < 3:
        pooling = getattr(nn, f"AvgPool{dims}d")(pool, stride=draw(st.sampled_from([pool, pool + 1])))
        smallest = (min(sides) - pool) // pooling_stride(pooling) + 1
        if smallest + 2 * options["padding"] > options["dilation"] * (options["kernel_size"] - 1):
            module = nn.Sequential(pooling, nn.Dropout(0.5), module)
    return module, (channels_in, *sides)


def pooling_stride(pooling: Any) -> int:
    return pooling.stride if isinstance(pooling.stride, int) else pooling.stride[0]


@settings(max_examples=60)
@given(convolutions())
def test_convolutions_of_every_geometry(case: tuple[nn.Module, tuple[int, ...]]) -> None:
    module, features = case
    try:
        outputs = module(torch.zeros(1, *features)).numel()
    except RuntimeError:  # the kernel is larger than what it slides over
        outputs = 0
    assume(outputs > 0)
    assert_exact(module, features)


@settings(max_examples=30)
@given(st.integers(1, 9), st.integers(1, 9), st.sampled_from([0.0, 0.5, 1.0]), st.integers(0, 99))
def test_linear_maps(before: int, after: int, pruned: float, seed: int) -> None:
    torch.manual_seed(seed)
    module = nn.Linear(before, after)
    prune_at_random(module.weight, pruned)
    assert_exact(module, (before,))
    assert_exact(nn.Sequential(nn.Flatten(), module), (1, before))


def test_maps_as_the_topologies_make_them() -> None:
    torch.manual_seed(0)
    assert_exact(nn.Sequential(nn.AvgPool2d(2), nn.Conv2d(2, 3, 3, padding=1)), (2, 8, 8))
    assert_exact(nn.Sequential(nn.AvgPool2d(2), nn.Flatten(), nn.Linear(2 * 3 * 3, 5)), (2, 7, 7))
    assert_exact(nn.Sequential(nn.Flatten(), nn.Linear(18, 5)), (2, 3, 3))
    assert_exact(nn.Sequential(nn.AvgPool2d(2), nn.Sequential(nn.Identity(), nn.Conv2d(2, 3, 3))), (2, 9, 9))


@pytest.mark.parametrize("kind", ["spectral", "frobenius", "none"])
def test_restricted_maps(kind: str) -> None:
    torch.manual_seed(0)
    linear, conv = nn.Linear(6, 4, bias=False), nn.Conv2d(2, 3, 3, stride=2, padding=1, bias=False)
    prune_at_random(linear.weight, 0.4)
    prune_at_random(conv.weight, 0.4)
    assert_exact(restrict(linear, kind, 1.0), (6,))
    assert_exact(restrict(conv, kind, 1.0), (2, 5, 6))


def test_standardised_maps_count_the_weight_that_is_used() -> None:
    torch.manual_seed(0)
    linear, conv = ScaledWSLinear(6, 4), ScaledWSConv2d(2, 3, 3, padding=1)
    with torch.no_grad():
        linear.gain[1] = 0
        conv.gain[2] = 0
        prune_at_random(linear.weight, 0.4)  # a zero of the raw weight is none of the standardised one
    assert_exact(linear, (6,))
    assert_exact(conv, (2, 5, 5))
    assert LinearMap("map", linear).fan_out(torch.Size([6])).synapses == 6 * 3


def test_pruned_and_reparametrised_weights() -> None:
    torch.manual_seed(0)
    pruned = prune.random_unstructured(nn.Linear(10, 5), "weight", amount=20)
    assert LinearMap("map", pruned).fan_out(torch.Size([10])).synapses == 30
    normed = parametrizations.weight_norm(nn.Linear(10, 5))
    assert LinearMap("map", normed).fan_out(torch.Size([10])).synapses == 50
    assert_exact(parametrizations.spectral_norm(nn.Conv2d(2, 3, 3)), (2, 5, 5))


def test_dense_connections_include_zero_weights_but_no_borders() -> None:
    conv = nn.Conv2d(2, 3, 3, padding=1)
    ones = LinearMap("map", conv).fan_out(torch.Size([2, 4, 4]))
    # A 4 x 4 map: 4 corners reach 4 cells, 8 edges 6, 4 inner ones 9; 100 in all, 600 with channels.
    assert (ones.synapses, ones.connections, ones.outputs) == (600, 600, 48)
    prune_at_random(conv.weight, 1.0)
    none = LinearMap("map", conv).fan_out(torch.Size([2, 4, 4]))
    assert (none.synapses, none.connections) == (0, 600)


@pytest.mark.parametrize("dtype", [torch.float64, torch.float32, torch.float16, torch.bfloat16])
def test_counts_do_not_overflow_or_round_in_any_precision(dtype: torch.dtype) -> None:
    module = nn.Linear(600, 600).to(dtype)
    nn.init.ones_(module.weight)
    assert LinearMap("map", module).fan_out(torch.Size([600])).synapses == 360_000


def test_is_computed_anew_when_and_only_when_zeros_move() -> None:
    module = nn.Linear(4, 3)
    nn.init.ones_(module.weight)
    linear = LinearMap("map", module)
    first = linear.fan_out(torch.Size([4]))
    with torch.no_grad():
        module.weight.mul_(2)
    assert linear.fan_out(torch.Size([4])) is first
    module.weight.data[0, 0] = 0  # does not count up the version
    assert linear.fan_out(torch.Size([4])).per_position.tolist() == [2, 3, 3, 3]
    module.weight.data[0, 0] = 1
    assert linear.fan_out(torch.Size([4])).synapses == 12


def test_works_in_inference_mode() -> None:
    module = nn.Sequential(nn.AvgPool2d(2), nn.Conv2d(1, 2, 3))
    with torch.inference_mode():
        found = LinearMap("map", module).fan_out(torch.Size([1, 8, 8]))
    assert torch.equal(found.per_position, brute_force(module, (1, 8, 8)))


class OwnMap(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.raw = nn.Parameter(torch.tensor([[1.0, -2.0, 0.0]]))

    def effective_weight(self) -> Tensor:
        return self.raw.relu()

    def apply_weight(self, x: Tensor, weight: Tensor) -> Tensor:
        return x @ weight.t()

    def forward(self, x: Tensor) -> Tensor:
        return self.apply_weight(x, self.effective_weight())


def test_a_module_of_ones_own_says_how_its_weight_is_applied() -> None:
    assert_exact(OwnMap(), (3,))


@pytest.mark.parametrize(
    ("module", "message"),
    [
        (nn.LSTM(3, 3), "cannot count the synapses of LSTM"),
        (nn.Sequential(nn.Linear(3, 3), nn.Linear(3, 3)), "cannot count the synapses of Linear, Linear"),
        (nn.Sequential(nn.Flatten()), "cannot count the synapses of Flatten"),
        (nn.Sequential(nn.ReLU(), nn.Linear(3, 3)), "ReLU cannot be folded"),
        (nn.Sequential(nn.MaxPool2d(2), nn.Conv2d(1, 1, 1)), "MaxPool2d cannot be folded"),
        (nn.Sequential(nn.Conv2d(1, 1, 1), nn.AvgPool2d(2)), "AvgPool2d cannot be folded"),
        (nn.Sequential(nn.BatchNorm1d(3), nn.Linear(3, 3)), "BatchNorm1d cannot be folded"),
        (nn.Sequential(nn.AvgPool2d(3, stride=2), nn.Conv2d(1, 1, 1)), "overlap"),
        (nn.Sequential(nn.AvgPool1d(2, stride=1), nn.Conv1d(1, 1, 1)), "overlap"),
    ],
)
def test_what_cannot_be_counted_is_refused_never_zero(module: nn.Module, message: str) -> None:
    with pytest.raises(UserError, match=message):
        LinearMap("map", module)
