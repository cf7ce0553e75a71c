"""Forward gradient: one directional derivative, carried forward in time, instead of a backward pass.

A sanity method more than a contender: unbiased for the surrogate's gradient, at a variance that grows with the number
of parameters. Must not know which topology it trains: a network's own ``wire`` is all that is asked of it.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, cast

import torch
from torch import Tensor, nn
from torch.autograd import forward_ad
from torch.func import functional_call

from reference_impls.api import (
    Network,
    OptimizerFactory,
    SequentialNeuron,
    Signal,
    StageReport,
    State,
    TrainingMethod,
    UpdateReport,
)
from reference_impls.training._losses import PER_STEP, sequence_loss

CARD = {
    "name": "forward-gradient",
    "kind": "training",
    "version": 1,
    "title": "Forward gradient",
    "summary": (
        "The loss is differentiated along random directions of all parameters, forward in time and without a graph; "
        "each direction times its slope is an unbiased estimate of BPTT's gradient. Memory does not grow with T."
    ),
    "equations": "g = mean over directions of (grad L . v) v; v ~ N(0, I); grad L . v carried forward through T steps",
    "citations": [
        {
            "authors": "A. G. Baydin, B. A. Pearlmutter, D. Syme, F. Wood, P. Torr",
            "title": "Gradients without Backpropagation",
            "venue": "arXiv",
            "year": 2022,
            "arxiv": "2202.08587",
        }
    ],
    "capabilities": {
        "updates": "per_batch",
        "structures": ["chain", "feedback"],
        "neuron": {"parallel": ["sequential"]},
        "memory_in_T": "O(1)",
        "spiking_backward": False,
    },
    "defaults": {"directions": 8, "loss": "rate_ce"},
    "optimizer_space": ["learning_rate", "weight_decay", "schedule", "clip_norm"],
    "divergences": [
        "The paper takes one direction a step; eight are averaged here, which divides the variance by eight and costs "
        "eight simulations.",
        "The published equations know no spikes: the derivative along a direction is that of the surrogate, so the "
        "estimate is unbiased for the gradient that BPTT would use.",
        "Residual networks are left out: with their number of parameters the estimate is too noisy to learn from.",
        "Parameters that a neuron keeps within bounds are differentiated as if they lay inside.",
    ],
}


class ForwardGradient(TrainingMethod):
    """Directional derivatives along random directions.

    Parameters
    ----------
    directions : directions whose estimates are averaged; each costs one simulation with tangents.
    loss : ``rate_ce``, ``rate_mse``, ``per_step_ce`` or ``tet``.
    tet_weight, tet_target : weight and constant of TET's regulariser (target None: one-hot rows).

    Counter: ``directions``. Shapes: ``x[T, B, ...]``, classes ``[B]``.
    """

    def __init__(
        self, directions: int = 8, loss: str = "rate_ce", tet_weight: float = 0.05, tet_target: float | None = 1.0
    ) -> None:
        if directions < 1:
            raise ValueError(f"directions must be at least 1, got {directions}")
        self.directions = directions
        self.loss = sequence_loss(loss, tet_weight, tet_target)
        self.per_step = loss in PER_STEP
        self.bptt_loss = {"loss": loss, "tet_weight": tet_weight, "tet_target": tet_target}

    def prepare(self, network: Network, optimizer: OptimizerFactory | None = None) -> None:
        """Take over a small enough network of sequential neurons."""
        if network.structure not in ("chain", "feedback"):
            raise ValueError(
                "the forward gradient is for chain and feedback networks: its noise grows with the number of "
                f"parameters, and this network's structure is {network.structure!r}"
            )
        for neuron in network.neurons():
            if not isinstance(neuron, SequentialNeuron):
                raise ValueError(
                    f"the forward gradient goes step by step: every neuron must be sequential, not "
                    f"{type(neuron).__name__}"
                )
        super().prepare(network, optimizer)

    @torch.no_grad()
    def predict(self, x: Tensor) -> Tensor:
        """Return the mean over time of the read-out, ``[B, C]``."""
        return self.network.run(x).logits.mean(0)

    @torch.no_grad()
    def accumulate(self, x: Tensor, target: Tensor) -> UpdateReport:
        """Add each direction times the slope of the loss along it."""
        self.network.begin_batch()
        trained = {name: value for name, value in self.network.named_parameters() if value.requires_grad}
        stages: list[StageReport] = []
        loss = torch.zeros(())
        for _ in range(self.directions):
            direction = {name: torch.randn_like(value) for name, value in trained.items()}
            with self._stage("forward", x.shape[0]) as stage:
                loss, slope = self.slope(x, target, direction)
            stages += stage
            for name, parameter in trained.items():
                share = slope / self.directions * direction[name]
                parameter.grad = share if parameter.grad is None else parameter.grad + share
        return UpdateReport(float(loss), stages=tuple(stages), counters={"directions": float(self.directions)})

    @torch.no_grad()
    def slope(self, x: Tensor, target: Tensor, direction: Mapping[str, Tensor]) -> tuple[Tensor, Tensor]:
        """Return the loss and its derivative along `direction` (by parameter name), two scalars."""
        runner = _Runner(self.network)
        with forward_ad.dual_level():
            # Dual tensors take the parameters' place; autograd's graph is not recorded at all.
            duals = {
                f"network.{name}": forward_ad.make_dual(value.detach(), direction[name])
                for name, value in self.network.named_parameters()
                if name in direction
            }
            total: Tensor | float = 0.0
            states: tuple[State, ...] | None = None
            fed_back: Signal = None
            for x_t in x.unbind(0):
                logits, states, fed_back = functional_call(runner, duals, (x_t, states, fed_back))
                total = total + (self.loss(logits.unsqueeze(0), target) if self.per_step else logits)
            mean = total / x.shape[0]
            assert isinstance(mean, Tensor)
            loss, slope = forward_ad.unpack_dual(mean if self.per_step else self.loss(mean.unsqueeze(0), target))
        return loss, torch.zeros_like(loss) if slope is None else slope


class _Runner(nn.Module):
    """What ``functional_call`` can call with other parameters: one step of a network, by its neurons' own steps.

    A fused backend replaces whole sequences, and its kernels carry no tangents.
    """

    def __init__(self, network: Network) -> None:
        super().__init__()
        self.network = network

    def forward(
        self, x: Tensor, states: tuple[State, ...] | None, fed_back: Signal
    ) -> tuple[Tensor, tuple[State, ...], Signal]:
        neurons: Any = self.network.neurons()
        after: list[State] = [None] * len(neurons)

        def fire(layer: int, current: Tensor) -> Tensor:
            state = neurons[layer].init_state(current) if states is None else states[layer]
            spikes, after[layer] = neurons[layer].advance(current, state)
            return cast("Tensor", spikes)

        logits, last = self.network.wire(x, fire, lambda synapse, signal: synapse(signal), fed_back)
        return logits, tuple(after), last if self.network.structure == "feedback" else None
