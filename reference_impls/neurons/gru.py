"""GRU: gated units that are connected among themselves, what a user would pick for sequences instead.

Must not know of the network around it.
"""

from __future__ import annotations

import torch
from torch import Tensor

from reference_impls.neurons._gates import GatedLayer

CARD = {
    "name": "gru",
    "kind": "neuron",
    "version": 1,
    "title": "GRU (ANN, no spikes)",
    "summary": (
        "No spiking neuron: the conventional recurrent layer, for comparison. Its weights among units count: it has as "
        "many units as bring the network to about the parameters that it has with lif."
    ),
    "equations": (
        "r = sig(W_r x + b + U_r h + b'); z = sig(W_z x + b + U_z h + b'); n = tanh(W_n x + b + r (U_n h + b')); "
        "h[t] = (1 - z) n + z h[t-1]; s[t] = h[t]"
    ),
    "citations": [
        {
            "authors": "K. Cho, B. van Merrienboer, C. Gulcehre, D. Bahdanau, F. Bougares, H. Schwenk, Y. Bengio",
            "title": "Learning Phrase Representations using RNN Encoder-Decoder for Statistical Machine Translation",
            "venue": "EMNLP",
            "year": 2014,
            "arxiv": "1406.1078",
        }
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


class GRU(GatedLayer):
    """Gated recurrent units; ``x[T, B, *shape]`` to real numbers of the same shape.

    Equal to :class:`torch.nn.GRU` with the same weights, which a test checks.
    """

    gates = 3

    def advanced(self, entered: Tensor, fed_back: Tensor, state: tuple[Tensor, ...]) -> tuple[Tensor, ...]:
        """Reset, update, and a new candidate beside the old output."""
        (h,) = state
        reset_x, update_x, new_x = entered.chunk(3, -1)
        reset_h, update_h, new_h = fed_back.chunk(3, -1)
        kept = torch.sigmoid(update_x + update_h)
        candidate = torch.tanh(new_x + torch.sigmoid(reset_x + reset_h) * new_h)
        return ((1 - kept) * candidate + kept * h,)
