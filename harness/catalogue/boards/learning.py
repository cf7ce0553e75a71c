"""Boards of what networks learn: neurons, training methods, conversions, and how robust or early their answers are."""

from __future__ import annotations

from harness.catalogue.boards.columns import (
    AT_TARGET,
    ENERGY,
    ERROR,
    GROWTH,
    INFERENCE,
    INFERENCE_RATIO,
    PEAK,
    RATIO,
    REFERENCE_RATIO,
    ROOF,
    SAVED,
    SLOPE,
    SPIKES,
    STEP,
    TO_TARGET,
    TRAINING_ENERGY,
)
from harness.catalogue.boards.model import Board, Column

__all__ = ["CONVERSION", "IMPORTED", "METHODS", "NEURONS", "ROBUSTNESS", "SIGNALS", "SPIKE_TIMES", "STREAMING", "TASKS"]

_ROBUSTNESS_METRICS = (
    "noise_error_fraction",
    "dropped_error_fraction",
    "int8_error_fraction",
    "int4_error_fraction",
    "error_fraction",
)

_TIMES = ("half_error_fraction", "mean_error_fraction", "steps_within_a_point")

_STREAMING_METRICS = (
    "streaming_mean_error_fraction",
    "streaming_error_fraction",
    "streaming_first_answer_steps",
    "streaming_final_answer_steps",
    "mean_error_fraction",
    "error_fraction",
    "first_answer_steps",
    "final_answer_steps",
    "rollout_mismatch_fraction",
    "interface_events_per_step",
    "interface_event_bytes_per_step",
    "interface_dense_bytes_per_step",
)

_TRACKING_METRICS = (
    "normalised_error_fraction",
    "training_error_fraction",
    "firing_rate_hertz",
    "learning_state_bytes",
)

_CONVERSION_METRICS = (
    "error_t8_fraction",
    "error_t64_fraction",
    "ann_error_fraction",
    "steps_within_a_point",
    "early_error_fraction",
    "early_steps",
)

_TIMED_METRICS = (
    "error_fraction",
    "ann_error_fraction",
    "ann_difference",
    "spikes_per_neuron",
    "latency_windows",
    "latency_steps",
)

NEURONS = Board(
    name="neurons",
    title="Neuron models",
    question="Which neuron model, under the same training, network and budget?",
    axis="neuron",
    columns=(
        *(ERROR, TO_TARGET, RATIO, INFERENCE_RATIO, REFERENCE_RATIO, ROOF, PEAK, SAVED, SPIKES, ENERGY),
        *(AT_TARGET, STEP, INFERENCE),
    ),
    rank_by=ERROR.key,
    fixed={"method": ("bptt",), "backend": ("eager",)},
    baseline="lif",
)

METHODS = Board(
    name="methods",
    title="Training methods",
    question="Which training method, with the same neuron, on the same task and budget?",
    axis="method",
    columns=(
        *(ERROR, TO_TARGET, RATIO, REFERENCE_RATIO, GROWTH, PEAK, SAVED, SLOPE, SPIKES),
        *(TRAINING_ENERGY, ENERGY, AT_TARGET, STEP),
    ),
    rank_by=ERROR.key,
    fixed={"backend": ("eager",)},
    varies=("topology",),
    baseline="bptt",
    curves=("saved_bytes", "train_step_seconds", "live_bytes"),
)

TASKS = Board(
    name="tasks",
    title="Tasks",
    question="How hard is each task for the same neuron, training and network?",
    axis="task",
    columns=(ERROR, REFERENCE_RATIO, PEAK, SPIKES, ENERGY, STEP),
    rank_by=ERROR.key,
    fixed={"backend": ("eager",)},
)

SIGNALS = Board(
    name="signals",
    title="Signals",
    question="Which training method makes a recurrent pool produce a signal on its own, and at which firing rate?",
    axis="method",
    columns=tuple(Column("tracking", metric, needs_verification=False) for metric in _TRACKING_METRICS),
    rank_by="tracking.normalised_error_fraction",
    fixed={"backend": ("eager",)},
    varies=("topology",),
)

CONVERSION = Board(
    name="conversion",
    title="Conversion",
    question="Which way from an ANN to a spiking network loses least, after how many steps and operations?",
    axis="method",
    columns=tuple(Column("anytime", metric, needs_verification=False) for metric in _CONVERSION_METRICS),
    rank_by="anytime.error_t64_fraction",
    fixed={"backend": ("eager",)},
    varies=("topology",),
    curves=("error_fraction", "operations_per_sample", "spikes_per_neuron"),
    only_with="anytime.ann_error_fraction",
)

SPIKE_TIMES = Board(
    name="spike-times",
    title="Spike times",
    question="Which network whose neurons fire once errs least, with how few spikes, and after how long?",
    axis="method",
    columns=tuple(Column("spike_times", metric, needs_verification=False) for metric in _TIMED_METRICS),
    rank_by="spike_times.error_fraction",
    fixed={"backend": ("eager",)},
    varies=("topology",),
)

STREAMING = Board(
    name="streaming",
    title="Streaming",
    question="How early does a network answer where every edge costs a step, and what crosses to its read-out?",
    axis="neuron",
    columns=tuple(Column("streaming", metric, needs_verification=False) for metric in _STREAMING_METRICS),
    rank_by="streaming.streaming_mean_error_fraction",
    fixed={"backend": ("eager",)},
    varies=("topology",),
    curves=("streaming_error_fraction", "error_fraction"),
)

ROBUSTNESS = Board(
    name="robustness",
    title="Robustness",
    question="Which neuron still gets it right with a noisy input, lost events, coarse weights or less time?",
    axis="neuron",
    columns=(
        *(Column("robustness", metric, needs_verification=False) for metric in _ROBUSTNESS_METRICS),
        *(Column("over_time", metric, needs_verification=False) for metric in _TIMES),
    ),
    rank_by="robustness.noise_error_fraction",
    fixed={"backend": ("eager",)},
    baseline="lif",
    curves=("error_fraction",),
)

IMPORTED = Board(
    name="imported",
    title="Imported networks",
    question="Which trained network that another library exported (spikeboard measure), on the same task?",
    axis="neuron",
    columns=(ERROR, SPIKES, ENERGY),
    rank_by=ERROR.key,
    fixed={"method": ("imported",), "backend": ("eager",)},
)
