"""What the figures in the heads of columns mean, in a sentence each, for readers who meet them first.

By column key; a figure that is not listed is told by its title. Must not know where a sentence will stand.
"""

from __future__ import annotations

from collections.abc import Mapping

__all__ = ["EXPLAINED"]

EXPLAINED: Mapping[str, str] = {
    "accuracy.error_fraction": "Share of the test samples that the trained network gets wrong, mean over seeds",
    "time_to_target.seconds_to_target": "Training time until the validation error first reaches the task's target",
    "throughput.train_step_seconds": "Time of one training step: forward, backward and the optimizer, for one batch",
    "throughput.inference_step_seconds": "Time of one forward pass of a batch over all T time steps, without gradients",
    "throughput.train_neuron_steps_per_second": "Neurons x time steps x samples that a training step does a second",
    "throughput.train_step_ratio": "Time of a training step, divided by that of LIF under BPTT in the same process",
    "throughput.inference_step_ratio": "Time of a forward pass, divided by that of LIF in the same process",
    "throughput.train_reference_ratio": (
        "Time of training on one sample, divided by that of one reference network, the same for all tasks"
    ),
    "throughput.copy_bandwidth_fraction": (
        "Bytes that a neuron-step has to move at least, as a share of what a plain copy moves in its time: "
        "at 100 % nothing but memory would be in the way"
    ),
    "memory.peak_bytes": "Most memory that the process held above its start while it trained a step",
    "memory.saved_bytes": "What autograd keeps of the forward pass until the backward pass has used it",
    "memory.saved_bytes_per_time_step": "How what is kept for the backward pass grows with each time step; 0 is online",
    "scaling.train_seconds_per_time_step": "How a training step grows with every time step T",
    "spikes.spikes_per_neuron": "Spikes that a neuron fires for one test sample, mean over neurons and samples",
    "spikes.energy_joules": (
        "Energy of the arithmetic of one inference, from counted operations and published costs in 45 nm; "
        "moving data is not in it"
    ),
    "spikes.training_energy_joules": "Energy of the arithmetic of training on one sample, counted from what ran",
    "frontier.joules_to_target": (
        "Least energy of an inference at which the row, driven ever less, still keeps to the task's target error"
    ),
    "layers.network_speedup": "Training step of a whole network of LIF, divided by that of the same network of the row",
    "tracking.normalised_error_fraction": "Error of the signal that is produced on its own, as a share of its variance",
    "libraries.spike_mismatch_fraction": "Share of spikes that differ from those of the stated convention",
    "libraries.gradient_cosine": "Cosine of the input's gradient with that of the stated convention; 1 is the same",
}
