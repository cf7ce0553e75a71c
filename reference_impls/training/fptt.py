"""FPTT: forward propagation through time. Each step is learned from at once, tied to a running average of the weights.

What holds the steps together is not a graph but a regulariser that changes as the weights do. Must not know which
topology it trains: a network's own ``run`` of a few steps is all that is asked of it.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping

import torch
from torch import Tensor
from torch.nn import functional

from reference_impls.api import (
    Network,
    OptimizerFactory,
    SequentialNeuron,
    StageReport,
    State,
    TrainingMethod,
    UpdateReport,
    detached,
)

CARD = {
    "name": "fptt",
    "kind": "training",
    "version": 1,
    "title": "FPTT: forward propagation through time",
    "summary": (
        "The state is cut and the optimizer steps after every part of the sequence. Early parts are asked for less: "
        "their loss is mostly one of uncertainty. A dynamic regulariser ties the weights to their running average, so "
        "that what late parts learn does not undo the early ones. Memory does not grow with T."
    ),
    "equations": (
        "L[p] = r CE(y[p]) + (1 - r) mean(-Q log softmax(y[p])) + sum_W (alpha/2 (W - W')^2 - W lambda), r = p/P, "
        "Q uniform; after each step: lambda <- lambda - alpha (W - W'), W' <- (1 - beta) W' + beta W - (beta/alpha) "
        "lambda"
    ),
    "citations": [
        {
            "authors": "B. Yin, F. Corradi, S. M. Bohte",
            "title": (
                "Accurate online training of dynamical spiking neural networks through Forward Propagation Through Time"
            ),
            "venue": "Nature Machine Intelligence",
            "year": 2023,
            "arxiv": "2112.11231",
            "code": "https://github.com/byin-cwi/sFPTT (commit a5a630a)",
        },
        {
            "authors": "A. Kag, V. Saligrama",
            "title": "Training Recurrent Neural Networks via Forward Propagation Through Time",
            "venue": "ICML",
            "year": 2021,
        },
    ],
    "capabilities": {
        "updates": "per_step",
        "structures": ["chain", "recurrent"],
        "neuron": {"parallel": ["sequential"]},
        "memory_in_T": "O(1)",
        "spiking_backward": False,
    },
    "defaults": {"window": 1, "alpha": 0.1, "beta": 0.5, "uncertainty": True},
    "optimizer_space": ["learning_rate", "weight_decay", "schedule", "clip_norm"],
    "space": {
        "alpha": {"low": 0.01, "high": 1.0, "scale": "log"},
        "beta": {"low": 0.05, "high": 0.95},
        "uncertainty": {"choices": [True, False]},
    },
    "variants": {
        "fptt-windows": {
            "title": "FPTT, four steps at a time",
            "summary": "As fptt, but a part is 4 steps long, and unrolled.",
            "params": {"window": 4},
            "capabilities": {"updates": "per_window", "memory_in_T": "O(window)"},
            "overrides": {
                "space": {
                    "alpha": {"low": 0.01, "high": 1.0, "scale": "log"},
                    "beta": {"low": 0.05, "high": 0.95},
                    "window": {"low": 1, "high": 16, "scale": "log"},
                }
            },
        },
    },
    "divergences": [
        "The authors train liquid neurons, whose time constants follow from input and state through weights of their "
        "own, and hold that FPTT needs them; here the neuron is that of its row.",
        "Q is uniform throughout. The release goes on, after 20 epochs, with what the network itself gave for a "
        "misread sample of the class at that part.",
        "The read-out of a part is the mean of the network's output so far; the release's is a leaky membrane.",
        "The release leaves W' for the weights at hand when it tests, and so does this.",
        "No golden vectors: the tests restate a run of updates from the equations, as the release writes them.",
    ],
}

AVERAGE, PULL = "fptt.average.", "fptt.pull."
"""Prefixes of W' and lambda in a state dict."""


class FPTT(TrainingMethod):
    """Forward propagation through time.

    Parameters
    ----------
    window : time steps of a part, at least 1.
    alpha : strength of the regulariser, > 0.
    beta : how fast the average W' follows the weights, in (0, 1].
    uncertainty : whether early parts are asked to be uncertain; False: only their loss is weighted less.

    Regulariser and averages are those of the release's ``get_regularizer_named_params`` and
    ``post_optimizer_updates``, the loss of a part that of its ``train_mnist_snn.py``.
    Shapes: ``x[T, B, ...]``, classes ``[B]``.
    """

    def __init__(self, window: int = 1, alpha: float = 0.1, beta: float = 0.5, uncertainty: bool = True) -> None:
        if window < 1:
            raise ValueError(f"window must be at least 1 time step, got {window}")
        if not (alpha > 0 and 0 < beta <= 1):
            raise ValueError(f"alpha must be positive and beta in (0, 1], got {alpha} and {beta}")
        self.window, self.alpha, self.beta, self.uncertainty = window, float(alpha), float(beta), uncertainty
        self.bptt_loss = {"loss": "per_step_ce"}
        self.average: dict[str, Tensor] = {}
        """W' of every parameter, by name."""
        self.pull: dict[str, Tensor] = {}
        """lambda of every parameter: the sum of its deviations."""

    def prepare(self, network: Network, optimizer: OptimizerFactory | None = None) -> None:
        """Take over a network that can be taken step by step; begin the averages at its weights."""
        if network.structure not in ("chain", "recurrent"):
            raise ValueError(f"FPTT trains chains and recurrent networks, not a {network.structure!r} network")
        for neuron in network.neurons():
            if not isinstance(neuron, SequentialNeuron):
                raise ValueError(
                    f"FPTT goes step by step: every neuron must be sequential, not {type(neuron).__name__}"
                )
        super().prepare(network, optimizer)
        self.average = {name: value.detach().clone() for name, value in network.named_parameters()}
        self.pull = {name: torch.zeros_like(value) for name, value in self.average.items()}

    def state_dict(self) -> dict[str, Tensor]:
        """Return the network's, and averages and pulls, without which the loss is another."""
        kept = {AVERAGE + name: value for name, value in self.average.items()}
        return super().state_dict() | kept | {PULL + name: value for name, value in self.pull.items()}

    def load_state_dict(self, state: Mapping[str, Tensor]) -> None:
        """Take over what `state_dict` gave."""
        own = (AVERAGE, PULL)
        super().load_state_dict({name: value for name, value in state.items() if not name.startswith(own)})
        for prefix, held in zip(own, (self.average, self.pull), strict=True):
            for name, value in held.items():
                value.copy_(state[prefix + name])

    def update(self, x: Tensor, target: Tensor) -> UpdateReport:
        """Learn from one batch: one optimizer step after each part."""
        optimizer = self._require_optimizer()
        optimizer.zero_grad(set_to_none=True)
        loss, updates, stages = 0.0, 0, []
        for part, stage in self._walk(x, target):
            optimizer.step()
            optimizer.zero_grad(set_to_none=True)
            self.follow()
            loss, updates = loss + part, updates + 1
            stages.append(stage)
        return UpdateReport(loss, updates, tuple(stages))

    @torch.no_grad()
    def predict(self, x: Tensor) -> Tensor:
        """Return the mean over time of the read-out, ``[B, C]``."""
        return self.network.run(x).logits.mean(0)

    def accumulate(self, x: Tensor, target: Tensor) -> UpdateReport:
        """Add the gradients of all parts, without an optimizer step between them."""
        parts = list(self._walk(x, target))
        return UpdateReport(sum(loss for loss, _ in parts), stages=tuple(stage for _, stage in parts))

    @torch.no_grad()
    def follow(self) -> None:
        """Let pulls and averages follow the weights, after a step of the optimizer."""
        for name, weight in self.network.named_parameters():
            pull, average = self.pull[name], self.average[name]
            pull.sub_(weight - average, alpha=self.alpha)
            average.mul_(1 - self.beta).add_(weight - pull / self.alpha, alpha=self.beta)

    def _walk(self, x: Tensor, target: Tensor) -> Iterator[tuple[float, StageReport]]:
        """Take one part after another; yield its loss, without the regulariser, when its gradient has been added."""
        self.network.begin_batch()
        states: tuple[State | None, ...] | None = None
        total: Tensor | float = 0.0
        done = 0
        for part in x.split(self.window):
            with self._stage("forward", part.shape[0]) as stages:
                out = self.network.run(part, detached(states))
            states, done = out.states, done + part.shape[0]
            so_far = total + out.logits.sum(0)
            total = so_far.detach()
            loss = self.part_loss(so_far / done, target, done / x.shape[0])
            (loss + self.regulariser()).backward()
            yield float(loss.detach()), stages[0]

    def part_loss(self, logits: Tensor, target: Tensor, passed: float) -> Tensor:
        """Return the loss of a part's ``logits[B, C]``, after the fraction `passed` of the sequence."""
        loss = passed * functional.cross_entropy(logits, target)
        if self.uncertainty:
            uniform = -logits.log_softmax(1).mean() / logits.shape[1]
            loss = loss + (1 - passed) * uniform
        return loss

    def regulariser(self) -> Tensor:
        """Return ``sum_W (alpha/2 (W - W')^2 - W lambda)``, a scalar."""
        terms = [
            self.alpha / 2 * (weight - self.average[name]).pow(2).sum() - (weight * self.pull[name]).sum()
            for name, weight in self.network.named_parameters()
            if weight.requires_grad
        ]
        return sum(terms[1:], terms[0])
