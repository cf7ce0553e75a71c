"""LIF in millivolts with a double-exponential synapse and a refractory time: the neuron of spiking FORCE networks."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any, NamedTuple

import torch
from torch import Tensor

from reference_impls.api import SequentialNeuron
from reference_impls.names import check_name
from reference_impls.surrogate import Surrogate, make_surrogate

CARD = {
    "name": "lif-double-exponential",
    "kind": "neuron",
    "version": 1,
    "title": "LIF, double-exponential synapse",
    "summary": (
        "Input rises and decays in a synapse before it charges a membrane that rests at its threshold; after a spike "
        "the neuron is refractory. Time constants are in seconds, voltages in millivolts."
    ),
    "equations": (
        "s[t] = s[t-1] exp(-dt/tau_rise) + h[t-1] dt; h[t] = h[t-1] exp(-dt/tau_decay) + x[t] / (tau_rise tau_decay); "
        "v += dt (s - v + bias) / tau unless refractory; s = 1 if v >= v_threshold; then v = v_reset for refractory s"
    ),
    "citations": [
        {
            "authors": "W. Nicola, C. Clopath",
            "title": "Supervised learning in spiking neural networks with FORCE training",
            "venue": "Nature Communications 8:2208",
            "year": 2017,
        },
        {
            "authors": "A. Paul, S. Wagner, A. Das",
            "title": "Learning in Feedback-driven Recurrent Spiking Neural Networks using full-FORCE Training",
            "venue": "IJCNN",
            "year": 2022,
            "arxiv": "2205.13585",
            "code": "https://github.com/drexel-DISCO/SNN-full-FORCE (commit 60170a1)",
        },
    ],
    "capabilities": {
        "parallel": "sequential",
        "causal": True,
        "stochastic": False,
        "needs_T": False,
        "output": "binary",
        "membrane": "double-exponential",
        "reset": "hard",
    },
    "defaults": {"dt": 1e-3, "surrogate": "atan"},
    "space": {
        "tau": {"low": 0.003, "high": 0.05, "scale": "log"},
        "tau_rise": {"low": 0.0005, "high": 0.008, "scale": "log"},
        "tau_decay": {"low": 0.01, "high": 0.1, "scale": "log"},
    },
    "changes": "a rising and decaying synapse, refractory time",
    "divergences": [
        "No matched row: its time constants are those of biology, in seconds, and it rests at its threshold.",
        "The released code steps 0.05 ms; the default here is 1 ms, the duration of a step of the signal tasks. A "
        "constant input x settles at x / dt millivolts for small steps, and 30 % above that at 1 ms.",
        "The released network has no gradient. Under BPTT a surrogate sees the membrane in units of v_threshold - "
        "v_reset; the refractory time lets no gradient through.",
    ],
}

SELECTIONS = ("all", "official", "lowest_index")


class DoubleExponentialState(NamedTuple):
    """The state of one step, ``[B, ...]`` each."""

    v: Tensor
    """Membrane after reset, mV."""
    s: Tensor
    """Synaptic current, mV."""
    h: Tensor
    """Its slope, mV/s."""
    refractory: Tensor
    """Time for which the neuron stays silent, s; not positive: it may fire."""


class LIFDoubleExponential(SequentialNeuron):
    """LIF behind a double-exponential synapse, with a refractory time.

    Parameters
    ----------
    dt : length of a time step, s.
    tau : membrane time constant, s.
    tau_rise, tau_decay : time constants of the synapse, s.
    refractory : silent time after a spike, s; None: `tau_rise`, as in the released code.
    v_threshold, v_reset, bias : mV; `bias` None: `v_threshold`. The membrane cannot fall below `v_reset`, starts there.
    selection : which of the neurons at threshold fire: ``all`` of them; the one of ``lowest_index`` along the last
        dimension; ``official``: that one, unless it is neuron 0, with which all fire. The others keep their membrane.
    detach_reset : whether the spike inside the reset carries no gradient.
    surrogate : of the spike's derivative, over ``(v - v_threshold) / (v_threshold - v_reset)``.

    Golden vectors from the authors' full-FORCE networks. Shapes: ``x[T, B, ...]`` to spikes of the same shape.
    """

    def __init__(
        self,
        dt: float = 1e-3,
        tau: float = 0.01,
        tau_rise: float = 0.002,
        tau_decay: float = 0.02,
        refractory: float | None = None,
        v_threshold: float = -45.0,
        v_reset: float = -60.0,
        bias: float | None = None,
        selection: str = "all",
        detach_reset: bool = True,
        surrogate: str | Mapping[str, Any] | Surrogate = "atan",
    ) -> None:
        super().__init__()
        if min(dt, tau, tau_rise, tau_decay) <= 0:
            raise ValueError(f"dt, tau, tau_rise and tau_decay must be positive, got {dt, tau, tau_rise, tau_decay}")
        if not v_reset < v_threshold:
            raise ValueError(f"v_reset {v_reset} must lie below v_threshold {v_threshold}, or firing never ends")
        self.dt, self.tau, self.tau_rise, self.tau_decay = dt, tau, tau_rise, tau_decay
        self.refractory = tau_rise if refractory is None else refractory
        self.v_threshold, self.v_reset = v_threshold, v_reset
        self.bias = v_threshold if bias is None else bias
        self.selection = check_name("selection", selection, SELECTIONS)
        self.detach_reset = detach_reset
        self.surrogate = make_surrogate(surrogate)

    def init_state(self, like: Tensor) -> DoubleExponentialState:
        """Return a membrane at `v_reset`, without current, ready to fire."""
        rest, nothing = torch.full_like(like, self.v_reset), torch.zeros_like(like)
        return DoubleExponentialState(rest, nothing, nothing, nothing)

    def step(
        self, x: Tensor, state: DoubleExponentialState, params: Mapping[str, Tensor]
    ) -> tuple[Tensor, DoubleExponentialState]:
        """Let synapse and membrane charge, fire, reset; current and slope use each other's old value."""
        s = torch.add(state.s * math.exp(-self.dt / self.tau_rise), state.h, alpha=self.dt)
        kick = 1 / (self.tau_rise * self.tau_decay)
        h = torch.add(state.h * math.exp(-self.dt / self.tau_decay), x, alpha=kick)
        refractory = state.refractory - self.dt
        awake = (refractory <= 0).to(x.dtype)
        v = state.v + awake * (s - state.v + self.bias) * (self.dt / self.tau)
        z = self._selected(self.surrogate((v - self.v_threshold) / (self.v_threshold - self.v_reset)))
        reset = z.detach() if self.detach_reset else z
        v = reset * self.v_reset + (1 - reset) * v.clamp(min=self.v_reset)
        return z, DoubleExponentialState(v, s, h, reset * self.refractory + (1 - reset) * refractory)

    def _selected(self, candidates: Tensor) -> Tensor:
        """Return which of the neurons at threshold (1) fire, along the last dimension."""
        if self.selection == "all":
            return candidates
        with torch.no_grad():
            first = (candidates.cumsum(-1) == 1).to(candidates.dtype)
            if self.selection == "official":
                first = torch.maximum(first, candidates[..., :1])
        return candidates * first

    def extra_repr(self) -> str:
        """Show what decides the behaviour."""
        return (
            f"dt={self.dt:g} s, tau={self.tau:g} s, tau_rise={self.tau_rise:g} s, tau_decay={self.tau_decay:g} s, "
            f"v_threshold={self.v_threshold:g} mV, selection={self.selection}"
        )
