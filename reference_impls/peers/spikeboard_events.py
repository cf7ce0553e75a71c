"""Our own LIF in a network whose linear maps touch only what spiked."""

from __future__ import annotations

from torch import Tensor

from reference_impls.backends import fused_cupy, fused_numba
from reference_impls.neurons.lif import LIF
from reference_impls.peer import TorchPeer

CARD = {
    "name": "spikeboard-lif-events",
    "kind": "peer",
    "version": 1,
    "title": "Spikeboard: lif, fused, event-driven maps",
    "summary": (
        "The same step in one kernel for each direction, and linear maps that read and change only the rows of a "
        "weight that a spike names, where the input is sparse enough; torch's fused Adam. A layer alone is that of "
        "spikeboard-lif-fused."
    ),
    "equations": "h[t] = v[t-1]/2 + x[t]; s[t] = h[t] >= 1; v[t] = h[t] - s[t]; W s = sum of the columns where s is 1",
    "capabilities": {
        "library": "Spikeboard",
        "framework": "torch",
        "requires": {},
        "devices": ["cpu", "cuda"],
        "dtypes": ["float32", "float64"],
        "decay": 0.5,
        "input_gain": "one",
        "fire_rule": "ge",
        "reset": "soft",
        "reset_timing": "same_step",
        "spike_timing": "same_step",
        "detach_reset": True,
        "surrogate": {"name": "atan", "params": {"alpha": 2.0}},
        "reference": {"tau": 2.0, "reset_mode": "soft", "detach_reset": True, "surrogate": "atan"},
    },
}


class SpikeboardEvents(TorchPeer):
    """``event_driven(network)`` with ``build_neuron("lif", backend="fused")``."""

    def layer(self, like: Tensor) -> LIF:
        """Return the fused neuron; what is event-driven lies between layers."""
        neuron = LIF()
        (fused_cupy if like.is_cuda else fused_numba).attach(neuron)
        return neuron.to(like.device, like.dtype)
