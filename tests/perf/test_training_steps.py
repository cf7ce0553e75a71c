"""Whole training steps, dense and event-driven, and both products against density: printed, never asserted.

The networks are those of the suite ``training``, on random spikes of the densities that were measured on the tasks'
input, so that no data set is needed; SHD's was not, and is an assumption.
"""

from __future__ import annotations

from itertools import pairwise

import pytest
import torch
from pytest_benchmark.fixture import BenchmarkFixture

from harness.execute import allocator
from reference_impls.api import UnsupportedError
from reference_impls.events import event_linear
from reference_impls.libraries import build_peer
from reference_impls.peer_steps import Maps, StepTask, prepare_step

NETWORKS = {
    "MNIST": (4, (784, 400, 10), 0.13),
    "spoken digits": (40, (64, 128, 10), 0.215),
    "SHD-shaped": (100, (140, 256, 256, 20), 0.05),
}
"""Steps, sizes, share of the input that is not zero."""
ROWS = ("spikingjelly-lif", "spikeboard-lif", "spikeboard-lif-fused", "spikeboard-lif-events")
BATCH = 128
GAIN = 3.0
"""On torch's first weights, which make hardly a neuron fire."""
DENSITIES = (0.005, 0.05, 0.2, 0.5)


def task_of(T: int, sizes: tuple[int, ...], density: float) -> StepTask:
    torch.manual_seed(0)
    maps = [torch.nn.Linear(before, after) for before, after in pairwise(sizes)]
    x = (torch.rand(T, BATCH, sizes[0]) < density).float()
    weights = Maps(tuple(GAIN * one.weight.detach() for one in maps), tuple(one.bias.detach() for one in maps))
    return StepTask(x, torch.arange(BATCH) % sizes[-1], weights)


@pytest.mark.perf
@pytest.mark.parametrize("row", ROWS)
@pytest.mark.parametrize("network", NETWORKS)
def test_a_whole_training_step(network: str, row: str, benchmark: BenchmarkFixture) -> None:
    benchmark.group, benchmark.extra_info["allocator"] = network, allocator.pin()
    try:
        step = prepare_step(build_peer(row), task_of(*NETWORKS[network]))
    except UnsupportedError as error:
        pytest.skip(str(error))
    step.train()
    benchmark(step.train)
    assert step.answer().loss > 0


@pytest.mark.perf
@pytest.mark.parametrize("density", DENSITIES)
@pytest.mark.parametrize("how", ["dense", "events"])
@pytest.mark.parametrize("direction", ["forward", "gradient"])
def test_a_product_against_density(direction: str, how: str, density: float, benchmark: BenchmarkFixture) -> None:
    benchmark.group = f"{direction}, 12,800 x 256 to 256, {density:.1%}"
    allocator.pin()
    torch.manual_seed(0)
    x, bias = (torch.rand(12_800, 256) < density).float(), torch.randn(256)
    weight, upstream = torch.randn(256, 256).t().requires_grad_(), torch.randn(12_800, 256)
    most = 1.0 if how == "events" else 0.0
    if direction == "forward":
        found = benchmark(lambda: event_linear(x, weight, bias, most, 0))
    else:
        out = event_linear(x, weight, bias, most, 0)
        found = benchmark(lambda: torch.autograd.grad(out, weight, upstream, retain_graph=True)[0])
    assert found.shape[-1] == 256
