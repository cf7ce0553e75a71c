"""How far the clock agrees with torch's own timer: reported, never asserted."""

from __future__ import annotations

import statistics

import pytest
import torch
from torch.utils.benchmark import Timer

from harness.measure.clock import TimingProtocol, measure

ROUNDS = 8


@pytest.mark.perf
@pytest.mark.parametrize("size", [64, 256, 768])
def test_matmul_against_torch_benchmark(size: int, capsys: pytest.CaptureFixture[str]) -> None:
    """The two take turns, so that a neighbour on the machine disturbs both alike."""
    x = torch.rand(size, size)
    protocol = TimingProtocol(warmup_seconds=0.05, block_seconds=0.02, min_blocks=7, max_blocks=7)
    theirs = Timer("x @ x", globals={"x": x}, num_threads=1)
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        pairs = [
            (
                measure({"matmul": lambda: x @ x}, "cpu", protocol)["matmul"].median_seconds,
                theirs.blocked_autorange(min_run_time=0.15).median,
            )
            for _ in range(ROUNDS)
        ]
    finally:
        torch.set_num_threads(threads)
    ratios = sorted(ours / other for ours, other in pairs)
    with capsys.disabled():
        print(
            f"\nmatmul {size}: clock {statistics.median(ours for ours, _ in pairs):.4g} s, "
            f"torch.utils.benchmark {statistics.median(other for _, other in pairs):.4g} s, "
            f"ratio {statistics.median(ratios):.3f} ({ratios[1]:.3f} to {ratios[-2]:.3f} in {ROUNDS} rounds)"
        )
    assert ratios[0] > 0, "one of the two saw no time pass"
