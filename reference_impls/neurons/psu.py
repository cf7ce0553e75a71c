"""PSU and its kin: the reset of a LIF neuron replaced by an estimate from the input, in parallel over time."""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn

from reference_impls.api import ParallelNeuron
from reference_impls.names import check_name
from reference_impls.neurons._parallel import check_steps, initial, mix_over_time, mix_past
from reference_impls.neurons._scan import decaying_sum, powers, toeplitz
from reference_impls.surrogate import heaviside, straight_through

CARD = {
    "name": "psu",
    "kind": "neuron",
    "version": 1,
    "title": "PSU: parallel spiking unit",
    "summary": (
        "A LIF with soft reset is linear in its inputs and its spikes; PSU puts a firing probability computed from "
        "the input in the place of the spikes, so the sequence is two triangular matrix products."
    ),
    "equations": (
        "A[t][i] = d^(t-i+1) for i <= t, B[t][i] = d^(t-i) for i < t, d = 1/tau; D = A X; "
        "H = D - v_threshold B sigmoid(D); S = 1 if H > v_threshold"
    ),
    "citations": [
        {
            "authors": "Y. Li, Y. Sun, X. He, Y. Dong, D. Zhao, Y. Zeng",
            "title": "Parallel Spiking Unit for Efficient Training of Spiking Neural Networks",
            "venue": "IJCNN",
            "year": 2024,
            "arxiv": "2402.00449",
            "code": "https://github.com/Brain-Cog-Lab/PSU (commit 89fd7243)",
        }
    ],
    "capabilities": {
        "parallel": "matmul",
        "causal": True,
        "stochastic": False,
        "needs_T": False,
        "output": "binary",
        "membrane": "estimated-reset",
        "reset": "estimated",
        "learnable": ["surrogate_alpha"],
    },
    "defaults": {"kind": "psu", "tau": 2.0, "v_threshold": 0.5, "surrogate_alpha": 2.0},
    "space": {
        "tau": {"low": 1.1, "high": 32.0, "scale": "log"},
        "v_threshold": {"low": 0.1, "high": 2.0, "scale": "log"},
        "surrogate_alpha": {"low": 0.5, "high": 8.0, "scale": "log"},
    },
    "changes": "a reset estimated from the input, all steps at once",
    "variants": {
        "ppsu": {
            "title": "PPSU: parametric parallel spiking unit",
            "summary": "The integration matrix is learned: D = tril(W) X + b; H = D - B sigmoid(D).",
            "params": {"kind": "ppsu"},
            "capabilities": {"needs_T": True, "learnable": ["surrogate_alpha", "weight", "bias"]},
        },
        "ipsu": {
            "title": "IPSU: input-aware parallel spiking unit",
            "summary": "Learned integration; the reset is a linear map of the input: H = tril(W) X + b - B X.",
            "params": {"kind": "ipsu"},
            "capabilities": {"needs_T": True, "learnable": ["surrogate_alpha", "weight", "bias"]},
        },
        "rpsu": {
            "title": "RPSU: reset-aware parallel spiking unit",
            "summary": "Fixed integration, learned estimate of the reset: H = A X - B sigmoid(tril(W) X + b).",
            "params": {"kind": "rpsu"},
            "capabilities": {"needs_T": True, "learnable": ["surrogate_alpha", "weight", "bias"]},
        },
        "psu-matched": {
            "title": "PSU, matched to LIF",
            "summary": (
                "As psu, whose input and threshold are half of LIF's alike, with LIF's surrogate at that scale to"
                " begin with."
            ),
            "params": {
                "surrogate_alpha": 4.0,
            },
            "overrides": {
                "space": {
                    "tau": {"low": 1.1, "high": 32.0, "scale": "log"},
                    "v_threshold": {"low": 0.1, "high": 2.0, "scale": "log"},
                    "surrogate_alpha": {"low": 0.5, "high": 8.0, "scale": "log"},
                }
            },
        },
    },
    "divergences": [
        "No setting turns the estimate off: psu-matched equals lif at the first step of a sequence.",
        "The released IPSU subtracts B X without a sigmoid (the line with the sigmoid stands commented out beside "
        "it); this row follows the code.",
        "The decay is 1/tau in the code, not 1 - 1/tau; both are 0.5 at tau = 2, the only value used.",
        "v_threshold scales the estimated reset in PSU only, not in the three learned kinds.",
        "The paper's equations and accuracy tables could not be read; equations are those of the released classes.",
    ],
}

KINDS = ("psu", "ppsu", "ipsu", "rpsu")
FORMS = ("scan", "matmul")


class PSU(ParallelNeuron):
    """Parallel spiking unit, four kinds.

    Parameters
    ----------
    kind : ``psu``, ``ppsu``, ``ipsu`` or ``rpsu``.
    T : number of time steps; needed by the three kinds with learned matrices.
    tau : time constant; the decay of the released code is ``1/tau``.
    v_threshold : firing threshold, strict.
    surrogate_alpha : initial sharpness of the atan surrogate, learned, one a layer.
    weight, bias : initial ``[T, T]`` (its lower triangle is used) and ``[T]`` of the learned kinds;
        None: Kaiming normal (fan-out) and 0.
    parallel : ``scan``: the fixed matrices are first-order recurrences and run in blocks of steps, O(T N).
        ``matmul``: T x T products, O(T^2 N), as released; the same result up to rounding.

    Golden vectors from the authors' four classes.
    """

    def __init__(
        self,
        kind: str = "psu",
        T: int | None = None,
        tau: float = 2.0,
        v_threshold: float = 0.5,
        surrogate_alpha: float = 2.0,
        weight: object = None,
        bias: object = None,
        parallel: str = "scan",
    ) -> None:
        super().__init__()
        self.kind = check_name("kind of psu", kind, KINDS)
        self.parallel = check_name("form of psu", parallel, FORMS)
        if tau < 1:
            raise ValueError(f"tau must be at least 1 (decay is 1/tau here), got {tau}")
        self.decay = 1 / tau
        self.v_threshold = float(v_threshold)
        self.surrogate_alpha = nn.Parameter(torch.tensor(float(surrogate_alpha)))
        self.T = T
        if kind != "psu":
            if T is None:
                raise TypeError(f"neuron {kind!r} has a learned T x T matrix: give T, the number of time steps")
            start = initial(weight, (T, T), f"weight of {kind}")
            if start is None:
                start = nn.init.kaiming_normal_(torch.empty(T, T), mode="fan_out", nonlinearity="relu")
            self.weight = nn.Parameter(start)
            offset = initial(bias, (T,), f"bias of {kind}")
            self.bias = nn.Parameter(torch.zeros(T) if offset is None else offset)

    def forward(self, x: Tensor) -> Tensor:
        """Map ``x[T, B, ...]`` to spikes of the same shape."""
        return self._fire(self.membrane(x))

    def membrane(self, x: Tensor) -> Tensor:
        """Return the membrane H ``[T, B, ...]`` before the threshold."""
        if self.kind == "psu":
            drive = self._integrate(x)
            return drive - self.v_threshold * self._estimated_reset(torch.sigmoid(drive))
        if self.kind == "rpsu":
            return self._integrate(x) - self._estimated_reset(torch.sigmoid(self._learned(x)))
        drive = self._learned(x)
        return drive - self._estimated_reset(x if self.kind == "ipsu" else torch.sigmoid(drive))

    def _learned(self, x: Tensor) -> Tensor:
        """``tril(W) X + b``."""
        assert self.T is not None
        check_steps(self.kind, self.T, x)
        bias = self.bias.view(-1, *[1] * (x.dim() - 1))
        return mix_past(self.weight, x) + bias

    def _integrate(self, x: Tensor) -> Tensor:
        """``A X``: leaky integration, ``d^(t-i+1)`` on the inputs up to and including step t."""
        return self.decay * self._decaying_sum(x)

    def _estimated_reset(self, estimate: Tensor) -> Tensor:
        """``B S``: what earlier (estimated) spikes still subtract, ``d^(t-i)`` on the steps before t."""
        before = torch.cat([torch.zeros_like(estimate[:1]), estimate[:-1]])
        return self.decay * self._decaying_sum(before)

    def _decaying_sum(self, x: Tensor) -> Tensor:
        """``sum_{i<=t} d^(t-i) x[i]`` for every t."""
        if self.parallel == "scan":
            return decaying_sum(self.decay, x)
        return mix_over_time(toeplitz(powers(self.decay, x.shape[0], x)), x)

    def _fire(self, h: Tensor) -> Tensor:
        """Strict threshold; the atan surrogate is differentiated with respect to its alpha as well."""
        above = h - self.v_threshold
        smooth = torch.atan(math.pi / 2 * self.surrogate_alpha * above) / math.pi
        return straight_through(heaviside(above, "gt"), smooth)
