"""Boards of speed: layers, backends, libraries, whole training steps, and products that touch only spikes."""

from __future__ import annotations

from harness.catalogue.boards.columns import (
    INFERENCE,
    INFERENCE_RATIO,
    PEAK,
    RATIO,
    REFERENCE_RATIO,
    ROOF,
    SAVED,
    SPEED,
    STEP,
)
from harness.catalogue.boards.model import Board, Column

__all__ = ["BACKENDS", "CROSSOVER", "LAYERS", "LIBRARIES", "TRAINING_STEPS"]

_LIBRARY_METRICS = (
    "train_step_seconds",
    "forward_step_seconds",
    "train_neuron_steps_per_second",
    "train_step_ratio_t4",
    "train_step_ratio",
    "train_step_ratio_t64",
    "saved_bytes",
    "peak_bytes",
    "spike_mismatch_fraction",
    "gradient_cosine",
)

_STEP_METRICS = (
    "speedup_over_spikingjelly",
    "speedup_over_eager",
    "train_step_seconds",
    "loss_difference",
    "gradient_difference",
)

_CROSSOVER_METRICS = (
    "forward_crossover_density",
    "gradient_crossover_density",
    "forward_speedup_5_percent",
    "gradient_speedup_5_percent",
)

_LAYER_METRICS = (
    "speedup_over_fused_t16",
    "speedup_over_fused_t256",
    "speedup_over_fused_t2048",
    "speedup_t16",
    "speedup_t256",
    "speedup_t2048",
    "network_speedup",
    "layer_seconds",
)

LAYERS = Board(
    name="layers",
    title="Parallel and sequential",
    question="Where does a neuron that computes all steps at once beat one that goes step by step?",
    axis="neuron",
    columns=tuple(Column("layers", metric) for metric in _LAYER_METRICS),
    rank_by="layers.speedup_over_fused_t256",
    fixed={"backend": ("eager",)},
    baseline="lif",
    curves=("speedup_over_fused_LIF", "speedup_over_eager_LIF", "forward_and_backward_seconds"),
)

BACKENDS = Board(
    name="backends",
    title="Backends",
    question="How fast is the same neuron under each way of executing it?",
    axis="backend",
    columns=(RATIO, INFERENCE_RATIO, REFERENCE_RATIO, ROOF, PEAK, SAVED, STEP, INFERENCE, SPEED),
    rank_by=RATIO.key,
    fixed={"method": ("bptt",)},
    baseline="eager",
)

LIBRARIES = Board(
    name="libraries",
    title="Libraries",
    question="How fast is the same LIF layer in each library, and does it compute what its convention says?",
    axis="neuron",
    columns=tuple(Column("libraries", metric) for metric in _LIBRARY_METRICS),
    rank_by="libraries.train_step_ratio",
    baseline="spikeboard-lif",
)

TRAINING_STEPS = Board(
    name="training-steps",
    title="Training steps",
    question="How fast is a whole training step of the same network in each library, and is it the same step?",
    axis="neuron",
    columns=tuple(Column("training", metric) for metric in _STEP_METRICS),
    rank_by="training.speedup_over_eager",
    fixed={"method": ("bptt",)},
    baseline="spikingjelly-lif",
)

CROSSOVER = Board(
    name="crossover",
    title="Speed against density",
    question="Up to which share of spikes is a product that touches only them faster than a dense one?",
    axis="neuron",
    columns=tuple(Column("crossover", metric) for metric in _CROSSOVER_METRICS),
    rank_by="crossover.gradient_crossover_density",
)
