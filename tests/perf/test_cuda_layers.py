"""A layer of neurons on a GPU, forward and backward, beside a copy: printed, never asserted.

Called as it is, and as a CUDA graph, which leaves out what Python and the driver take for each launch.
"""

from __future__ import annotations

import itertools
import statistics
from collections.abc import Callable, Iterator

import pytest
import torch

from harness.measure.clock import Timing, TimingProtocol, measure
from harness.measure.roofline import (
    FLOOR_FLOATS,
    FLOOR_FLOATS_RECOMPUTED,
    FLOOR_FLOATS_SPIKES_AS_BITS,
    NEURONS_PAST_GPU_CACHE,
    copying,
    training_layer,
)
from reference_impls.api import UnsupportedError, build_neuron

NEURONS = ("lif", "klif", "plif", "se-adlif", "glif")
DTYPES = (torch.float32, torch.float16, torch.bfloat16)
WIDTHS = (65_536, 1 << 20, NEURONS_PAST_GPU_CACHE)
LENGTHS = (4, 16, 64)
BATCH = 64
PROTOCOL = TimingProtocol(
    warmup_seconds=0.02, block_seconds=0.02, min_blocks=8, max_blocks=20, relative_half_width=0.02, budget_seconds=1.5
)


def as_graph(function: Callable[[], object]) -> Callable[[], object]:
    """Record a function that has been called before, and return what replays it."""
    aside = torch.cuda.Stream()
    aside.wait_stream(torch.cuda.current_stream())
    with torch.cuda.stream(aside):
        function()
    torch.cuda.current_stream().wait_stream(aside)
    graph = torch.cuda.CUDAGraph()
    with torch.cuda.graph(graph):
        function()
    return graph.replay


def ratio(of: Timing, to: Timing) -> float:
    """Return the median over rounds: what disturbs a round disturbs both."""
    return statistics.median(theirs / ours for theirs, ours in zip(of.samples, to.samples, strict=True))


def ways(name: str, x: torch.Tensor) -> Iterator[tuple[str, Callable[[], object]]]:
    """Yield the ways to run a neuron on the GPU that this machine has."""
    fused = training_layer(build_neuron(name, "fused-cupy", x.shape[2:]).to(x.device), x)
    fused()
    yield "fused-cupy", fused
    yield "fused-cupy, graph", as_graph(fused)
    if name == "lif" and x.dtype is torch.float32 and x.shape[0] <= 16:
        try:
            compiled = training_layer(build_neuron(name, "compiled", x.shape[2:]).to(x.device), x)
        except UnsupportedError:
            return
        compiled()
        yield "torch.compile", compiled


@pytest.mark.gpu
@pytest.mark.perf
@pytest.mark.parametrize(("dtype", "name"), list(itertools.product(DTYPES, NEURONS)), ids=str)
def test_layers_beside_a_copy(dtype: torch.dtype, name: str, capsys: pytest.CaptureFixture[str]) -> None:
    device = torch.device("cuda")
    lines = [
        f"{torch.cuda.get_device_name()}, {dtype}: part of the speed of a copy of {FLOOR_FLOATS} numbers a step; "
        f"what recomputes could move {FLOOR_FLOATS_RECOMPUTED}, with spikes as bits {FLOOR_FLOATS_SPIKES_AS_BITS}"
    ]
    for width, T in itertools.product(WIDTHS, LENGTHS):
        x = (torch.randn(T, BATCH, width // BATCH, device=device) + 0.3).to(dtype)
        functions = {"copy": copying(x.numel(), dtype, device), **dict(ways(name, x))}
        timings = measure(functions, device, PROTOCOL)
        for way, timing in timings.items():
            bytes_per_second = FLOOR_FLOATS * x.nbytes / timing.median_seconds
            lines.append(
                f"{name:10}{way:20}N {width:>9,} T {T:>3}{timing.median_seconds * 1e6:12,.1f} us"
                f"{bytes_per_second / 1e12:8.3f} TB/s{ratio(timings['copy'], timing):8.1%}"
            )
        assert all(seconds > 0 for timing in timings.values() for seconds in timing.samples), "no time passed"
    with capsys.disabled():
        print("\n" + "\n".join(lines), flush=True)
