"""recurrent: layers whose neurons are connected among themselves, one step late, and a leaky read-out.

The network of e-prop and of LSNNs. Must not know which method trains it.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from itertools import pairwise
from typing import NamedTuple, cast

import torch
from torch import Tensor, nn
from torch.nn import functional

from reference_impls.api import (
    Network,
    NetworkOutput,
    NeuronFactory,
    SequentialNeuron,
    State,
    Synapse,
    over_time,
)
from reference_impls.topologies._chain import Block

CARD = {
    "name": "recurrent",
    "kind": "topology",
    "version": 1,
    "title": "Recurrent spiking network (RSNN)",
    "summary": (
        "Fully connected layers; the spikes of each come back to it through a recurrent map one step later. A linear "
        "read-out, leaky if asked, reads the last layer."
    ),
    "equations": (
        "I_l[t] = W_l s_{l-1}[t] + b_l + R_l s_l[t-1], diag(R_l) = 0; "
        "y[t] = k y[t-1] + (1 - k) W_o s_L[t], k = readout_decay; O[t] = y[t] + b_o"
    ),
    "citations": [
        {
            "authors": "G. Bellec, F. Scherr, A. Subramoney, E. Hajek, D. Salaj, R. Legenstein, W. Maass",
            "title": "A solution to the learning dilemma for recurrent networks of spiking neurons",
            "venue": "Nature Communications 11:3625",
            "year": 2020,
            "arxiv": "1901.09049",
            "code": "https://github.com/IGITUGraz/eligibility_propagation (commit efd02e6)",
        }
    ],
    "capabilities": {"structure": "recurrent", "sample_dims": [1, 2, 3], "sized_as": "feedback"},
    "defaults": {"hidden": [128], "readout_decay": 0.0, "self_connections": False},
    "divergences": [
        "The low-pass of the read-out acts on its output, which equals one on its input spikes and leaves the map "
        "event-driven; it rests at the bias.",
        "Weights start as those of nn.Linear; the authors draw them from a Gaussian.",
    ],
}


class LateralLinear(nn.Linear):
    """Square linear map without bias in which no unit is connected with itself (its own diagonal is ignored)."""

    others: Tensor

    def __init__(self, features: int) -> None:
        super().__init__(features, features, bias=False)
        self.register_buffer("others", 1 - torch.eye(features), persistent=False)

    def effective_weight(self) -> Tensor:
        """Return the weight ``[out, in]`` with a diagonal of 0."""
        return self.weight * self.others

    def forward(self, x: Tensor) -> Tensor:
        """Map ``[B, features]`` to ``[B, features]``."""
        return functional.linear(x, self.effective_weight())


class LayerState(NamedTuple):
    """What a recurrent layer hands to the next step."""

    neuron: State
    spikes: Tensor
    """``[B, n]``: what comes back."""


class RecurrentBlock(Block):
    """A block whose spikes come back to it through a map of their own."""

    def __init__(self, synapse: nn.Module, lateral: nn.Linear, neuron: SequentialNeuron) -> None:
        super().__init__(synapse, neuron)
        self.lateral = lateral

    def run(self, currents: Tensor, state: LayerState | None) -> tuple[Tensor, LayerState]:
        """Take the steps of ``currents[T, B, n]``, what the map into the layer gives.

        Returns
        -------
        Spikes ``[T, B, n]``, and the state after the last step.
        """
        spikes = []
        for current in currents.unbind(0):
            s, state = self.advance(current, state)
            spikes.append(s)
        assert state is not None
        return torch.stack(spikes), state

    def advance(self, current: Tensor, state: LayerState | None) -> tuple[Tensor, LayerState]:
        """Take one step; nothing has come back yet at the first (`state` None)."""
        neuron = cast("SequentialNeuron", self.neuron)
        if state is None:
            before = neuron.init_state(current)
        else:
            before, current = state.neuron, current + self.lateral(state.spikes)
        s, after = neuron.advance(current, before)
        return s, LayerState(after, s)


class RecurrentNetwork(Network):
    """Recurrent spiking network.

    Parameters
    ----------
    sample_shape : shape of one sample at one step; flattened.
    classes : read-out units.
    neuron : called once a layer; must be sequential.
    hidden : neurons of each layer.
    readout_decay : factor on the previous read-out, in [0, 1); 0: no memory.
    self_connections : whether a neuron's spikes come back to itself, too.

    Raises
    ------
    TypeError
        If the neuron is not sequential: recurrence needs the spikes of step t before step t+1.
    """

    structure = "recurrent"

    def __init__(
        self,
        sample_shape: tuple[int, ...],
        classes: int,
        neuron: NeuronFactory,
        hidden: Sequence[int] = (128,),
        readout_decay: float = 0.0,
        self_connections: bool = False,
    ) -> None:
        super().__init__()
        if not hidden or min(hidden) < 1:
            raise ValueError(f"hidden must list at least one layer of at least one neuron, got {list(hidden)}")
        if not 0 <= readout_decay < 1:
            raise ValueError(f"readout_decay must lie in [0, 1), got {readout_decay}")
        self.readout_decay = float(readout_decay)
        sizes = [math.prod(sample_shape), *hidden]
        blocks = []
        for index, (before, after) in enumerate(pairwise(sizes)):
            synapse: nn.Module = nn.Linear(before, after)
            if index == 0 and len(sample_shape) != 1:
                synapse = nn.Sequential(nn.Flatten(), synapse)
            lateral = nn.Linear(after, after, bias=False) if self_connections else LateralLinear(after)
            layer = neuron(shape=(after,))
            if not isinstance(layer, SequentialNeuron):
                raise TypeError(f"{type(layer).__name__} is not sequential: recurrence needs its spikes step by step")
            blocks.append(RecurrentBlock(synapse, lateral, layer))
        self.blocks = nn.ModuleList(blocks)
        self.readout = nn.Linear(sizes[-1], classes)

    def layers(self) -> tuple[RecurrentBlock, ...]:
        """Return the blocks, first to last."""
        return tuple(block for block in self.blocks if isinstance(block, RecurrentBlock))

    def neurons(self) -> tuple[SequentialNeuron, ...]:
        """Return the neuron of every block."""
        return tuple(cast("SequentialNeuron", block.neuron) for block in self.layers())

    def synapses(self) -> tuple[Synapse, ...]:
        """Return, layer by layer, the map into it and the map to itself; the read-out last."""
        found, source = [], "input"
        for index, block in enumerate(self.layers(), start=1):
            found += [
                Synapse(f"layer{index}", block.synapse, source),
                Synapse(f"recurrent{index}", block.lateral, "spikes"),
            ]
            source = "spikes"
        return (*found, Synapse("readout", self.readout, "spikes"))

    def run(self, x: Tensor, states: tuple[State | None, ...] | None = None) -> NetworkOutput:
        """Process ``x[T, B, ...]`` layer by layer; `states` ends with the read-out of the last step."""
        self.refuse_other_batch(x, states)
        *before, y = states if states is not None else [None] * (len(self.blocks) + 1)
        z, after = x, []
        for block, state in zip(self.layers(), before, strict=True):
            z, state = block.run(over_time(block.synapse, z), state)
            after.append(state)
        logits, y = self._read_out(z, y)
        return NetworkOutput(logits, (*after, y))

    def _read_out(self, spikes: Tensor, y: Tensor | None) -> tuple[Tensor, Tensor | None]:
        """Return the logits of every step, and the last of them if the read-out remembers it."""
        now = over_time(self.readout, spikes)
        if self.readout_decay == 0:
            return now, None
        y = self.readout.bias if y is None else y  # a filter that starts at a constant keeps it
        logits = []
        for now_t in now.unbind(0):
            y = self.readout_decay * y + (1 - self.readout_decay) * now_t
            logits.append(y)
        return torch.stack(logits), y
