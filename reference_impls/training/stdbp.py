"""STDBP: backpropagation through the times of first spikes, of ReL-PSP neurons without windows.

A neuron waits only for the inputs that make it fire, so an answer is there as soon as the first output fires. Must not
know the budget.
"""

from __future__ import annotations

import math
from typing import Any, cast

import torch
from torch import Tensor
from torch.nn import functional

from reference_impls.conversion.first_spike import first_spikes
from reference_impls.conversion.one_spike import on_grid
from reference_impls.conversion.spiking import affine, refuse_unless_convertible, time_mean
from reference_impls.conversion.timed import SpikeTimes
from reference_impls.method import OptimizerFactory, SpikeCounts, TrainingMethod, UpdateReport
from reference_impls.network import Network, Synapse
from reference_impls.neurons.rel_psp import ReLPSP

CARD = {
    "name": "stdbp",
    "kind": "training",
    "version": 1,
    "title": "STDBP: backpropagation through spike times (ReL-PSP)",
    "summary": (
        "Neurons with a linearly rising potential fire once, at a time that is a ratio of two sums over the inputs "
        "before it; its exact derivatives carry the cross-entropy of the negative output times. The first output to "
        "fire is the answer."
    ),
    "equations": (
        "V_j(t) = sum_i w_ij max(0, t - t_i); t_j = (theta + sum_C w_ij t_i) / S, S = sum_C w_ij, C = {i: t_i < t_j}, "
        "at the first crossing; dt_j/dt_i = w_ij / S, dt_j/dw_ij = (t_i - t_j) / S on C; L = CE(softmax(-t), y); "
        "input: t = window (1 - x), silent for x = 0"
    ),
    "citations": [
        {
            "authors": (
                "M. Zhang, J. Wang, J. Wu, A. Belatreche, B. Amornpaisannon, Z. Zhang, V. P. K. Miriyala, H. Qu, "
                "Y. Chua, T. E. Carlson, H. Li"
            ),
            "title": (
                "Rectified linear postsynaptic potential function for backpropagation in deep spiking neural networks"
            ),
            "venue": "IEEE TNNLS 33(5):1947-1958",
            "year": 2022,
            "arxiv": "2003.11837",
        }
    ],
    "capabilities": {
        "updates": "per_batch",
        "structures": ["chain"],
        "neuron": {"parallel": ["sequential"], "output": ["binary"], "reset": ["soft"], "leak": [False]},
        "memory_in_T": "O(1)",
        "spiking_backward": False,
        "keeps_neuron": False,
        "convolutions": False,
        "passes_times": True,
    },
    "defaults": {"window": 16, "v_threshold": 16.0, "latest": 48, "drive": 8.0},
    "space": {
        "v_threshold": {"low": 2.0, "high": 64.0, "scale": "log"},
        "drive": {"low": 1.0, "high": 32.0, "scale": "log"},
    },
    "divergences": [
        "No code of the authors was found: window, threshold and initial weights are free choices. Times are in steps "
        "of a grid of their own, whatever the task's T: 16 steps hold the input, and the threshold is 16.",
        "The network learns in continuous time, and the suite spike_times reads it so. A prediction is simulated on "
        "the grid, where a spike stands at the first step not before its time; outputs are read in between.",
        "Initial weights are PyTorch's plus 8 over the number of inputs, so that a sum of weights is positive and "
        "neurons fire; what stays silent has no gradient. With 2, digits are learned better and MNIST, most of whose "
        "pixels are silent, not at all.",
        "An output that has not fired by step 48 counts as if it fired then.",
        "Inputs are clipped to [0, 1]. Biases are set to 0 and not trained. Fully connected layers only.",
        "The closed form is checked with golden vectors of the neuron rel-psp, which were derived from it; training "
        "and simulation by the tests of this project.",
    ],
}


class STDBP(TrainingMethod):
    """Exact gradients of first-spike times through a network of ReL-PSP neurons.

    Parameters
    ----------
    window : steps that the input takes.
    v_threshold : of every neuron; a sum of weights of 1 reaches it in as many steps.
    latest : step at which a simulation ends, and outputs that have not fired count.
    drive : what initial weights are raised by, summed over the inputs of a neuron.

    Counter: ``silent_fraction`` of the hidden neurons. Shapes: ``x[T, B, ...]``, classes ``[B]``.
    """

    def __init__(self, window: int = 16, v_threshold: float = 16.0, latest: int = 48, drive: float = 8.0) -> None:
        if not 1 <= window < latest:
            raise ValueError(f"window must be at least 1 and end before latest, got {window} and {latest}")
        self.window = window
        self.latest = latest
        self.drive = drive
        self.output = ReLPSP(v_threshold)

    def prepare(self, network: Network, optimizer: OptimizerFactory | None = None) -> None:
        """Take over a chain of fully connected layers of IF neurons: drop its biases, let neurons be ReL-PSP."""
        refuse_unless_convertible(network, "STDBP")
        chain: Any = network
        for owner in (*(block.synapse for block in chain.layers()), chain.readout):
            own = cast(Any, affine(owner))
            if own.weight.dim() != 2:
                raise ValueError(f"STDBP sorts the inputs of fully connected layers; this is {owner}")
            with torch.no_grad():
                own.weight += self.drive / own.weight.shape[1]
            own.bias.requires_grad_(False).zero_()
        for block in chain.layers():
            block.neuron = ReLPSP(self.output.v_threshold, self.latest).to(next(block.synapse.parameters()))
        super().prepare(network, optimizer)

    def input_times(self, x: Tensor) -> Tensor:
        """Return when the inputs fire, ``[B, I]`` in steps from the mean of ``x[T, B, ...]``; infinity: never."""
        frame = time_mean(x).flatten(1).clamp(0, 1)
        return torch.where(frame > 0, self.window * (1 - frame), math.inf)

    def walk(self, x: Tensor) -> list[Tensor]:
        """Return the spike times of input, layers and outputs in continuous time, in steps; infinity: never."""
        network: Any = self.network
        times = [self.input_times(x)]
        maps = [*((block.neuron, block.synapse) for block in network.layers()), (self.output, network.readout)]
        for neuron, synapse in maps:
            weight = cast(Any, affine(synapse)).weight
            times.append(first_spikes(times[-1], weight, neuron.v_threshold, neuron.t_max))
        return times

    def logits(self, outputs: Tensor) -> Tensor:
        """Return the negative times of the outputs, those after the last step as if they came then."""
        return -outputs.clamp(max=self.latest)

    def accumulate(self, x: Tensor, target: Tensor) -> UpdateReport:
        """Differentiate the cross-entropy of the negative output times, exactly."""
        self.network.begin_batch()
        _, *hidden, outputs = self.walk(x)
        loss = functional.cross_entropy(self.logits(outputs), target)
        loss.backward()
        counts = SpikeCounts(len(hidden))
        for layer, times in enumerate(hidden):
            counts.add(layer, times.isfinite().to(times.dtype).unsqueeze(0))
        silent = sum(int((~times.isfinite()).sum()) for times in hidden) / sum(times.numel() for times in hidden)
        stages = (counts.report("forward", 1),) if self.count_spikes else ()
        return UpdateReport(float(loss.detach()), stages=stages, counters={"silent_fraction": silent})

    @torch.no_grad()
    def spike_times(self, x: Tensor) -> SpikeTimes:
        """Return what the network passes on for ``x[T, B, ...]`` in continuous time; one window holds all spikes."""
        first, *hidden, outputs = self.walk(x)
        shares = tuple((times / self.latest).clamp(max=1) for times in (first, *hidden))
        never = tuple(torch.zeros_like(times, dtype=torch.bool) for times in hidden)
        answered = outputs.amin(1).clamp(max=self.latest) / self.window
        return SpikeTimes(shares, never, self.logits(outputs), answered)

    @torch.no_grad()
    def predict(self, x: Tensor) -> Tensor:
        """Simulate the mean of ``x[T, B, ...]`` on the grid; return the negative times of the outputs, ``[B, C]``."""
        steps = self.latest + 1
        times = self.input_times(x)
        spikes = on_grid(times / steps, steps).unflatten(2, x.shape[2:])
        slope = self.network.run(spikes).logits.cumsum(0)
        after = slope.cumsum(0)
        reached = after >= self.output.v_threshold
        first = reached.to(torch.uint8).argmax(0, keepdim=True)
        rise = slope.gather(0, first)
        when = first + 1 + (self.output.v_threshold - after.gather(0, first)) / rise.where(rise > 0, 1.0)
        return self.logits(torch.where(reached.any(0), when[0], math.inf))

    def synapses(self) -> tuple[Synapse, ...]:
        """Return the linear maps: all are fed with spikes, one an input at most."""
        first, *others = super().synapses()
        return (first._replace(source="spikes"), *others)
