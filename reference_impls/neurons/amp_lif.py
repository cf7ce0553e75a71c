"""MP and AMP neurons: leaky integrators that emit their membrane, with a fixed gain or one that follows the input.

They never fire, so nothing is reset and the membrane is a linear recurrence whose gains are known before it starts:
a scan over the whole sequence. That is why they are parallel neurons here, although a gain is shared by all neurons
of a layer and so no step would be element-wise. Must not know of the network around it.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional

from reference_impls.api import ParallelNeuron
from reference_impls.names import check_name
from reference_impls.neurons._parallel import affine_scan, check_steps, initial

CARD = {
    "name": "amp-lif",
    "kind": "neuron",
    "version": 1,
    "title": "AMP: adaptive membrane potential neuron",
    "summary": (
        "Emits its membrane, not spikes: a leaky integrator whose gain is computed from the input of every step by a "
        "small network, so that fast input is followed and slow input is averaged."
    ),
    "equations": (
        "v[t] = v[t-1] + k[t] (x[t] - v[t-1]), output v[t]; k[t] = sigmoid(w[t]), one a sample, step and layer; "
        "w = FC2(relu(FC3([max x, mean x]))); MP: k = 1/tau"
    ),
    "citations": [
        {
            "authors": "L. Zhu, X. Wang, Y. Chang, J. Li, T. Huang, Y. Tian",
            "title": "Event-Based Video Reconstruction via Potential-Assisted Spiking Neural Network",
            "venue": "CVPR",
            "year": 2022,
            "arxiv": "2201.10943",
            "code": "https://github.com/LinZhu111/EVSNN (commit 9404c0a)",
        }
    ],
    "capabilities": {
        "parallel": "scan",
        "causal": True,
        "stochastic": False,
        "needs_T": False,
        "output": "analog",
        "membrane": "linear-adaptive-gain",
        "reset": "none",
        "learnable": ["gate.squeeze.weight", "gate.squeeze.bias", "gate.excite.weight", "gate.excite.bias"],
    },
    "defaults": {"gain": "network"},
    "space": {
        "tau": {"low": 1.1, "high": 32.0, "scale": "log"},
    },
    "changes": "emits its membrane, not spikes; gain computed from the input",
    "variants": {
        "amp-lif-per-step": {
            "title": "AMP, one learned gain a step",
            "summary": "As amp-lif, but the gain of every step is a parameter, the same for all samples.",
            "params": {"gain": "per_step"},
            "capabilities": {"needs_T": True, "learnable": ["raw_gain"]},
        },
        "mp-lif": {
            "title": "MP: membrane potential neuron",
            "summary": "Emits its membrane: a leaky integrator with a fixed time constant of 2 steps.",
            "params": {"gain": "fixed", "tau": 2.0},
            "capabilities": {"membrane": "linear-decayed-input", "learnable": []},
        },
    },
    "divergences": [
        "No matched row: it neither fires nor resets.",
        "The authors' gain network reads, per channel, the maximum of the current and the mean rate of the spikes "
        "that enter the layer's convolution. A neuron sees its current only and knows no channels: here the network "
        "reads the largest and the mean current of the sample's layer, with the authors' 8 hidden units.",
        "Gains of a network like the authors' can be given to forward (raw_gain, [T, B]).",
        "The paper writes tau = 1/sigmoid; a large gain means a short time constant, unlike what some texts say.",
        "The authors keep the membranes from one window to the next; here a sequence starts at v_init.",
    ],
}

GAINS = ("network", "per_step", "fixed")
HIDDEN = 8


class AmpLIF(ParallelNeuron):
    """Leaky integrator that emits its membrane.

    Parameters
    ----------
    gain : ``network`` (from the input), ``per_step`` (a parameter of every step) or ``fixed`` (1/tau).
    tau : time constant in steps, >= 1; also where ``per_step`` gains begin.
    raw_gain : ``[T]``, initial per-step gains before the sigmoid; None: those of `tau`.
    T : number of time steps; for ``per_step``.
    v_init : membrane before the first step.

    Golden vectors from the authors' ``Mp_AdaLIFNode`` and ``MpLIFNode``, gains given.
    """

    def __init__(
        self,
        gain: str = "network",
        tau: float = 2.0,
        raw_gain: Any = None,
        T: int | None = None,
        v_init: float = 0.0,
    ) -> None:
        super().__init__()
        self.gain = check_name("gain of amp-lif", gain, GAINS)
        if tau < 1 or (gain == "per_step" and tau == 1):
            raise ValueError(f"tau must be at least 1 time step (above 1 if its gain is learned), got {tau}")
        self.tau, self.v_init, self.T = float(tau), float(v_init), T
        if gain == "per_step":
            if T is None or T < 1:
                raise TypeError("amp-lif with a gain per step needs T, the number of time steps")
            start = initial(raw_gain, (T,), "raw_gain of amp-lif")
            level = torch.logit(torch.tensor(1 / self.tau))
            self.raw_gain = nn.Parameter(level.expand(T).clone() if start is None else start)
        elif gain == "network":
            self.gate = _GainNetwork()

    def forward(self, x: Tensor, raw_gain: Tensor | None = None) -> Tensor:
        """Map ``x[T, B, ...]`` to membranes of the same shape; `raw_gain` ``[T, B]`` replaces the neuron's own."""
        gain = self._gains(x) if raw_gain is None else torch.sigmoid(raw_gain)
        gain = gain.reshape(*gain.shape, *[1] * (x.dim() - gain.dim()))
        kept, added = 1 - gain, gain * x
        if self.v_init:
            added = torch.cat([added[:1] + kept[:1] * self.v_init, added[1:]])
        return affine_scan(kept, added)

    def membrane(self, x: Tensor) -> Tensor:
        """Return the membrane ``[T, B, ...]``, which is the output."""
        v: Tensor = self(x)
        return v

    def _gains(self, x: Tensor) -> Tensor:
        """Return the gain of every step, ``[T]`` or ``[T, B]``."""
        if self.gain == "network":
            return torch.sigmoid(self.gate(x))
        if self.gain == "per_step":
            assert self.T is not None
            check_steps("amp-lif with a gain per step", self.T, x)
            return torch.sigmoid(self.raw_gain)
        return x.new_full((x.shape[0],), 1 / self.tau)


class _GainNetwork(nn.Module):
    """Two statistics of a layer's current to one raw gain: ``x[T, B, ...]`` to ``[T, B]``."""

    def __init__(self) -> None:
        super().__init__()
        self.squeeze = nn.Linear(2, HIDDEN)
        self.excite = nn.Linear(HIDDEN, 1)

    def forward(self, x: Tensor) -> Tensor:
        flat = x.contiguous().flatten(2) if x.dim() > 2 else x.unsqueeze(-1)
        statistics = torch.stack([flat.amax(-1), flat.mean(-1)], -1)
        # Sums instead of matrix products, whose last bits depend on the size of the batch.
        hidden = functional.relu((statistics.unsqueeze(-2) * self.squeeze.weight).sum(-1) + self.squeeze.bias)
        return (hidden * self.excite.weight).sum(-1) + self.excite.bias
