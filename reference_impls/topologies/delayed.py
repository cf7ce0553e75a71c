"""delayed: an mlp whose synapses have delays, learned with the weights.

A delay belongs to a synapse and not to a neuron, so these rows are a topology: any neuron can be put behind them,
stepwise or parallel, and the counters see which synapses a spike reaches. Delays make a network remember by itself,
which methods that walk over time layer by layer do not expect: its structure is ``delayed``, not ``chain``. Must not
know of training methods.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from itertools import pairwise
from typing import Any

from torch import Tensor, nn

from reference_impls.api import Network, NetworkOutput, Neuron, NeuronFactory, State, Synapse, over_time
from reference_impls.delays import DelayedLinear, RoundedDelay, SpacedDelay
from reference_impls.names import check_name

CARD = {
    "name": "delayed",
    "kind": "topology",
    "version": 1,
    "title": "Multi-layer perceptron with learned delays (DCLS)",
    "summary": (
        "Every synapse of the hidden layers has a delay of its own, learned as the position of a Gaussian that "
        "sharpens while it trains; evaluation rounds to one tap. The read-out has no delays."
    ),
    "equations": (
        "I_l[t] = sum_k K_l[k] s_{l-1}[t - (K-1-k)] + b_l; K_l[o,i,k] = w q_k / (sum_k q_k + 1e-7), "
        "q_k = exp(-(k - P - (K-1)/2)^2 / (2 (|S| + 0.27)^2)), P in +-(K-1)/2; delayed-max: "
        "q_k = max(0, |S| + 1 - |k - P - (K-1)/2|); evaluation: P rounded, one tap; "
        "delayed-round: I_l[t] = W_l m[t] + b_l, m_oi[t] = s_i[t - 1 - round(beta sigmoid(raw_oi))], dm/dd := "
        "k[t - 1 - d], k[j] = -sum_{i<=j} (e/tau)(1 - (j-i+1)/tau) exp(-(j-i)/tau) s[i]"
    ),
    "citations": [
        {
            "authors": "I. Hammouamri, I. Khalfaoui-Hassani, T. Masquelier",
            "title": "Learning Delays in Spiking Neural Networks using Dilated Convolutions with Learnable Spacings",
            "venue": "ICLR",
            "year": 2024,
            "arxiv": "2306.17670",
            "code": "https://github.com/Thvnvtos/SNN-delays (commit d169b4e)",
        },
        {
            "authors": "M. Xiao, Y. Zhu, D. He, Z. Lin",
            "title": "Temporal Spiking Neural Networks with Synaptic Delay for Graph Reasoning",
            "venue": "ICML",
            "year": 2024,
            "arxiv": "2405.16851",
            "code": "https://github.com/pkuxmq/GRSNN (commit 5c9d34e)",
        },
    ],
    "capabilities": {"structure": "delayed", "sample_dims": [1, 2, 3], "sized_as": "mlp"},
    "defaults": {"hidden": [128], "delay": "spaced", "length": 5, "position_gain": 20.0, "anneal_batches": 200},
    "variants": {
        "delayed-max": {
            "title": "Multi-layer perceptron with learned delays (DCLS, version max)",
            "summary": "As delayed, but the bump around a position is a triangle.",
            "params": {"version": "max"},
        },
        "delayed-fixed": {
            "title": "Multi-layer perceptron with fixed delays (DCLS, version max)",
            "summary": "As delayed, but whole delays are drawn and stay as they are: what learning is compared with.",
            "params": {"version": "max", "learn_delays": False},
        },
        "delayed-round": {
            "title": "Multi-layer perceptron with learned delays (GRSNN's synapse)",
            "summary": "Whole delays of 0 to 4 steps and one more, rounded forward, with GRSNN's trace backward.",
            "params": {"delay": "rounded", "longest": 4, "base_delay": 1},
        },
    },
    "aliases": {"dcls-delay-lif": {}, "grsnn-delay": {"delay": "rounded"}},
    "divergences": [
        "The released networks pad (K-1)/2 silent steps after every layer's input, so each layer makes the sequence "
        "longer; here every layer keeps T steps, and what is still under way at the end is lost.",
        "Two optimisers there (Adam 0.1 on positions, on a cosine; 1e-3 on weights, on a cycle up to 5e-3), one here: "
        "positions are stored divided by position_gain, so that under Adam at 5e-3 they also move 0.1 steps an update.",
        "The width narrows over a quarter of the epochs there, once an epoch; here over anneal_batches batches. It is "
        "part of the state dict, as are the positions.",
        "Batch norm, dropout, the read-out with delays and the loss on summed softmaxes of the released networks are "
        "not here; K is 5 for the short tasks here, 25 and 31 there.",
        "The authors take version max for fixed delays, which are real numbers there (two taps a synapse) and whole "
        "here. Their schedule for learning with it ends at a width of 1 and says that it has to be changed; rounding "
        "does not survive that width, so delayed-max ends at the 0.23 of the Gaussian.",
        "GRSNN conditions its delays on a query and runs on graphs whose edges are recurrent; here one raw delay a "
        "synapse (or axon, or dendrite) on a feed-forward network. The vectors' graph is compared edge by edge.",
        "GRSNN's rule puts the slope of the membrane's response on the message, which current and membrane filter "
        "again; delay_gradient='difference' filters once.",
    ],
}

KINDS = ("spaced", "rounded")


class DelayedMLP(Network):
    """Fully connected network with delays.

    Parameters
    ----------
    sample_shape : shape of one sample at one step; flattened.
    classes : read-out units.
    neuron : called once a layer.
    hidden : neurons of each layer.
    delay : ``spaced`` (DCLS) or ``rounded`` (GRSNN).
    length, position_gain, anneal_batches, version : of :class:`SpacedDelay`.
    learn_delays : of the same: whether its positions are learned.
    longest, base_delay, granularity, tau, delay_gradient : of :class:`RoundedDelay`.
    """

    structure = "delayed"

    def __init__(
        self,
        sample_shape: tuple[int, ...],
        classes: int,
        neuron: NeuronFactory,
        hidden: Sequence[int] = (128,),
        delay: str = "spaced",
        length: int = 5,
        position_gain: float = 20.0,
        anneal_batches: int = 200,
        version: str = "gauss",
        learn_delays: bool = True,
        longest: int = 4,
        base_delay: int = 1,
        granularity: str = "synapse",
        tau: float = 4.0,
        delay_gradient: str = "trace",
    ) -> None:
        super().__init__()
        if not hidden or min(hidden) < 1:
            raise ValueError(f"hidden must list at least one layer of at least one neuron, got {list(hidden)}")
        spaced = check_name("delay", delay, KINDS) == "spaced"

        def synapse(before: int, after: int) -> DelayedLinear:
            if spaced:
                return SpacedDelay(before, after, length, position_gain, anneal_batches, version, learn_delays)
            return RoundedDelay(before, after, longest, base_delay, granularity, tau, delay_gradient)

        sizes = [math.prod(sample_shape), *hidden]
        self.maps = nn.ModuleList([synapse(before, after) for before, after in pairwise(sizes)])
        self.layers = nn.ModuleList([neuron(shape=(size,)) for size in hidden])
        self.readout = nn.Linear(sizes[-1], classes)

    def neurons(self) -> tuple[Neuron, ...]:
        """Return the neuron of every layer."""
        return tuple(layer for layer in self.layers if isinstance(layer, Neuron))

    def delayed_maps(self) -> tuple[DelayedLinear, ...]:
        """Return the maps with delays, first to last."""
        return tuple(module for module in self.maps if isinstance(module, DelayedLinear))

    def synapses(self) -> tuple[Synapse, ...]:
        """Return the map of every layer, whose inputs are taps, and the read-out."""
        names = [f"layer{index}" for index in range(1, len(self.layers) + 1)]
        sources = ["input", *["spikes"] * (len(names) - 1)]
        found = zip(names, self.delayed_maps(), sources, strict=True)
        return (
            *(Synapse(name, module, source) for name, module, source in found),
            Synapse("readout", self.readout, "spikes"),
        )

    def begin_batch(self) -> None:
        """Keep the delays in their domain and narrow the kernels."""
        for module in self.delayed_maps():
            module.renew()

    def run(self, x: Tensor, states: tuple[State | None, ...] | None = None) -> NetworkOutput:
        """Process ``x[T, B, ...]`` layer by layer; a layer's state is (its neurons', what is under way to them)."""
        self.refuse_other_batch(x, tuple(layer[0] for layer in states or () if layer is not None))
        z, after, losses = x.flatten(2), [], []
        for index, (synapse, neuron) in enumerate(zip(self.delayed_maps(), self.neurons(), strict=True)):
            before: Any = (None, None) if states is None else states[index]
            current, past = synapse.run(z, before[1])
            out = neuron.run(current, before[0])
            z = out.spikes
            after.append((out.state, past))
            if out.auxiliary_loss is not None:
                losses.append(out.auxiliary_loss)
        return NetworkOutput(over_time(self.readout, z), tuple(after), sum(losses[1:], losses[0]) if losses else None)
