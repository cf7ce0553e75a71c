"""Fused neurons beside the fused LIF, and the fused LIF's memory beside the eager one's: printed, never asserted."""

from __future__ import annotations

import statistics

import pytest
import torch

from harness.execute import allocator
from harness.measure.clock import Timing, TimingProtocol, measure
from harness.measure.memory import saved_bytes
from harness.measure.peak import peak_bytes
from harness.measure.roofline import copying, training_layer
from reference_impls.api import build_neuron

SHAPE = (64, 1024)
BASELINE = "lif"
NEURONS = (BASELINE, "if", "klif", "plif", "cuba-lif", "se-adlif")
"""The baseline; one learnable parameter (klif, plif); two states (cuba-lif, se-adlif, which learns four parameters)."""
PROTOCOL = TimingProtocol(
    warmup_seconds=0.3, block_seconds=0.05, min_blocks=12, max_blocks=25, relative_half_width=0.03
)
CPU = torch.device("cpu")


def ratio(of: Timing, to: Timing) -> float:
    """Return the median over rounds: what disturbs a round disturbs both."""
    return statistics.median(theirs / ours for theirs, ours in zip(of.samples, to.samples, strict=True))


@pytest.mark.perf
@pytest.mark.parametrize("T", [16, 64])
def test_fused_neurons_beside_the_fused_lif(T: int, capsys: pytest.CaptureFixture[str]) -> None:
    setting = f"{allocator.pin()}; {torch.get_num_threads()} threads"
    x = torch.randn(T, *SHAPE) + 0.3
    functions = {name: training_layer(build_neuron(name, "fused-numba", x.shape[2:]), x) for name in NEURONS}
    functions["eager lif"] = training_layer(build_neuron(BASELINE), x)
    functions["24 bytes, copied"] = copying(x.numel(), x.dtype, CPU)
    for function in functions.values():
        function()  # compiles
    timings = measure(functions, CPU, PROTOCOL)
    lines = [f"forward + backward, float32, T = {T}, N = {x[0].numel():,}; {setting}"]
    lines += [
        f"{name:18}{x.numel() / timing.median_seconds / 1e6:9,.0f} M neuron-steps/s"
        f"{ratio(timing, timings[BASELINE]):8.2f} x the time of fused lif, spread {timing.half_width:.1%}"
        for name, timing in timings.items()
    ]
    with capsys.disabled():
        print("\n" + "\n".join(lines))
    assert all(seconds > 0 for timing in timings.values() for seconds in timing.samples), "no time passed"


@pytest.mark.perf
@pytest.mark.parametrize("T", [16, 64])
def test_memory_of_the_fused_lif(T: int, capsys: pytest.CaptureFixture[str]) -> None:
    x = torch.randn(T, *SHAPE) + 0.3
    lines = [f"one forward + backward of lif, float32, T = {T}, N = {x[0].numel():,}; input {x.nbytes / 2**20:.0f} MiB"]
    for backend in ("fused-numba", "eager"):
        train = training_layer(build_neuron(BASELINE, backend=backend), x)
        train()
        peak, saved = peak_bytes(train, CPU).peak_bytes, saved_bytes(train).peak_bytes
        lines.append(f"{backend:12} peak {peak / 2**20:8.1f} MiB, kept for backward {saved / 2**20:8.1f} MiB")
        assert peak > 0
    with capsys.disabled():
        print("\n" + "\n".join(lines))
