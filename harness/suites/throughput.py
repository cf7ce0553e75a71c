"""throughput: how long a training step and an inference take on one batch of the task's data.

The cell takes turns, block by block in one process, with a named baseline (LIF, BPTT, eager, same network and batch)
and with one reference network that is the same for all tasks, so that its cost is known as ratios that do not drift
with the machine: these are ranked, seconds are shown. The neuron's layer alone, large enough
to need memory, takes turns with a copy: how near it comes to what no kernel can pass.
"""

from __future__ import annotations

from dataclasses import replace

import torch

from harness.measure.clock import Timing, measure
from harness.measure.roofline import FLOOR_FLOATS, copying, training_layer
from harness.suites.common.base import Answer, Measurement, Suite
from harness.suites.common.steps import (
    REFERENCE,
    baseline,
    median_figure,
    noise_in,
    protocol_for,
    ready,
    reference,
    timing_figure,
)
from harness.workload import Workload

CARD = {
    "name": "throughput",
    "kind": "suite",
    "version": 3,
    "title": "ThroughputSuite",
    "summary": (
        "Times a training step and an inference on one batch of the task's data, alternating with those of LIF under "
        "BPTT on the same network and batch, and with a training step of one reference network (LIF under BPTT, "
        "256-256-256-10, T = 16, batch 64): median over blocks, with the 95 % interval of the median. Under BPTT "
        "also a layer of 65,536 such neurons, forward and backward, alternating with a copy of what this must move."
    ),
    "exclusive": True,
    "baseline": {"neuron": "lif", "method": "bptt"},
    "timeout_seconds": 600.0,
    "typical_seconds": 2.0,
    "metrics": {
        "train_step_seconds": {
            "short": "train step",
            "title": "training step",
            "unit": "seconds",
            "direction": "lower",
        },
        "inference_step_seconds": {"short": "inference", "title": "inference", "unit": "seconds", "direction": "lower"},
        "train_samples_per_second": {
            "title": "trained samples",
            "unit": "samples per second",
            "direction": "higher",
            "judged": False,
        },
        "inference_samples_per_second": {
            "title": "inferred samples",
            "unit": "samples per second",
            "direction": "higher",
            "judged": False,
        },
        "train_neuron_steps_per_second": {
            "short": "neuron-steps",
            "title": "neuron-steps, training",
            "unit": "neuron-steps per second",
            "direction": "higher",
            "judged": False,
        },
        "inference_neuron_steps_per_second": {
            "title": "neuron-steps, inference",
            "unit": "neuron-steps per second",
            "direction": "higher",
            "judged": False,
        },
        "train_step_ratio": {
            "short": "vs LIF+BPTT",
            "title": "training step / that of LIF under BPTT",
            "unit": "ratio",
            "direction": "lower",
        },
        "inference_step_ratio": {
            "short": "inference vs LIF",
            "title": "inference / that of LIF",
            "unit": "ratio",
            "direction": "lower",
        },
        "train_reference_ratio": {
            "short": "vs reference network",
            "title": "training of one sample / that of the reference network",
            "unit": "ratio",
            "direction": "lower",
        },
        "layer_neuron_steps_per_second": {
            "title": "neuron-steps of a layer of 65,536, forward and backward",
            "unit": "neuron-steps per second",
            "direction": "higher",
        },
        "layer_bytes_per_neuron_step": {
            "title": "bytes that a copy moves while the layer makes one neuron-step",
            "unit": "bytes",
            "direction": "lower",
        },
        "copy_bandwidth_fraction": {
            "short": "of copy speed",
            "title": "least bytes of a neuron-step (24 in float32) / bytes that a copy moves in its time",
            "unit": "fraction",
            "direction": "higher",
            "judged": False,
            "bounds": [0.0, None],
        },
        "copy_bytes_per_second": {
            "title": "bandwidth of the copy, read and written bytes",
            "unit": "bytes per second",
            "direction": "higher",
            "judged": False,
        },
    },
}

BUDGETED = 3
"""Functions that a protocol's time is meant for."""
LAYER = (64, 1024)
"""Samples and neurons of the layer that is compared with a copy."""
LAYER_WARMUP_CALLS = 1
"""It has been called once before: a large layer's calls are few, and each of them is wanted for the interval."""


class ThroughputSuite(Suite):
    """Time steps."""

    def run(self, workload: Workload) -> Answer:
        """Time the cell and its baseline in turns."""
        batch_size = workload.budget.batch_size
        step, beside, other = ready(workload, batch_size), ready(baseline(workload), batch_size), reference(workload)
        neuron_steps = step.neuron_steps()
        functions = {
            "train": step.train,
            "baseline": beside.train,
            "infer": step.infer,
            "baseline_infer": beside.infer,
            "reference": other.train,
        }
        protocol = protocol_for(workload.cell.budget)
        protocol = replace(protocol, budget_seconds=protocol.budget_seconds * len(functions) / BUDGETED)
        timings = measure(functions, workload.device, protocol)
        train, infer = timings["train"], timings["infer"]
        per_sample = other.samples / step.samples
        figures = {
            "train_step_seconds": timing_figure(train),
            "inference_step_seconds": timing_figure(infer),
            "train_samples_per_second": _rate(train, step.samples),
            "inference_samples_per_second": _rate(infer, step.samples),
            "train_neuron_steps_per_second": _rate(train, neuron_steps),
            "inference_neuron_steps_per_second": _rate(infer, neuron_steps),
            "train_step_ratio": _ratio(train, timings["baseline"]),
            "inference_step_ratio": _ratio(infer, timings["baseline_infer"]),
            "train_reference_ratio": _ratio(train, timings["reference"], per_sample),
        }
        details = {
            "batch_size": batch_size,
            "T": step.x.shape[0],
            "neurons": neuron_steps // (step.x.shape[0] * step.samples),
            "calls_per_block": {name: timing.calls_per_block for name, timing in timings.items()},
            "baseline": "lif, bptt, eager",
            "baseline_train_step_seconds": timings["baseline"].median_seconds,
            "reference": REFERENCE,
            "reference_train_step_seconds": timings["reference"].median_seconds,
        }
        if workload.cell.method == "bptt":  # a layer by itself knows no other way back
            figures |= _roofline(workload, step.x.shape[0])
        noise = noise_in({name: figure.half_width for name, figure in figures.items()}, protocol)
        return Answer(figures, details=details, noise=noise)


def _roofline(workload: Workload, T: int) -> dict[str, Measurement]:
    """Return what a large layer of the neuron makes of the memory's bandwidth, over `T` steps."""
    x = torch.rand(T, *LAYER, device=workload.device, dtype=workload.dtype)
    layer = training_layer(workload.neuron(T, shape=LAYER[1:]), x)
    layer()  # what is compiled at a first call must not use up the budget
    protocol = protocol_for(workload.cell.budget)
    protocol = replace(protocol, warmup_calls=LAYER_WARMUP_CALLS, warmup_seconds=0.0)
    timings = measure(
        {"layer": layer, "copy": copying(x.numel(), workload.dtype, workload.device)}, workload.device, protocol
    )
    pairs = list(zip(timings["layer"].samples, timings["copy"].samples, strict=True))
    floor = FLOOR_FLOATS * x.element_size()
    return {
        "layer_neuron_steps_per_second": _rate(timings["layer"], x.numel()),
        "layer_bytes_per_neuron_step": median_figure([floor * layer / copy for layer, copy in pairs]),
        "copy_bandwidth_fraction": median_figure([copy / layer for layer, copy in pairs]),
        "copy_bytes_per_second": _rate(timings["copy"], floor * x.numel()),
    }


def _ratio(ours: Timing, theirs: Timing, factor: float = 1.0) -> Measurement:
    """Return the ratio block by block: what slows one of two neighbours slows the other."""
    return median_figure([factor * a / b for a, b in zip(ours.samples, theirs.samples, strict=True)])


def _rate(timing: Timing, work: int) -> Measurement:
    return median_figure([work / seconds for seconds in timing.samples])
