"""C-SiLIF: a state-space model of one complex state a neuron, as S4D begins and parametrises it, that fires and resets.

Must not know of the network around it.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any, NamedTuple

import torch
from torch import Tensor

from reference_impls.api import LayerShape, parameter_shape
from reference_impls.neurons._adaptive import AdaptiveNeuron, learned

CARD = {
    "name": "c-silif",
    "kind": "neuron",
    "version": 1,
    "title": "C-SiLIF: complex-valued, SSM-inspired LIF",
    "summary": (
        "A diagonal state-space model with one complex state, whose step length, decay and frequency are learned "
        "behind logarithms and begin as S4D's. It fires where twice the real part passes the threshold, and a spike is "
        "subtracted from the real part. Every neuron has its own four parameters."
    ),
    "equations": (
        "a = exp(dt (-exp(log_decay) + i omega)), dt = exp(log_dt); u[t] = a (u[t-1] - v_threshold s[t-1] / 2) + b "
        "x[t], u complex; s[t] = 1 if 2 Re u[t] > v_threshold"
    ),
    "citations": [
        {
            "authors": "M. Fabre, L. Dudchenko, Y. Bouhadjar, E. Neftci",
            "title": "SiLIF: Structured State Space Model Dynamics and Parametrization for Spiking Neural Networks",
            "venue": "arXiv",
            "year": 2025,
            "arxiv": "2506.06374",
            "code": "https://github.com/Maxtimer97/SSM-inspired-LIF (commit bca1fbe)",
        },
        {
            "authors": "A. Gu, A. Gupta, K. Goel, C. Re",
            "title": "On the Parameterization and Initialization of Diagonal State Space Models (S4D)",
            "venue": "NeurIPS",
            "year": 2022,
            "arxiv": "2206.11893",
        },
    ],
    "capabilities": {
        "parallel": "sequential",
        "causal": True,
        "stochastic": False,
        "needs_T": False,
        "output": "binary",
        "membrane": "resonator",
        "reset": "soft",
        "learnable": ["log_dt", "log_decay", "omega", "b"],
        "granularity": "neuron",
    },
    "defaults": {
        "dt_range": [0.01, 0.5],
        "decay": 0.5,
        "omega": 3.141592653589793,
        "v_threshold": 1.0,
        "detach_reset": False,
        "granularity": "neuron",
        "surrogate": {"name": "rectangle", "params": {"width": 1.0}},
    },
    "space": {
        "decay": {"low": 0.05, "high": 5.0, "scale": "log"},
        "omega": {"low": 0.1, "high": 10.0, "scale": "log"},
        "v_threshold": {"low": 0.25, "high": 4.0, "scale": "log"},
    },
    "changes": "a complex state with learned step, decay and frequency; gradient through the reset",
    "variants": {
        "c-silif-layer": {
            "title": "C-SiLIF, one state-space model a layer",
            "summary": "As c-silif, but a layer's neurons share parameters, begun in the middle of the ranges.",
            "params": {"granularity": "layer"},
            "capabilities": {"granularity": "layer"},
        },
    },
    "divergences": [
        "No matched row: what it changes of LIF, a frequency and a learned step, goes together.",
        "The release begins membrane and last spike at random and normalises its input over batch and time; here it "
        "begins at rest, and the topology says whether currents are normalised (mlp-tdbn).",
        "The release's read-out is leaky, and its layers have dropout and synaptic delays; a topology here has none.",
        "SiLIF, the paper's other model, is an adaptive LIF with a learned step: se-adlif is near to it.",
        "No golden vectors: equations, beginnings and surrogate are those of the released class, restated in numpy by "
        "the tests.",
    ],
}


class CSiLIFState(NamedTuple):
    """The complex state after the reset, ``[B, ...]`` each."""

    v: Tensor
    """Real part."""
    i: Tensor
    """Imaginary part."""


class CSiLIF(AdaptiveNeuron):
    """A state-space model of one complex state, with a threshold and a reset.

    Parameters
    ----------
    dt_range : least and greatest length of a step, between which each is drawn, uniformly in its logarithm.
    decay : initial rate of the decay, > 0, whose logarithm is learned.
    omega : initial angular frequency.
    b : initial weight of the input; None: drawn uniformly from [0, 1), or 1/2 where there is one a layer.
    granularity, shape : whose the parameters are, and the layer's shape; see :func:`parameter_shape`.
    v_threshold : of twice the real part; a spike subtracts half of it from the real part.
    fire_rule : ``gt`` does not fire on a tie.
    v_init, detach_reset, surrogate : see :class:`AdaptiveNeuron`.

    The step, the beginnings and the surrogate are those of the released ``CSiLIFLayer``.
    """

    def __init__(
        self,
        dt_range: tuple[float, float] = (0.01, 0.5),
        decay: float = 0.5,
        omega: float = math.pi,
        b: Any = None,
        granularity: str = "neuron",
        shape: LayerShape | None = None,
        v_threshold: float = 1.0,
        fire_rule: str = "gt",
        v_init: float = 0.0,
        detach_reset: bool = False,
        surrogate: str | Mapping[str, Any] = "rectangle",
    ) -> None:
        super().__init__(v_threshold, fire_rule, v_init, detach_reset, surrogate)
        if not 0 < dt_range[0] <= dt_range[1]:
            raise ValueError(f"dt_range must be (least, greatest), both positive, got {tuple(dt_range)}")
        if not decay > 0:
            raise ValueError(f"decay must be positive, got {decay}: its logarithm is learned")
        own = self.parameter_shape = parameter_shape("c-silif", granularity, shape)
        low, high = (math.log(length) for length in dt_range)
        self.log_dt = learned(None, own, (low + high) / 2, lambda empty: empty.uniform_(low, high))
        self.log_decay = learned(math.log(decay), own, 0.0)
        self.omega = learned(omega, own, 0.0)
        self.b = learned(b, own, 0.5, lambda empty: empty.uniform_(0, 1))

    def init_state(self, like: Tensor) -> CSiLIFState:
        """Return a state of `v_init`."""
        return CSiLIFState(torch.full_like(like, self.v_init), torch.zeros_like(like))

    def step_params(self) -> dict[str, Tensor]:
        """Return ``{"real", "imaginary", "b"}``: what turns the state in a step, and the weight of the input."""
        dt = self.log_dt.exp()
        kept, turned = torch.exp(-dt * self.log_decay.exp()), dt * self.omega
        return {"real": kept * torch.cos(turned), "imaginary": kept * torch.sin(turned), "b": self.b}

    def step(self, x: Tensor, state: CSiLIFState, params: Mapping[str, Tensor]) -> tuple[Tensor, CSiLIFState]:
        """Turn and damp, add the input, fire, subtract."""
        v = params["real"] * state.v - params["imaginary"] * state.i + params["b"] * x
        i = params["real"] * state.i + params["imaginary"] * state.v
        s = self.surrogate(2 * v - self.v_threshold, self.fire_rule)
        return s, CSiLIFState(v - self.resetting(s) * (self.v_threshold / 2), i)
