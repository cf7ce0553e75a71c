"""dendritic: an mlp whose neurons have branches, each a low-pass of its own over a part of the inputs.

Branches join synapses to a neuron, so they are a topology: any neuron can be the soma, and the counters see every
synapse once. What a branch remembers outlives a step, so the structure is ``delayed`` and not ``chain``. Must not know
of training methods.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from itertools import pairwise
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional

from reference_impls.api import Network, NetworkOutput, Neuron, NeuronFactory, State, Synapse, over_time
from reference_impls.neurons._scan import decaying_sum

CARD = {
    "name": "dendritic",
    "kind": "topology",
    "version": 1,
    "title": "Multi-layer perceptron with dendritic branches (DH-LIF)",
    "summary": (
        "Every neuron spreads its inputs over 4 branches, each input to one of them. A branch is a leaky integrator "
        "with a learned time constant of its own, slow or fast; the soma gets their sum. As many weights as mlp."
    ),
    "equations": (
        "d_k[t] = beta_k d_k[t-1] + (1 - beta_k) (W_k s_{l-1}[t] + b_k), beta_k = sigmoid(raw_beta_k) of every neuron "
        "and branch; I_l[t] = sum_k d_k[t]; W_k reads the inputs of branch k, drawn without replacement"
    ),
    "citations": [
        {
            "authors": "H. Zheng, Z. Zheng, R. Hu, B. Xiao, Y. Wu, F. Yu, X. Liu, G. Li, L. Deng",
            "title": (
                "Temporal dendritic heterogeneity incorporated with spiking neural networks for learning "
                "multi-timescale dynamics"
            ),
            "venue": "Nature Communications 15",
            "year": 2024,
            "doi": "10.1038/s41467-023-44614-z",
            "code": "https://github.com/eva1801/DH-SNN (commit 79ab1fb)",
        }
    ],
    "capabilities": {"structure": "delayed", "sample_dims": [1, 2, 3], "sized_as": "mlp"},
    "defaults": {"hidden": [128], "branches": 4, "raw_beta_range": [2.0, 6.0]},
    "variants": {
        "dendritic-2": {
            "title": "Multi-layer perceptron with 2 dendritic branches (DH-LIF)",
            "summary": "As dendritic, with 2 branches a neuron.",
            "params": {"branches": 2},
        },
        "dendritic-fixed": {
            "title": "Multi-layer perceptron with fixed dendritic branches",
            "summary": "As dendritic, but time constants stay as they are drawn: what learning them is compared with.",
            "params": {"learn": False},
        },
    },
    "divergences": [
        "The authors' soma is the LIF of the adaptive SRNN with its time constant learned a neuron, behind a sigmoid; "
        "asrnn-lif on this topology is that neuron, with an exponential in place of the sigmoid.",
        "They begin membranes and last spikes at random, inputs are padded to a multiple of the branches, and the "
        "read-out is leaky; here all begin at rest, branches may differ by one input, and the read-out is linear.",
        "The release stores a weight for every pair of input and branch and zeroes those that are not used before each "
        "batch; only those in use are stored here.",
        "Filtering the branches (a multiplication and an addition each, a step) is no synapse and no neuron here: its "
        "energy is in no count.",
        "No golden vectors: the tests restate forward and gradient in numpy. Currents and gradients of the released "
        "layer, with its weights put in here, were compared once and are the same to rounding.",
    ],
}


class BranchLinear(nn.Linear):
    """The synapses of a layer of neurons with branches: ``[B, I]`` to ``[B, N * K]``, a neuron's branches together.

    Parameters
    ----------
    inputs, units, branches : I, N and K. Every neuron draws which of its branches an input belongs to.
    """

    branch_of: Tensor
    """Branch of every synapse, ``[N, I]``."""

    def __init__(self, inputs: int, units: int, branches: int) -> None:
        super().__init__(inputs, units)
        bound = 1 / math.sqrt(inputs)
        self.bias = nn.Parameter(torch.empty(units * branches).uniform_(-bound, bound))
        self.branches = branches
        order = torch.stack([torch.randperm(inputs) for _ in range(units)])
        self.register_buffer("branch_of", order * branches // inputs)

    def effective_weight(self) -> Tensor:
        """Return the weight of every pair of branch and input ``[N * K, I]``, 0 where they do not meet."""
        meets = functional.one_hot(self.branch_of, self.branches).to(self.weight.dtype)  # [N, I, K]
        return (self.weight.unsqueeze(2) * meets).transpose(1, 2).flatten(0, 1)

    def forward(self, x: Tensor) -> Tensor:
        """Map ``[B, I]`` to the inputs of all branches ``[B, N * K]``."""
        return functional.linear(x, self.effective_weight(), self.bias)


class DendriticLayer(nn.Module):
    """Synapses, branches and the neurons that they end in.

    Parameters
    ----------
    inputs, units, branches : I, N and K.
    neuron : the soma's.
    raw_beta_range : what the branches' time constants are drawn from, before the sigmoid.
    learn : whether they are learned.
    """

    def __init__(
        self,
        inputs: int,
        units: int,
        branches: int,
        neuron: Neuron,
        raw_beta_range: tuple[float, float],
        learn: bool,
    ) -> None:
        super().__init__()
        self.synapse = BranchLinear(inputs, units, branches)
        self.raw_beta = nn.Parameter(torch.empty(units, branches).uniform_(*raw_beta_range), requires_grad=learn)
        self.neuron = neuron

    def run(self, x: Tensor, past: Tensor | None = None) -> tuple[Tensor, Tensor]:
        """Return the somas' currents ``[T, B, N]`` for ``x[T, B, I]``, and the branches ``[B, N, K]`` after it.

        `past` is what the branches held before (None: nothing).
        """
        beta = torch.sigmoid(self.raw_beta)
        fed = (1 - beta) * over_time(self.synapse, x).unflatten(2, self.raw_beta.shape)
        if past is not None:
            fed = torch.cat([fed[:1] + beta * past, fed[1:]])
        branches = decaying_sum(beta, fed)
        return branches.sum(3), branches[-1]


class DendriticMLP(Network):
    """Fully connected network of neurons with branches.

    Parameters
    ----------
    sample_shape : shape of one sample at one step; flattened.
    classes : read-out units.
    neuron : the somas', called once a layer.
    hidden : neurons of each layer.
    branches : K of every neuron; at most as many as it has inputs.
    raw_beta_range : least and greatest of the branches' initial decays before the sigmoid: the more, the slower.
    learn : whether the decays are learned.

    The layer of the authors' ``spike_dense_test_denri_wotanh_R`` without its soma.
    """

    structure = "delayed"

    def __init__(
        self,
        sample_shape: tuple[int, ...],
        classes: int,
        neuron: NeuronFactory,
        hidden: Sequence[int] = (128,),
        branches: int = 4,
        raw_beta_range: tuple[float, float] = (2.0, 6.0),
        learn: bool = True,
    ) -> None:
        super().__init__()
        if not hidden or min(hidden) < 1:
            raise ValueError(f"hidden must list at least one layer of at least one neuron, got {list(hidden)}")
        sizes = [math.prod(sample_shape), *hidden]
        if not 1 <= branches <= min(sizes[:-1]):
            raise ValueError(
                f"branches must be between 1 and the fewest inputs of a layer, {min(sizes[:-1])}; got {branches}"
            )
        if not raw_beta_range[0] <= raw_beta_range[1]:
            raise ValueError(f"raw_beta_range must be (least, greatest), got {tuple(raw_beta_range)}")
        low, high = raw_beta_range
        self.layers = nn.ModuleList(
            DendriticLayer(before, after, branches, neuron(shape=(after,)), (low, high), learn)
            for before, after in pairwise(sizes)
        )
        self.readout = nn.Linear(sizes[-1], classes)

    def dendritic_layers(self) -> tuple[DendriticLayer, ...]:
        """Return the layers, first to last."""
        return tuple(layer for layer in self.layers if isinstance(layer, DendriticLayer))

    def neurons(self) -> tuple[Neuron, ...]:
        """Return the somas of every layer."""
        return tuple(layer.neuron for layer in self.dendritic_layers())

    def synapses(self) -> tuple[Synapse, ...]:
        """Return the map of every layer and the read-out; filtering in a branch is no synapse."""
        layers = enumerate(self.dendritic_layers(), start=1)
        found = [Synapse(f"layer{i}", layer.synapse, "input" if i == 1 else "spikes") for i, layer in layers]
        return (*found, Synapse("readout", self.readout, "spikes"))

    def run(self, x: Tensor, states: tuple[State | None, ...] | None = None) -> NetworkOutput:
        """Process ``x[T, B, ...]`` layer by layer; a layer's state is (its somas', what its branches hold)."""
        self.refuse_other_batch(x, states)
        z, after, losses = x if x.dim() == 3 else x.flatten(2), [], []
        for index, layer in enumerate(self.dendritic_layers()):
            before: Any = (None, None) if states is None else states[index]
            current, branches = layer.run(z, before[1])
            out = layer.neuron.run(current, before[0])
            z = out.spikes
            after.append((out.state, branches))
            if out.auxiliary_loss is not None:
                losses.append(out.auxiliary_loss)
        return NetworkOutput(over_time(self.readout, z), tuple(after), sum(losses[1:], losses[0]) if losses else None)
