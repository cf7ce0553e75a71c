"""Regularisation and cutoff: BPTT that makes outputs settle early, and a rule that stops a sample when they have.

Must not know how many steps a harness lets a network run: `predict` reads all of them, `predict_early` stops.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

import torch
from torch import Tensor

from reference_impls.anytime import BINS, EarlyPrediction, gap_thresholds, running_means, stop_early
from reference_impls.api import (
    Network,
    OptimizerFactory,
    SequentialNeuron,
    State,
    TrainingMethod,
    UpdateReport,
    over_time,
)
from reference_impls.training._losses import sequence_loss

CARD = {
    "name": "cutoff",
    "kind": "training",
    "version": 1,
    "title": "Regularisation and cutoff",
    "summary": (
        "BPTT with a penalty on layers whose response at a step does not point where it ends up, so that the output is "
        "right early. After calibration on training data a sample may stop at the first step whose two best classes "
        "are far enough apart."
    ),
    "equations": (
        "R[t] = S[t] + relu(V[t]); Rd = mean of the last 0.3 T of R, detached; v = 1 / (mean_t cos(R[t], Rd) + 1e-5); "
        "L = base + a mean_layers max_batch (v mask), mask: right at each of the last 0.3 T steps; "
        "stop at the first t with gap(sum_{s<=t} O[s]) > threshold[t]"
    ),
    "citations": [
        {
            "authors": "D. Wu, G. Jin, H. Yu, X. Yi, X. Huang",
            "title": "Optimizing event-driven spiking neural network with regularization and cutoff",
            "venue": "Frontiers in Neuroscience 19",
            "year": 2025,
            "arxiv": "2301.09522",
            "doi": "10.3389/fnins.2025.1522788",
            "code": "https://github.com/Dengyu-Wu/SNNCutoff (commit 4b22d84)",
        }
    ],
    "capabilities": {
        "updates": "per_batch",
        "structures": ["chain"],
        "neuron": {
            "parallel": ["sequential"],
            "membrane": ["linear", "linear-decayed-input"],
            "reset": ["soft", "hard"],
        },
        "memory_in_T": "O(T)",
        "spiking_backward": False,
        "anytime": True,
    },
    "defaults": {"loss": "rate_ce", "penalty": 0.002, "share": 0.3},
    "space": {
        "penalty": {"low": 0.0001, "high": 0.05, "scale": "log"},
        "share": {"low": 0.05, "high": 0.7},
    },
    "variants": {
        "cutoff-tet": {
            "title": "Regularisation and cutoff, TET loss",
            "summary": "As cutoff, with cross-entropy at every step and TET's pull of all logits towards 1.",
            "params": {"loss": "tet"},
        },
    },
    "divergences": [
        "The released example scripts set the penalty to 0; the 0.002 of the configuration is the default here.",
        "The penalty looks at the worst rightly classified sample of a batch, so it depends on how a batch is drawn; "
        "one for which a layer stays silent has the value 1e5 and no gradient, and hides all others.",
        "For T below 4, 0.3 T is less than one step; then the last step is taken.",
        "The released evaluator calibrates with dropout of 0.3; the networks here have none.",
        "A bin that no sample reaches does not count as confident (the released code compares with nan there).",
        "Boards rank the accuracy at T; the suite anytime says beside it what stopping early gives, with thresholds "
        "from the validation split at 1, 2, 4, ..., 256 steps that accept the error of the last. `predict_early` "
        "decides at every step.",
        "The regulariser for converted ANNs is not here: nothing is converted.",
    ],
}

EPSILON = 1e-5


class Cutoff(TrainingMethod):
    """BPTT with the regulariser of the response's direction, and cutoff inference.

    Parameters
    ----------
    loss : base loss, ``rate_ce`` or any other over the logits of every step (``tet``, ``per_step_ce``).
    penalty : weight a of the regulariser.
    share : share of the T steps, counted from the end, that defines where a response ends up and which samples count.
    tet_weight, tet_target : weight and constant of TET's regulariser.

    Counter: ``penalty``, unweighted. Golden vectors from the authors' classes: thresholds, stopping steps, penalty and
    its gradient. Shapes: ``x[T, B, ...]``, classes ``[B]``.
    """

    def __init__(
        self,
        loss: str = "rate_ce",
        penalty: float = 0.002,
        share: float = 0.3,
        tet_weight: float = 1e-3,
        tet_target: float = 1.0,
    ) -> None:
        if penalty < 0:
            raise ValueError(f"penalty must not be negative, got {penalty}")
        if not 0 < share <= 1:
            raise ValueError(f"share must lie in (0, 1], got {share}")
        self.loss = sequence_loss(loss, tet_weight, tet_target)
        self.bptt_loss = {"loss": loss, "tet_weight": tet_weight, "tet_target": tet_target}
        self.penalty = penalty
        self.share = share
        self.thresholds: Tensor | None = None

    def prepare(self, network: Network, optimizer: OptimizerFactory | None = None) -> None:
        """Take over a chain of sequential neurons."""
        if network.structure != "chain":
            raise ValueError(f"cutoff trains a chain of layers; this network's structure is {network.structure!r}")
        for neuron in network.neurons():
            if not isinstance(neuron, SequentialNeuron):
                raise ValueError(f"cutoff reads the membrane at every step; {type(neuron).__name__} is not sequential")
        super().prepare(network, optimizer)

    @torch.no_grad()
    def predict(self, x: Tensor) -> Tensor:
        """Return the mean over all steps of the read-out, ``[B, C]``."""
        return self.network.run(x).logits.mean(0)

    @torch.no_grad()
    def read_outs(self, x: Tensor, steps: Sequence[int]) -> Tensor:
        """Return the mean read-out after each number of steps, from one run."""
        return running_means(self.network, x, steps)

    def accumulate(self, x: Tensor, target: Tensor) -> UpdateReport:
        """Unroll, and differentiate base loss and penalty."""
        self.network.begin_batch()
        with self._stage("forward", x.shape[0]) as stages:
            logits, responses = self._run(x)
        values = torch.stack([inverse_cosine(response, self.share) for response in responses], dim=1)
        penalty = worst_of_the_right(values, logits.detach(), target, self.share)
        loss = self.loss(logits, target) + self.penalty * penalty
        loss.backward()
        return UpdateReport(float(loss.detach()), stages=tuple(stages), counters={"penalty": float(penalty.detach())})

    @torch.no_grad()
    def calibrate(self, batches: Iterable[tuple[Tensor, Tensor]], epsilon: float = 0.0, bins: int = BINS) -> Tensor:
        """Set, from training batches, the gap at which each step may stop, and return it ``[T]``."""
        outputs, targets = zip(*((self.network.run(x).logits, target) for x, target in batches), strict=True)
        self.thresholds = gap_thresholds(torch.cat(outputs, dim=1).cumsum(0), torch.cat(targets), epsilon, bins)
        return self.thresholds

    @torch.no_grad()
    def predict_early(self, x: Tensor) -> EarlyPrediction:
        """Read out each sample at the step where the calibrated rule stops it."""
        if self.thresholds is None:
            raise RuntimeError(
                "nothing is calibrated: call calibrate(batches) with training data before predict_early()"
            )
        return stop_early(self.network.run(x).logits.cumsum(0), self.thresholds)

    def _run(self, x: Tensor) -> tuple[Tensor, list[Tensor]]:
        """Return the logits ``[T, B, C]`` and the response ``[T, B, N]`` of every layer."""
        network: Any = self.network
        z, responses = x, []
        for block in network.layers():
            spikes, membranes = [], []
            state: State | None = None
            for current in over_time(block.synapse, z).unbind(0):
                state = block.neuron.init_state(current) if state is None else state
                s, state = block.neuron.advance(current, state)
                spikes.append(s)
                membranes.append(state.v)
            emitted = torch.stack(spikes)
            responses.append(response_of(emitted, torch.stack(membranes)))
            z = block.passed_on(emitted)
        return over_time(network.readout, z), responses


def response_of(spikes: Tensor, membrane: Tensor) -> Tensor:
    """Return spikes plus the positive membrane after reset, ``[T, B, N]`` from ``[T, B, ...]``."""
    return (spikes + membrane.relu()).flatten(2)


def inverse_cosine(response: Tensor, share: float) -> Tensor:
    """Return ``1 / (mean_t cos(R[t], Rd) + 1e-5)`` of each sample, ``[B]``.

    Parameters
    ----------
    response : R, ``[T, B, N]``.
    share : share of the last steps whose mean is the (detached) direction Rd.
    """
    reference = response[-last_steps(response.shape[0], share) :].mean(0).detach()
    norms = (response.pow(2).sum(-1) + EPSILON).sqrt() * (reference.pow(2).sum(-1) + EPSILON).sqrt()
    return 1 / (((response * reference).sum(-1) / norms).mean(0) + EPSILON)


def worst_of_the_right(values: Tensor, logits: Tensor, target: Tensor, share: float) -> Tensor:
    """Return the mean over layers of the largest value among the samples that end up right (0 if none does).

    Parameters
    ----------
    values : ``[B, layers]``.
    logits : of every step, not summed, ``[T, B, C]``; the last `share` of the steps must all be right.
    target : classes ``[B]``.
    share : share of the steps.
    """
    right = (logits[-last_steps(logits.shape[0], share) :].argmax(-1) == target).all(0)
    return (values * right.unsqueeze(1)).amax(0).mean()


def last_steps(steps: int, share: float) -> int:
    """Return how many steps the last `share` of `steps` are, at least one."""
    return max(1, int(share * steps))
