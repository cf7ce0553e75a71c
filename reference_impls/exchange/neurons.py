"""The neurons of NIR's equations, stepped: what a graph's parameters become, one value for each neuron if need be.

One form holds all of them: an optional synaptic current, a membrane with a decay, a gain and a pull to its rest, a
threshold or none. Must not know graphs.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple

import torch
from torch import Tensor

from reference_impls.exchange.conventions import Convention
from reference_impls.neuron import SequentialNeuron
from reference_impls.surrogate import make_surrogate

__all__ = ["NirNeuron", "NirState"]


class NirState(NamedTuple):
    """Membrane and synaptic current, ``[B, ...]`` each; the current stays 0 where there is none."""

    v: Tensor
    """Membrane after the reset; before it, where the reset comes a step late."""
    i: Tensor


class NirNeuron(SequentialNeuron):
    """A neuron, or a leaky integrator, of a NIR graph.

    ``i[t] = current_decay i[t-1] + current_gain x[t]`` (or ``i = x``), ``h[t] = decay v[t-1] + gain i[t] + pull``,
    ``s[t] = 1`` if h is above `v_threshold`; then the reset of the convention.

    Parameters
    ----------
    kind : name of the primitive, for messages.
    decay, gain, pull : of the membrane: 1 - dt/tau, R dt/tau, v_leak dt/tau. Scalars or one for each neuron.
    v_threshold : None: it never fires and emits its membrane.
    v_reset : after a hard reset.
    current_decay, current_gain : of the synaptic current; None: there is none.
    convention : reset and ties.
    """

    decays: Tensor
    gain: Tensor
    pull: Tensor
    current_decay: Tensor
    current_gain: Tensor
    v_threshold: Tensor
    v_reset: Tensor

    def __init__(
        self,
        kind: str,
        convention: Convention,
        *,
        decay: Any,
        gain: Any,
        pull: Any = 0.0,
        v_threshold: Any = None,
        v_reset: Any = 0.0,
        current_decay: Any = None,
        current_gain: Any = 1.0,
    ) -> None:
        super().__init__()
        self.kind = kind
        self.fires = v_threshold is not None
        self.has_current = current_decay is not None
        self.reset_mode, self.reset_timing = convention.reset, convention.reset_timing
        self.fire_rule = convention.fire_rule
        self.surrogate = make_surrogate("atan")
        values = {
            "decays": decay,
            "gain": gain,
            "pull": pull,
            "v_threshold": v_threshold if self.fires else 0.0,
            "v_reset": v_reset,
            "current_decay": current_decay if self.has_current else 0.0,
            "current_gain": current_gain,
        }
        for name, value in values.items():
            self.register_buffer(name, torch.as_tensor(value, dtype=torch.float64).to(torch.get_default_dtype()))

    @property
    def decay(self) -> float:
        """Factor on the previous membrane: its mean over neurons; 1 only if it is 1 for all of them."""
        return float(self.decays.mean()) if bool((self.decays != 1).any()) else 1.0

    @property
    def parameters_shape(self) -> tuple[int, ...]:
        """Shape that the parameters have together: of a layer's features, or ``()``."""
        names = ("decays", "gain", "pull", "v_threshold", "v_reset", "current_decay", "current_gain")
        return tuple(torch.broadcast_shapes(*(getattr(self, name).shape for name in names)))

    def init_state(self, like: Tensor) -> NirState:
        """Return zeros: NIR knows no initial value, and libraries start there."""
        return NirState(torch.zeros_like(like), torch.zeros_like(like))

    def step_params(self) -> dict[str, Tensor]:
        """Return what the equations of this neuron need, scalars or one value for each neuron."""
        names = ["decays", "gain", "pull"]
        names += ["current_decay", "current_gain"] if self.has_current else []
        names += ["v_threshold", "v_reset"] if self.fires else []
        return {name: getattr(self, name) for name in names}

    def step(self, x: Tensor, state: NirState, params: Mapping[str, Tensor]) -> tuple[Tensor, NirState]:
        """Sum the current, charge, fire, reset."""
        i = params["current_decay"] * state.i + params["current_gain"] * x if self.has_current else x
        current = i if self.has_current else state.i
        if not self.fires:
            h = params["decays"] * state.v + params["gain"] * i + params["pull"]
            return h, NirState(h, current)
        late, soft = self.reset_timing != "same_step", self.reset_mode == "soft"
        before, v_threshold, v_reset = state.v, params["v_threshold"], params["v_reset"]
        if late:
            r = self.surrogate(before - v_threshold, self.fire_rule).detach()
            if not soft and not self.has_current:
                before = (1 - r) * before + r * v_reset
        h = params["decays"] * before + params["gain"] * i + params["pull"]
        if late and soft:
            h = h - r * v_threshold
        elif late and self.has_current:  # as snnTorch has it: what the current gave in this step is lost as well
            h = (1 - r) * h + r * v_reset
        s = self.surrogate(h - v_threshold, self.fire_rule)
        if self.reset_timing == "next_step":
            return s, NirState(h, current)
        if late:
            return s, NirState(h - (s - r) * (v_threshold if soft else h), current)
        gone = s.detach()
        return s, NirState(h - gone * v_threshold if soft else (1 - gone) * h + gone * v_reset, current)

    def extra_repr(self) -> str:
        """Show what decides the behaviour."""
        if not self.fires:
            return f"{self.kind}, decay={self.decay:g}"
        return (
            f"{self.kind}, decay={self.decay:g}, fire_rule={self.fire_rule}, reset_mode={self.reset_mode}, "
            f"reset_timing={self.reset_timing}"
        )
