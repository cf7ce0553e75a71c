"""DSR: differentiation on the spike representation. Spikes forward, a clamp of average rates backward.

Each layer's spike train stands for a weighted average that tends to a clamp of the average input; that clamp, and
nothing of the simulation, is differentiated. Must not know a neuron beyond its decay, its input's weight and what a
soft reset subtracts.
"""

from __future__ import annotations

import copy
import math
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional

from reference_impls.api import (
    Network,
    OptimizerFactory,
    SequentialNeuron,
    Synapse,
    TrainingMethod,
    UpdateReport,
    over_time,
)
from reference_impls.training._equilibrium import average_input

CARD = {
    "name": "dsr",
    "kind": "training",
    "version": 1,
    "title": "DSR: differentiation on spike representation",
    "summary": (
        "IF or LIF neurons with a learned threshold, the output layer included, are simulated; backward, each layer is "
        "the clamp that its average output tends to. No gradient passes through membranes, spikes or resets."
    ),
    "equations": (
        "fire at u >= alpha V, subtract V, emit V (IF) or V/dt (LIF); r(z) = sum_t w_t z[t], w_t ~ decay^(T-t); "
        "backward r_out = clamp(r_in, 0, V) or clamp(r_in/tau, 0, V/dt), dL/dI[t] = r(G) inside; "
        "dL/dV = sum T r(G) [saturated], times dt for LIF; dt = -tau ln(decay)"
    ),
    "citations": [
        {
            "authors": "Q. Meng, M. Xiao, S. Yan, Y. Wang, Z. Lin, Z.-Q. Luo",
            "title": (
                "Training High-Performance Low-Latency Spiking Neural Networks by Differentiation on Spike "
                "Representation"
            ),
            "venue": "CVPR",
            "year": 2022,
            "arxiv": "2205.00459",
            "code": "https://github.com/qymeng94/DSR (commit 876c8d1)",
        }
    ],
    "capabilities": {
        "updates": "per_batch",
        "keeps_neuron": False,
        "structures": ["chain"],
        "neuron": {"parallel": ["sequential"], "membrane": ["linear", "linear-decayed-input"], "reset": ["soft"]},
        "memory_in_T": "O(T)",
        "spiking_backward": False,
    },
    "defaults": {"tau": 1.0, "output_bias": 0.25},
    "space": {
        "output_bias": {"low": 0.0, "high": 0.5},
    },
    "variants": {
        "dsr-low-latency": {
            "title": "DSR, setting for few steps",
            "summary": "As dsr, but a LIF too fires at half its threshold, as the authors have it for T = 5.",
            "params": {"alpha": 0.5},
        },
    },
    "divergences": [
        "The neuron decides which of the two forms is used: no leak is IF, a leak is LIF with dt = -tau ln(decay). "
        "A LIF whose input is not decayed is the same map with the input divided by 1 - decay.",
        "The released settings start the threshold at 6 (IF), 0.3 (LIF, dt 0.05) or 0.6 (LIF at T = 5, dt 0.1, alpha "
        "0.5, bound 1e-3): always a spike of height 6. Here dt follows from the neuron's decay and the height stays 6.",
        "A class whose output neuron lies below its clamp for every sample gets no gradient; the small networks here "
        "start with such classes and would lose them, so the read-out's bias begins a quarter up the clamp.",
        "With LIF neurons the released backward uses T times the weighted mean of the error where the sum is due; at "
        "the last layer this enlarges the gradient by T sum w^2 (8 % at T = 20 and dt/tau = 0.05).",
        "With LIF neurons the released threshold gradient is multiplied by dt; that of the clamp at V/dt is 1/dt. "
        "Its interval is closed for IF and open for LIF.",
        "A weight's gradient takes the plain mean of the spikes before it, also where the representation is weighted.",
        "Spikes of the output layer feed no synapse; they are a counter and not part of the layers' spikes.",
    ],
}

HEIGHT = 6.0


class DSR(TrainingMethod):
    """Differentiation on spike representation.

    Parameters
    ----------
    v_threshold : V at the start, of every layer; None: such that a spike's height is 6, as in all released settings.
    alpha : share of V at which a neuron fires; None: 0.5 (IF) or 0.3 (LIF).
    v_threshold_bound : least V; None: 0.01 (IF) or 5e-4 (LIF).
    tau : time constant of LIF in the units of dt; a spike's height is ``V / dt``, ``dt = -tau ln(decay)``.
    output_bias : added to the read-out's bias by `prepare`, as a share of the input that saturates the output layer.

    `prepare` adds ``dsr_thresholds``, one scalar a layer (the output layer's last), to the network, and sets threshold,
    reset and the height of the spikes passed on from them. Counter, when spikes are counted: ``output_spikes``.
    Golden vectors from the authors' classes, IF and LIF. Shapes: ``x[T, B, ...]``, classes ``[B]``.
    """

    def __init__(
        self,
        v_threshold: float | None = None,
        alpha: float | None = None,
        v_threshold_bound: float | None = None,
        tau: float = 1.0,
        output_bias: float = 0.25,
    ) -> None:
        for value in (v_threshold, alpha, v_threshold_bound, tau):
            if value is not None and not value > 0:
                raise ValueError(f"v_threshold, alpha, v_threshold_bound and tau must be positive, got {value}")
        self.v_threshold = v_threshold
        self.alpha = alpha
        self.v_threshold_bound = v_threshold_bound
        self.tau = tau
        self.output_bias = output_bias

    def prepare(self, network: Network, optimizer: OptimizerFactory | None = None) -> None:
        """Take over a chain of IF or LIF neurons with soft reset; give it thresholds and an output layer of neurons."""
        if network.structure != "chain":
            raise ValueError(f"DSR trains a chain of layers; this network's structure is {network.structure!r}")
        neurons = [_checked(neuron) for neuron in network.neurons()]
        like = next(network.parameters())
        self.layers = [self._layer(neuron) for neuron in (*neurons, copy.deepcopy(neurons[-1]))]
        starts = [HEIGHT * (layer.dt or 1) if self.v_threshold is None else self.v_threshold for layer in self.layers]
        self.thresholds = nn.ParameterList(
            nn.Parameter(torch.tensor(max(start, layer.bound), dtype=like.dtype, device=like.device))
            for start, layer in zip(starts, self.layers, strict=True)
        )
        prepared_before = hasattr(network, "dsr_thresholds")
        network.register_module("dsr_thresholds", self.thresholds)
        super().prepare(network, optimizer)
        self._renew()
        if not prepared_before:
            self._lift_output()

    @torch.no_grad()
    def predict(self, x: Tensor) -> Tensor:
        """Return the representation of the output layer's spikes, ``[B, C]``."""
        return self.represent(x)[0]

    def synapses(self) -> tuple[Synapse, ...]:
        """Return the linear maps; spikes are as high as the present thresholds make them."""
        self._renew()
        return super().synapses()

    def update(self, x: Tensor, target: Tensor) -> UpdateReport:
        """Make one optimizer step and keep the thresholds above their bounds."""
        report = super().update(x, target)
        with torch.no_grad():
            for layer, v in zip(self.layers, self.thresholds, strict=True):
                v.clamp_(min=layer.bound)
        return report

    def accumulate(self, x: Tensor, target: Tensor) -> UpdateReport:
        """Simulate all layers, then differentiate their representations."""
        self.network.begin_batch()
        with self._stage("forward", x.shape[0]) as stages:
            logits, emitted = self.represent(x)
        loss = functional.cross_entropy(logits, target)
        loss.backward()
        counters = {"output_spikes": float(emitted.count_nonzero())} if self.count_spikes else {}
        return UpdateReport(float(loss.detach()), stages=tuple(stages), counters=counters)

    def represent(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """Return the logits ``[B, C]`` and the output layer's scaled spikes ``[T, B, C]``."""
        self._renew()
        network: Any = self.network
        z, maps = x, [*[block.synapse for block in network.layers()], network.readout]
        for synapse, layer, v in zip(maps, self.layers, self.thresholds, strict=True):
            z = layer(over_time(synapse, z), v)
        return average_input(z, self.layers[-1].decay), z

    def _layer(self, neuron: Any) -> _Layer:
        leaky = neuron.decay < 1
        return _Layer(
            neuron=neuron,
            decay=neuron.decay,
            dt=-self.tau * math.log(neuron.decay) if leaky else None,
            slope=getattr(neuron, "gain", 1.0) / (1 - neuron.decay) / self.tau if leaky else 1.0,
            alpha=self.alpha or (0.3 if leaky else 0.5),
            bound=self.v_threshold_bound or (5e-4 if leaky else 0.01),
        )

    @torch.no_grad()
    def _lift_output(self) -> None:
        """Move every class into its clamp: below it, a class that no sample reaches would never learn."""
        network: Any = self.network
        for name, parameter in network.readout.named_parameters():
            if name.endswith("bias"):
                parameter += self.output_bias * self.layers[-1].height / self.layers[-1].slope

    def _renew(self) -> None:
        """Set neurons and the height of their spikes to the present thresholds."""
        network: Any = self.network
        for layer, v in zip(self.layers, self.thresholds, strict=True):
            layer.set(v)
        for block, layer in zip(network.layers(), self.layers, strict=False):
            block.scale = layer.height


@dataclass
class _Layer:
    """A layer of neurons as DSR runs and differentiates it; `dt` is None for IF."""

    neuron: Any
    decay: float
    dt: float | None
    slope: float
    """Of the clamp: 1 (IF), ``1/tau`` times what the input is not decayed by (LIF)."""
    alpha: float
    bound: float
    height: float = 1.0

    def set(self, threshold: Tensor) -> None:
        """Make the neuron fire at ``alpha V`` and subtract V."""
        v = max(float(threshold.detach()), self.bound)
        self.neuron.v_threshold, self.neuron.reset_amount = self.alpha * v, v
        self.height = v if self.dt is None else v / self.dt

    def __call__(self, current: Tensor, threshold: Tensor) -> Tensor:
        """Map ``[T, B, ...]`` to scaled spikes whose gradient is that of the clamp."""
        with torch.no_grad():
            scaled = self.neuron.run(current.detach()).spikes * self.height
        result: Tensor = _Clamp.apply(current, threshold, scaled, self)
        return result


class _Clamp(torch.autograd.Function):
    """Spikes forward; backward ``clamp(slope r_in, 0, height)``, with the released form of each gradient."""

    @staticmethod
    def forward(current: Tensor, threshold: Tensor, scaled: Tensor, layer: _Layer) -> Tensor:
        return scaled.clone()

    @staticmethod
    def setup_context(ctx: Any, inputs: tuple[Any, ...], output: Tensor) -> None:
        current, _, _, layer = inputs
        average, upper = average_input(current, layer.decay), layer.height / layer.slope
        inside = (average >= 0) & (average <= upper) if layer.dt is None else (average > 0) & (average < upper)
        ctx.save_for_backward(inside, average > upper)
        ctx.layer = layer

    @staticmethod
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor, Tensor, None, None]:
        inside, above = ctx.saved_tensors
        layer: _Layer = ctx.layer
        average = average_input(grad, layer.decay)
        by_threshold = grad.shape[0] * (average * above).sum() * (layer.dt or 1.0)
        return (average * inside * layer.slope).expand(grad.shape), by_threshold, None, None


def _checked(neuron: Any) -> Any:
    """Return `neuron` if DSR knows what its spikes stand for."""
    linear = isinstance(neuron, SequentialNeuron) and 0 < getattr(neuron, "decay", 0) <= 1
    at_zero = getattr(neuron, "v_init", 0) == getattr(neuron, "v_rest", 0) == 0
    if not (linear and at_zero and getattr(neuron, "reset_mode", None) == "soft"):
        raise ValueError(f"DSR needs IF or LIF neurons that start and rest at 0 and reset softly; this is {neuron}")
    return neuron
