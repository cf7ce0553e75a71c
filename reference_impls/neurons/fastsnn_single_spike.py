"""Single-spike neurons without a recursion: FastSNN and its successor, the single-spike block.

The first crossing of the threshold is found with two cumulative sums. Both versions give the same spikes and
different gradients. Must not know of weights: the input is the current.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor, nn

from reference_impls.api import LayerShape, ParallelNeuron, parameter_shape
from reference_impls.names import check_name
from reference_impls.neurons._adaptive import learned, within
from reference_impls.neurons._parallel import check_steps, mix_over_time
from reference_impls.neurons._scan import decaying_sum, toeplitz
from reference_impls.surrogate import FIRE_RULES, make_surrogate, straight_through

CARD = {
    "name": "fastsnn-single-spike",
    "kind": "neuron",
    "version": 2,
    "title": "FastSNN: vectorised single-spike neuron",
    "summary": (
        "Every neuron fires once at most, at the first crossing of a linear membrane, which two cumulative sums pick "
        "out for the whole sequence at once. The spike's own step passes no gradient."
    ),
    "equations": (
        "v[t] = sum_{i<=t} decay^(t-i) x[i]; r[t] = 1 if v[t] > v_threshold; z[t] = sum_{i<=t} (t - i + 1) r[i]; "
        "fastsnn: s = z relu(z (1 - z) + 1); block: s = z - sg(z 1[z != 1])"
    ),
    "citations": [
        {
            "authors": "L. Taylor, A. J. King, N. S. Harper",
            "title": "Accelerating spiking neural network training",
            "venue": "arXiv",
            "year": 2022,
            "arxiv": "2205.15286",
            "code": "https://github.com/webstorms/FastSNN (commit 3e72260)",
        },
        {
            "authors": "L. Taylor, A. J. King, N. S. Harper",
            "title": (
                "Robust and accelerated single-spike spiking neural network training with applicability to "
                "challenging temporal tasks"
            ),
            "venue": "arXiv (later version)",
            "year": 2022,
            "arxiv": "2205.15286",
            "code": "https://github.com/webstorms/Block (commit 68b2cba)",
        },
    ],
    "capabilities": {
        "parallel": "matmul",
        "causal": True,
        "stochastic": False,
        "needs_T": False,
        "output": "binary",
        "membrane": "linear-filter",
        "reset": "none",
    },
    "defaults": {
        "version": "fastsnn",
        "decay": 0.9,
        "v_threshold": 1.0,
        "surrogate": {"name": "fast_sigmoid", "params": {"scale": 100.0}},
    },
    "space": {
        "decay": {"low": 0.1, "high": 0.99},
        "v_threshold": {"low": 0.25, "high": 4.0, "scale": "log"},
        "surrogate.scale": {"low": 5.0, "high": 200.0, "scale": "log"},
    },
    "changes": "one spike at most",
    "variants": {
        "fastsnn-trained-kernels": {
            "title": "FastSNN, kernels trained",
            "summary": "As released: the kernels of membrane and sums are parameters (the latter's gradient is 0).",
            "params": {"learn_kernels": True},
            "capabilities": {"needs_T": True, "learnable": ["beta_kernel", "sum_kernel"]},
        },
        "single-spike-block": {
            "title": "Single-spike block, decay learned",
            "summary": (
                "The successor: the same spikes, a gradient of 1 from output to sums everywhere, and a decay that "
                "every neuron learns."
            ),
            "params": {
                "version": "block",
                "learn_decay": True,
                "granularity": "neuron",
                "surrogate": {"name": "fast_sigmoid", "params": {"scale": 10.0}},
            },
            "capabilities": {"learnable": ["decay"], "granularity": "neuron"},
        },
        "single-spike-block-layer": {
            "title": "Single-spike block, one decay a layer",
            "summary": "As single-spike-block, but a layer's neurons share one learned decay.",
            "params": {
                "version": "block",
                "learn_decay": True,
                "surrogate": {"name": "fast_sigmoid", "params": {"scale": 10.0}},
            },
            "capabilities": {"learnable": ["decay"]},
        },
        "single-spike-block-fixed": {
            "title": "Single-spike block, decay fixed",
            "summary": "As single-spike-block with a fixed decay.",
            "params": {"version": "block", "surrogate": {"name": "fast_sigmoid", "params": {"scale": 10.0}}},
        },
    },
    "divergences": [
        "No matched row: a neuron that fires once needs no reset.",
        "fastsnn: the released kernels are trainable parameters, so an optimiser over all parameters changes them; "
        "whether the published runs did so is not known. This row fixes them, fastsnn-trained-kernels does not.",
        "Released as full-length convolutions, O(T^2 N); here membrane and sums are recurrences that run in blocks of "
        "steps, O(T N), or by doubling for a decay per neuron.",
        "block: the decay begins at 0.9, that of the classes; the released models begin at exp(-1/10), their "
        "convolutional ones at 1.",
        "The released model has a bias that begins at 0.5; the linear maps here are the topology's.",
        "block: an initial membrane can be added to the first input in the code; there is none here.",
    ],
}

VERSIONS = ("fastsnn", "block")


class SingleSpike(ParallelNeuron):
    """Neuron that fires at its first crossing of the threshold and never again.

    Parameters
    ----------
    version : ``fastsnn`` or ``block``: the same spikes, another gradient.
    decay : factor on the membrane; initial value where it is learned.
    learn_decay : learn it, clamped to [0, 1] at use.
    granularity, shape : whose the decay is, and the layer's shape; see :func:`parameter_shape`.
    learn_kernels : learn membrane kernel (oldest step first) and the kernel of the sums, ``[T]`` each; needs `T`.
    T : number of time steps the learned kernels are made for.
    v_threshold : firing threshold.
    fire_rule : ``gt`` does not fire on a tie, ``ge`` does.
    surrogate : as everywhere.

    Golden vectors from the authors' ``LinearFastLIFNeurons`` (fastsnn) and ``MethodFastNaive`` (block).
    """

    max_spikes = 1

    def __init__(
        self,
        version: str = "fastsnn",
        decay: Any = 0.9,
        learn_decay: bool = False,
        granularity: str = "layer",
        shape: LayerShape | None = None,
        learn_kernels: bool = False,
        T: int | None = None,
        v_threshold: float = 1.0,
        fire_rule: str = "gt",
        surrogate: str | Mapping[str, Any] = "fast_sigmoid",
    ) -> None:
        super().__init__()
        self.version = check_name("version of single-spike", version, VERSIONS)
        self.learn_decay, self.learn_kernels, self.T = learn_decay, learn_kernels, T
        self.parameter_shape = parameter_shape("single-spike", granularity, shape)
        value = learned(decay, self.parameter_shape, 0.9)
        if not bool(((value >= 0) & (value <= 1)).all()):
            raise ValueError(f"decay must lie in [0, 1], got {decay}; it multiplies the previous membrane")
        if learn_kernels:
            if T is None or learn_decay or value.dim():
                raise TypeError("learn_kernels needs T, the number of time steps, and one decay that is not learned")
            self.beta_kernel = nn.Parameter(value.detach() ** torch.arange(T - 1, -1, -1, dtype=value.dtype))
            self.sum_kernel = nn.Parameter(torch.ones(T, dtype=value.dtype))
        elif learn_decay:
            self.decay = value
        else:
            self.register_buffer("decay", value.detach(), persistent=False)
        self.v_threshold = float(v_threshold)
        self.fire_rule = check_name("fire_rule", fire_rule, FIRE_RULES)
        self.surrogate = make_surrogate(surrogate)

    def forward(self, x: Tensor) -> Tensor:
        """Map ``x[T, B, ...]`` to spikes of the same shape, one a neuron at most."""
        self.check_features(x.shape[2:])
        above = self.surrogate(self.membrane(x) - self.v_threshold, self.fire_rule)
        # z grows with T^2, beyond what half precision holds.
        z = self._summed(self._summed(above.to(torch.promote_types(x.dtype, torch.float32))))
        if self.version == "block":
            return straight_through((z == 1).to(z.dtype), z).to(x.dtype)
        return (z * torch.relu(z * (1 - z) + 1)).to(x.dtype)

    def membrane(self, x: Tensor) -> Tensor:
        """Return the membrane without reset ``[T, B, ...]``."""
        if self.learn_kernels:
            assert self.T is not None
            check_steps("fastsnn with learned kernels", self.T, x)
            return mix_over_time(toeplitz(self.beta_kernel.flip(0)), x)
        decay = within(self.decay, 0.0, 1.0) if self.learn_decay else self.decay
        return decaying_sum(decay, x)

    def _summed(self, r: Tensor) -> Tensor:
        """Cumulative sum over time (a convolution with the learned kernel, where there is one)."""
        return mix_over_time(toeplitz(self.sum_kernel.flip(0)), r) if self.learn_kernels else decaying_sum(1.0, r)
