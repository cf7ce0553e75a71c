"""One batch made ready to be timed and weighed: a training step and an inference of the cell's combination.

The suites of cost share it, so that all of them look at the same work. Must not know how anything is measured.
"""

from __future__ import annotations

import functools
import math
import statistics
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import torch
from torch import Tensor

from harness.catalogue.cell import DEFAULT_RECIPE, Cell
from harness.measure.clock import COVERS, Timing, TimingProtocol, median_interval
from harness.suites.common.base import Measurement
from harness.tasks.common.base import Samples
from harness.tasks.common.encoding import stretched
from harness.workload import Workload
from reference_impls.api import TrainingMethod, build_method, build_network, build_neuron

__all__ = [
    "REFERENCE",
    "TrainingStep",
    "baseline",
    "median_figure",
    "noise_in",
    "protocol_for",
    "ready",
    "reference",
    "stretched",
    "timing_figure",
]

_FAST = TimingProtocol(
    warmup_calls=3,
    warmup_seconds=0.05,
    block_seconds=0.01,
    min_blocks=12,
    max_blocks=40,
    relative_half_width=0.05,
    tolerated_half_width=0.1,
    budget_seconds=1.5,
)
"""Twelve blocks, because the interval of fewer is nearly all that they span: of the ratios of 58 quiet cells a quarter
to a third were wider than ± 10 % after six to eight blocks, none after twelve, when nine in ten were within ± 5 %.
Short ones, because what disturbs a call now and then spoils few of them."""
_SMOKE = replace(_FAST, min_blocks=6, max_blocks=6, warmup_seconds=0.02, tolerated_half_width=0.5)
"""Shows that everything is connected; its figures are not to be published."""
_PROTOCOLS = {"smoke": _SMOKE, "quick": _FAST}


def protocol_for(budget: str) -> TimingProtocol:
    """Return how long to measure under a training budget; the full protocol for any but the quick ones."""
    return _PROTOCOLS.get(budget, TimingProtocol())


REFERENCE_RATE = 0.2
"""Spikes of an input and step."""


@dataclass(frozen=True)
class TrainingStep:
    """A method, a network and a batch."""

    method: TrainingMethod
    x: Tensor
    """``[T, B, ...]``."""
    target: Tensor

    def train(self) -> None:
        """Make one update."""
        self.method.update(self.x, self.target)

    def infer(self) -> None:
        """Read out the batch."""
        self.method.predict(self.x)

    def gradients(self) -> None:
        """Compute the gradients without an optimizer step."""
        self.method.gradients(self.x, self.target)

    @property
    def samples(self) -> int:
        """Return the batch size."""
        return self.x.shape[1]

    def neuron_steps(self) -> int:
        """Return neurons x time steps x samples of one forward pass."""
        neurons: dict[int, int] = {}

        def note(layer: int, spikes: Tensor) -> None:
            neurons[layer] = spikes.shape[2:].numel()

        with self.method.network.observed_by(note):
            self.infer()
        return sum(neurons.values()) * self.x.shape[0] * self.samples


def ready(workload: Workload, batch_size: int, T: int | None = None) -> TrainingStep:
    """Return the cell's combination with the first `batch_size` training samples, stretched to `T` steps.

    Its updates cost what updates cost and move nothing: a step that is timed a thousand times must stay the same step,
    with the same spikes, and hundreds of updates on one stretched batch would end where no training goes.
    """
    samples = workload.split.train
    repeats = -(-batch_size // len(samples))
    chosen = torch.arange(len(samples)).repeat(repeats)[:batch_size]
    batch = Samples(samples.inputs[chosen], samples.labels[chosen])
    x = workload.task.encode(batch.inputs.to(workload.device, workload.dtype))
    method = workload.method()
    method.prepare(workload.network(T), lambda parameters: _at_rest(workload.optimizer(parameters)))
    return TrainingStep(method, x if T is None else stretched(x, T), batch.labels.to(workload.device))


def _at_rest(optimizer: torch.optim.Optimizer) -> torch.optim.Optimizer:
    """Return an optimizer that computes all it would and steps by nothing."""
    for group in optimizer.param_groups:
        group["lr"] = 0.0
    return optimizer


def timing_figure(timing: Timing) -> Measurement:
    """Return the median of a timing with its interval."""
    return median_figure(timing.samples)


def median_figure(samples: Sequence[float]) -> Measurement:
    """Return the median of repetitions with its 95 % interval."""
    low, high = median_interval(samples) or (None, None)
    return Measurement(statistics.median(samples), samples, len(samples), low, high, None if low is None else COVERS)


def noise_in(half_widths: Mapping[str, float], protocol: TimingProtocol) -> str | None:
    """Say which of the named relative half-widths are wider than `protocol` tolerates; None if none is."""
    wide = {name: half for name, half in half_widths.items() if half > protocol.tolerated_half_width}
    if not wide:
        return None
    worst = max(wide, key=lambda name: wide[name])
    found = f"± {wide[worst]:.0%}" if math.isfinite(wide[worst]) else "no interval, for want of repetitions"
    others = f" (and {len(wide) - 1} more)" if len(wide) > 1 else ""
    return f"Intervals wider than ± {protocol.tolerated_half_width:.0%}: {worst} has {found}{others}."


def baseline(workload: Workload) -> Workload:
    """Return what every speed is also given as a ratio to: LIF under BPTT, eager, on the same network and task."""
    cell: Cell = replace(workload.cell, neuron="lif", method="bptt", backend="eager", recipe=DEFAULT_RECIPE)
    return replace(workload, cell=cell)


REFERENCE = "LIF under BPTT, 256-256-256-10, T = 16, batch 64"
REFERENCE_STEPS, REFERENCE_BATCH, REFERENCE_INPUTS = 16, 64, 256
"""The one network that every cost is also given as a ratio to, whatever the task: no data set decides it."""


def reference(workload: Workload) -> TrainingStep:
    """Return the reference network with a batch of random spikes, on the device and in the dtype of `workload`."""
    generator = torch.Generator().manual_seed(0)
    shape = (REFERENCE_STEPS, REFERENCE_BATCH, REFERENCE_INPUTS)
    x = (torch.rand(shape, generator=generator) < REFERENCE_RATE).to(workload.device, workload.dtype)
    torch.manual_seed(0)
    network = build_network("mlp", shape[2:], 10, functools.partial(build_neuron, "lif"), hidden=[256, 256])
    method = build_method("bptt")
    method.prepare(network.to(workload.device, workload.dtype), lambda given: _at_rest(torch.optim.Adam(given)))
    return TrainingStep(method, x, (torch.arange(REFERENCE_BATCH) % 10).to(workload.device))
