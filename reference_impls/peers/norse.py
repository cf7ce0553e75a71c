"""Norse's LIFBoxCell, lifted over time."""

from __future__ import annotations

import torch
from torch import Tensor

from reference_impls.peer import Layer, TorchPeer

CARD = {
    "name": "norse-lif",
    "kind": "peer",
    "version": 1,
    "title": "Norse: LIFBoxCell, lifted",
    "summary": (
        "The library's one-variable LIF, applied over time by its own Lift: input decayed, hard reset that carries "
        "gradient, SuperSpike surrogate."
    ),
    "equations": "h[t] = v[t-1] + dt/tau (x[t] - v[t-1]); s[t] = h[t] > 1; v[t] = (1 - s[t]) h[t]",
    "citations": [
        {
            "authors": "C. Pehle, J. E. Pedersen",
            "title": "Norse: a deep learning library for spiking neural networks",
            "venue": "Zenodo",
            "year": 2021,
            "doi": "10.5281/zenodo.4422025",
            "code": "https://github.com/norse/norse (release 1.1.0)",
        }
    ],
    "capabilities": {
        "library": "Norse",
        "framework": "torch",
        "requires": {"norse": "1.1.0"},
        "devices": ["cpu", "cuda"],
        "dtypes": ["float32", "float64"],
        "decay": 0.5,
        "input_gain": "one_minus_decay",
        "fire_rule": "gt",
        "reset": "hard",
        "reset_timing": "same_step",
        "spike_timing": "same_step",
        "detach_reset": False,
        "surrogate": {"name": "super_spike_norse", "params": {}},
        "reference": {
            "tau": 2.0,
            "input_gain": "one_minus_decay",
            "fire_rule": "gt",
            "reset_mode": "hard",
            "v_reset": 0.0,
            "detach_reset": False,
            "surrogate": "super_spike_norse",
        },
        "spike_mismatch_max": 1e-6,
    },
    "divergences": [
        "dt tau_mem_inv is 0.5 here (0.1 by default), so that all rows decay alike. Norse 1.1.0 ignores the alpha of "
        "its SuperSpike.",
        "v + (x - v)/2 and v/2 + x/2 round differently: in float32 a spike in many millions may differ, and one in a "
        "million is let pass. None has been seen to.",
    ],
}


class NorseLIF(TorchPeer):
    """``Lift(LIFBoxCell(tau_mem_inv=0.5, dt=1))``."""

    def layer(self, like: Tensor) -> Layer:
        """Return the lifted cell, which starts from the leak potential where no state is given."""
        from norse.torch import LIFBoxCell, Lift
        from norse.torch.functional.lif_box import LIFBoxFeedForwardState, LIFBoxParameters

        def constant(value: float) -> Tensor:
            return torch.tensor(value, device=like.device, dtype=like.dtype)

        parameters = LIFBoxParameters(
            tau_mem_inv=constant(0.5), v_leak=constant(0.0), v_th=constant(1.0), v_reset=constant(0.0), method="super"
        )
        lifted = Lift(LIFBoxCell(parameters, dt=1.0))
        rest = constant(0.0)

        def run(x: Tensor) -> Tensor:
            # Its own initial state asks for a gradient that nobody wants here.
            spikes: Tensor = lifted((x, LIFBoxFeedForwardState(v=rest)))[0]
            return spikes

        return run
