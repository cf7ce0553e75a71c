"""Columns that several boards share."""

from __future__ import annotations

from harness.catalogue.boards.model import Column

__all__ = [
    "AT_TARGET",
    "ENERGY",
    "ERROR",
    "GROWTH",
    "INFERENCE",
    "INFERENCE_RATIO",
    "PEAK",
    "RATIO",
    "REFERENCE_RATIO",
    "ROOF",
    "SAVED",
    "SLOPE",
    "SPEED",
    "SPIKES",
    "STEP",
    "TO_TARGET",
    "TRAINING_ENERGY",
]

ERROR = Column("accuracy", "error_fraction", needs_verification=False)
TO_TARGET = Column("time_to_target", "seconds_to_target")
STEP = Column("throughput", "train_step_seconds", ranked=False)
INFERENCE = Column("throughput", "inference_step_seconds", ranked=False)
INFERENCE_RATIO = Column("throughput", "inference_step_ratio")
REFERENCE_RATIO = Column("throughput", "train_reference_ratio")
SPEED = Column("throughput", "train_neuron_steps_per_second", ranked=False)
RATIO = Column("throughput", "train_step_ratio")
ROOF = Column("throughput", "copy_bandwidth_fraction")
PEAK = Column("memory", "peak_bytes")
SAVED = Column("memory", "saved_bytes")
SLOPE = Column("memory", "saved_bytes_per_time_step")
GROWTH = Column("scaling", "train_seconds_per_time_step")
SPIKES = Column("spikes", "spikes_per_neuron", needs_verification=False)
ENERGY = Column("spikes", "energy_joules", needs_verification=False)
AT_TARGET = Column("frontier", "joules_to_target", needs_verification=False)
TRAINING_ENERGY = Column("spikes", "training_energy_joules", needs_verification=False)
