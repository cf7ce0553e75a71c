"""Boards: the questions that tables answer, as data.

A board names the axis whose values are its rows, the figures that count and the one that orders them. How records
become a table is decided in ``tables``; how it looks, in ``report``.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal

from harness.errors import UserError
from reference_impls.names import unknown_message

__all__ = ["BOARDS", "COMPARED", "WITHOUT_BACKEND", "Board", "Column", "find_board"]

Axis = Literal["neuron", "method", "backend", "task", "topology"]


@dataclass(frozen=True, slots=True)
class Column:
    """One figure of one suite."""

    suite: str
    metric: str
    needs_verification: bool = True
    """Whether a row that has not passed conformance is left out of the ranking."""
    ranked: bool = True
    """Whether rows are ranked by it; a time is shown, what it is as a ratio to something measured beside it ranks."""

    @property
    def key(self) -> str:
        """Return ``suite.metric``."""
        return f"{self.suite}.{self.metric}"


@dataclass(frozen=True, slots=True)
class Board:
    """A question, the axis whose rows answer it, and the figures that count."""

    name: str
    title: str
    question: str
    axis: Axis
    columns: tuple[Column, ...]
    rank_by: str
    """Key of the column that orders the rows."""
    fixed: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    """Values that other axes must have; those not named here are groups of their own."""
    varies: tuple[str, ...] = ()
    """Axes that may differ between the rows of a table, and are then stated in the row."""
    baseline: str = ""
    """The row that every other is also compared with, on the same network; empty: none."""
    share_margin: float = 0.005
    """Two shares (errors) that are shown to differ by less are no worse than each other: half a point."""
    relative_margin: float = 0.05
    """The same for everything else, as a share of the figure."""
    curves: tuple[str, ...] = ()
    """Figures over T or N that are drawn with a line for each row, in this order; empty: all that records have."""
    of_systems: bool = False
    """Whether its rows on the axis ``neuron`` are whole systems."""
    only_with: str = ""
    """Key of a column: records of its suite that lack the figure are of another board; empty: all records fit."""


_ERROR = Column("accuracy", "error_fraction", needs_verification=False)
_TO_TARGET = Column("time_to_target", "seconds_to_target")
_STEP = Column("throughput", "train_step_seconds", ranked=False)
_INFERENCE = Column("throughput", "inference_step_seconds", ranked=False)
_INFERENCE_RATIO = Column("throughput", "inference_step_ratio")
_REFERENCE_RATIO = Column("throughput", "train_reference_ratio")
_SPEED = Column("throughput", "train_neuron_steps_per_second", ranked=False)
_RATIO = Column("throughput", "train_step_ratio")
_ROOF = Column("throughput", "copy_bandwidth_fraction")
_PEAK = Column("memory", "peak_bytes")
_SAVED = Column("memory", "saved_bytes")
_SLOPE = Column("memory", "saved_bytes_per_time_step")
_GROWTH = Column("scaling", "train_seconds_per_time_step")
_SPIKES = Column("spikes", "spikes_per_neuron", needs_verification=False)
_ENERGY = Column("spikes", "energy_joules", needs_verification=False)
_AT_TARGET = Column("frontier", "joules_to_target", needs_verification=False)
_TRAINING_ENERGY = Column("spikes", "training_energy_joules", needs_verification=False)

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

_ROBUSTNESS_METRICS = (
    "noise_error_fraction",
    "dropped_error_fraction",
    "int8_error_fraction",
    "int4_error_fraction",
    "error_fraction",
)
_TIMES = ("half_error_fraction", "mean_error_fraction", "steps_within_a_point")

_DETECTION_METRICS = (
    "average_precision_50_fraction",
    "average_precision_fraction",
    "interface_events_per_step",
    "spikes_per_neuron",
    "accumulates_per_sample",
    "multiply_accumulates_per_sample",
    "synaptic_joules",
    "parameters",
)

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

_LINK_METRICS = (
    "mean_reciprocal_rank",
    "hits_at_1_fraction",
    "hits_at_3_fraction",
    "hits_at_10_fraction",
    "spikes_per_neuron",
    "energy_joules",
    "parameters",
)

_CONTROL_METRICS = ("mean_return", "spikes_per_neuron", "energy_joules", "environment_steps", "parameters")

_TIMED_METRICS = (
    "error_fraction",
    "ann_error_fraction",
    "ann_difference",
    "spikes_per_neuron",
    "latency_windows",
    "latency_steps",
)

_VIDEO_METRICS = (
    "mean_squared_error",
    "structural_similarity",
    "spikes_per_neuron",
    "accumulates_per_sample",
    "multiply_accumulates_per_sample",
    "synaptic_joules",
)

_FLOW_METRICS = (
    "end_point_error_pixels",
    "outliers_1px_fraction",
    "outliers_3px_fraction",
    "spikes_per_neuron",
    "deepest_firing_rate",
    "accumulates_per_sample",
    "multiply_accumulates_per_sample",
    "synaptic_joules",
)

BOARDS: tuple[Board, ...] = (
    Board(
        name="neurons",
        title="Neuron models",
        question="Which neuron model, under the same training, network and budget?",
        axis="neuron",
        columns=(
            *(_ERROR, _TO_TARGET, _RATIO, _INFERENCE_RATIO, _REFERENCE_RATIO, _ROOF, _PEAK, _SAVED, _SPIKES, _ENERGY),
            *(_AT_TARGET, _STEP, _INFERENCE),
        ),
        rank_by=_ERROR.key,
        fixed={"method": ("bptt",), "backend": ("eager",)},
        baseline="lif",
    ),
    Board(
        name="methods",
        title="Training methods",
        question="Which training method, with the same neuron, on the same task and budget?",
        axis="method",
        columns=(
            *(_ERROR, _TO_TARGET, _RATIO, _REFERENCE_RATIO, _GROWTH, _PEAK, _SAVED, _SLOPE, _SPIKES),
            *(_TRAINING_ENERGY, _ENERGY, _AT_TARGET, _STEP),
        ),
        rank_by=_ERROR.key,
        fixed={"backend": ("eager",)},
        varies=("topology",),
        baseline="bptt",
        curves=("saved_bytes", "train_step_seconds", "live_bytes"),
    ),
    Board(
        name="layers",
        title="Parallel and sequential",
        question="Where does a neuron that computes all steps at once beat one that goes step by step?",
        axis="neuron",
        columns=tuple(Column("layers", metric) for metric in _LAYER_METRICS),
        rank_by="layers.speedup_over_fused_t256",
        fixed={"backend": ("eager",)},
        baseline="lif",
        curves=("speedup_over_fused_LIF", "speedup_over_eager_LIF", "forward_and_backward_seconds"),
    ),
    Board(
        name="backends",
        title="Backends",
        question="How fast is the same neuron under each way of executing it?",
        axis="backend",
        columns=(_RATIO, _INFERENCE_RATIO, _REFERENCE_RATIO, _ROOF, _PEAK, _SAVED, _STEP, _INFERENCE, _SPEED),
        rank_by=_RATIO.key,
        fixed={"method": ("bptt",)},
        baseline="eager",
    ),
    Board(
        name="tasks",
        title="Tasks",
        question="How hard is each task for the same neuron, training and network?",
        axis="task",
        columns=(_ERROR, _REFERENCE_RATIO, _PEAK, _SPIKES, _ENERGY, _STEP),
        rank_by=_ERROR.key,
        fixed={"backend": ("eager",)},
    ),
    Board(
        name="signals",
        title="Signals",
        question="Which training method makes a recurrent pool produce a signal on its own, and at which firing rate?",
        axis="method",
        columns=tuple(Column("tracking", metric, needs_verification=False) for metric in _TRACKING_METRICS),
        rank_by="tracking.normalised_error_fraction",
        fixed={"backend": ("eager",)},
        varies=("topology",),
    ),
    Board(
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
    ),
    Board(
        name="spike-times",
        title="Spike times",
        question="Which network whose neurons fire once errs least, with how few spikes, and after how long?",
        axis="method",
        columns=tuple(Column("spike_times", metric, needs_verification=False) for metric in _TIMED_METRICS),
        rank_by="spike_times.error_fraction",
        fixed={"backend": ("eager",)},
        varies=("topology",),
    ),
    Board(
        name="graphs",
        title="Knowledge graphs",
        question="Which system completes facts of a knowledge graph best, and at what cost?",
        axis="neuron",
        columns=tuple(Column("link_prediction", metric, needs_verification=False) for metric in _LINK_METRICS),
        rank_by="link_prediction.mean_reciprocal_rank",
        baseline="relation-frequency",
        of_systems=True,
    ),
    Board(
        name="control",
        title="Control",
        question="Which actor collects most in an environment, and at what cost of a decision?",
        axis="neuron",
        columns=tuple(Column("control", metric, needs_verification=False) for metric in _CONTROL_METRICS),
        rank_by="control.mean_return",
        baseline="random-policy",
        of_systems=True,
    ),
    Board(
        name="video",
        title="Video from events",
        question="Which system turns events into frames with least error, and at how many spikes?",
        axis="neuron",
        columns=tuple(Column("video", metric) for metric in _VIDEO_METRICS),
        rank_by="video.mean_squared_error",
        baseline="mean-image",
        of_systems=True,
    ),
    Board(
        name="flow",
        title="Optical flow from events",
        question="Which system tells from events where every pixel moves, and at how many spikes?",
        axis="neuron",
        columns=tuple(Column("flow", metric) for metric in _FLOW_METRICS),
        rank_by="flow.end_point_error_pixels",
        baseline="zero-flow",
        of_systems=True,
    ),
    Board(
        name="detection",
        title="Detection from events",
        question="Which system finds moving objects most precisely, and what crosses from its spikes to its head?",
        axis="neuron",
        columns=tuple(Column("detection", metric) for metric in _DETECTION_METRICS),
        rank_by="detection.average_precision_50_fraction",
        baseline="mean-boxes",
        of_systems=True,
    ),
    Board(
        name="streaming",
        title="Streaming",
        question="How early does a network answer where every edge costs a step, and what crosses to its read-out?",
        axis="neuron",
        columns=tuple(Column("streaming", metric, needs_verification=False) for metric in _STREAMING_METRICS),
        rank_by="streaming.streaming_mean_error_fraction",
        fixed={"backend": ("eager",)},
        varies=("topology",),
        curves=("streaming_error_fraction", "error_fraction"),
    ),
    Board(
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
    ),
    Board(
        name="imported",
        title="Imported networks",
        question="Which trained network that another library exported (spikeboard measure), on the same task?",
        axis="neuron",
        columns=(_ERROR, _SPIKES, _ENERGY),
        rank_by=_ERROR.key,
        fixed={"method": ("imported",), "backend": ("eager",)},
    ),
    Board(
        name="libraries",
        title="Libraries",
        question="How fast is the same LIF layer in each library, and does it compute what its convention says?",
        axis="neuron",
        columns=tuple(Column("libraries", metric) for metric in _LIBRARY_METRICS),
        rank_by="libraries.train_step_ratio",
        baseline="spikeboard-lif",
    ),
    Board(
        name="training-steps",
        title="Training steps",
        question="How fast is a whole training step of the same network in each library, and is it the same step?",
        axis="neuron",
        columns=tuple(Column("training", metric) for metric in _STEP_METRICS),
        rank_by="training.speedup_over_eager",
        fixed={"method": ("bptt",)},
        baseline="spikingjelly-lif",
    ),
    Board(
        name="crossover",
        title="Speed against density",
        question="Up to which share of spikes is a product that touches only them faster than a dense one?",
        axis="neuron",
        columns=tuple(Column("crossover", metric) for metric in _CROSSOVER_METRICS),
        rank_by="crossover.gradient_crossover_density",
    ),
)

COMPARED = ("task", "neuron", "method", "topology", "backend", "device", "dtype", "budget", "recipe")
"""Axes of a cell that must be equal within a table, but for the board's own. Seeds are repetitions; threads belong to
the suite (timing takes all cores) and are shown with the figure."""


WITHOUT_BACKEND = ("accuracy", "spikes", "frontier", "robustness", "over_time", "streaming")
"""Suites whose figures no backend moves (conformance shows it): they count whichever has run them."""


def find_board(name: str) -> Board:
    """Return the board `name`; an unknown one is an error that suggests the nearest."""
    for board in BOARDS:
        if board.name == name:
            return board
    raise UserError(unknown_message("board", name, [board.name for board in BOARDS]))
