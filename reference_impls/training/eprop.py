"""e-prop: eligibility traces carried forward in time, times learning signals from the read-out of the same step.

Must not know any neuron by name: the traces follow from the neuron's own step.
"""

from __future__ import annotations

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
from reference_impls.training._eprop_pass import Pass
from reference_impls.training._losses import one_hot
from reference_impls.training._traced_layer import linear_map

CARD = {
    "name": "eprop",
    "kind": "training",
    "version": 1,
    "title": "e-prop, symmetric feedback",
    "summary": (
        "Each synapse carries an eligibility trace forward, which knows its own neuron only; the gradient is the trace "
        "times a learning signal that the read-out sends back in the same step, through its own weights. Memory does "
        "not grow with T."
    ),
    "equations": (
        "eps_ij[t] = ds_j[t]/ds_j[t-1] eps_ij[t-1] + ds_j[t]/dI_j[t] p_i[t], s the state of neuron j; "
        "e_ij[t] = dz_j[t]/dW_ij along them; ebar[t] = k ebar[t-1] + (1 - k) e[t]; "
        "dW_ij = sum_t L_j[t] ebar_ij[t], L_j[t] = sum_k B_jk dE/dy_k[t]; "
        "plus 2 rate_cost (rate_j - target_rate) mean_t e_ij"
    ),
    "citations": [
        {
            "authors": "G. Bellec, F. Scherr, A. Subramoney, E. Hajek, D. Salaj, R. Legenstein, W. Maass",
            "title": "A solution to the learning dilemma for recurrent networks of spiking neurons",
            "venue": "Nature Communications 11:3625",
            "year": 2020,
            "arxiv": "1901.09049",
            "code": "https://github.com/IGITUGraz/eligibility_propagation (commit efd02e6)",
        }
    ],
    "capabilities": {
        "updates": "per_batch",
        "structures": ["recurrent", "chain"],
        "neuron": {"parallel": ["sequential"], "needs_T": [False]},
        "memory_in_T": "O(1)",
        "spiking_backward": False,
        "hidden_layers": 1,
        "convolutions": False,
    },
    "defaults": {"feedback": "symmetric", "update": "accumulated", "loss": "cross_entropy", "rate_cost": 0.0},
    "optimizer_space": ["learning_rate", "weight_decay", "schedule", "clip_norm"],
    "space": {
        "rate_cost": {"low": 0.0, "high": 0.1},
        "target_rate": {"low": 0.003, "high": 1.0, "scale": "log"},
    },
    "variants": {
        "eprop-random": {
            "title": "e-prop, random feedback",
            "summary": "As eprop, but learning signals come back through fixed random weights.",
            "params": {"feedback": "random"},
        },
        "eprop-adaptive": {
            "title": "e-prop, adaptive feedback",
            "summary": "As eprop-random, but the feedback weights receive every update of the read-out's.",
            "params": {"feedback": "adaptive"},
        },
        "eprop-online": {
            "title": "e-prop, online update",
            "summary": "As eprop, but the optimizer steps at every time step.",
            "params": {"update": "online"},
            "capabilities": {"updates": "per_step"},
        },
    },
    "divergences": [
        "Whether the reset belongs to the trace is the neuron's own detach_reset: the paper's traces leave it out, "
        "which is the default of the neurons here.",
        "On a chain with one hidden layer (mlp) nothing is cut, and symmetric e-prop is BPTT.",
        "Random feedback is Gaussian with a deviation of 1/sqrt(n); what the released scripts draw it from was not "
        "checked.",
        "The regularisation of online updates enters at the last step, with the rates of the whole sequence.",
        "The released pattern-generation cell scales the current by (1 - a): a matter of the neuron here "
        "(lif-decay-input). Bidirectional networks and several layers are not here.",
    ],
}

FEEDBACKS = ("symmetric", "random", "adaptive")
UPDATES = ("accumulated", "online")
ERRORS = ("cross_entropy", "squared_error")


class EProp(TrainingMethod):
    """Eligibility propagation.

    Parameters
    ----------
    feedback : weights of the learning signals: ``symmetric`` (the read-out's), ``random`` (fixed), or ``adaptive``
        (random at first, then moved as the read-out's are, weight decay included).
    update : ``accumulated``: one optimizer step a batch. ``online``: one a time step.
    loss : ``cross_entropy``: mean over the batch and the decision steps. ``squared_error``: half the sum over
        everything, against one-hot rows or a target ``[T, B, C]``.
    decision_steps : the loss sees the last so many steps only, and so does `predict`; None: all.
    rate_cost, target_rate : c and f0 of ``c sum_j (mean spikes per step of neuron j - f0)^2``.

    Golden vectors from the authors' ``EligALIF``. Shapes: ``x[T, B, ...]``, classes ``[B]``.
    """

    def __init__(
        self,
        feedback: str = "symmetric",
        update: str = "accumulated",
        loss: str = "cross_entropy",
        decision_steps: int | None = None,
        rate_cost: float = 0.0,
        target_rate: float = 0.01,
    ) -> None:
        self.feedback = check_name("feedback", feedback, FEEDBACKS)
        self.online = check_name("update", update, UPDATES) == "online"
        self.loss = check_name("loss", loss, ERRORS)
        if decision_steps is not None and decision_steps < 1:
            raise ValueError(f"decision_steps must be at least 1 time step, got {decision_steps}")
        if rate_cost < 0:
            raise ValueError(f"rate_cost must not be negative, got {rate_cost}")
        self.decision_steps = decision_steps
        self.rate_cost = rate_cost
        self.target_rate = target_rate
        self.feedback_weight: nn.Parameter | None = None
        """``[C, n]``; None: the read-out's."""

    def prepare(self, network: Network, optimizer: OptimizerFactory | None = None) -> None:
        """Take over a recurrent network (or a chain) with one layer of sequential neurons; draw the feedback."""
        if network.structure not in ("recurrent", "chain"):
            raise ValueError(f"e-prop trains recurrent networks and chains, not a {network.structure!r} network")
        if len(network.neurons()) != 1:
            raise ValueError(
                f"e-prop's learning signals reach the layer that the read-out sees: give one hidden layer, not "
                f"{len(network.neurons())}"
            )
        (neuron,) = network.neurons()
        require_one_step(neuron, "e-prop")
        super().prepare(network, None)
        chain: Any = network
        linear_map(chain.layers()[0].synapse)
        weight = linear_map(chain.readout).weight
        self.feedback_weight = None
        if self.feedback != "symmetric":
            drawn = torch.randn_like(weight) / weight.shape[1] ** 0.5
            self.feedback_weight = nn.Parameter(drawn, requires_grad=self.feedback == "adaptive")
        if optimizer is not None:
            moved = [parameter for parameter in (*network.parameters(), self.feedback_weight) if parameter is not None]
            self.optimizer = optimizer(moved)

    def update(self, x: Tensor, target: Tensor) -> UpdateReport:
        """Learn from one batch: one optimizer step after the last time step, or one at each."""
        if not self.online:
            return super().update(x, target)
        optimizer = self._require_optimizer()
        total, updates = 0.0, 0
        with self._stage("forward", x.shape[0]) as stages:
            walk = self.begin(x)
            for loss in walk.losses(target):
                optimizer.zero_grad(set_to_none=True)
                walk.settle()
                optimizer.step()
                total, updates = total + float(loss), updates + 1
        return UpdateReport(total, updates, tuple(stages))

    @torch.no_grad()
    def predict(self, x: Tensor) -> Tensor:
        """Return the mean over the decision steps of the read-out, ``[B, C]``."""
        return self.network.run(x).logits[-(self.decision_steps or x.shape[0]) :].mean(0)

    def accumulate(self, x: Tensor, target: Tensor) -> UpdateReport:
        """Add the gradients of all time steps, without an optimizer step between them."""
        stages: list[StageReport]
        with self._stage("forward", x.shape[0]) as stages:
            walk = self.begin(x)
            total = sum(walk.losses(target), torch.zeros((), device=x.device))
            walk.settle()
        return UpdateReport(float(total), stages=tuple(stages))

    def step_loss(self, logits: Tensor, target: Tensor, t: int, steps: int) -> Tensor | None:
        """Return step t's share of the loss of ``logits[B, C]``; None where no decision is asked for."""
        decisive = min(self.decision_steps or steps, steps)
        if t < steps - decisive:
            return None
        if self.loss == "cross_entropy":
            return functional.cross_entropy(logits, target) / decisive
        wanted = one_hot(target, logits) if target.dim() == 1 else target[t]
        return 0.5 * (logits - wanted).pow(2).sum()

    def begin(self, x: Tensor) -> Pass:
        """Return a pass over ``x[T, B, ...]``, at rest before its first step."""
        return Pass(self.network, x, self.feedback_weight, self.step_loss, self.rate_cost, self.target_rate)
