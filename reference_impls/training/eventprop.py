"""EventProp: gradients of spike times in place of a surrogate, by the adjoint system run backwards.

The rule is local to a layer, so a layer is one differentiable function of its input current, and autograd carries what
it asks for from one to the next. Must not know how the layers are wired.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import torch
from torch import Tensor, nn
from torch.nn import functional

from reference_impls.api import Network, OptimizerFactory, TrainingMethod, UpdateReport, over_time
from reference_impls.names import check_name
from reference_impls.neurons._scan import decaying_sum

CARD = {
    "name": "eventprop",
    "kind": "training",
    "version": 1,
    "title": "EventProp: exact gradients of spike times, discretised",
    "summary": (
        "A spike's time, not its existence, carries the gradient. Backwards in time two adjoint variables of each "
        "neuron decay as membrane and current do, and jump where the neuron fired. No surrogate; the gradient is that "
        "of the continuous neuron, up to the length of a step."
    ),
    "equations": (
        "lambda_h = lambda_v without a spike, else (lambda_v (rise + (1 - decay) removed) - dG) / rise, rise = h[t] - "
        "v[t-1], removed what a reset takes from the threshold, dG = g[t+1] - g[t], g = dL/ds; lambda_i[t] = gain "
        "lambda_h + current_decay lambda_i[t+1]; lambda_v[t-1] = decay lambda_h; dW = sum_t lambda_i[t] z[t]^T"
    ),
    "citations": [
        {
            "authors": "T. C. Wunderlich, C. Pehle",
            "title": "Event-based backpropagation can compute exact gradients for spiking neural networks",
            "venue": "Scientific Reports 11:12829",
            "year": 2021,
            "arxiv": "2009.08378",
            "doi": "10.1038/s41598-021-91786-z",
            "code": "https://github.com/lolemacs/pytorch-eventprop (a third party's discretisation, commit a656add)",
        }
    ],
    "capabilities": {
        "updates": "per_batch",
        "structures": ["chain"],
        "neuron": {
            "parallel": ["sequential"],
            "membrane": ["linear", "second-order"],
            "reset": ["hard", "soft"],
            "output": ["binary"],
        },
        "memory_in_T": "O(T)",
        "spiking_backward": True,
    },
    "defaults": {"loss": "max_ce", "least_rise": 0.05},
    "optimizer_space": ["learning_rate", "weight_decay", "schedule", "clip_norm"],
    "space": {
        "loss": {"choices": ["max_ce", "mean_ce"]},
        "least_rise": {"low": 0.005, "high": 0.5, "scale": "log"},
    },
    "divergences": [
        "Authors and GeNN simulate events; here time is in steps, as in a public discretisation. The tests hold the "
        "gradient to finite differences of a simulation in continuous time, which it approaches as steps shorten.",
        "A membrane that only grazes the threshold has a gradient without bound; the rise at a spike is taken as at "
        "least least_rise, which is ours. 0 switches this off.",
        "No gradient makes or removes a spike: a neuron that is silent on all data stays so. A public implementation "
        "raises the weights of silent neurons by hand; this one does not.",
        "The paper's neurons have a synaptic current, as cuba-lif does. For the others the input is taken as a current "
        "that is held for a step, so that thresholds are crossed within steps there, too.",
        "At a crossing a soft reset is a hard one to 0; in steps it keeps what overshot.",
        "The read-out is a leaky integrator behind a current, with the last hidden layer's constants, as the paper's "
        "is for voltage losses: on the bare sum of spikes no spike time matters. It is the method's own, so other "
        "methods' read-outs on the same network differ.",
        "No golden vectors: the authors released none; the tests restate the equations instead.",
    ],
}

LOSSES = ("max_ce", "mean_ce")


class Dynamics(NamedTuple):
    """The constants of a LIF neuron: ``i <- current_decay i + current_gain x``, ``h <- decay v + gain i``."""

    decay: float
    current_decay: float
    gain: float
    current_gain: float
    removed: float
    """What a reset takes from a membrane that stands at the threshold."""


def dynamics(neuron: Any) -> Dynamics:
    """Return the constants of `neuron`; libraries differ in what they call the current, not in its action.

    Raises
    ------
    ValueError
        If the membrane is not linear, is not reset in the step in which it fires, or rests elsewhere than at 0.
    """
    reset = getattr(neuron, "reset_mode", None)
    if not hasattr(neuron, "decay") or reset not in ("hard", "soft"):
        raise ValueError(
            "EventProp differentiates the times at which a linear membrane is reset, hard or soft, and not those of "
            f"{type(neuron).__name__}; cuba-lif is a neuron that it trains"
        )
    if getattr(neuron, "v_rest", 0.0):
        raise ValueError(f"EventProp takes the rest as 0; {type(neuron).__name__} has v_rest {neuron.v_rest}")
    current_decay = getattr(neuron, "current_decay", 0.0)
    gain = getattr(neuron, "gain", 1 - neuron.decay if current_decay else 1.0)
    removed = neuron.reset_amount if reset == "soft" else neuron.v_threshold - neuron.v_reset
    return Dynamics(neuron.decay, current_decay, gain, getattr(neuron, "current_gain", 1.0), removed)


class _SpikeTimes(torch.autograd.Function):
    """A layer's spikes ``[T, B, ...]`` of its input current; backward is the adjoint system."""

    @staticmethod
    def forward(ctx: Any, x: Tensor, neuron: Any, least_rise: float) -> Tensor:
        given = dynamics(neuron)
        state, spikes, rises = neuron.init_state(x[0]), [], []
        i = torch.full_like(x[0], getattr(neuron, "current_init", 0.0))
        for x_t in x.unbind(0):
            i = given.current_decay * i + given.current_gain * x_t
            rises.append(given.gain * i - (1 - given.decay) * state.v)  # from v[t-1] to h[t]
            s, state = neuron.step(x_t, state, {})
            spikes.append(s)
        emitted = torch.stack(spikes)
        ctx.save_for_backward(emitted, torch.stack(rises).clamp_min(least_rise))
        ctx.given = given
        return emitted

    @staticmethod
    def backward(ctx: Any, *upstream: Tensor) -> tuple[Tensor, None, None]:
        emitted, rises = ctx.saved_tensors
        given: Dynamics = ctx.given
        (g,) = upstream
        later = torch.cat([g[1:], torch.zeros_like(g[:1])]) - g  # what a spike one step later would change
        after_reset = (1 - given.decay) * given.removed
        lambda_v = lambda_i = torch.zeros_like(g[0])
        found = []
        for s, rise, shift in zip(emitted.flip(0), rises.flip(0), later.flip(0), strict=True):
            jump = (lambda_v * (rise + after_reset) - shift) / rise
            lambda_h = torch.where(s > 0, jump, lambda_v)
            lambda_i = given.gain * lambda_h + given.current_decay * lambda_i
            lambda_v = given.decay * lambda_h
            found.append(given.current_gain * lambda_i)
        return torch.stack(found[::-1]), None, None


class EventProp(TrainingMethod):
    """Exact gradients of spike times, in steps.

    Parameters
    ----------
    loss : ``max_ce``: cross-entropy of the greatest read-out membrane over time. ``mean_ce``: of its mean over time.
    least_rise : smallest rise of the membrane at a spike that is divided by, in units of the membrane; 0: none.

    Adjoint variables, their jumps and the gradient are those of the paper's Eq. 2 and table 1, the step being the unit
    of time.
    Shapes: ``x[T, B, ...]``, classes ``[B]``.
    """

    def __init__(self, loss: str = "max_ce", least_rise: float = 0.05) -> None:
        self.loss = check_name("loss of eventprop", loss, LOSSES)
        if least_rise < 0:
            raise ValueError(f"least_rise must not be negative, got {least_rise}")
        self.least_rise = least_rise

    def prepare(self, network: Network, optimizer: OptimizerFactory | None = None) -> None:
        """Take over a chain of neurons with a linear membrane."""
        if network.structure != "chain":
            raise ValueError(f"EventProp trains chains, not a {network.structure!r} network")
        for neuron in network.neurons():
            dynamics(neuron)
        super().prepare(network, optimizer)

    @torch.no_grad()
    def predict(self, x: Tensor) -> Tensor:
        """Return the greatest (or mean) read-out membrane over time, ``[B, C]``."""
        return self.decided(self.membranes(x))

    def accumulate(self, x: Tensor, target: Tensor) -> UpdateReport:
        """Run forward, and back through the adjoint system."""
        self.network.begin_batch()
        with self._stage("forward", x.shape[0]) as stages:
            loss = functional.cross_entropy(self.decided(self.membranes(x)), target)
        loss.backward()
        return UpdateReport(float(loss.detach()), stages=tuple(stages))

    def decided(self, membranes: Tensor) -> Tensor:
        """Return what the loss and the prediction see of ``membranes[T, B, C]``, ``[B, C]``."""
        return membranes.amax(0) if self.loss == "max_ce" else membranes.mean(0)

    def membranes(self, x: Tensor) -> Tensor:
        """Return the membranes of the read-out ``[T, B, C]``, which do not fire."""
        neurons = self.network.neurons()

        def fire(layer: int, current: Tensor) -> Tensor:
            spikes: Tensor = _SpikeTimes.apply(current, neurons[layer], self.least_rise)
            neurons[layer]._notify(spikes.detach())
            return spikes

        def apply(synapse: nn.Module, signal: Tensor) -> Tensor:
            return over_time(synapse, signal)

        logits, _ = self.network.wire(x, fire, apply)
        last = dynamics(neurons[-1])
        current = decaying_sum(last.current_decay, last.current_gain * logits)
        return decaying_sum(last.decay, last.gain * current)
