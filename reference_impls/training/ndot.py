"""NDOT: OTTT whose trace fades by what the presynaptic membrane really did, instead of by the constant leak."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from reference_impls.api import State
from reference_impls.training._traces import TraceMethod

CARD = {
    "name": "ndot-a",
    "kind": "training",
    "version": 1,
    "title": "NDOT-A: neuronal-dynamics-based online training, accumulated update",
    "summary": (
        "As OTTT-A, but a trace fades by the ratio of the presynaptic membrane after two successive steps, held within "
        "the leak. Memory does not grow with T. One optimizer step a batch."
    ),
    "equations": (
        "V[t] = H[t] - v_threshold S[t]; e[t] = clamp(V[t] / V[t-1], -decay, decay); "
        "A_l[t] = e_l[t-1] A_l[t-1] + S_l[t]; dW_l[t] = g_l A_{l-1}[t]^T, g_l as in OTTT"
    ),
    "citations": [
        {
            "authors": "H. Jiang, G. De Masi, H. Xiong, B. Gu",
            "title": "NDOT: Neuronal Dynamics-based Online Training for Spiking Neural Networks",
            "venue": "ICML",
            "year": 2024,
            "code": "https://github.com/HaiyanJiang/SNN-NDOT (not read here)",
        }
    ],
    "capabilities": {
        "updates": "per_batch",
        "structures": ["chain", "residual", "feedback"],
        "neuron": {"parallel": ["sequential"], "membrane": ["linear"], "reset": ["soft"]},
        "memory_in_T": "O(1)",
        "spiking_backward": False,
    },
    "defaults": {"update": "accumulated", "mse_weight": 0.05},
    "space": {
        "mse_weight": {"low": 0.0, "high": 0.5},
    },
    "variants": {
        "ndot-o": {
            "title": "NDOT-O: neuronal-dynamics-based online training, online update",
            "summary": "As NDOT-A, but the optimizer steps at every time step.",
            "params": {"update": "online"},
            "capabilities": {"updates": "per_step"},
        },
    },
    "aliases": {"ndot": {}},
    "divergences": [
        "The authors' code was not read: rule and settings follow a third-party summary of the paper, so no vectors of "
        "theirs check this row.",
        "Where V[t-1] is 0 (before the first step, and after a spike that resets exactly to 0) the quotient is "
        "undefined and the exact rule was not found. Here the denominator becomes 1e-8 with the sign of H[t-1], which "
        "is then v_threshold or 0 and so counts as positive: e is decay, 0 or -decay with the sign of V[t].",
        "The first map stays untraced and the read-out is traced, as in OTTT's released code, on which NDOT builds.",
    ],
}

TINY = 1e-8
"""Stands for a denominator of 0."""


class NDOT(TraceMethod):
    """Neuronal-dynamics-based online training.

    Parameters
    ----------
    update : ``accumulated`` (NDOT-A): one optimizer step a batch. ``online`` (NDOT-O): one a time step.
    mse_weight : w of the loss of a step, ``((1 - w) CE + w MSE) / T``, MSE against one-hot rows.
    trace_readout : whether the read-out's gradient uses the trace.

    Shapes: ``x[T, B, ...]``, classes ``[B]``.
    """

    title = "NDOT"

    def leak(self, neuron: Any, before: State, after: State) -> Tensor:
        """Fade by the quotient of the membrane after this step and after the last, within the decay."""
        return sensitivity(before.v, after.v, neuron.decay)


def sensitivity(before: Tensor, after: Tensor, decay: float) -> Tensor:
    """Return ``clamp(after / before, -decay, decay)``, elementwise; a denominator of 0 counts as ``+1e-8``.

    Parameters
    ----------
    before, after : membrane after the reset of the last step and of this one, ``[B, ...]``.
    decay : leak of the membrane.
    """
    denominator = torch.where(before == 0, torch.full_like(before, TINY), before)
    return (after / denominator).clamp(-decay, decay)
