"""SE-adLIF and EF-adLIF: an adaptation current, advanced with the new membrane (symplectic Euler) or the old one."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple

import torch
from torch import Tensor

from reference_impls.api import LayerShape, parameter_shape
from reference_impls.names import check_name
from reference_impls.neurons._adaptive import AdaptiveNeuron, learned, within
from reference_impls.neurons._membrane import resolve_input_gain

CARD = {
    "name": "se-adlif",
    "kind": "neuron",
    "version": 2,
    "title": "SE-adLIF: adaptive LIF, symplectic Euler",
    "summary": (
        "An adaptation current, driven by membrane and spikes, works against the input. It is advanced with the new, "
        "already reset membrane, which keeps oscillations stable where forward Euler diverges. Every neuron draws and "
        "learns time constants and weights of its own."
    ),
    "equations": (
        "h = du u[t-1] + (1 - du) (x[t] - w[t-1]); z[t] = 1 if h > v_threshold; u[t] = h (1 - z[t]), z detached; "
        "SE: w[t] = dw w[t-1] + (1 - dw) q (a u[t] + b z[t]); EF: the same with u[t-1] and z[t-1]; "
        "du = exp(-dt/tau_u), dw = exp(-dt/tau_w), tau = lo + mix (hi - lo)"
    ),
    "citations": [
        {
            "authors": "M. Baronig, R. Ferrand, S. Sabathiel, R. Legenstein",
            "title": "Advancing spatio-temporal processing through adaptation in spiking neural networks",
            "venue": "Nature Communications 16:5776",
            "year": 2025,
            "arxiv": "2408.07517",
            "doi": "10.1038/s41467-025-60878-z",
            "code": "https://github.com/IGITUGraz/SE-adlif (commit e980397)",
        }
    ],
    "capabilities": {
        "parallel": "sequential",
        "causal": True,
        "stochastic": False,
        "needs_T": False,
        "output": "binary",
        "membrane": "adaptation-current",
        "reset": "hard",
        "learnable": ["tau_u_mix", "tau_w_mix", "a", "b"],
        "granularity": "neuron",
    },
    "defaults": {
        "granularity": "neuron",
        "discretisation": "symplectic",
        "q": 120.0,
        "tau_u_range": [5.0, 25.0],
        "tau_w_range": [60.0, 300.0],
        "v_threshold": 1.0,
        "detach_reset": True,
        "surrogate": {"name": "slayer_exponential", "params": {"alpha": 5.0, "c": 0.4}},
    },
    "space": {
        "q": {"low": 20.0, "high": 300.0, "scale": "log"},
        "v_threshold": {"low": 0.25, "high": 4.0, "scale": "log"},
        "surrogate.alpha": {"low": 1.0, "high": 20.0, "scale": "log"},
        "surrogate.c": {"low": 0.1, "high": 1.0, "scale": "log"},
    },
    "changes": "adaptation current, learned time constants; slow membrane, input decayed, hard reset",
    "variants": {
        "ef-adlif": {
            "title": "EF-adLIF: adaptive LIF, forward Euler",
            "summary": "As se-adlif, but the adaptation is advanced with membrane and spike of the step before.",
            "params": {"discretisation": "forward", "q": 60.0},
        },
        "se-adlif-layer": {
            "title": "SE-adLIF, one set of parameters a layer",
            "summary": "As se-adlif, but a layer's neurons share four learned parameters, begun in the middle.",
            "params": {"granularity": "layer"},
            "capabilities": {"granularity": "layer"},
        },
        "se-adlif-matched": {
            "title": "SE-adLIF, matched to LIF",
            "summary": (
                "LIF's threshold, input gain, soft reset, surrogate and decay to begin with, and nothing changed "
                "but the adaptation current and that the time constants are learned."
            ),
            "changes": "adaptation current, learned time constants",
            "params": {
                "tau_u_range": [1.0, 25.0],
                "tau_u_mix": 0.018445626703706808,
                "input_gain": "one",
                "reset_mode": "soft",
                "fire_rule": "ge",
                "surrogate": "atan",
            },
            "overrides": {
                "space": {
                    "q": {"low": 20.0, "high": 300.0, "scale": "log"},
                    "v_threshold": {"low": 0.25, "high": 4.0, "scale": "log"},
                    "surrogate.alpha": {"low": 0.5, "high": 8.0, "scale": "log"},
                }
            },
            "capabilities": {
                "reset": "soft",
            },
        },
    },
    "divergences": [
        "The authors clamp the mixes, a and b after every optimiser step; here they are clamped at use, with a "
        "gradient that only leads back into the domain.",
        "The authors have fully connected layers; in a convolutional one here every neuron of every place has its own.",
        "The authors' layers are recurrent; the feed-forward topologies here are not.",
    ],
}

DISCRETISATIONS = ("symplectic", "forward")
RESETS = ("hard", "soft", "none")


class AdLIFState(NamedTuple):
    """The state of the adaptive LIF, each ``[B, ...]``."""

    v: Tensor
    """Membrane after reset ("u")."""
    w: Tensor
    """Adaptation current."""
    s: Tensor
    """Spikes of the last step ("z")."""


class AdLIF(AdaptiveNeuron):
    """LIF with an adaptation current, two discretisations.

    Parameters
    ----------
    discretisation : ``symplectic`` (SE) or ``forward`` (EF).
    q : scale of the adaptation.
    tau_u_range, tau_w_range : least and greatest time constant of membrane and adaptation, in units of `dt`.
    tau_u_mix, tau_w_mix : initial place in those ranges, learned in [0, 1]; None: the middle, or uniform where there
        are many.
    a, b : initial weights of membrane and spike in the adaptation, learned in [0, 1] and [0, 2]; None: as above.
    granularity, shape : whose the four are, and the layer's shape; see :func:`parameter_shape`.
    dt : length of a time step.
    input_gain : ``one_minus_decay`` or ``one``, the weight of the input; the adaptation's stays 1 - decay.
    reset_mode : ``hard`` sets the membrane to `v_reset`, ``soft`` subtracts `v_threshold`, ``none`` keeps it.
    v_reset : value after a reset.
    v_threshold, fire_rule, v_init, detach_reset, surrogate : see :class:`AdaptiveNeuron`.

    Golden vectors from the authors' ``SEAdLIF`` and ``EFAdLIF``.
    """

    def __init__(
        self,
        discretisation: str = "symplectic",
        q: float = 120.0,
        tau_u_range: tuple[float, float] = (5.0, 25.0),
        tau_w_range: tuple[float, float] = (60.0, 300.0),
        tau_u_mix: Any = None,
        tau_w_mix: Any = None,
        a: Any = None,
        b: Any = None,
        granularity: str = "neuron",
        shape: LayerShape | None = None,
        dt: float = 1.0,
        v_threshold: float = 1.0,
        fire_rule: str = "gt",
        input_gain: str = "one_minus_decay",
        reset_mode: str = "hard",
        v_reset: float = 0.0,
        v_init: float = 0.0,
        detach_reset: bool = True,
        surrogate: str | Mapping[str, Any] = "slayer_exponential",
    ) -> None:
        super().__init__(v_threshold, fire_rule, v_init, detach_reset, surrogate)
        self.discretisation = check_name("discretisation of adlif", discretisation, DISCRETISATIONS)
        self.input_gain = resolve_input_gain(input_gain, None)
        self.reset_mode = check_name("reset_mode of adlif", reset_mode, RESETS)
        for what, (low, high) in {"tau_u_range": tau_u_range, "tau_w_range": tau_w_range}.items():
            if not 0 < low <= high:
                raise ValueError(f"{what} must be (least, greatest) time constant, both positive, got {(low, high)}")
        self.q, self.dt, self.v_reset = float(q), float(dt), float(v_reset)
        self.tau_u_range, self.tau_w_range = tuple(tau_u_range), tuple(tau_w_range)
        own = self.parameter_shape = parameter_shape("adlif", granularity, shape)
        self.tau_u_mix = learned(tau_u_mix, own, 0.5, lambda empty: empty.uniform_(0, 1))
        self.tau_w_mix = learned(tau_w_mix, own, 0.5, lambda empty: empty.uniform_(0, 1))
        self.a = learned(a, own, 0.5, lambda empty: empty.uniform_(0, 1))
        self.b = learned(b, own, 1.0, lambda empty: empty.uniform_(0, 2))

    def init_state(self, like: Tensor) -> AdLIFState:
        """At rest: no adaptation, no spike before."""
        return AdLIFState(torch.full_like(like, self.v_init), torch.zeros_like(like), torch.zeros_like(like))

    def step_params(self) -> dict[str, Tensor]:
        """Return ``{"decay", "adapt_decay", "a", "b"}``; q stands in a and b."""
        return {
            "decay": self._decay(self.tau_u_mix, *self.tau_u_range),
            "adapt_decay": self._decay(self.tau_w_mix, *self.tau_w_range),
            "a": self.q * within(self.a, 0.0, 1.0),
            "b": self.q * within(self.b, 0.0, 2.0),
        }

    def _decay(self, mix: Tensor, low: float, high: float) -> Tensor:
        return torch.exp(-self.dt / (low + within(mix, 0.0, 1.0) * (high - low)))

    def step(self, x: Tensor, state: AdLIFState, params: Mapping[str, Tensor]) -> tuple[Tensor, AdLIFState]:
        """Charge against the adaptation, fire, reset, adapt."""
        decay, adapt_decay = params["decay"], params["adapt_decay"]
        if self.input_gain == "one":
            h = decay * state.v + x - (1 - decay) * state.w
        else:
            h = decay * state.v + (1 - decay) * (x - state.w)
        s = self.surrogate(h - self.v_threshold, self.fire_rule)
        v, r = h, self.resetting(s)
        if self.reset_mode == "soft":
            v = h - r * self.v_threshold
        elif self.reset_mode == "hard":
            v = h * (1 - r) + r * self.v_reset if self.v_reset else h * (1 - r)
        seen_v, seen_s = (v, s) if self.discretisation == "symplectic" else (state.v, state.s)
        w = adapt_decay * state.w + (1 - adapt_decay) * (params["a"] * seen_v + params["b"] * seen_s)
        return s, AdLIFState(v, w, s)
