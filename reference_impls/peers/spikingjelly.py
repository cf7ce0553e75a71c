"""SpikingJelly's LIFNode, multi-step, executed as the library chooses."""

from __future__ import annotations

import os
import sys
from importlib.util import find_spec

import torch
from torch import Tensor

from reference_impls.backends import UnsupportedError
from reference_impls.peer import Layer, TorchPeer

CARD = {
    "name": "spikingjelly-lif",
    "kind": "peer",
    "version": 1,
    "title": "SpikingJelly: LIFNode, multi-step",
    "summary": (
        "LIFNode in step mode m, input not decayed, soft detached reset, atan surrogate: the convention of this "
        "project's own lif. Since 2.0 the library itself chooses how to execute it: torch operators on a "
        "CPU, its native CUDA or its Triton kernel on a GPU (there is no backend to name any more)."
    ),
    "equations": "h[t] = v[t-1] - v[t-1]/tau + x[t]; s[t] = h[t] >= 1; v[t] = h[t] - s[t]",
    "citations": [
        {
            "authors": "W. Fang, Y. Chen, J. Ding, Z. Yu, T. Masquelier, D. Chen, L. Huang, H. Zhou, G. Li, Y. Tian",
            "title": "SpikingJelly: an open-source machine learning infrastructure platform for spike-based "
            "intelligence",
            "venue": "Science Advances 9(40):eadi1480",
            "year": 2023,
            "arxiv": "2310.16620",
            "code": "https://github.com/fangwei123456/spikingjelly (release 2.0.0)",
        }
    ],
    "capabilities": {
        "library": "SpikingJelly",
        "framework": "torch",
        "requires": {"spikingjelly": "2.0.0"},
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
    "defaults": {"route": "auto"},
    "variants": {
        "spikingjelly-lif-native": {
            "title": "SpikingJelly: LIFNode, native CUDA",
            "summary": "LIFNode in the library's native CUDA kernel, which its wheel lacks: it is built from source.",
            "params": {"route": "cuda"},
            "capabilities": {"devices": ["cuda"], "dtypes": ["float32"]},
        },
        "spikingjelly-lif-triton": {
            "title": "SpikingJelly: LIFNode, Triton",
            "summary": "LIFNode in the library's Triton kernel.",
            "params": {"route": "triton"},
            "capabilities": {"devices": ["cuda"], "dtypes": ["float32"]},
        },
        "spikingjelly-lif-torch": {
            "title": "SpikingJelly: LIFNode, torch on a GPU",
            "summary": "LIFNode in torch operators on a GPU, where the library would take a kernel.",
            "params": {"route": "torch"},
            "capabilities": {"devices": ["cuda"], "dtypes": ["float32"]},
        },
    },
    "divergences": [
        "Not the library's defaults, which decay the input, reset hard, let gradient through the reset and use a "
        "sigmoid: its authors' own recipes set what is set here."
    ],
}


ROUTE = "SJ_LIF_CUDA_IMPLEMENTATION"
"""Environment variable by which the library is told how to execute a LIF on a GPU; it reads it when it is imported."""
_KERNELS = "spikingjelly._ops.lif"


def _choose(route: str) -> None:
    """Have the library take `route` in this process; refuse where it could not."""
    if not torch.cuda.is_available():
        raise UnsupportedError(f"the route {route!r} of SpikingJelly is one of a GPU, and torch sees none")
    if _KERNELS in sys.modules and os.environ.get(ROUTE, "auto") != route:
        raise UnsupportedError(f"SpikingJelly was imported before in this process, without {ROUTE}={route}")
    os.environ[ROUTE] = route  # first: to look into the library is to import it
    if route == "cuda" and find_spec(f"{_KERNELS}._C") is None:
        raise UnsupportedError(
            "SpikingJelly's wheel has no native CUDA kernels: build it from its source, with SJ_BUILD_NATIVE_CUDA=1, "
            "--no-build-isolation and --no-deps"
        )


class SpikingJellyLIF(TorchPeer):
    """``LIFNode(tau=2, decay_input=False, v_reset=None, detach_reset=True, ATan(2), step_mode="m")``.

    Parameters
    ----------
    route : what the library executes it with on a GPU: ``auto``, its own choice; ``cuda``, ``triton`` or ``torch``.
    """

    def __init__(self, route: str = "auto") -> None:
        if route != "auto":
            _choose(route)
        self.route = route

    def layer(self, like: Tensor) -> Layer:
        """Return the node, reset after every sequence."""
        from spikingjelly.activation_based import neuron, surrogate

        node = neuron.LIFNode(
            tau=2.0,
            decay_input=False,
            v_threshold=1.0,
            v_reset=None,
            surrogate_function=surrogate.ATan(alpha=2.0),
            detach_reset=True,
            step_mode="m",
        ).to(like.device, like.dtype)

        def run(x: Tensor) -> Tensor:
            spikes: Tensor = node(x)
            node.reset()
            return spikes

        return run
