"""lateral: an mlp that ends in populations, one a class, whose neurons are connected inside their population.

The connections of ILC-SAN join neurons of one layer, so no element-wise step can hold them: they are maps of the
network, fed with the spikes of the step before, and the counters see them. The neuron stays free; the published one is
the row ``ilc-cuba-lif``. Must not know of training methods.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from itertools import pairwise

import torch
from torch import Tensor, nn

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
    "name": "lateral",
    "kind": "topology",
    "version": 1,
    "title": "Populations with intra-layer connections (ILC-SAN)",
    "summary": (
        "Fully connected layers, then a population of neurons for every class with recurrent connections inside it, "
        "and one non-spiking integrator a class that reads its population."
    ),
    "equations": (
        "I[t] = W s_below[t] + b + L s[t-1] + b_L, L block-diagonal (one P x P block a class), b_L at every step; "
        "y_a[t] = y_a[t-1] + sum_k D[a,k] s_{aP+k}[t] + b_D[a]; logits[t] = y[t] - y[t-1], so their mean is y[T] / T"
    ),
    "citations": [
        {
            "authors": "D. Chen, P. Peng, T. Huang, Y. Tian",
            "title": "Fully Spiking Actor Network with Intra-layer Connections for Reinforcement Learning",
            "venue": "IEEE TNNLS",
            "year": 2024,
            "arxiv": "2401.05444",
            "code": "https://github.com/lucifer2859/ILC-SAN (commit 5012a77)",
        }
    ],
    "capabilities": {"structure": "lateral", "sample_dims": [1, 2, 3], "sized_as": "mlp"},
    "defaults": {"hidden": [128], "population": 10, "lateral": "intra"},
    "variants": {
        "lateral-no-bias": {
            "title": "Intra-layer connections without bias",
            "params": {"lateral": "no-bias"},
        },
        "lateral-no-self": {
            "title": "Intra-layer connections without self-connections",
            "params": {"lateral": "no-self"},
        },
        "lateral-only": {
            "title": "Intra-layer connections without self-connections and bias",
            "params": {"lateral": "lateral"},
        },
        "lateral-diagonal": {
            "title": "Self-connections and bias, drawn from a standard normal (the authors' no-lateral)",
            "params": {"lateral": "no-lateral"},
        },
        "lateral-self": {"title": "Self-connections only", "params": {"lateral": "self"}},
        "lateral-bias": {"title": "A second bias in place of connections", "params": {"lateral": "bias"}},
        "lateral-none": {"title": "Populations without connections", "params": {"lateral": "none"}},
    },
    "divergences": [
        "ILC-SAN is an actor for reinforcement learning (TD3 on MuJoCo); here its output populations stand for "
        "classes. Its population encoder and the tanh of its action are not here. Its returns were not "
        "found in public text.",
        "With the published integrator (no leak) the last membrane is T times the mean of the logits, which is what "
        "BPTT reads. The options mean-mem and max-mem of the code are not here.",
        "b_L is added at every step, the first included, as the authors' code does; SpikingJelly's ILC nodes add it "
        "from the second step on and write into the caller's input.",
        "In the authors' no-self and lateral variants every step replaces the weight by a new parameter, so that it is "
        "never trained; a fixed mask is used here.",
    ],
}

KINDS = ("intra", "no-bias", "no-self", "lateral", "no-lateral", "self", "bias", "none")
WITH_BIAS = ("intra", "no-self", "no-lateral", "bias")


class LateralMap(nn.Module):
    """Connections inside populations of equal size, as one block-diagonal map ``[B, A P]`` to itself.

    Parameters
    ----------
    populations : A.
    size : P, neurons of each.
    kind : which connections there are, in the authors' words (``bias``: none, but the bias; ``none`` is no map).
    """

    mask: Tensor

    def __init__(self, populations: int, size: int, kind: str = "intra") -> None:
        super().__init__()
        check_name("kind of lateral connections", kind, KINDS)
        self.populations, self.size = populations, size
        itself = torch.eye(size).repeat(populations, 1)
        masks = {"no-self": 1 - itself, "lateral": 1 - itself, "no-lateral": itself, "self": itself}
        nothing = torch.zeros_like(itself)
        mask = nothing if kind in ("bias", "none") else masks.get(kind, torch.ones_like(itself))
        self.register_buffer("mask", mask, persistent=False)
        bound = 1 / math.sqrt(size)
        self.weight = nn.Parameter(torch.empty_like(itself).uniform_(-bound, bound))
        self.bias = nn.Parameter(torch.empty(populations * size).uniform_(-bound, bound)) if kind in WITH_BIAS else None
        if kind == "no-lateral":
            nn.init.normal_(self.weight)
            assert self.bias is not None
            nn.init.normal_(self.bias)

    def effective_weight(self) -> Tensor:
        """Return the blocks ``[A P, P]``, 0 where there is no connection."""
        return self.weight * self.mask

    def apply_weight(self, x: Tensor, weight: Tensor) -> Tensor:
        """Map ``[B, A P]`` with blocks ``[A P, P]``; no bias."""
        blocks = weight.unflatten(0, (self.populations, self.size))
        return torch.einsum("bak,ajk->baj", x.unflatten(1, (self.populations, self.size)), blocks).flatten(1)

    def forward(self, x: Tensor) -> Tensor:
        """Map the spikes of the step before, ``[B, A P]``, to currents."""
        current = self.apply_weight(x, self.effective_weight())
        return current if self.bias is None else current + self.bias


class PopulationReadout(nn.Module):
    """One value for every population: ``[B, A P]`` to ``[B, A]``."""

    def __init__(self, populations: int, size: int) -> None:
        super().__init__()
        self.populations, self.size = populations, size
        bound = 1 / math.sqrt(size)
        self.weight = nn.Parameter(torch.empty(populations, size).uniform_(-bound, bound))
        self.bias = nn.Parameter(torch.empty(populations).uniform_(-bound, bound))

    def effective_weight(self) -> Tensor:
        """Return the weight ``[A, P]``."""
        return self.weight

    def apply_weight(self, x: Tensor, weight: Tensor) -> Tensor:
        """Map ``[B, A P]`` with a weight ``[A, P]``; no bias."""
        return (x.unflatten(1, (self.populations, self.size)) * weight).sum(-1)

    def forward(self, x: Tensor) -> Tensor:
        """Map spikes ``[B, A P]`` to ``[B, A]``."""
        return self.apply_weight(x, self.effective_weight()) + self.bias


class LateralMLP(Network):
    """Fully connected network that ends in populations with connections inside.

    Parameters
    ----------
    sample_shape : shape of one sample at one step; flattened.
    classes : A, number of populations.
    neuron : called once a layer, the populations' included; must be sequential.
    hidden : neurons of each layer before the populations.
    population : P, neurons of each population.
    lateral : which connections there are inside a population; see :class:`LateralMap`.

    Raises
    ------
    TypeError
        If the neuron is not sequential: the connections need the spikes of step t before step t+1.
    """

    structure = "lateral"

    def __init__(
        self,
        sample_shape: tuple[int, ...],
        classes: int,
        neuron: NeuronFactory,
        hidden: Sequence[int] = (128,),
        population: int = 10,
        lateral: str = "intra",
    ) -> None:
        super().__init__()
        if population < 1 or min(hidden, default=1) < 1:
            raise ValueError(
                f"every layer needs at least one neuron, got hidden {list(hidden)}, population {population}"
            )
        sizes = [math.prod(sample_shape), *hidden, classes * population]
        self.maps = nn.ModuleList([nn.Linear(before, after) for before, after in pairwise(sizes)])
        layers = [neuron(shape=(size,)) for size in sizes[1:]]
        for layer in layers:
            if not isinstance(layer, SequentialNeuron):
                raise TypeError(
                    f"{type(layer).__name__} is not sequential: intra-layer connections need its spikes step by step"
                )
        self.layers = nn.ModuleList(layers)
        self.lateral = LateralMap(classes, population, lateral)
        self.joined = lateral not in ("bias", "none")
        self.readout = PopulationReadout(classes, population)

    def neurons(self) -> tuple[SequentialNeuron, ...]:
        """Return the neuron of every layer, the populations' last."""
        return tuple(layer for layer in self.layers if isinstance(layer, SequentialNeuron))

    def synapses(self) -> tuple[Synapse, ...]:
        """Return the map into every layer, that inside the populations, and the read-out."""
        count = len(self.maps)
        chain = [
            Synapse(f"layer{index}", module, "input" if index == 1 else "spikes")
            for index, module in enumerate(self.maps, start=1)
        ]
        inside = [Synapse(f"within{count}", self.lateral, "spikes")] if self.joined else []
        return (*chain, *inside, Synapse("readout", self.readout, "spikes"))

    def joins(self) -> tuple[Join, ...]:
        """Return the layers that each of `synapses` joins."""
        last = len(self.maps) - 1
        chain = [Join((layer - 1,) if layer else (), layer) for layer in range(last + 1)]
        inside = [Join((last,), last)] if self.joined else []
        return (*chain, *inside, Join((last,), None))

    def run(self, x: Tensor, states: tuple[State | None, ...] | None = None) -> NetworkOutput:
        """Process ``x[T, B, ...]``; `states` ends with the populations' spikes."""
        self.refuse_other_batch(x, states)
        *before, emitted = states if states is not None else [None] * (len(self.maps) + 1)
        z, after = x if x.dim() == 3 else x.flatten(2), []
        *hidden, last = self.neurons()
        for index, layer in enumerate(hidden):
            out = layer.run(over_time(self.maps[index], z), before[index])
            z = out.spikes
            after.append(out.state)
        spikes, state, emitted = self._populations(last, over_time(self.maps[-1], z), before[-1], emitted)
        return NetworkOutput(over_time(self.readout, spikes), (*after, state, emitted))

    def _populations(
        self, layer: SequentialNeuron, currents: Tensor, state: State | None, emitted: Tensor | None
    ) -> tuple[Tensor, State, Tensor]:
        """Return the spikes ``[T, B, A P]``, the state and the last step's spikes."""
        state = layer.init_state(currents[0]) if state is None else state
        emitted = torch.zeros_like(currents[0]) if emitted is None else emitted
        spikes = []
        for current in currents.unbind(0):
            emitted, state = layer.advance(current + self.lateral(emitted), state)
            spikes.append(emitted)
        return torch.stack(spikes), state, emitted
