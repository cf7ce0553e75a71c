"""PMSN: the parallel multi-compartment spiking neuron: linear dendrites, and a soma that counts thresholds.

Must not know of the network around it.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor

from reference_impls.api import LayerShape, ParallelNeuron, parameter_shape
from reference_impls.neurons._adaptive import learned
from reference_impls.neurons._scan import filtered
from reference_impls.surrogate import make_surrogate

CARD = {
    "name": "pmsn",
    "kind": "neuron",
    "version": 2,
    "title": "PMSN: parallel multi-compartment spiking neuron",
    "summary": (
        "Dendritic compartments that are damped complex oscillators drive a soma; the soma sums what is positive and "
        "fires when the sum has passed another whole threshold, which is a reset without recursion. Every neuron "
        "learns its own compartments."
    ),
    "equations": (
        "z[t] = exp(dt Lambda) z[t-1] + B x[t], B = b (exp(dt Lambda) - 1) / Lambda; y = Re(C z) + D x; "
        "c = cumsum(relu(y)); s[t] = min(1, floor((c[t] - theta floor(c[t-1] / theta)) / theta)); the surrogate is "
        "taken at c[t] - theta floor(c[t-1] / theta) - theta"
    ),
    "citations": [
        {
            "authors": "X. Chen, J. Wu, C. Ma, Y. Yan, Y. Wu, K. C. Tan",
            "title": "PMSN: A Parallel Multi-compartment Spiking Neuron for Multi-scale Temporal Processing",
            "venue": "IEEE TNNLS",
            "year": 2024,
            "arxiv": "2408.14917",
        }
    ],
    "capabilities": {
        "parallel": "fft",
        "causal": True,
        "stochastic": False,
        "needs_T": False,
        "output": "binary",
        "membrane": "linear-filter",
        "reset": "cumulative",
        "learnable": [
            "log_dt",
            "log_damping",
            "frequency",
            "b_real",
            "b_imaginary",
            "c_real",
            "c_imaginary",
            "d",
        ],
        "granularity": "neuron",
    },
    "defaults": {
        "compartments": 4,
        "dt_range": [0.001, 0.1],
        "granularity": "neuron",
        "v_threshold": 1.0,
        "surrogate": {"name": "triangle", "params": {"alpha": 1.0}},
    },
    "space": {
        "v_threshold": {"low": 0.25, "high": 4.0, "scale": "log"},
        "surrogate.alpha": {"low": 0.25, "high": 4.0, "scale": "log"},
    },
    "changes": "several compartments; a reset of the cumulated soma",
    "variants": {
        "pmsn-layer": {
            "title": "PMSN, one set of compartments a layer",
            "summary": (
                "As pmsn, but a layer's neurons share all parameters, and begin with steps of 1/2 and an input weight "
                "of 1."
            ),
            "params": {"granularity": "layer", "dt": 0.5, "d": 1.0},
            "capabilities": {"granularity": "layer"},
        },
    },
    "divergences": [
        "No matched row: compartments and reset are of another form than lif's.",
        "The year is that of the preprint. No golden vectors: the equations were taken from a description of the code, "
        "and the tests restate them step by step.",
        "The description gives the diagonal system and the soma. Zero-order hold, 4 compartments a neuron and all "
        "initial values are those of a copy of the neuron in a public benchmark; its threshold is 0.3 and its "
        "surrogate a rectangle, here 1 and the triangle of the description.",
        "That copy normalises the input by batch and channel first; a neuron here takes what the topology gives it.",
        "A step that passes several thresholds at once fires once, and the others are lost: the soma is exact modulo "
        "the threshold only.",
        "The sum of the soma only grows, so float32 loses its fraction on long sequences; it is kept in at least "
        "float32, whatever the input.",
    ],
}


DAMPING = 0.5
"""Of every compartment by itself."""
COUPLING = 5.0
"""Of the first two compartments to one another; that of later pairs grows with their number."""


class PMSN(ParallelNeuron):
    """Multi-compartment neuron with a cumulative reset.

    Parameters
    ----------
    compartments : K, of a neuron.
    dt_range : least and greatest length of a step, between which each is drawn, uniformly in its logarithm.
    dt : initial length of a step; None: drawn, or the middle of the range where there is one a layer.
    d : initial weight of the input in the soma; None: drawn from N(0, 1), or 0 where there is one a layer.
    granularity, shape : whose all parameters are, and the layer's shape; see :func:`parameter_shape`.
    v_threshold : threshold of the soma, > 0.
    surrogate : as everywhere.
    """

    def __init__(
        self,
        compartments: int = 4,
        dt_range: tuple[float, float] = (0.001, 0.1),
        dt: float | None = None,
        d: float | None = None,
        granularity: str = "neuron",
        shape: LayerShape | None = None,
        v_threshold: float = 1.0,
        surrogate: str | Mapping[str, Any] = "triangle",
    ) -> None:
        super().__init__()
        if compartments < 1:
            raise ValueError(f"a neuron needs at least one compartment, got {compartments}")
        if not v_threshold > 0:
            raise ValueError(f"v_threshold must be positive, got {v_threshold}")
        if not (0 < dt_range[0] <= dt_range[1] and (dt is None or dt > 0)):
            raise ValueError(f"lengths of a step must be positive, got dt {dt}, range {dt_range}")
        self.v_threshold = float(v_threshold)
        self.surrogate = make_surrogate(surrogate)
        own = self.parameter_shape = parameter_shape("pmsn", granularity, shape)
        low, high = (math.log(length) for length in dt_range)
        self.log_dt = learned(dt and math.log(dt), own, (low + high) / 2, lambda empty: empty.uniform_(low, high))
        self.d = learned(d, own, 0.0, lambda empty: empty.normal_())
        frequency, into, out_of = chain_of_compartments(compartments)
        each = (*own, compartments)
        self.log_damping = learned(math.log(DAMPING), each, 0.0)
        self.frequency = learned(frequency, each, 0.0)
        self.b_real, self.b_imaginary = learned(into.real, each, 0.0), learned(into.imag, each, 0.0)
        self.c_real, self.c_imaginary = learned(out_of.real, each, 0.0), learned(out_of.imag, each, 0.0)

    def forward(self, x: Tensor) -> Tensor:
        """Map ``x[T, B, ...]`` to spikes of the same shape."""
        self.check_features(x.shape[2:])
        wide = torch.promote_types(x.dtype, torch.float32)
        summed = torch.relu(self.membrane(x)).to(wide).cumsum(0)
        passed = torch.floor(summed.detach() / self.v_threshold)
        before = torch.cat([torch.zeros_like(passed[:1]), passed[:-1]])
        return self.surrogate(summed - self.v_threshold * before - self.v_threshold).to(x.dtype)

    def membrane(self, x: Tensor) -> Tensor:
        """Return what the dendrites give to the soma, ``[T, B, ...]``."""
        return filtered(self.kernel(x.shape[0], x), x)

    def kernel(self, steps: int, like: Tensor) -> Tensor:
        """Return the dendrites' response to a unit input at step 0, ``[T, *parameter_shape]``."""
        rate = torch.complex(-self.log_damping.exp(), self.frequency)
        moved = self.log_dt.exp().unsqueeze(-1) * rate
        into, out_of = torch.complex(self.b_real, self.b_imaginary), torch.complex(self.c_real, self.c_imaginary)
        weight = out_of * into * torch.expm1(moved) / rate
        n = torch.arange(steps, device=like.device, dtype=self.log_dt.dtype).view(-1, *[1] * moved.dim())
        response = (weight * torch.exp(moved * n)).sum(-1).real
        direct = torch.cat([self.d.unsqueeze(0), self.d.new_zeros(steps - 1, *self.d.shape)])
        return (response + direct).to(like.dtype)


def chain_of_compartments(count: int) -> tuple[Tensor, Tensor, Tensor]:
    """Return the modes of a chain whose compartments drive their neighbours: frequencies ``[K]``, input and output.

    All compartments get the input and the last one is read. Their coupling, n times `COUPLING` from the n-th to the
    next and minus that backwards, is antisymmetric, so the modes are undamped but for `DAMPING`.
    """
    strength = COUPLING * torch.arange(1, count, dtype=torch.float64)
    coupling = torch.diag(strength, 1) - torch.diag(strength, -1)
    frequency, modes = torch.linalg.eigh(-1j * coupling)
    # A mode is known up to its phase, which another machine may choose otherwise: the last compartment's is 0 here.
    modes = modes * (modes[-1].abs() / modes[-1])
    return frequency, modes.conj().sum(0), modes[-1]
