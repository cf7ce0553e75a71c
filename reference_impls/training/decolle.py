"""DECOLLE: every layer learns from its own random read-out, at every step. Must not know any neuron by name."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional

from reference_impls.api import (
    Network,
    OptimizerFactory,
    StageReport,
    TrainingMethod,
    UpdateReport,
)
from reference_impls.names import check_name
from reference_impls.training._eligibility import require_one_step
from reference_impls.training._losses import one_hot
from reference_impls.training._traced_layer import TracedLayer

CARD = {
    "name": "decolle",
    "kind": "training",
    "version": 1,
    "title": "DECOLLE: deep continuous local learning",
    "summary": (
        "Each layer has a fixed random read-out with a loss of its own at every step. No gradient crosses layers; over "
        "time only the trace of a synapse's input goes forward. One optimizer step at each time step."
    ),
    "equations": (
        "r_l[t] = G_l s_l[t] + g_l, fixed; L[t] = sum_l SmoothL1(r_l[t], onehot); "
        "dW_l[t] = (G_l^T dL/dr_l) sg(u_l[t]) P_l[t]^T, P_l the input's trace through the neuron (e-prop's e_ij)"
    ),
    "citations": [
        {
            "authors": "J. Kaiser, H. Mostafa, E. Neftci",
            "title": "Synaptic Plasticity Dynamics for Deep Continuous Local Learning (DECOLLE)",
            "venue": "Frontiers in Neuroscience 14:424",
            "year": 2020,
            "arxiv": "1811.10766",
            "code": "https://github.com/nmi-lab/decolle-public (commit 28f33a8)",
        }
    ],
    "capabilities": {
        "updates": "per_step",
        "structures": ["chain"],
        "neuron": {"parallel": ["sequential"], "needs_T": [False]},
        "memory_in_T": "O(1)",
        "spiking_backward": False,
    },
    "defaults": {"update": "online", "burn_in": 0, "start": "rest", "amplitude": 1.0},
    "space": {
        "amplitude": {"low": 0.1, "high": 10.0, "scale": "log"},
    },
    "variants": {
        "decolle-accumulated": {
            "title": "DECOLLE, accumulated update",
            "summary": "As decolle, but with one optimizer step a batch.",
            "params": {"update": "accumulated"},
            "capabilities": {"updates": "per_batch"},
        },
    },
    "divergences": [
        "The authors train their own neuron (decolle-lif); with another one the trace is that of its own step.",
        "The released init ignores the length of the burn-in: it runs step 0 and goes on at step burn_in. start "
        "'released' does that; by default the burn-in is simulated.",
        "Dropout, layer-wise initialisation and the schedule of the released DVS-Gesture run are not here; its "
        "read-outs have an amplitude of 2.",
        "The prediction is the mean over time of the last layer's read-out, which is the network's own.",
    ],
}

UPDATES = ("accumulated", "online")
STARTS = ("rest", "released")


@dataclass(frozen=True)
class LocalStep:
    """One time step that was learned from; its gradient is still with the layers."""

    layers: tuple[TracedLayer, ...]
    losses: Tensor
    """``[L]``, of each layer."""
    readouts: tuple[Tensor, ...]
    """``[B, C]`` of each layer."""

    def settle(self) -> None:
        """Move the gradient into the ``.grad`` of the parameters."""
        for layer in self.layers:
            layer.settle()


class DECOLLE(TrainingMethod):
    """Deep continuous local learning.

    Parameters
    ----------
    update : ``online``: one optimizer step a time step. ``accumulated``: one a batch.
    burn_in : steps at the beginning from which nothing is learned or read.
    start : what the first steps are: ``rest``: simulated all; ``released``: step 0, then step `burn_in`.
    amplitude : a of the read-outs, drawn uniformly from ``+- a / sqrt(n)`` in `prepare`.

    The last layer's read-out is the network's own; none of them learns. Golden vectors from the authors' classes, both
    kinds of update. Shapes: ``x[T, B, ...]``, classes ``[B]``.
    """

    def __init__(self, update: str = "online", burn_in: int = 0, start: str = "rest", amplitude: float = 1.0) -> None:
        self.online = check_name("update", update, UPDATES) == "online"
        if burn_in < 0:
            raise ValueError(f"burn_in must be 0 or more time steps, got {burn_in}")
        if not amplitude > 0:
            raise ValueError(f"amplitude must be positive, got {amplitude}")
        self.burn_in = burn_in
        self.start = check_name("start", start, STARTS)
        self.amplitude = amplitude
        self.readouts: list[nn.Module] = []
        """Of each layer; the network's own last."""

    def prepare(self, network: Network, optimizer: OptimizerFactory | None = None) -> None:
        """Take over a chain of sequential neurons; draw the read-outs."""
        if network.structure != "chain":
            raise ValueError(f"DECOLLE trains a chain of layers; this network's structure is {network.structure!r}")
        for neuron in network.neurons():
            require_one_step(neuron, "DECOLLE")
        chain: Any = network
        self._draw(_last_linear(chain.readout))
        self.readouts = []
        super().prepare(network, optimizer)

    def update(self, x: Tensor, target: Tensor) -> UpdateReport:
        """Learn from one batch: one optimizer step at each time step, or one after the last."""
        if not self.online:
            return super().update(x, target)
        optimizer = self._require_optimizer()
        total, updates = 0.0, 0
        with self._stage("forward", len(self._order(x.shape[0]))) as stages:
            for step in self.walk(x, target):
                optimizer.zero_grad(set_to_none=True)
                step.settle()
                optimizer.step()
                total, updates = total + float(step.losses.sum()), updates + 1
        return UpdateReport(total, updates, tuple(stages))

    @torch.no_grad()
    def predict(self, x: Tensor) -> Tensor:
        """Return the mean over time of the last layer's read-out, ``[B, C]``."""
        seen = x if self.start == "rest" else x[self._order(x.shape[0])]
        return self.network.run(seen).logits[self._first(x.shape[0]) :].mean(0)

    def accumulate(self, x: Tensor, target: Tensor) -> UpdateReport:
        """Add the gradients of all time steps, without an optimizer step between them."""
        total = torch.zeros((), device=x.device)
        stages: list[StageReport]
        with self._stage("forward", len(self._order(x.shape[0]))) as stages:
            for step in self.walk(x, target):
                total = total + step.losses.sum()
                step.settle()
        return UpdateReport(float(total), stages=tuple(stages))

    @torch.no_grad()
    def walk(self, x: Tensor, target: Tensor) -> Iterator[LocalStep]:
        """Take one time step after another; yield those that are learned from."""
        network: Any = self.network
        network.begin_batch()
        layers = [TracedLayer(block) for block in network.layers()]
        order, first = self._order(x.shape[0]), self._first(x.shape[0])
        for index, t in enumerate(order):
            z, spikes = x[t], []
            for layer in layers:
                if self.online:
                    layer.reweigh()
                s = layer.step(z)
                spikes.append(s)
                z = layer.block.passed_on(s)
            if index >= first:
                yield self._learn(layers, spikes, target)

    def _learn(self, layers: Sequence[TracedLayer], spikes: Sequence[Tensor], target: Tensor) -> LocalStep:
        """Give every layer the learning signal of its own read-out."""
        losses, readouts = [], []
        for layer, s, readout in zip(layers, spikes, self._readouts(spikes), strict=True):
            with torch.enable_grad():
                at = s.detach().requires_grad_()
                read = readout(layer.block.passed_on(at))
                loss = functional.smooth_l1_loss(read, one_hot(target, read))
                (signal,) = torch.autograd.grad(loss, at)
            layer.learn(signal)
            losses.append(loss.detach())
            readouts.append(read.detach())
        return LocalStep(tuple(layers), torch.stack(losses), tuple(readouts))

    def _readouts(self, spikes: Sequence[Tensor]) -> list[nn.Module]:
        """Return the read-out of each layer; the first time, draw those below the last, whose sizes are now known."""
        network: Any = self.network
        if not self.readouts:
            classes = _last_linear(network.readout).out_features
            for s in spikes[:-1]:
                readout = nn.Linear(s[0].numel(), classes).to(s).requires_grad_(False)
                self._draw(readout)
                self.readouts.append(nn.Sequential(nn.Flatten(), readout))
            self.readouts.append(network.readout)
        return self.readouts

    def _draw(self, readout: nn.Linear) -> None:
        bound = self.amplitude / readout.in_features**0.5
        for parameter in readout.parameters():
            nn.init.uniform_(parameter, -bound, bound)

    def _order(self, steps: int) -> list[int]:
        """Return the steps of the input in the order in which they are simulated."""
        if self.burn_in >= steps:
            raise ValueError(f"burn_in {self.burn_in} leaves nothing of {steps} time steps; choose a shorter one")
        return list(range(steps)) if self.start == "rest" else [0, *range(self.burn_in, steps)]

    def _first(self, steps: int) -> int:
        """Return how many of them come before learning."""
        return len(self._order(steps)) - (steps - self.burn_in)


def _last_linear(module: nn.Module) -> nn.Linear:
    """Return the linear map that ends a read-out."""
    last = list(module)[-1] if isinstance(module, nn.Sequential) else module
    assert isinstance(last, nn.Linear)
    return last
