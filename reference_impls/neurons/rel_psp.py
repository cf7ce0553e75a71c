"""ReL-PSP: the time of the first spike in closed form, from a postsynaptic potential that rises linearly.

As a neuron of the harness it reads a current on a time grid and fires once; `spike_times` is the paper's layer in
continuous time, without a grid. Must not know of losses on spike times.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor

from reference_impls.api import ParallelNeuron
from reference_impls.neurons._scan import decaying_sum
from reference_impls.surrogate import straight_through

CARD = {
    "name": "rel-psp",
    "kind": "neuron",
    "version": 1,
    "title": "ReL-PSP: rectified linear postsynaptic potential",
    "summary": (
        "Every input makes the membrane rise with a constant slope, so the time of the first (and only) spike is a "
        "ratio of two sums, with an exact gradient and no surrogate."
    ),
    "equations": (
        "V(t) = sum_{t_i < t} w_i (t - t_i); fires at the first t with V(t) = v_threshold: "
        "t_j = (v_threshold + sum_C w_i t_i) / sum_C w_i, C = {i: t_i < t_j}; dt_j/dt_i = w_i / W, "
        "dt_j/dw_i = (t_i - t_j) / W, W = sum_C w_i. On a grid: x[t] is the weight that arrives at step t, and the "
        "spike stands at the first step not before t_j"
    ),
    "citations": [
        {
            "authors": (
                "M. Zhang, J. Wang, J. Wu, A. Belatreche, B. Amornpaisannon, Z. Zhang, V. P. K. Miriyala, H. Qu, "
                "Y. Chua, T. E. Carlson, H. Li"
            ),
            "title": (
                "Rectified linear postsynaptic potential function for backpropagation in deep spiking neural networks"
            ),
            "venue": "IEEE TNNLS 33(5):1947-1958",
            "year": 2022,
            "arxiv": "2003.11837",
        }
    ],
    "capabilities": {
        "parallel": "closed_form",
        "causal": True,
        "stochastic": False,
        "needs_T": False,
        "output": "binary",
        "membrane": "linear-filter",
        "reset": "none",
    },
    "defaults": {"v_threshold": 1.0},
    "space": {
        "v_threshold": {"low": 0.25, "high": 4.0, "scale": "log"},
    },
    "changes": "one spike at most, with an exact gradient",
    "divergences": [
        "No matched row: a neuron that fires once needs no reset.",
        "No code of the authors was found; the golden vectors are derived from the closed form.",
        "The paper computes with spike times, decodes the earliest output and sets its loss on times. A row here "
        "reads currents and gives spikes on the time grid of the task, so a spike is late by less than a step.",
        "On the grid the exact gradient of t_j reaches the spikes as if each were shared, linearly, by the two steps "
        "around t_j; the sums of a next layer are then those of the exact time.",
        "The paper's threshold was not found; it is 1 here.",
        "The variant with a window per layer and a falling threshold (Wei et al., ICCV 2023) is not here: its windows "
        "belong to a network.",
    ],
}


class ReLPSP(ParallelNeuron):
    """Time-to-first-spike neuron with a linear postsynaptic potential.

    Parameters
    ----------
    v_threshold : firing threshold, > 0; reaching it is enough.
    t_max : latest time of a spike, in time steps; None: the end of the sequence.

    Golden vectors (derived from the closed form) check `spike_times`.
    """

    max_spikes = 1

    def __init__(self, v_threshold: float = 1.0, t_max: float | None = None) -> None:
        super().__init__()
        if not v_threshold > 0:
            raise ValueError(f"v_threshold must be positive, got {v_threshold}")
        self.v_threshold = float(v_threshold)
        self.t_max = math.inf if t_max is None else float(t_max)

    def forward(self, x: Tensor) -> Tensor:
        """Map ``x[T, B, ...]``, the weight arriving at each step, to spikes of the same shape."""
        steps = x.shape[0]
        wide = x.to(torch.promote_types(x.dtype, torch.float32))
        slope = decaying_sum(1.0, wide)
        after = decaying_sum(1.0, slope)  # membrane at the end of the interval that each step begins
        reached = after.detach() >= self.v_threshold
        # The first interval that ends at the threshold or above holds the crossing, with its slope above 0.
        first = reached.to(torch.uint8).argmax(0, keepdim=True)
        crosses = reached.gather(0, first)
        rise = torch.where(crosses, slope.gather(0, first), torch.ones_like(slope[:1]))
        when = first + 1 + (self.v_threshold - after.gather(0, first)) / rise
        fired = crosses & (when.detach() <= min(self.t_max, steps - 1))
        times = torch.arange(steps, device=x.device, dtype=wide.dtype).view(-1, *[1] * (x.dim() - 1))
        hard = (times == first + 1) & fired
        shared = torch.relu(1 - (times - when).abs()) * fired
        return straight_through(hard.to(wide.dtype), shared).to(x.dtype)

    def membrane(self, x: Tensor) -> Tensor:
        """Return V at every step ``[T, B, ...]``; an input counts from the step after it on."""
        after = decaying_sum(1.0, decaying_sum(1.0, x))
        return torch.cat([torch.zeros_like(after[:1]), after[:-1]])

    def spike_times(self, times: Tensor, weight: Tensor) -> Tensor:
        """Return when a layer fires in continuous time; infinity is no spike, and carries no gradient.

        Parameters
        ----------
        times : ``[B, I]``, of the inputs, in any order; infinity where there is none.
        weight : ``[O, I]``.

        Returns
        -------
        ``[B, O]``. Time O(B I (log I + O)), memory O(B I O): every output has a causal set of its own.
        """
        ordered, order = times.sort(dim=1)
        arrived = torch.isfinite(ordered)
        begin = torch.where(arrived, ordered, torch.zeros_like(ordered))[:, None, :]  # [B, 1, I]
        w = weight[:, order].transpose(0, 1) * arrived[:, None, :]  # [B, O, I]
        total, moment = w.cumsum(2), (w * begin).cumsum(2)
        positive = total > 0
        candidate = (self.v_threshold + moment) / torch.where(positive, total, torch.ones_like(total))
        following = torch.cat([ordered[:, 1:], torch.full_like(ordered[:, :1], math.inf)], 1)[:, None, :]
        holds = positive & arrived[:, None, :] & (candidate >= begin) & (candidate <= following)
        first = holds & (holds.cumsum(2) == 1)
        when = torch.where(first, candidate, torch.zeros_like(candidate)).sum(2)
        fired = first.any(2) & (when <= self.t_max)
        return torch.where(fired, when, torch.full_like(when, math.inf))
