"""ALIF, the adaptive-threshold LIF of LSNNs, in the conventions of the paper, its code, norse and sinabs."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple

import torch
from torch import Tensor

from reference_impls.names import check_name
from reference_impls.neurons._adaptive import AdaptiveNeuron
from reference_impls.neurons._membrane import resolve_decay, resolve_input_gain

CARD = {
    "name": "alif-lsnn",
    "kind": "neuron",
    "version": 1,
    "title": "ALIF of LSNNs: LIF with an adaptive threshold",
    "summary": (
        "Every spike raises the threshold, which relaxes with a long time constant: memory at the cost of one more "
        "state. This row: the equations of the paper, with fixed time constants."
    ),
    "equations": (
        "b[t] = rho b[t-1] + (1 - rho) z[t-1]; A[t] = v_threshold + adapt_gain v_scale b[t]; "
        "v[t] = a v[t-1] + (1 - a) x[t] - A[t] z[t-1]; z[t] = 1 if v[t] > A[t] (released: if v[t-1] > A[t]); "
        "a = exp(-1/tau), rho = exp(-1/tau_adapt); norse and sinabs: see divergences"
    ),
    "citations": [
        {
            "authors": "G. Bellec, D. Salaj, A. Subramoney, R. Legenstein, W. Maass",
            "title": "Long short-term memory and learning-to-learn in networks of spiking neurons",
            "venue": "NeurIPS",
            "year": 2018,
            "arxiv": "1803.09574",
            "code": "https://github.com/IGITUGraz/LSNN-official (commit a9158a3)",
        },
        {
            "authors": "D. Salaj, A. Subramoney, C. Kraisnikovic, G. Bellec, R. Legenstein, W. Maass",
            "title": "Spike frequency adaptation supports network computations on temporally dispersed information",
            "venue": "eLife 10:e65459",
            "year": 2021,
        },
    ],
    "capabilities": {
        "parallel": "sequential",
        "causal": True,
        "stochastic": False,
        "needs_T": False,
        "output": "binary",
        "membrane": "adaptive-threshold",
        "reset": "adaptive",
    },
    "defaults": {
        "convention": "paper",
        "tau": 20.0,
        "tau_adapt": 200.0,
        "adapt_gain": 1.6,
        "v_threshold": 0.01,
        "detach_reset": False,
        "surrogate": {"name": "triangle_lsnn", "params": {"gamma": 0.3, "threshold": 1.0}},
    },
    "space": {
        "tau": {"low": 2.0, "high": 100.0, "scale": "log"},
        "tau_adapt": {"low": 10.0, "high": 1000.0, "scale": "log"},
        "adapt_gain": {"low": 0.05, "high": 5.0, "scale": "log"},
        "v_threshold": {"low": 0.003, "high": 1.0, "scale": "log"},
    },
    "changes": "adaptive threshold; slow membrane, input decayed, gradient through the reset",
    "variants": {
        "alif-lsnn-released": {
            "title": "ALIF of LSNNs, as released",
            "summary": "As alif-lsnn, but a step fires on the membrane of the step before, as the official code does.",
            "params": {"convention": "released"},
        },
        "alif-norse-lsnn": {
            "title": "ALIF, norse's LSNN",
            "summary": (
                "A synaptic current feeds the membrane one step later; a spike resets hard and lifts the threshold "
                "at once, by a fixed jump."
            ),
            "params": {
                "convention": "norse",
                "decay": 0.9,
                "current_decay": 0.8,
                "tau_adapt": 700.0,
                "adapt_gain": 1.8,
                "v_threshold": 1.0,
                "surrogate": {"name": "super_spike_norse"},
            },
            "capabilities": {"reset": "hard"},
        },
        "alif-sinabs": {
            "title": "ALIF, sinabs",
            "summary": "Fires against the threshold of the step before, subtracts it, then adapts; fires on ties.",
            "params": {
                "convention": "sinabs",
                "adapt_gain": 1.8,
                "v_threshold": 1.0,
                "fire_rule": "ge",
                "surrogate": {"name": "multi_gaussian_sinabs"},
            },
        },
        "alif-lsnn-matched": {
            "title": "ALIF, matched to LIF",
            "summary": (
                "LIF's decay, input gain, reset of the same step and surrogate, and nothing changed but that "
                "spikes raise the threshold."
            ),
            "changes": "adaptive threshold",
            "params": {
                "convention": "sinabs",
                "decay": 0.5,
                "input_gain": "one",
                "v_threshold": 1.0,
                "adapt_gain": 160.0,
                "fire_rule": "ge",
                "detach_reset": True,
                "surrogate": "atan",
            },
            "overrides": {
                "space": {
                    "decay": {"low": 0.1, "high": 0.99},
                    "v_threshold": {"low": 0.25, "high": 4.0, "scale": "log"},
                    "adapt_gain": {"low": 10.0, "high": 1000.0, "scale": "log"},
                    "surrogate.alpha": {"low": 0.5, "high": 8.0, "scale": "log"},
                }
            },
        },
    },
    "divergences": [
        "alif-lsnn-matched has the threshold 1 and keeps the ratio of adaptation and threshold of alif-lsnn, 1.6 / "
        "0.01.",
        "The official code compares the membrane of the previous step with the present threshold; the paper, and "
        "alif-lsnn here, compare the present one. alif-lsnn-released follows the code.",
        "In the authors' networks only a part of the neurons adapts; adapt_gain takes one value per neuron, and 0 "
        "for those that do not. The rows adapt all.",
        "norse: v charges with the current of the step before, the threshold relaxes to v_threshold and jumps by "
        "adapt_gain per spike (neither dt nor 1 - rho), and the input is added to the current last.",
        "sinabs: z[t] fires against v_threshold + adapt_gain b[t-1], which the reset subtracts at once; then b takes "
        "z[t]. No vectors of sinabs or of the TensorFlow code are at hand; both follow a description of the code.",
        "sinabs' own default surrogate (single exponential) is not among those here; its multi-Gaussian is used.",
    ],
}

CONVENTIONS = ("paper", "released", "norse", "sinabs")
RESETS = {"paper": ("soft",), "released": ("soft",), "norse": ("hard", "soft", "none"), "sinabs": ("soft", "none")}


class LSNNState(NamedTuple):
    """The state of paper, released and sinabs, each ``[B, ...]``."""

    v: Tensor
    """Membrane."""
    b: Tensor
    """Adaptation: low-passed spikes."""
    s: Tensor
    """Spikes of the last step."""
    rest: Tensor
    """Steps for which the neuron is still refractory."""


class NorseState(NamedTuple):
    """The state of norse's LSNN, each ``[B, ...]``."""

    v: Tensor
    """Membrane after reset."""
    i: Tensor
    """Synaptic current."""
    b: Tensor
    """Threshold."""


class ALIF(AdaptiveNeuron):
    """LIF with an adaptive threshold, four conventions.

    Parameters
    ----------
    convention : ``paper``, ``released``, ``norse`` or ``sinabs``; see the card.
    tau, decay, decay_rule : time constant of the membrane in time steps, or the factor itself.
    tau_adapt, adapt_decay : the same of the adaptation.
    tau_syn, current_decay : the same of the synaptic current (norse).
    input_gain : ``one_minus_decay`` or ``one``, the weight of the input in the membrane (norse: the former alone).
    adapt_gain : strength of the adaptation (norse: jump of the threshold per spike); a number, or one value per
        neuron that broadcasts to a step.
    v_scale : scale of the adaptation ("V0" of the official code).
    n_refractory : steps after a spike in which the neuron cannot fire (not norse).
    v_rest : value that the leak pulls towards (norse).
    reset_mode : None: the convention's own (soft; norse: hard). norse also knows ``soft`` and ``none``.
    v_reset : value after a hard reset.
    v_threshold, fire_rule, v_init, detach_reset, surrogate : see :class:`AdaptiveNeuron`. ``triangle_lsnn`` is taken
        relative to the threshold, (v - A)/A, so that its gradient carries 1/A and reaches the adaptation.

    Golden vectors of ``norse`` from norse 1.1.0; those of the adaptive SRNN check ``paper``.
    """

    def __init__(
        self,
        convention: str = "paper",
        tau: float = 20.0,
        decay: float | None = None,
        tau_adapt: float = 200.0,
        adapt_decay: float | None = None,
        tau_syn: float = 5.0,
        current_decay: float | None = None,
        decay_rule: str = "exp",
        input_gain: str = "one_minus_decay",
        adapt_gain: Any = 1.6,
        v_scale: float = 1.0,
        n_refractory: int = 0,
        v_threshold: float = 0.01,
        fire_rule: str = "gt",
        reset_mode: str | None = None,
        v_reset: float = 0.0,
        v_rest: float = 0.0,
        v_init: float = 0.0,
        detach_reset: bool = False,
        surrogate: str | Mapping[str, Any] = "triangle_lsnn",
    ) -> None:
        super().__init__(v_threshold, fire_rule, v_init, detach_reset, surrogate)
        self.convention = check_name("convention of alif", convention, CONVENTIONS)
        allowed = RESETS[convention]
        self.reset_mode = check_name(f"reset_mode of alif, convention {convention}:", reset_mode or allowed[0], allowed)
        if n_refractory and convention == "norse":
            raise ValueError("n_refractory is not part of norse's LSNN; choose another convention")
        self.decay = resolve_decay(tau, decay, decay_rule)
        self.adapt_decay = resolve_decay(tau_adapt, adapt_decay, decay_rule)
        self.current_decay = resolve_decay(tau_syn, current_decay, decay_rule)
        self.input_gain = resolve_input_gain(input_gain, None)
        if self.input_gain == "one" and convention == "norse":
            raise ValueError("norse's LSNN weights its current with 1 - decay: no input_gain 'one' there")
        self.n_refractory = n_refractory
        self.v_reset, self.v_rest = float(v_reset), float(v_rest)
        self.relative = self.surrogate.name == "triangle_lsnn"
        gain = torch.as_tensor(adapt_gain, dtype=torch.get_default_dtype()) * v_scale
        self.adapt_gain = gain.item() if gain.dim() == 0 else None
        self.register_buffer("adapt_gains", gain if gain.dim() else None)

    def init_state(self, like: Tensor) -> LSNNState | NorseState:
        """At rest: no adaptation, no current, no spike before."""
        v, zero = torch.full_like(like, self.v_init), torch.zeros_like(like)
        if self.convention == "norse":
            return NorseState(v, zero, torch.full_like(like, self.v_threshold))
        return LSNNState(v, zero, zero, zero)

    def step_params(self) -> dict[str, Tensor]:
        """Return ``{"adapt_gain"}`` where it differs between neurons."""
        gains = self.adapt_gains
        return {"adapt_gain": gains} if isinstance(gains, Tensor) else {}

    def step(self, x: Tensor, state: Any, params: Mapping[str, Tensor]) -> tuple[Tensor, Any]:
        """Advance by one step of the convention."""
        gain = params.get("adapt_gain", self.adapt_gain)
        if self.convention == "norse":
            return self._norse(x, state, gain)
        return self._sinabs(x, state, gain) if self.convention == "sinabs" else self._lsnn(x, state, gain)

    def _lsnn(self, x: Tensor, state: LSNNState, gain: Any) -> tuple[Tensor, LSNNState]:
        """Adapt, charge, take back what the last spike costs, fire (released: on the membrane before)."""
        b = self.adapt_decay * state.b + (1 - self.adapt_decay) * state.s
        threshold = self.v_threshold + gain * b
        v = self.decay * state.v + self._driven(x) - threshold * self.resetting(state.s)
        s, rest = self._unless_refractory(self._fire(state.v if self.convention == "released" else v, threshold), state)
        return s, LSNNState(v, b, s, rest)

    def _sinabs(self, x: Tensor, state: LSNNState, gain: Any) -> tuple[Tensor, LSNNState]:
        """Charge, fire against the old threshold, subtract it, adapt."""
        threshold = self.v_threshold + gain * state.b
        h = self.decay * state.v + self._driven(x)
        s, rest = self._unless_refractory(self._fire(h, threshold), state)
        v = h - threshold * self.resetting(s) if self.reset_mode == "soft" else h
        b = self.adapt_decay * state.b + (1 - self.adapt_decay) * s
        return s, LSNNState(v, b, s, rest)

    def _norse(self, x: Tensor, state: NorseState, gain: Any) -> tuple[Tensor, NorseState]:
        """Charge with the old current, fire, reset, lift the threshold, take the input."""
        h = self.decay * state.v + (1 - self.decay) * (self.v_rest + state.i)
        b = self.adapt_decay * state.b + (1 - self.adapt_decay) * self.v_threshold
        s = self._fire(h, b)
        r = self.resetting(s)
        v = {"hard": h - r * (h - self.v_reset), "soft": h - r * b, "none": h}[self.reset_mode]
        return s, NorseState(v, self.current_decay * state.i + x, b + gain * s)

    def _driven(self, x: Tensor) -> Tensor:
        """Return what the input adds to the membrane."""
        return x if self.input_gain == "one" else (1 - self.decay) * x

    def _fire(self, v: Tensor, threshold: Tensor) -> Tensor:
        above = v - threshold
        return self.surrogate(above / threshold if self.relative else above, self.fire_rule)

    def _unless_refractory(self, s: Tensor, state: LSNNState) -> tuple[Tensor, Tensor]:
        """Return the spikes that may happen and the steps of rest that follow."""
        if not self.n_refractory:
            return s, state.rest
        s = s * (state.rest <= 0).to(s.dtype)
        return s, torch.relu(state.rest - 1) + self.n_refractory * s.detach()
