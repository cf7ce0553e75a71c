"""gated: layers whose synaptic current is gated by their input and by their own spikes.

The recurrence of a GRU without its reset gate: each neuron gets two currents, and its gate reads all spikes of the
layer, so input and output differ in size and no element-wise step can hold it. The gate is a part of the network
here, the neuron behind it is free; the published one is ``multilevel-if``. Must not know of training methods.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from itertools import pairwise
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional

from reference_impls.api import (
    Join,
    Network,
    NetworkOutput,
    NeuronFactory,
    SequentialNeuron,
    State,
    Synapse,
    over_time,
)
from reference_impls.names import check_name

CARD = {
    "name": "gated",
    "kind": "topology",
    "version": 1,
    "title": "Gated synaptic currents (improved recurrence, version 2)",
    "summary": (
        "The synaptic current of every neuron has a GRU-like gate instead of a fixed leak; the gate and the candidate "
        "read the layer below and the layer's own spikes of the step before."
    ),
    "equations": (
        "(a_z, a_c) = BN(W s_below[t]); z = sigmoid(a_z + U_z s[t-1]); c = relu(a_c + U_c s[t-1]); "
        "i[t] = z i[t-1] + (1 - z) c k, k a dropout mask of the sequence; the neuron integrates i; "
        "O[t] = BN(W_o s[t]); version 1: no U; none: i[t] = BN(W s_below[t]) k, the neuron decays it"
    ),
    "citations": [
        {
            "authors": "W. Ponghiran, K. Roy",
            "title": "Spiking Neural Networks with Improved Inherent Recurrence Dynamics for Sequential Learning",
            "venue": "AAAI 36(7):8001-8008",
            "year": 2022,
            "arxiv": "2109.01905",
            "code": "https://github.com/wponghiran/imp-snns-for-sl (commit 9125ccd)",
        }
    ],
    "capabilities": {"structure": "gated", "sample_dims": [1, 2, 3], "sized_as": "mlp"},
    "defaults": {"hidden": [128], "gate": "input+recurrent", "dropout": 0.2, "track_range": True},
    "variants": {
        "gated-input": {
            "title": "Gated synaptic currents (improved recurrence, version 1)",
            "summary": "As gated, but gate and candidate read the layer below only.",
            "params": {"gate": "input"},
        },
        "gated-none": {
            "title": "The traditional network of improved recurrence",
            "summary": "No gates: normalised currents go straight into the neurons.",
            "params": {"gate": "none"},
        },
    },
    "divergences": [
        "The paper's equations have four matrices and no normalisation; the code, followed here, stacks them and adds "
        "batch norm on the input's part. Statistics run over time and batch together.",
        "The paper (as cited) says dropout 0.1 and Glorot initialisation; the configurations 0.2 and Kaiming uniform.",
        "The authors' input encoder is their quantiser on real features, the neuron multilevel-if; tasks bring their "
        "own encoding here. Speech tasks with their licences and Kaldi are not here either.",
        "The range of a multi-level neuron is tracked at every step of every training batch over the whole tensor, as "
        "in the code; so one outlier sets the threshold of all.",
    ],
}

GATES = ("none", "input", "input+recurrent")


class GatedLayer(nn.Module):
    """A gated current and the neurons it drives.

    Parameters
    ----------
    inputs, units : sizes.
    neuron : sequential.
    gate : ``none``, ``input`` or ``input+recurrent``.
    dropout : share of a sequence's currents that is left out while training.
    track_range : whether a neuron that can track its range does so while training.
    """

    def __init__(
        self, inputs: int, units: int, neuron: SequentialNeuron, gate: str, dropout: float, track_range: bool
    ) -> None:
        super().__init__()
        self.gate, self.units, self.dropout, self.track_range = gate, units, dropout, track_range
        rows = units if gate == "none" else 2 * units
        self.input_map = nn.Linear(inputs, rows, bias=False)
        nn.init.uniform_(self.input_map.weight, -math.sqrt(3 / inputs), math.sqrt(3 / inputs))
        self.norm = nn.BatchNorm1d(rows)
        if gate == "input+recurrent":
            self.recurrent_map = nn.Linear(units, rows, bias=False)
            nn.init.orthogonal_(self.recurrent_map.weight, math.sqrt(2))
        self.neuron = neuron

    def run(self, x: Tensor, state: State | None = None, mask: Tensor | None = None) -> tuple[Tensor, State]:
        """Map ``x[T, B, I]`` to spikes ``[T, B, N]`` and the state (neurons', current, last spikes).

        `mask` ``[B, N]`` multiplies the candidate currents; None: drawn while training.
        """
        a = over_time(self.norm, over_time(self.input_map, x))
        rest = a.new_zeros(a.shape[1], self.units)
        inner, current, s = state if state is not None else (self.neuron.init_state(rest), rest, rest)
        k = functional.dropout(torch.ones_like(rest), self.dropout, self.training) if mask is None else mask
        spikes = []
        for step in a.unbind(0):
            current = self._current(step, current, s, k)
            if self.training and self.track_range and (track := getattr(self.neuron, "track_range", None)):
                track(current, inner)
            s, inner = self.neuron.advance(current, inner)
            spikes.append(s)
        return torch.stack(spikes), (inner, current, s)

    def _current(self, a: Tensor, current: Tensor, s: Tensor, mask: Tensor) -> Tensor:
        """Return the current ``[B, N]`` after a step with normalised input `a`."""
        if self.gate == "none":
            return a * mask
        if self.gate == "input+recurrent":
            a = a + self.recurrent_map(s)
        z, c = torch.sigmoid(a[:, : self.units]), functional.relu(a[:, self.units :])
        return z * current + (1 - z) * c * mask


class GatedNetwork(Network):
    """Layers with gated currents.

    Parameters
    ----------
    sample_shape : shape of one sample at one step; flattened.
    classes : read-out units.
    neuron : called once a layer; must be sequential.
    hidden : neurons of each layer.
    gate, dropout, track_range : see :class:`GatedLayer`.

    Raises
    ------
    TypeError
        If the neuron is not sequential: the gates need the spikes of step t before step t+1.
    """

    structure = "gated"

    def __init__(
        self,
        sample_shape: tuple[int, ...],
        classes: int,
        neuron: NeuronFactory,
        hidden: Sequence[int] = (128,),
        gate: str = "input+recurrent",
        dropout: float = 0.2,
        track_range: bool = True,
    ) -> None:
        super().__init__()
        check_name("gate", gate, GATES)
        if not hidden or min(hidden) < 1:
            raise ValueError(f"hidden must list at least one layer of at least one neuron, got {list(hidden)}")
        if not 0 <= dropout < 1:
            raise ValueError(f"dropout must lie in [0, 1), got {dropout}")
        sizes, layers = [math.prod(sample_shape), *hidden], []
        for before, after in pairwise(sizes):
            built = neuron(shape=(after,))
            if not isinstance(built, SequentialNeuron):
                raise TypeError(f"{type(built).__name__} is not sequential: the gates need its spikes step by step")
            layers.append(GatedLayer(before, after, built, gate, dropout, track_range))
        self.layers = nn.ModuleList(layers)
        self.readout = nn.Linear(sizes[-1], classes, bias=False)
        bound = math.sqrt(0.01 / (sizes[-1] + classes))
        nn.init.uniform_(self.readout.weight, -bound, bound)
        self.readout_norm = nn.BatchNorm1d(classes)

    def gated_layers(self) -> tuple[GatedLayer, ...]:
        """Return the layers, first to last."""
        return tuple(layer for layer in self.layers if isinstance(layer, GatedLayer))

    def neurons(self) -> tuple[SequentialNeuron, ...]:
        """Return the neuron of every layer."""
        return tuple(layer.neuron for layer in self.gated_layers())

    def synapses(self) -> tuple[Synapse, ...]:
        """Return the maps into the layers, those inside them, and the read-out; element-wise gating is none."""
        layers = list(enumerate(self.gated_layers(), start=1))
        chain = [Synapse(f"layer{i}", layer.input_map, "input" if i == 1 else "spikes") for i, layer in layers]
        inside = [
            Synapse(f"within{i}", layer.recurrent_map, "spikes")
            for i, layer in layers
            if layer.gate == "input+recurrent"
        ]
        return (*chain, *inside, Synapse("readout", self.readout, "spikes"))

    def joins(self) -> tuple[Join, ...]:
        """Return the layers that each of `synapses` joins."""
        layers = list(enumerate(self.gated_layers()))
        chain = [Join((i - 1,) if i else (), i) for i, _ in layers]
        inside = [Join((i,), i) for i, layer in layers if layer.gate == "input+recurrent"]
        return (*chain, *inside, Join((len(layers) - 1,), None))

    def run(self, x: Tensor, states: tuple[State | None, ...] | None = None) -> NetworkOutput:
        """Process ``x[T, B, ...]`` layer by layer, each step by step."""
        self.refuse_other_batch(x, states)
        z, after = x if x.dim() == 3 else x.flatten(2), []
        for index, layer in enumerate(self.gated_layers()):
            before: Any = None if states is None else states[index]
            z, state = layer.run(z, before)
            after.append(state)
        return NetworkOutput(over_time(self.readout_norm, over_time(self.readout, z)), tuple(after))
