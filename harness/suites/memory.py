"""memory: what a training step needs: bytes kept for the backward pass, their growth with T, and the process's peak.

The bytes of tensors are exact and the same on every machine; the peak is what the system sees in a fresh process.
"""

from __future__ import annotations

from collections.abc import Sequence

from harness.measure.memory import live_bytes, model_bytes, saved_bytes, slope_over_steps, state_bytes
from harness.measure.peak import PeakMemory, peak_bytes, repeated
from harness.results.record import Series
from harness.results.stats import t_interval
from harness.suites.common.base import Answer, Measurement, Suite
from harness.suites.common.steps import TrainingStep, ready
from harness.workload import Workload

CARD = {
    "name": "memory",
    "kind": "suite",
    "version": 4,
    "title": "MemorySuite",
    "summary": (
        "One training step on a batch of 128 samples: the most bytes that autograd keeps at one time, how they grow "
        "with T from 2 to 256 (under quick to 64; the task's samples repeated or cut), the most bytes of all tensors "
        "alive, and the peak of the process above its baseline, the mean over fresh processes."
    ),
    "exclusive": False,
    "timeout_seconds": 600.0,
    "typical_seconds": 0.5,
    "metrics": {
        "peak_bytes": {"short": "peak", "title": "peak memory of the process", "unit": "bytes", "direction": "lower"},
        "live_bytes": {
            "title": "tensors alive at the peak",
            "unit": "bytes",
            "direction": "lower",
            "exact": True,
        },
        "saved_bytes": {
            "short": "saved",
            "title": "kept for backward",
            "unit": "bytes",
            "direction": "lower",
            "exact": True,
        },
        "saved_bytes_per_time_step": {
            "short": "saved/T",
            "title": "kept for backward, growth with T",
            "unit": "bytes per time step",
            "direction": "lower",
            "exact": True,
        },
        "live_bytes_per_time_step": {
            "title": "tensors alive, growth with T",
            "unit": "bytes per time step",
            "direction": "lower",
            "exact": True,
        },
        "model_bytes": {
            "title": "parameters and buffers",
            "unit": "bytes",
            "direction": "lower",
            "exact": True,
        },
        "state_bytes": {
            "title": "neuron state of one sample",
            "unit": "bytes",
            "direction": "lower",
            "exact": True,
        },
    },
}

BATCH_SIZE = 128
STEPS = (2, 4, 16, 64, 256)
LONGEST = {"smoke": 16, "quick": 64}
"""Longest of them by budget: bytes are exact, so a line through four lengths is the line through five, and the fifth
takes most of a cell's time."""
PROCESSES = {"smoke": 2, "quick": 5}
MOST_PROCESSES = 7
"""Fresh processes in which the peak is measured, by budget and for every other."""
LONGEST_UNROLLED = 64
"""Steps of the longest loop that is compiled."""
MOST_BYTES = 4 << 30
"""Lengths at which more would be kept are left out, on any machine: a figure must not depend on what it has."""


class MemorySuite(Suite):
    """Weigh a training step."""

    def run(self, workload: Workload) -> Answer:
        """Weigh the cell's combination."""
        _ = workload.split  # read once, before processes are forked
        peaks = repeated(lambda: _peak(workload), PROCESSES.get(workload.cell.budget, MOST_PROCESSES))
        step = ready(workload, BATCH_SIZE)
        longest = LONGEST.get(workload.cell.budget, STEPS[-1])
        steps = affordable(workload, BATCH_SIZE, [T for T in STEPS if longest >= T])
        saved = {T: saved_at(workload, BATCH_SIZE, T) for T in steps}
        growth = slope_over_steps(steps, list(saved.values()))
        figures = {
            "peak_bytes": _over_processes([float(peak.peak_bytes) for peak in peaks]),
            "saved_bytes": Measurement(float(_saved(step))),
            "saved_bytes_per_time_step": Measurement(growth.per_step),
            "model_bytes": Measurement(float(model_bytes(step.method.network))),
            "state_bytes": Measurement(float(state_bytes(step.method.network, step.x))),
        }
        details = {
            "batch_size": BATCH_SIZE,
            "T": step.x.shape[0],
            "peak_seen_by": peaks[0].how,
            "baseline_bytes": peaks[0].baseline_bytes,
            "reserved_bytes": peaks[0].reserved_bytes,
            "saved_growth_r_squared": growth.r_squared,
            "growth_measured_at_T": steps,
        }
        series = {"saved_bytes": _series("saved_bytes", saved)}
        if workload.cell.backend == "eager":  # compiled code allocates where no operator can be watched
            live = {T: live_at(workload, BATCH_SIZE, T) for T in steps}
            figures["live_bytes"] = Measurement(float(_live(step)))
            figures["live_bytes_per_time_step"] = Measurement(slope_over_steps(steps, list(live.values())).per_step)
            series["live_bytes"] = _series("live_bytes", live)
        return Answer(figures, series, details)


def _peak(workload: Workload) -> PeakMemory:
    """Return the peak of one training step in this process."""
    step = ready(workload, BATCH_SIZE)
    step.train()  # the optimizer's state and lazy initialisation are there from the first step on
    return peak_bytes(step.train, workload.device)


def _over_processes(peaks: Sequence[float]) -> Measurement:
    if len(peaks) < 2:
        return Measurement(peaks[0], peaks)
    mean, low, high = t_interval(peaks)
    return Measurement(mean, peaks, len(peaks), max(low, 0.0), high, "processes")


def affordable(workload: Workload, batch_size: int, steps: Sequence[int]) -> tuple[int, ...]:
    """Return those of `steps` (ascending) at which a training step is worth its cost; the first two always are.

    Where more than `MOST_BYTES` would be kept it is not, by a line through the first two, nor where a loop that
    torch.compile unrolls takes longer to compile than everything else together.
    """
    few, more = (saved_at(workload, batch_size, T) for T in steps[:2])
    growth = (more - few) / (steps[1] - steps[0])
    longest = LONGEST_UNROLLED if workload.cell.backend == "compiled" else steps[-1]
    further = (n for n in steps[2:] if n <= longest and few + growth * (n - steps[0]) <= MOST_BYTES)
    return (*steps[:2], *further)


def saved_at(workload: Workload, batch_size: int, T: int) -> int:
    """Return the bytes kept for the backward pass of one training step over `T` steps."""
    return _saved(ready(workload, batch_size, T))


def live_at(workload: Workload, batch_size: int, T: int) -> int:
    """Return the most bytes of all tensors alive at one time in one training step over `T` steps."""
    return _live(ready(workload, batch_size, T))


def _saved(step: TrainingStep) -> int:
    """Return the most bytes that autograd keeps at one time; parameters and the input itself are not its doing."""
    left_out = [*step.method.network.parameters(), *step.method.network.buffers(), step.x]
    return saved_bytes(step.gradients, left_out).peak_bytes


def _live(step: TrainingStep) -> int:
    """Return the most bytes of all tensors alive at one time."""
    return live_bytes(step.gradients).peak_bytes


def _series(name: str, by_steps: dict[int, int]) -> Series:
    points = tuple((float(T), float(value)) for T, value in by_steps.items())
    return Series(x="T", x_unit="time steps", y=name, y_unit="bytes", points=points)
