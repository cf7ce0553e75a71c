"""GLIF: a LIF neuron whose leak, input weight and reset are learned mixtures of the known ones.

Parameters are stored raw and pass through a sigmoid, so effective values lie in (0, 1). Must not know the network.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn

from reference_impls.api import LayerShape, NeuronOutput, SequentialNeuron, parameter_shape
from reference_impls.names import check_name
from reference_impls.neurons._parallel import initial
from reference_impls.surrogate import FIRE_RULES, heaviside, make_surrogate, straight_through

CARD = {
    "name": "glif",
    "kind": "neuron",
    "version": 2,
    "title": "GLIF: gated leaky integrate and fire",
    "summary": (
        "Three learned gates mix exponential with linear leak, weighted with plain input, and hard with soft reset; "
        "decay, threshold, reset and a conductance for every step are learned too, one set a channel."
    ),
    "equations": (
        "all parameters through a sigmoid; I[t] = x[t] (1 - be (1 - g[t])); "
        "u[t] = (1 - al (1 - te)) u[t-1] (1 - ga s[t-1]) - (1 - al) le + I[t] - (1 - ga) re s[t-1]; "
        "s[t] = 1 if u[t] > th"
    ),
    "citations": [
        {
            "authors": "X. Yao, F. Li, Z. Mo, J. Cheng",
            "title": "GLIF: A unified gated leaky integrate-and-fire neuron for spiking neural networks",
            "venue": "NeurIPS",
            "year": 2022,
            "arxiv": "2210.13768",
            "code": "https://github.com/Ikarosy/Gated-LIF (commit 60638b2)",
        }
    ],
    "capabilities": {
        "parallel": "sequential",
        "causal": True,
        "stochastic": False,
        "needs_T": True,
        "output": "binary",
        "membrane": "gated",
        "reset": "gated",
        "learnable": [
            "raw_alpha",
            "raw_beta",
            "raw_gamma",
            "raw_decay",
            "raw_v_threshold",
            "raw_leak",
            "raw_reset_amount",
            "raw_conductance",
        ],
        "granularity": "channel",
    },
    "defaults": {
        "granularity": "channel",
        "gate_mode": "soft",
        "decay": 0.25,
        "v_threshold": 0.5,
        "reset_amount": 0.5,
        "leak": 0.0625,
        "conductance": 0.5,
        "detach_reset": False,
        "surrogate": "rectangle_glif",
    },
    "space": {
        "decay": {"low": 0.05, "high": 0.95},
        "v_threshold": {"low": 0.05, "high": 0.95, "scale": "log"},
        "reset_amount": {"low": 0.05, "high": 0.95, "scale": "log"},
        "conductance": {"low": 0.05, "high": 0.95, "scale": "log"},
    },
    "changes": "learned gates, leaks, threshold, reset and conductances; gradient through the reset",
    "variants": {
        "glif-hard-gates": {
            "title": "GLIF, hard gates",
            "summary": "As glif, but each gate is rounded to 0 or 1 with a straight-through gradient.",
            "params": {"gate_mode": "hard-ste"},
        },
        "glif-layer": {
            "title": "GLIF, one set of parameters a layer",
            "summary": "As glif, but all channels of a layer share their parameters, as in the authors' other class.",
            "params": {"granularity": "layer"},
            "capabilities": {"granularity": "layer"},
        },
        "glif-matched": {
            "title": "GLIF, matched to LIF",
            "summary": (
                "Begins as LIF: gates that round to exponential leak, weighted input and soft reset, at half "
                "LIF's scale (threshold, reset and input), with its surrogate and detached reset. Everything is "
                "then learned."
            ),
            "changes": "learned gates, leaks, threshold, reset and conductances",
            "params": {
                "gate_mode": "hard-ste",
                "gate": [0.75, 0.75, 0.25],
                "decay": 0.5,
                "v_threshold": 0.5,
                "reset_amount": 0.25,
                "conductance": 0.5,
                "fire_rule": "ge",
                "detach_reset": True,
                "surrogate": {
                    "name": "atan",
                    "params": {
                        "alpha": 4.0,
                    },
                },
            },
            "overrides": {
                "space": {
                    "decay": {"low": 0.05, "high": 0.95},
                    "v_threshold": {"low": 0.05, "high": 0.95, "scale": "log"},
                    "surrogate.alpha": {"low": 0.5, "high": 8.0, "scale": "log"},
                }
            },
        },
    },
    "divergences": [
        "The threshold is the sigmoid of what is stored and cannot be 1, so glif-matched has half of LIF's scale "
        "throughout, and its surrogate twice the slope.",
        "The published backward passes of spike and hard gate raise a TypeError (a saved tuple is not unpacked); the "
        "evident intent, as repaired in the PSN repository, is implemented.",
        "The authors' layer-wise class gives fixed gates the opposite sign of the channel-wise one, so that 0.6 starts "
        "at 0.45 and not at 0.55; here all start at 0.55.",
        "The linear leak starts at v_threshold/8 whatever T is, as in the authors' code; SpikingJelly uses T. "
        "SpikingJelly also fires on ties and has a sigmoid surrogate.",
    ],
}

GATE_MODES = ("soft", "hard-ste")
GATES = ("alpha", "beta", "gamma")
EFFECTIVE = ("decay", "v_threshold", "leak", "reset_amount", "conductance")


class GLIFState(NamedTuple):
    """What one step hands to the next, ``[B, ...]`` each."""

    v: Tensor
    """Membrane before reset: the reset of step t belongs to the update of step t + 1."""
    s: Tensor
    """Spikes of the step, for that reset."""
    steps: Tensor
    """Steps taken, the same number everywhere: the conductance depends on it."""


class GLIF(SequentialNeuron):
    """LIF with learned gates; ``x[T, B, ...]`` to spikes of the same shape.

    Parameters
    ----------
    T : longest sequence, one conductance for each step.
    granularity, shape : whose the parameters are, and the layer's shape; see :func:`parameter_shape`.
    gate_mode : ``soft``, or ``hard-ste``: gates rounded at 0.5, gradient as if they were not.
    gate : initial gates (leak, input, reset), in [0, 1] before the authors' squeeze to [0.25, 0.75]; None: raw
        values uniform in +-0.1, as in the published runs.
    static_gate : whether the gates stay as they start.
    decay, v_threshold, reset_amount, leak, conductance : initial effective values, in (0, 1): exponential decay,
        threshold, soft-reset amount, linear leak and input conductance.
    raw : stored values by parameter name (``raw_alpha``, ...), instead of any of the above.
    fire_rule : ``gt`` as in the authors' code; SpikingJelly's is ``ge``.
    detach_reset : whether the spike carries no gradient into the next step (the authors' always does).
    surrogate : name, or ``{"name", "params"}``.

    Golden vectors from the authors' ``LIFSpike_CW`` and ``LIFSpike``.
    """

    reset_timing = "next_step"

    def __init__(
        self,
        T: int,
        granularity: str = "channel",
        shape: LayerShape | None = None,
        gate_mode: str = "soft",
        gate: Sequence[float] | None = None,
        static_gate: bool = False,
        decay: float = 0.25,
        v_threshold: float = 0.5,
        reset_amount: float = 0.5,
        leak: float = 0.0625,
        conductance: float = 0.5,
        raw: Mapping[str, Any] | None = None,
        fire_rule: str = "gt",
        detach_reset: bool = False,
        surrogate: str | Mapping[str, Any] = "rectangle_glif",
    ) -> None:
        super().__init__()
        if T < 1:
            raise ValueError(f"T must be at least 1 time step, got {T}")
        self.T = T
        own = self.parameter_shape = parameter_shape("glif", granularity, shape)
        self.gate_mode = check_name("gate_mode", gate_mode, GATE_MODES)
        self.fire_rule = check_name("fire_rule", fire_rule, FIRE_RULES)
        self.detach_reset = detach_reset
        self.surrogate = make_surrogate(surrogate)
        squeezed = [None] * 3 if gate is None else [_logit("gate", 0.5 * (value - 0.5) + 0.5) for value in gate]
        start: dict[str, float | None] = {f"raw_{name}": value for name, value in zip(GATES, squeezed, strict=True)}
        effective = zip(EFFECTIVE, (decay, v_threshold, leak, reset_amount, conductance), strict=True)
        start |= {f"raw_{name}": _logit(name, value) for name, value in effective}
        for name in (given := dict(raw or {})):
            check_name("raw parameter of glif", name, start)
        for name, value in start.items():
            size = (T, *own) if name == "raw_conductance" else own
            tensor = initial(given.get(name), size, f"{name} of glif")
            if tensor is None:
                tensor = torch.empty(size).uniform_(-0.1, 0.1) if value is None else torch.full(size, value)
            learned = not (static_gate and name.removeprefix("raw_") in GATES)
            self.register_parameter(name, nn.Parameter(tensor, learned))

    def init_state(self, like: Tensor) -> GLIFState:
        """At rest."""
        return GLIFState(torch.zeros_like(like), torch.zeros_like(like), torch.zeros_like(like))

    def step_params(self) -> dict[str, Tensor]:
        """Return the effective values that `step` wants."""
        values = {name: torch.sigmoid(getattr(self, f"raw_{name}")) for name in EFFECTIVE[:-1]}
        return values | {name: self._gate(name) for name in ("alpha", "gamma")}

    def step(self, x: Tensor, state: GLIFState, params: Mapping[str, Tensor]) -> tuple[Tensor, GLIFState]:
        """Leak, reset what fired before, add the current `x` (conductance already applied), fire."""
        before = state.s.detach() if self.detach_reset else state.s
        alpha, gamma = params["alpha"], params["gamma"]
        kept = (1 - alpha * (1 - params["decay"])) * state.v * (1 - gamma * before)
        u = kept - (1 - alpha) * params["leak"] + x - (1 - gamma) * params["reset_amount"] * before
        s = self.surrogate(u - params["v_threshold"], self.fire_rule)
        return s, GLIFState(u, s, state.steps + 1)

    def advance(self, x: Tensor, state: GLIFState) -> tuple[Tensor, GLIFState]:
        """Take a single step outside a sequence, with the conductance of that step."""
        self.check_features(x.shape[1:])
        output = self._run(x.unsqueeze(0), state)
        self._notify(output.spikes)
        assert isinstance(output.state, GLIFState)
        return output.spikes[0], output.state

    def _run(self, x: Tensor, state: GLIFState | None) -> NeuronOutput:
        # The conductance is the one thing that depends on the step, so it is applied to the whole sequence here and
        # `step` stays element-wise.
        return NeuronOutput(*self.sequence(self._conducted(x, state), state))

    def _conducted(self, x: Tensor, state: GLIFState | None) -> Tensor:
        """Weight the input ``[T, B, ...]`` of every step by its conductance."""
        begin = int(state.steps.flatten()[0]) if state is not None and state.steps.numel() else 0
        end = begin + x.shape[0]
        if end > self.T:
            raise ValueError(f"glif was built for T = {self.T} time steps and is asked for step {end}")
        conductance = torch.sigmoid(self.raw_conductance[begin:end])  # type: ignore[index]
        weight = 1 - self._gate("beta") * (1 - conductance)
        return x * weight.view(len(weight), *[1] * (x.dim() - weight.dim()), *weight.shape[1:])

    def _gate(self, name: str) -> Tensor:
        gate = torch.sigmoid(getattr(self, f"raw_{name}"))
        return gate if self.gate_mode == "soft" else straight_through(heaviside(gate - 0.5, "gt"), gate)


def _logit(name: str, value: float) -> float:
    if not 0 < value < 1:
        raise ValueError(f"{name} of glif must lie strictly between 0 and 1, got {value}: it is stored as a logit")
    return math.log(value / (1 - value))
