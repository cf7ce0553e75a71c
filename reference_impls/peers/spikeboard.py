"""Our own LIF as a row among the libraries, eager, compiled and fused."""

from __future__ import annotations

from torch import Tensor

from reference_impls.backends import compiled, eager, fused_cupy, fused_numba
from reference_impls.neurons.lif import LIF
from reference_impls.peer import TorchPeer

CARD = {
    "name": "spikeboard-lif",
    "kind": "peer",
    "version": 1,
    "title": "Spikeboard: lif, eager",
    "summary": "Our lif as its step is written, one torch operation at a time: what the ratios are taken to.",
    "equations": "h[t] = v[t-1]/2 + x[t]; s[t] = h[t] >= 1; v[t] = h[t] - s[t]",
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
    "defaults": {"backend": "eager"},
    "variants": {
        "spikeboard-lif-compiled": {
            "title": "Spikeboard: lif, torch.compile",
            "summary": "The same step, the loop over T under torch.compile.",
            "params": {"backend": "compiled"},
        },
        "spikeboard-lif-fused": {
            "title": "Spikeboard: lif, fused",
            "summary": "The same step, printed as one kernel for each direction: Numba on a CPU, CUDA on a GPU.",
            "params": {"backend": "fused"},
        },
    },
}


class SpikeboardLIF(TorchPeer):
    """``build_neuron("lif", backend=...)``.

    Parameters
    ----------
    backend : ``eager``, ``compiled`` or ``fused`` (the fused backend of the device).
    """

    def __init__(self, backend: str = "eager") -> None:
        self.backend = backend

    def layer(self, like: Tensor) -> LIF:
        """Return the neuron; backends are named as modules, so that a record's code hash covers them."""
        fused = fused_cupy if like.is_cuda else fused_numba
        neuron = LIF()
        {"eager": eager, "compiled": compiled, "fused": fused}[self.backend].attach(neuron)
        return neuron.to(like.device, like.dtype)
