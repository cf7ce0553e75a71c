"""LSTM: gated units that are connected among themselves, what a user would pick for sequences instead.

Must not know of the network around it.
"""

from __future__ import annotations

import torch
from torch import Tensor

from reference_impls.neurons._gates import GatedLayer

CARD = {
    "name": "lstm",
    "kind": "neuron",
    "version": 1,
    "title": "LSTM (ANN, no spikes)",
    "summary": (
        "No spiking neuron: the conventional recurrent layer, for comparison. Its weights among units count: it has as "
        "many units as bring the network to about the parameters that it has with lif."
    ),
    "equations": (
        "i, f, o = sig(W x + b + U h + b'), g = tanh(W x + b + U h + b'), each with weights of its own; "
        "c[t] = f c[t-1] + i g; h[t] = o tanh(c[t]); s[t] = h[t]"
    ),
    "citations": [
        {
            "authors": "S. Hochreiter, J. Schmidhuber",
            "title": "Long Short-Term Memory",
            "venue": "Neural Computation 9(8)",
            "year": 1997,
            "doi": "10.1162/neco.1997.9.8.1735",
        },
        {
            "authors": "F. A. Gers, J. Schmidhuber, F. Cummins",
            "title": "Learning to Forget: Continual Prediction with LSTM",
            "venue": "Neural Computation 12(10)",
            "year": 2000,
            "doi": "10.1162/089976600300015015",
        },
    ],
    "capabilities": {
        "parallel": "layer_by_step",
        "causal": True,
        "stochastic": False,
        "needs_T": False,
        "output": "analog",
        "membrane": "gated",
        "reset": "none",
        "connected": True,
        "learnable": ["weight_ih", "weight_hh", "bias_ih", "bias_hh"],
    },
    "changes": "an ANN's layer: no spikes, gates and weights among its units",
    "divergences": [
        "No matched row: it does not spike.",
        "The layer's own linear map stands before it, as before every neuron here: an embedding of the input.",
        "What it emits are real numbers: it has no figure of spikes, and its energy is that of multiply-accumulates.",
    ],
}


class LSTM(GatedLayer):
    """Long short-term memory; ``x[T, B, *shape]`` to real numbers of the same shape.

    Equal to :class:`torch.nn.LSTM` with the same weights, which a test checks.
    """

    gates = 4

    def at_rest(self, zeros: Tensor) -> tuple[Tensor, ...]:
        """No output and an empty cell."""
        return zeros, zeros

    def advanced(self, entered: Tensor, fed_back: Tensor, state: tuple[Tensor, ...]) -> tuple[Tensor, ...]:
        """Take in, forget, and show what the cell then holds."""
        taken, kept, candidate, shown = (entered + fed_back).chunk(4, -1)
        cell = torch.sigmoid(kept) * state[1] + torch.sigmoid(taken) * torch.tanh(candidate)
        return torch.sigmoid(shown) * torch.tanh(cell), cell
