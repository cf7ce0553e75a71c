"""ReLU: the unit of a conventional network, beside which spiking rows stand on every board.

It has no state and emits real numbers, so the same topologies become the MLP or CNN that a user would pick instead, run
on every step, with the read-outs averaged as everywhere. Must not know of the network around it.
"""

from __future__ import annotations

from torch import Tensor

from reference_impls.api import ParallelNeuron

CARD = {
    "name": "relu",
    "kind": "neuron",
    "version": 1,
    "title": "ReLU (ANN, no spikes)",
    "summary": (
        "No spiking neuron: a rectified current at every step, without memory. On mlp and conv it gives the "
        "conventional network of the same size, for comparison; its outputs cost multiplications."
    ),
    "equations": "s[t] = max(x[t], 0)",
    "citations": [
        {
            "authors": "V. Nair, G. E. Hinton",
            "title": "Rectified Linear Units Improve Restricted Boltzmann Machines",
            "venue": "ICML",
            "year": 2010,
        }
    ],
    "capabilities": {
        "parallel": "memoryless",
        "causal": True,
        "stochastic": False,
        "needs_T": False,
        "output": "analog",
        "membrane": "none",
        "reset": "none",
    },
    "changes": "an ANN's unit: no spikes, no memory",
    "divergences": [
        "No matched row: it does not spike.",
        "What it emits are real numbers: it has no figure of spikes, and its energy is that of multiply-accumulates.",
    ],
}


class ReLU(ParallelNeuron):
    """Rectifier; ``x[T, B, ...]`` to real numbers of the same shape."""

    def forward(self, x: Tensor) -> Tensor:
        """Rectify every step by itself."""
        return x.relu()
