"""reversible: levels that drive the next one upwards at once and the one below a step later: T-RevSNN's recursion."""

from __future__ import annotations

import math
from collections.abc import Sequence
from itertools import pairwise

import torch
from torch import Tensor, nn

from reference_impls.api import (
    Apply,
    Fire,
    Network,
    NetworkOutput,
    NeuronFactory,
    SequentialNeuron,
    Signal,
    State,
    Synapse,
)

CARD = {
    "name": "reversible",
    "kind": "topology",
    "version": 1,
    "title": "Levels with temporal paths between neighbours (T-RevSNN)",
    "summary": (
        "Each level hears the one below it in the same step and the one above it one step late. Its membrane carries "
        "the time; if nothing resets it, the whole state can be computed backwards and need not be kept."
    ),
    "equations": (
        "c_0[t] = a c_0[t-1] + F(x[t]) + D_0 s(c_1[t-1]); "
        "c_l[t] = a c_l[t-1] + U_l s(c_{l-1}[t]) + D_l s(c_{l+1}[t-1]); O[t] = W_o s(c_L[t]); "
        "backwards, highest level first: c_l[t-1] = (c_l[t] - U_l s(..) - D_l s(..)) / a"
    ),
    "citations": [
        {
            "authors": "J. Hu, M. Yao, X. Qiu, Y. Chou, Y. Cai, N. Qiao, Y. Tian, B. Xu, G. Li",
            "title": "High-Performance Temporal Reversible Spiking Neural Networks with O(L) Training Memory and O(1) "
            "Inference Cost",
            "venue": "ICML, PMLR 235:19516-19530",
            "year": 2024,
            "arxiv": "2405.16466",
            "code": "https://github.com/BICLab/T-RevSNN",
        }
    ],
    "capabilities": {"structure": "reversible", "sample_dims": [1, 2, 3]},
    "defaults": {"hidden": [32, 32, 32, 32]},
    "divergences": [
        "The published levels are stages of weight-standardised convolutional blocks, and an image is encoded once and "
        "dealt out over the steps; here a level is one layer, and the task's own encoding is what comes in.",
        "The published factors a_l belong to each level; here they are the decay of the neuron.",
    ],
}


class ReversibleNetwork(Network):
    """Fully connected levels, four as published.

    Parameters
    ----------
    sample_shape : shape of one sample at one step; flattened.
    classes : read-out units, which see the highest level.
    neuron : called once a level; must be sequential.
    hidden : neurons of each level.

    Raises
    ------
    TypeError
        If the neuron is not sequential: a level needs the spikes of step t-1 of the one above.
    """

    structure = "reversible"

    def __init__(
        self, sample_shape: tuple[int, ...], classes: int, neuron: NeuronFactory, hidden: Sequence[int] = (32,) * 4
    ) -> None:
        super().__init__()
        if not hidden or min(hidden) < 1:
            raise ValueError(f"hidden must list at least one level of at least one neuron, got {list(hidden)}")
        self.input_map = nn.Sequential(nn.Flatten(), nn.Linear(math.prod(sample_shape), hidden[0]))
        self.up = nn.ModuleList(nn.Linear(below, above) for below, above in pairwise(hidden))
        self.down = nn.ModuleList(nn.Linear(above, below, bias=False) for below, above in pairwise(hidden))
        self.readout = nn.Linear(hidden[-1], classes)
        levels = [neuron(shape=(size,)) for size in hidden]
        for level in levels:
            if not isinstance(level, SequentialNeuron):
                raise TypeError(f"{type(level).__name__} is not sequential: levels need spikes step by step")
        self.levels = nn.ModuleList(levels)

    def neurons(self) -> tuple[SequentialNeuron, ...]:
        """Return the neuron of every level, lowest first."""
        return tuple(level for level in self.levels if isinstance(level, SequentialNeuron))

    def synapses(self) -> tuple[Synapse, ...]:
        """Return input map, the maps upwards, the maps downwards and the read-out."""
        maps = [
            Synapse(f"{way}{index}", module, "spikes")
            for way, modules in (("up", self.up), ("down", self.down))
            for index, module in enumerate(modules, start=1)
        ]
        return (Synapse("input", self.input_map, "input"), *maps, Synapse("readout", self.readout, "spikes"))

    def wire(self, x: Signal, fire: Fire, apply: Apply, fed_back: Signal = None) -> tuple[Tensor, Signal]:
        """Send `x` up through the levels; `fed_back` holds the signals of all levels one step earlier."""
        signals: list[Signal] = []
        for level in range(len(self.levels)):
            current = apply(self.input_map, x) if level == 0 else apply(self.up[level - 1], signals[-1])
            if fed_back is not None and level < len(self.down):
                current = current + apply(self.down[level], fed_back[level + 1])
            signals.append(fire(level, current))
        return apply(self.readout, signals[-1]), tuple(signals)

    def run(self, x: Tensor, states: tuple[State | None, ...] | None = None) -> NetworkOutput:
        """Process ``x[T, B, ...]`` step by step; `states` ends with the spikes of all levels."""
        self.refuse_other_batch(x, states)
        neurons, logits = self.neurons(), []
        *memory, fed_back = states if states is not None else [None] * (len(neurons) + 1)

        def fire(level: int, current: Tensor) -> Tensor:
            state = neurons[level].init_state(current) if memory[level] is None else memory[level]
            spikes, memory[level] = neurons[level].advance(current, state)
            return spikes

        for x_t in x.unbind(0):
            out, fed_back = self.wire(x_t, fire, lambda module, signal: module(signal), fed_back)
            logits.append(out)
        return NetworkOutput(torch.stack(logits), (*memory, fed_back))
