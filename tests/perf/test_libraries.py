"""Every library's LIF and ours, taking turns in one process: printed, never asserted.

The allocator is pinned as for every record. The floor is a copy that moves 24 bytes a neuron-step, measured in the
same rounds: what forward and backward must at least read and write (input twice, upstream, spikes, gradient, and one
more pass over any of them). It is measured twice: with arrays of the layer's own size, which a short sequence leaves in
the last cache, and with arrays four times as large as that cache, the rule of STREAM (J. D. McCalpin, 1995). A second
floor is a layer without a neuron: torch's own copy forward, its own addition backward. It moves 20 bytes a neuron-step,
which no layer can do without, and pays for autograd as every layer does: no neuron can be much faster. A third is the
LIF written by hand in C++, for this machine and nothing else (``lif_by_hand.cpp``), in the shortest autograd function.
"""

from __future__ import annotations

import ctypes
import shutil
import statistics
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor

from harness.conformance.peers import parity_of, random_input, reference_answer
from harness.execute import allocator
from harness.measure.clock import Timing, TimingProtocol, measure
from harness.measure.roofline import copying
from reference_impls.api import UnsupportedError, build_neuron
from reference_impls.libraries import build_peer, build_reference
from reference_impls.peer import PeerRun

BATCH, NEURONS = 64, 1024
BASELINE = "spikingjelly-lif"
ROWS = (
    BASELINE,
    "snntorch-lif",
    "norse-lif",
    "sinabs-lif",
    "spyx-lif",
    "spikeboard-lif",
    "spikeboard-lif-compiled",
    "spikeboard-lif-fused",
)
PROTOCOL = TimingProtocol(
    warmup_calls=3,
    warmup_seconds=0.3,
    block_seconds=0.05,
    min_blocks=12,
    max_blocks=25,
    relative_half_width=0.03,
    budget_seconds=60.0,
)
STREAM = 11 * 1024 * 1024
"""Neuron-steps whose copy reads 132 MiB and writes as many: four times 32 MiB, the last cache of most servers."""
CPU = torch.device("cpu")


class Moving(torch.autograd.Function):
    """A layer that only moves numbers: input to output, input and upstream to gradient."""

    @staticmethod
    def forward(ctx: Any, x: Tensor) -> Tensor:
        ctx.save_for_backward(x)
        return torch.empty_like(x).copy_(x)

    @staticmethod
    def backward(ctx: Any, upstream: Tensor) -> Tensor:
        return torch.add(*ctx.saved_tensors, upstream)


class ByHand(torch.autograd.Function):
    """The LIF in C++: always from rest, its last state dropped."""

    @staticmethod
    def forward(ctx: Any, library: ctypes.CDLL, past_cache: bool, x: Tensor) -> Tensor:
        ctx.save_for_backward(x)
        ctx.library, ctx.past_cache = library, past_cache
        spikes = torch.empty_like(x)
        _call(library.forward, (x, spikes, torch.empty_like(x[0])), past_cache)
        return spikes

    @staticmethod
    def backward(ctx: Any, upstream: Tensor) -> tuple[Any, ...]:
        (x,) = ctx.saved_tensors
        dx = torch.empty_like(x)
        _call(ctx.library.backward, (x, upstream, dx), ctx.past_cache)
        return None, None, dx


def _call(function: Any, tensors: tuple[Tensor, ...], past_cache: bool) -> None:
    x = tensors[0]
    sizes = ctypes.c_long(x.shape[0]), ctypes.c_long(x[0].numel()), torch.get_num_threads(), past_cache
    function(*(ctypes.c_void_p(tensor.data_ptr()) for tensor in tensors), *sizes)


def by_hand(folder: Path, x: Tensor, upstream: Tensor) -> dict[str, Callable[[], tuple[Tensor, ...]]]:
    """Return the LIF in C++ with results that stay in the cache and such that go past it; none without a compiler."""
    if shutil.which("g++") is None:
        return {}
    library = folder / "lif_by_hand.so"
    command = ["g++", "-O3", "-march=native", "-ffp-contract=off", "-fopenmp", "-shared", "-fPIC"]
    subprocess.run([*command, str(Path(__file__).with_name("lif_by_hand.cpp")), "-o", str(library)], check=True)
    loaded = ctypes.CDLL(str(library))

    def train(past_cache: bool) -> tuple[Tensor, ...]:
        return torch.autograd.grad(ByHand.apply(loaded, past_cache, x), [x], upstream)

    return {"by hand in C++": lambda: train(False), "by hand, past the cache": lambda: train(True)}


@pytest.fixture(scope="module")
def setting() -> str:
    try:
        build_peer(BASELINE)
    except UnsupportedError as error:
        pytest.skip(str(error))
    return f"{allocator.pin()}; {torch.get_num_threads()} threads"


def prepared(T: int) -> tuple[dict[str, PeerRun], list[str]]:
    """Return what can be run here, each having shown that it keeps its convention, and what cannot and why."""
    x, upstream = random_input((T, BATCH, NEURONS), torch.float32)
    runs, missing = {}, []
    for name in ROWS:
        try:
            run = build_peer(name).prepare(x, upstream)
        except UnsupportedError as error:
            missing.append(str(error))
            continue
        parity = parity_of(run.answer(), reference_answer(build_reference(name), x, upstream))
        assert parity.spike_mismatch_fraction == 0, name
        assert parity.gradient_cosine >= 0.999999, name
        runs[name] = run
    return runs, missing


def ratio(of: Timing, to: Timing) -> float:
    """Return the median over rounds: what disturbs a round disturbs both."""
    return statistics.median(theirs / ours for ours, theirs in zip(of.samples, to.samples, strict=True))


@pytest.mark.perf
@pytest.mark.timeout(1200)  # torch.compile unrolls 64 steps
@pytest.mark.parametrize("T", [4, 16, 64])
def test_libraries_beside_ours(T: int, setting: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    runs, missing = prepared(T)
    steps = T * BATCH * NEURONS
    floors = {name: copying(count, torch.float32, CPU) for name, count in (("copy", steps), ("copy in memory", STREAM))}
    x, upstream = random_input((T, BATCH, NEURONS), torch.float32)
    x.requires_grad_()
    floors["no neuron at all"] = lambda: torch.autograd.grad(Moving.apply(x), [x], upstream)
    hands = by_hand(tmp_path, x, upstream)
    expected = reference_answer(build_neuron("lif"), x.detach(), upstream).gradient
    for name, train in hands.items():
        assert torch.equal(train()[0], expected), name
    floors.update(hands)
    timings = measure({**floors, **{name: run.train for name, run in runs.items()}}, CPU, PROTOCOL)
    steps_of = dict.fromkeys(timings, steps) | {"copy in memory": STREAM}

    def speed_ratio(name: str, to: str) -> float:
        return ratio(timings[name], timings[to]) * steps_of[name] / steps_of[to]

    columns = {
        "vs SpikingJelly": BASELINE,
        "vs compiled": "spikeboard-lif-compiled",
        "vs copy": "copy",
        "vs copy in memory": "copy in memory",
    }
    shown = {title: to for title, to in columns.items() if to in timings}
    lines = [
        f"LIF forward + backward, float32, T = {T}, N = {BATCH * NEURONS:,}; {setting}",
        f"{'':26}{'M neuron-steps/s':>18}" + "".join(f"{title:>19}" for title in shown) + f"{'spread':>9}",
    ]
    lines += [
        f"{name:26}{steps_of[name] / timing.median_seconds / 1e6:18,.0f}"
        + "".join(f"{speed_ratio(name, to):18.2f}x" for to in shown.values())
        + f"{timing.half_width:9.1%}"
        for name, timing in timings.items()
    ]
    with capsys.disabled():
        print("\n" + "\n".join([*lines, *(f"left out: {sentence}" for sentence in missing)]))
    assert all(seconds > 0 for timing in timings.values() for seconds in timing.samples), "no time passed"
