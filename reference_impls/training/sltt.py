"""SLTT: spatial learning through time. The gradient never crosses a time step, so memory is flat in T.

SLTT-K differentiates only K steps of a batch, drawn at random. Must not know which topology it trains: a network's own
``run`` of one step is all that is asked of it.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator

import torch
from torch import Tensor

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
from reference_impls.names import check_name
from reference_impls.training._losses import step_loss

CARD = {
    "name": "sltt",
    "kind": "training",
    "version": 1,
    "title": "SLTT: spatial learning through time",
    "summary": (
        "BPTT without its temporal paths: the membrane is cut before every step, each step's loss is differentiated "
        "through the layers of that step only and then let go. Memory does not grow with T."
    ),
    "equations": (
        "V[t-1] detached; L[t] = ((1 - w) CE(O[t], y) + w MSE(O[t], 1)) / T; g_{l-1} = W_l^T g_l sg(H_{l-1} - "
        "v_threshold); dW_l = sum over the chosen t of g_l[t] z_{l-1}[t]^T"
    ),
    "citations": [
        {
            "authors": "Q. Meng, M. Xiao, S. Yan, Y. Wang, Z. Lin, Z.-Q. Luo",
            "title": "Towards Memory- and Time-Efficient Backpropagation for Training Spiking Neural Networks",
            "venue": "ICCV",
            "year": 2023,
            "arxiv": "2302.14311",
            "code": "https://github.com/qymeng94/SLTT (commit 0758ecd)",
        }
    ],
    "capabilities": {
        "updates": "per_batch",
        "structures": ["chain", "residual", "skip", "feedback", "recurrent", "lateral", "reversible"],
        "neuron": {"parallel": ["sequential"]},
        "memory_in_T": "O(1)",
        "spiking_backward": False,
    },
    "defaults": {"mse_weight": 0.05, "mse_target": "constant"},
    "space": {
        "mse_weight": {"low": 0.0, "high": 0.5},
    },
    "variants": {
        "sltt-k": {
            "title": "SLTT-K: spatial learning through K random steps",
            "summary": "As SLTT, but only 2 steps of a batch, drawn at random, are differentiated.",
            "params": {"K": 2},
        },
    },
    "divergences": [
        "The released recipe sets tau 1.1 (decay 0.09), which makes the dropped temporal gradients small by design; "
        "here the neuron is that of its own row, so with a long memory SLTT loses more than in its paper.",
        "SLTT-K divides by T and not by K, as released: its expected gradient is K/T of SLTT's, and the authors' "
        "learning rates assume that.",
        "With the constant target the MSE term pulls every logit towards 1: a regulariser, not a class loss. One-hot "
        "rows, which the authors use for CIFAR10-DVS, are a switch.",
        "The loss that is reported is that of all T steps, also where only K of them are differentiated.",
        "On a feedback network, which the paper does not train, the spikes that come back are cut like the membrane; "
        "the feedback weight still learns within a step.",
    ],
}

MSE_TARGETS = ("constant", "one_hot")


class SLTT(TrainingMethod):
    """Spatial learning through time.

    Parameters
    ----------
    K : steps of a batch that are differentiated, drawn without replacement (all, if T is smaller). None: all.
    mse_weight : w of the loss of a step, ``((1 - w) CE + w MSE) / T``.
    mse_target : what the MSE pulls to: the ``constant`` 1, or ``one_hot`` rows.
    chosen : with K, the steps (from 0) that every batch uses instead of drawing; for results that can be repeated.

    Counter: ``differentiated_steps``. Golden vectors from the authors' classes, with and without batch norm.
    Shapes: ``x[T, B, ...]``, classes ``[B]``.
    """

    def __init__(
        self,
        K: int | None = None,
        mse_weight: float = 0.05,
        mse_target: str = "constant",
        chosen: Collection[int] | None = None,
    ) -> None:
        if K is not None and K < 1:
            raise ValueError(f"K must be at least 1 time step, got {K}")
        if not 0 <= mse_weight <= 1:
            raise ValueError(f"mse_weight must lie in [0, 1], got {mse_weight}")
        if chosen is not None and len(set(chosen)) != K:
            raise ValueError(f"chosen must list K = {K} different steps, got {sorted(chosen)}")
        self.K = K
        self.mse_weight = mse_weight
        self.constant = 1.0 if check_name("mse_target", mse_target, MSE_TARGETS) == "constant" else None
        self.bptt_loss = {"loss": "tet", "tet_weight": mse_weight, "tet_target": self.constant}
        self.chosen = chosen

    def prepare(self, network: Network, optimizer: OptimizerFactory | None = None) -> None:
        """Take over a network of sequential neurons that can be taken step by step."""
        if network.structure in ("delayed", "gated", "pool"):
            raise ValueError(f"SLTT knows one time step at a time, and not what a {network.structure!r} network needs")
        for neuron in network.neurons():
            if not isinstance(neuron, SequentialNeuron):
                raise ValueError(
                    f"SLTT goes step by step: every neuron must be sequential, not {type(neuron).__name__}"
                )
        super().prepare(network, optimizer)

    @torch.no_grad()
    def predict(self, x: Tensor) -> Tensor:
        """Return the mean over time of the read-out, ``[B, C]``."""
        return self.network.run(x).logits.mean(0)

    def accumulate(self, x: Tensor, target: Tensor) -> UpdateReport:
        """Add the gradients of the chosen steps, each within itself."""
        chosen = self._draw(x.shape[0])
        stages: list[StageReport]
        with self._stage("forward", x.shape[0]) as stages:
            total = sum((loss for loss, _ in self._walk(x, target, chosen)), torch.zeros((), device=x.device))
        return UpdateReport(float(total), stages=tuple(stages), counters={"differentiated_steps": len(chosen)})

    def _draw(self, steps: int) -> set[int]:
        """Return the steps to differentiate: the first K of a random order."""
        if self.chosen is not None:
            return set(self.chosen)
        return set(range(steps)) if self.K is None else set(torch.randperm(steps)[: self.K].tolist())

    def _walk(self, x: Tensor, target: Tensor, chosen: Collection[int]) -> Iterator[tuple[Tensor, Tensor]]:
        """Take one step after another; yield its loss and logits ``[B, C]`` when its gradient has been added.

        The steps that are not chosen run without a graph, but in the network's training mode.
        """
        self.network.begin_batch()
        states: tuple[State | None, ...] | None = None
        for t, x_t in enumerate(x.split(1)):
            with torch.set_grad_enabled(t in chosen):
                out = self.network.run(x_t, states)
                loss = step_loss(out.logits[0], target, self.mse_weight, self.constant) / x.shape[0]
                if t in chosen:
                    loss.backward()
            states = detached(out.states)
            yield loss.detach(), out.logits[0].detach()
