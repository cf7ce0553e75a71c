"""Boards of whole systems: graphs, control, video, optical flow, detection."""

from __future__ import annotations

from harness.catalogue.boards.model import Board, Column

__all__ = ["CONTROL", "DETECTION", "FLOW", "GRAPHS", "VIDEO"]

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

GRAPHS = Board(
    name="graphs",
    title="Knowledge graphs",
    question="Which system completes facts of a knowledge graph best, and at what cost?",
    axis="neuron",
    columns=tuple(Column("link_prediction", metric, needs_verification=False) for metric in _LINK_METRICS),
    rank_by="link_prediction.mean_reciprocal_rank",
    baseline="relation-frequency",
    of_systems=True,
)

CONTROL = Board(
    name="control",
    title="Control",
    question="Which actor collects most in an environment, and at what cost of a decision?",
    axis="neuron",
    columns=tuple(Column("control", metric, needs_verification=False) for metric in _CONTROL_METRICS),
    rank_by="control.mean_return",
    baseline="random-policy",
    of_systems=True,
)

VIDEO = Board(
    name="video",
    title="Video from events",
    question="Which system turns events into frames with least error, and at how many spikes?",
    axis="neuron",
    columns=tuple(Column("video", metric) for metric in _VIDEO_METRICS),
    rank_by="video.mean_squared_error",
    baseline="mean-image",
    of_systems=True,
)

FLOW = Board(
    name="flow",
    title="Optical flow from events",
    question="Which system tells from events where every pixel moves, and at how many spikes?",
    axis="neuron",
    columns=tuple(Column("flow", metric) for metric in _FLOW_METRICS),
    rank_by="flow.end_point_error_pixels",
    baseline="zero-flow",
    of_systems=True,
)

DETECTION = Board(
    name="detection",
    title="Detection from events",
    question="Which system finds moving objects most precisely, and what crosses from its spikes to its head?",
    axis="neuron",
    columns=tuple(Column("detection", metric) for metric in _DETECTION_METRICS),
    rank_by="detection.average_precision_50_fraction",
    baseline="mean-boxes",
    of_systems=True,
)
