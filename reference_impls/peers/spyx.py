"""Spyx's LIF, scanned over time and compiled by JAX."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
import torch
from torch import Tensor

from reference_impls.neuron import SequentialNeuron
from reference_impls.neurons._membrane import MembraneState
from reference_impls.peer import Answered, Peer, PeerRun
from reference_impls.surrogate import make_surrogate

CARD = {
    "name": "spyx-lif",
    "kind": "peer",
    "version": 1,
    "title": "Spyx: LIF, compiled by JAX",
    "summary": (
        "LIF under the library's run (a lax.scan), forward and gradient each one jitted function. A step's spike is "
        "decided before its input arrives, and is subtracted in that step with its gradient."
    ),
    "equations": "s[t] = v[t-1] > 1; v[t] = beta v[t-1] + x[t] - s[t]",
    "citations": [
        {
            "authors": "K. M. Heckel, T. Nowotny",
            "title": "Spyx: a library for just-in-time compiled optimization of spiking neural networks",
            "venue": "arXiv",
            "year": 2024,
            "arxiv": "2402.18994",
            "code": "https://github.com/kmheckel/spyx (release 1.0.0)",
        }
    ],
    "capabilities": {
        "library": "Spyx",
        "framework": "jax",
        "requires": {"spyx": "1.0.0", "jax": "0.10.2"},
        "devices": ["cpu"],
        "dtypes": ["float32"],
        "decay": 0.5,
        "input_gain": "one",
        "fire_rule": "gt",
        "reset": "soft",
        "reset_timing": "next_step",
        "spike_timing": "next_step",
        "detach_reset": False,
        "surrogate": {"name": "fast_sigmoid", "params": {"scale": 25.0}},
    },
    "divergences": [
        "float32 only: JAX computes in float64 only where the whole process does.",
        "What autograd keeps is not seen from outside JAX, so no saved bytes are given.",
    ],
}


class SpyxLIF(Peer):
    """``spyx.nn.run(LIF((N,), beta=0.5, activation=superspike(25)), x)``."""

    def prepare(self, x: Tensor, upstream: Tensor) -> PeerRun:
        """Compile both functions at their first call, with JAX arrays on its CPU device."""
        import jax
        from flax import nnx
        from spyx import axn
        from spyx import nn as spyx_nn

        lif = spyx_nn.LIF((x.shape[2],), beta=0.5, threshold=1.0, activation=axn.superspike(k=25), rngs=nnx.Rngs(0))

        def forward(x: Any) -> Any:
            return spyx_nn.run(lif, x)[0]

        def train(x: Any, upstream: Any) -> tuple[Any, Any]:
            spikes, pull = jax.vjp(forward, x)
            return spikes, pull(upstream)[0]

        cpu = jax.devices("cpu")[0]
        own = [jax.device_put(tensor.numpy(), cpu) for tensor in (x, upstream)]
        return _JaxRun(jax.jit(forward), jax.jit(train), *own)

    @staticmethod
    def restated() -> SequentialNeuron:
        """Return the early spike as a step."""
        return _SpikeBeforeInput()


class _JaxRun(PeerRun):
    def __init__(self, forward: Callable[..., Any], train: Callable[..., Any], x: Any, upstream: Any) -> None:
        self.functions = forward, train
        self.x, self.upstream = x, upstream

    def forward(self) -> Any:
        return self.functions[0](self.x).block_until_ready()

    def train(self) -> Any:
        spikes, gradient = self.functions[1](self.x, self.upstream)
        return spikes.block_until_ready(), gradient.block_until_ready()

    def answer(self) -> Answered:
        return Answered(*(torch.from_numpy(np.array(array)) for array in self.train()))


class _SpikeBeforeInput(SequentialNeuron):
    """Spyx's LIF: fires on the membrane that the step before left, then resets, decays and adds the input."""

    def __init__(self) -> None:
        super().__init__()
        self.surrogate = make_surrogate("fast_sigmoid")

    def init_state(self, like: Tensor) -> MembraneState:
        return MembraneState(torch.zeros_like(like))

    def step(self, x: Tensor, state: MembraneState, params: Mapping[str, Tensor]) -> tuple[Tensor, MembraneState]:
        s = self.surrogate(state.v - 1.0, "gt")
        return s, MembraneState(0.5 * state.v + x - s)
