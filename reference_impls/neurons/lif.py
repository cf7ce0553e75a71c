"""LIF: leaky integrate and fire, in the conventions of SpikingJelly (input decayed or not)."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from torch import Tensor

from reference_impls.neurons._membrane import (
    MembraneNeuron,
    MembraneState,
    resolve_decay,
    resolve_input_gain,
)

CARD = {
    "name": "lif",
    "kind": "neuron",
    "version": 1,
    "title": "LIF: leaky integrate and fire",
    "summary": (
        "The field's workhorse. The membrane leaks towards rest, adds the input, fires at the threshold and "
        "resets. This row: input not decayed, soft detached reset, tau 2."
    ),
    "equations": (
        "h[t] = decay v[t-1] + (1 - decay) v_rest + gain x[t], decay = 1 - 1/tau, gain 1 or 1 - decay; "
        "s[t] = 1 if h[t] >= v_threshold; soft reset v = h - v_threshold s, hard reset v = (1 - s) h + s v_reset"
    ),
    "citations": [
        {
            "authors": "Y. Wu, L. Deng, G. Li, J. Zhu, L. Shi",
            "title": "Spatio-temporal backpropagation for training high-performance spiking neural networks",
            "venue": "Frontiers in Neuroscience 12:331",
            "year": 2018,
            "arxiv": "1706.02609",
            "code": "https://github.com/fangwei123456/spikingjelly (LIFNode, release 2.0.0)",
        }
    ],
    "capabilities": {
        "parallel": "sequential",
        "causal": True,
        "stochastic": False,
        "needs_T": False,
        "output": "binary",
        "membrane": "linear",
        "reset": "soft",
    },
    "defaults": {
        "tau": 2.0,
        "input_gain": "one",
        "v_threshold": 1.0,
        "reset_mode": "soft",
        "detach_reset": True,
        "surrogate": "atan",
    },
    "space": {
        "tau": {"low": 1.1, "high": 32.0, "scale": "log"},
        "v_threshold": {"low": 0.25, "high": 4.0, "scale": "log"},
        "input_gain": {"choices": ["one", "one_minus_decay"]},
        "surrogate.alpha": {"low": 0.5, "high": 8.0, "scale": "log"},
    },
    "variants": {
        "lif-hard": {
            "changes": "hard reset",
            "title": "LIF, hard reset",
            "summary": "As lif, but a spike sets the membrane to 0.",
            "params": {"reset_mode": "hard", "v_reset": 0.0},
            "capabilities": {"reset": "hard"},
        },
        "lif-decay-input": {
            "changes": "input decayed",
            "title": "LIF, input decayed",
            "summary": "As lif, but the input enters with weight 1 - decay (SpikingJelly's default).",
            "params": {"input_gain": "one_minus_decay"},
            "capabilities": {"membrane": "linear-decayed-input"},
        },
        "lif-attached": {
            "changes": "gradient through the reset",
            "title": "LIF, gradient through the reset",
            "summary": "As lif, but the spike inside the reset carries gradient (SpikingJelly's default).",
            "params": {"detach_reset": False},
        },
    },
    "aliases": {"lif-no-decay-input": {"input_gain": "one"}},
    "divergences": [
        "There is no single LIF: SpikingJelly decays the input and resets hard by default, snnTorch resets one "
        "step later, norse fires only above the threshold. Each convention is its own row or parameter.",
        "SpikingJelly lets gradient through the reset by default; most published recipes detach it, as here.",
    ],
}


class LIF(MembraneNeuron):
    """Leaky integrate and fire.

    Parameters
    ----------
    tau : membrane time constant in time steps, >= 1 with ``euler``.
    decay : factor on the previous membrane, in [0, 1]; overrides `tau`.
    decay_rule : ``euler``: decay = 1 - 1/tau. ``exp``: decay = exp(-1/tau).
    input_gain : ``one`` or ``one_minus_decay``, the weight of the input.
    decay_input : SpikingJelly's name for the same choice; overrides `input_gain`.
    v_rest : value the leak pulls towards; None: the reset value for a hard reset, 0 for the others.
    **membrane : see :class:`Membrane`.

    Golden vectors from SpikingJelly 2.0.0 ``LIFNode``, both settings of ``decay_input``.
    """

    def __init__(
        self,
        tau: float = 2.0,
        decay: float | None = None,
        decay_rule: str = "euler",
        input_gain: str = "one",
        decay_input: bool | None = None,
        v_rest: float | None = None,
        **membrane: Any,
    ) -> None:
        super().__init__(**membrane)
        self._decay = resolve_decay(tau, decay, decay_rule)
        self.input_gain = resolve_input_gain(input_gain, decay_input)
        self.gain = 1.0 if self.input_gain == "one" else 1 - self._decay
        self.v_rest = self.v_reset if v_rest is None else float(v_rest)

    @property
    def decay(self) -> float:
        """Factor on the previous membrane."""
        return self._decay

    def step(self, x: Tensor, state: MembraneState, params: Mapping[str, Tensor]) -> tuple[Tensor, MembraneState]:
        """Charge, fire, reset."""
        h = self.decay * state.v + (x if self.gain == 1 else self.gain * x)
        if self.v_rest:
            h = h + (1 - self.decay) * self.v_rest
        s = self.fire(h)
        return s, self.reset(h, s)
