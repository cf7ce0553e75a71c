"""Sinabs' LIF with at most one spike a step."""

from __future__ import annotations

from typing import ClassVar

import torch
from torch import Tensor

from reference_impls.peer import Layer, TorchPeer

CARD = {
    "name": "sinabs-lif",
    "kind": "peer",
    "version": 1,
    "title": "Sinabs: LIF, single spike",
    "summary": (
        "LIF with SingleSpike in place of the default several spikes a step, input not normalised, reset by "
        "subtraction that carries gradient, its default exponential surrogate. Batch first, as the library has it."
    ),
    "equations": "h[t] = alpha v[t-1] + x[t]; s[t] = h[t] >= 1; v[t] = h[t] - s[t]",
    "citations": [
        {
            "authors": "S. Sheik, G. Lenz, F. Bauer, N. Nepelioglu",
            "title": "SINABS: a simple PyTorch based SNN library specialised for Speck",
            "venue": "SynSense",
            "year": 2023,
            "code": "https://github.com/synsense/sinabs (release 3.1.3)",
        }
    ],
    "capabilities": {
        "library": "Sinabs",
        "framework": "torch",
        "requires": {"sinabs": "3.1.3"},
        "devices": ["cpu", "cuda"],
        "dtypes": ["float32", "float64"],
        "decay": 0.5,
        "input_gain": "one",
        "fire_rule": "ge",
        "reset": "soft",
        "reset_timing": "same_step",
        "spike_timing": "same_step",
        "detach_reset": False,
        "surrogate": {"name": "slayer_exponential", "params": {"alpha": 2.0, "c": 2.0}},
        "reference": {
            "tau": 2.0,
            "reset_mode": "soft",
            "detach_reset": False,
            "surrogate": {"name": "slayer_exponential", "params": {"alpha": 2.0, "c": 2.0}},
        },
    },
    "divergences": [
        "The decay factor is set itself (the library's train_alphas), and frozen: as a time constant it is learnable "
        "by default and would be rounded to float32."
    ],
}


class SinabsLIF(TorchPeer):
    """``LIF(spike_fn=SingleSpike, reset_fn=MembraneSubtract(), norm_input=False)`` with alpha 0.5."""

    time_axis: ClassVar[int] = 1

    def layer(self, like: Tensor) -> Layer:
        """Return the layer, reset after every sequence."""
        from sinabs.activation import MembraneSubtract, SingleExponential, SingleSpike
        from sinabs.layers import LIF

        lif = LIF(
            tau_mem=1.0,
            spike_threshold=torch.tensor(1.0),
            spike_fn=SingleSpike,
            reset_fn=MembraneSubtract(),
            surrogate_grad_fn=SingleExponential(grad_width=0.5, grad_scale=1.0),
            train_alphas=True,
            norm_input=False,
        ).to(like.device, like.dtype)
        lif.requires_grad_(False)
        lif.alpha_mem.fill_(0.5)

        def run(x: Tensor) -> Tensor:
            spikes: Tensor = lif(x)
            lif.firing_rate = None  # it would keep the graph
            lif.reset_states()
            return spikes

        return run
