"""throughput: how long a training step and an inference take on one batch of the task's data.

The cell takes turns, block by block in one process, with a named baseline (LIF, BPTT, eager, same network and batch),
so that its speed is also known as a ratio that does not drift with the machine.
"""

from __future__ import annotations

from harness.measure.clock import Timing, measure
from harness.suites._base import Answer, Figure, Suite
from harness.suites._steps import baseline, median_figure, protocol_for, ready, timing_figure
from harness.workload import Workload

CARD = {
    "name": "throughput",
    "kind": "suite",
    "version": 1,
    "title": "Throughput",
    "summary": (
        "Times a training step and an inference on one batch of the task's data, alternating with LIF under BPTT on "
        "the same network, batch and machine: median over blocks, with the 95 % interval of the median."
    ),
    "exclusive": True,
    "timeout_seconds": 600.0,
    "typical_seconds": 3.0,
    "metrics": {
        "train_step_seconds": {
            "short": "train step",
            "title": "training step",
            "unit": "seconds",
            "direction": "lower",
        },
        "inference_step_seconds": {"short": "inference", "title": "inference", "unit": "seconds", "direction": "lower"},
        "train_samples_per_second": {"title": "trained samples", "unit": "samples per second", "direction": "higher"},
        "inference_samples_per_second": {
            "title": "inferred samples",
            "unit": "samples per second",
            "direction": "higher",
        },
        "train_neuron_steps_per_second": {
            "short": "neuron-steps",
            "title": "neuron-steps, training",
            "unit": "neuron-steps per second",
            "direction": "higher",
        },
        "inference_neuron_steps_per_second": {
            "title": "neuron-steps, inference",
            "unit": "neuron-steps per second",
            "direction": "higher",
        },
        "train_step_ratio": {
            "short": "vs LIF+BPTT",
            "title": "training step / that of LIF under BPTT",
            "unit": "ratio",
            "direction": "lower",
        },
    },
}


class Throughput(Suite):
    """Time steps."""

    def run(self, workload: Workload) -> Answer:
        """Time the cell and its baseline in turns."""
        batch_size = workload.budget.batch_size
        step, reference = ready(workload, batch_size), ready(baseline(workload), batch_size)
        neuron_steps = step.neuron_steps()
        functions = {"train": step.train, "baseline": reference.train, "infer": step.infer}
        timings = measure(functions, workload.device, protocol_for(workload.cell.budget))
        train, infer = timings["train"], timings["infer"]
        ratios = [ours / theirs for ours, theirs in zip(train.samples, timings["baseline"].samples, strict=True)]
        figures = {
            "train_step_seconds": timing_figure(train),
            "inference_step_seconds": timing_figure(infer),
            "train_samples_per_second": _rate(train, step.samples),
            "inference_samples_per_second": _rate(infer, step.samples),
            "train_neuron_steps_per_second": _rate(train, neuron_steps),
            "inference_neuron_steps_per_second": _rate(infer, neuron_steps),
            "train_step_ratio": median_figure(ratios),
        }
        details = {
            "batch_size": batch_size,
            "T": step.x.shape[0],
            "neurons": neuron_steps // (step.x.shape[0] * step.samples),
            "calls_per_block": {name: timing.calls_per_block for name, timing in timings.items()},
            "interval_as_narrow_as_asked": train.is_precise and infer.is_precise,
            "baseline": "lif, bptt, eager",
            "baseline_train_step_seconds": timings["baseline"].median_seconds,
        }
        return Answer(figures, details=details)


def _rate(timing: Timing, work: int) -> Figure:
    return median_figure([work / seconds for seconds in timing.samples])
