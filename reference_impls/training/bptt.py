"""BPTT with surrogate gradients: unroll over time, differentiate; truncated or checkpointed if asked."""

from __future__ import annotations

import math
from collections.abc import Iterator
from functools import partial
from typing import Literal

from torch import Tensor, cat, no_grad
from torch.utils._pytree import TreeSpec, tree_flatten, tree_unflatten
from torch.utils.checkpoint import checkpoint as checkpointed

from reference_impls.api import (
    Network,
    NetworkOutput,
    OptimizerFactory,
    StageReport,
    State,
    TrainingMethod,
    UpdateReport,
    detached,
)
from reference_impls.names import check_name
from reference_impls.training._losses import PER_STEP, sequence_loss

CARD = {
    "name": "bptt",
    "kind": "training",
    "version": 1,
    "title": "BPTT: backpropagation through time with surrogate gradients",
    "summary": (
        "The baseline: the network is unrolled over all T steps and differentiated, a surrogate standing for the "
        "derivative of the spike. Memory grows with T."
    ),
    "equations": (
        "dH[t] = dS[t] sg(H[t] - v_threshold) + dV[t] k[t]; dV[t-1] = decay dH[t]; dW = sum_t dI[t] z[t]^T, by autograd"
    ),
    "citations": [
        {
            "authors": "E. O. Neftci, H. Mostafa, F. Zenke",
            "title": "Surrogate Gradient Learning in Spiking Neural Networks",
            "venue": "IEEE Signal Processing Magazine 36(6)",
            "year": 2019,
            "arxiv": "1901.09948",
        },
        {
            "authors": "Y. Wu, L. Deng, G. Li, J. Zhu, L. Shi",
            "title": "Spatio-temporal backpropagation for training high-performance spiking neural networks (STBP)",
            "venue": "Frontiers in Neuroscience 12:331",
            "year": 2018,
            "arxiv": "1706.02609",
        },
        {
            "authors": "S. Deng, Y. Li, S. Zhang, S. Gu",
            "title": "Temporal Efficient Training of Spiking Neural Networks via Gradient Re-weighting (TET)",
            "venue": "ICLR",
            "year": 2022,
            "arxiv": "2202.11946",
        },
    ],
    "capabilities": {
        "updates": "per_batch",
        "structures": [
            "chain",
            "delayed",
            "residual",
            "skip",
            "feedback",
            "recurrent",
            "lateral",
            "gated",
            "reversible",
        ],
        "neuron": {},
        "memory_in_T": "O(T)",
        "spiking_backward": False,
    },
    "defaults": {"loss": "rate_ce"},
    "optimizer_space": ["learning_rate", "weight_decay", "schedule", "clip_norm"],
    "variants": {
        "bptt-tet": {
            "title": "BPTT with the TET loss",
            "summary": "Cross-entropy at every step, plus a pull of all logits towards a constant.",
            "params": {"loss": "tet"},
            "overrides": {"space": {"tet_weight": {"low": 0.001, "high": 1.0, "scale": "log"}}},
        },
        "tbptt": {
            "title": "Truncated BPTT",
            "summary": "The state is cut from the graph every 4 steps; the gradients of all windows are summed.",
            "params": {"loss": "per_step_ce", "window": 4},
            "overrides": {"space": {"window": {"low": 1, "high": 16, "scale": "log"}}},
            "capabilities": {
                "structures": [
                    "chain",
                    "delayed",
                    "residual",
                    "skip",
                    "feedback",
                    "recurrent",
                    "lateral",
                    "reversible",
                ],
                "neuron": {"parallel": ["sequential"]},
                "memory_in_T": "O(window)",
            },
        },
        "bptt-checkpointed": {
            "title": "BPTT, checkpointed over time",
            "summary": (
                "Cuts T into segments of sqrt(T) steps, keeps the state between them and runs each again in the "
                "backward pass."
            ),
            "params": {"checkpoint": "sqrt"},
            "capabilities": {
                "structures": [
                    "chain",
                    "delayed",
                    "residual",
                    "skip",
                    "feedback",
                    "recurrent",
                    "lateral",
                    "reversible",
                ],
                "neuron": {"parallel": ["sequential"]},
                "memory_in_T": "O(sqrt T)",
            },
        },
    },
    "divergences": [
        "Checkpointed gradients equal those of the same segments kept in memory bit for bit, and with stepwise=True "
        "those of plain BPTT for any segment. One matrix product over all T, the default of both, sums a weight's "
        "gradient in another order, which shows in the last bits.",
        "Gated networks normalise their currents over all steps together: a segment would have other statistics, so "
        "the truncated and the checkpointed row leave them out.",
        "Papers differ in loss, reset and detaching under one name; the neuron's and the method's rows say which.",
    ],
}

UPDATES = ("end_of_batch", "end_of_window")


class BPTT(TrainingMethod):
    """Backpropagation through time.

    Parameters
    ----------
    loss : ``rate_ce``, ``rate_mse``, ``per_step_ce`` or ``tet``.
    tet_weight, tet_target : weight and constant of TET's regulariser (target None: one-hot rows).
    window : truncate: the state is detached every `window` steps; needs a per-step loss. None: never.
    update : with a window, whether to step the optimizer at the ``end_of_batch`` or the ``end_of_window``.
    checkpoint : keep the state every `checkpoint` steps only and recompute between, to the last bit; ``sqrt``: every
        ceil(sqrt(T)) steps, at which states and one segment together take the least.
    stepwise : take the network one time step after another instead of layer after layer, so that a weight's gradient
        is summed step by step, the last first: the same bits with any `checkpoint` and with none.

    Golden vectors from SpikingJelly 2.0.0 (all losses, resets and detachings, and a window of 2).
    """

    def __init__(
        self,
        loss: str = "rate_ce",
        tet_weight: float = 0.05,
        tet_target: float | None = 1.0,
        window: int | None = None,
        update: str = "end_of_batch",
        checkpoint: int | Literal["sqrt"] | None = None,
        stepwise: bool = False,
    ) -> None:
        self.bptt_loss = {"loss": loss, "tet_weight": tet_weight, "tet_target": tet_target}
        self.loss = sequence_loss(loss, tet_weight, tet_target)
        if window is not None and loss not in PER_STEP:
            raise ValueError(f"truncated BPTT needs a loss of every step ({', '.join(PER_STEP)}), not {loss!r}")
        for name, steps in (("window", window), ("checkpoint", checkpoint)):
            if steps is not None and steps != "sqrt" and steps < 1:
                raise ValueError(f"{name} must be at least 1 time step, got {steps}")
        self.window = window
        if check_name("update", update, UPDATES) == "end_of_window" and window is None:
            raise ValueError("update='end_of_window' needs a window; give its length in time steps")
        self.end_of_window = update == "end_of_window"
        self.checkpoint = checkpoint
        self.stepwise = stepwise

    def prepare(self, network: Network, optimizer: OptimizerFactory | None = None) -> None:
        """Take over `network`; windows and checkpoints need neurons with a state."""
        if network.structure == "pool":
            raise ValueError("BPTT learns classes; a network whose structure is 'pool' gives a signal")
        if self.window or self.checkpoint or self.stepwise:
            if not all(neuron.entry_point == "sequence" for neuron in network.neurons()):
                raise ValueError("truncated, checkpointed or stepwise BPTT cuts time: every neuron must be sequential")
            if network.structure == "gated":
                raise ValueError(
                    "a network whose structure is 'gated' normalises over all time steps, and so cannot be truncated, "
                    "checkpointed or taken step by step"
                )
        super().prepare(network, optimizer)

    def update(self, x: Tensor, target: Tensor) -> UpdateReport:
        """Learn from one batch; one optimizer step, or one per window."""
        if not self.end_of_window:
            return super().update(x, target)
        optimizer = self._require_optimizer()
        optimizer.zero_grad(set_to_none=True)
        loss, updates, stages = 0.0, 0, []
        for part, stage in self._differentiate(x, target):
            optimizer.step()
            optimizer.zero_grad(set_to_none=True)
            loss, updates = loss + part, updates + 1
            stages.append(stage)
        return UpdateReport(loss, updates, tuple(stages))

    @no_grad()
    def predict(self, x: Tensor) -> Tensor:
        """Return the mean over time of the read-out, ``[B, C]``."""
        return self.network.run(x).logits.mean(0)

    def accumulate(self, x: Tensor, target: Tensor) -> UpdateReport:
        """Unroll the batch (window by window, if truncated) and differentiate."""
        parts = list(self._differentiate(x, target))
        return UpdateReport(sum(loss for loss, _ in parts), stages=tuple(stage for _, stage in parts))

    def _differentiate(self, x: Tensor, target: Tensor) -> Iterator[tuple[float, StageReport]]:
        """Run and differentiate window by window; yield each window's share of the loss when its gradient is there."""
        self.network.begin_batch()
        auxiliary_weight = self.network.auxiliary_weight
        states: tuple[State | None, ...] | None = None
        for part in x.split(self.window or x.shape[0]):
            with self._stage("forward", part.shape[0]) as stages:
                out = self._run(part, detached(states))
            loss = self.loss(out.logits, target)
            if out.auxiliary_loss is not None:
                loss = (1 - auxiliary_weight) * loss + auxiliary_weight * out.auxiliary_loss
            loss = loss * (part.shape[0] / x.shape[0])
            loss.backward()
            states = out.states
            yield float(loss.detach()), stages[0]

    def _run(self, x: Tensor, states: tuple[State | None, ...] | None) -> NetworkOutput:
        if self.checkpoint is None:
            return self._forward(x, states)
        logits = []
        for segment in x.split(math.isqrt(x.shape[0] - 1) + 1 if self.checkpoint == "sqrt" else self.checkpoint):
            # Handed over one by one: tensors inside a tuple would be kept where no saved-tensor hook sees them.
            leaves, structure = tree_flatten(states)
            out = checkpointed(partial(self._segment, structure), segment, *leaves, use_reentrant=False)
            states = out.states
            logits.append(out.logits)
        return NetworkOutput(cat(logits), states or ())

    def _segment(self, structure: TreeSpec, x: Tensor, *leaves: Tensor) -> NetworkOutput:
        return self._forward(x, tree_unflatten(leaves, structure))

    def _forward(self, x: Tensor, states: tuple[State | None, ...] | None) -> NetworkOutput:
        if not self.stepwise:
            return self.network.run(x, states)
        logits, losses = [], []
        for x_t in x.split(1):
            out = self.network.run(x_t, states)
            states = out.states
            logits.append(out.logits)
            if out.auxiliary_loss is not None:
                losses.append(out.auxiliary_loss * (1 / x.shape[0]))
        return NetworkOutput(cat(logits), states or (), sum(losses[1:], losses[0]) if losses else None)
