"""ILC-SAN, the fully spiking actor with connections inside its output populations, and two plainer spiking actors."""

from __future__ import annotations

import functools
import math
from collections.abc import Sequence

import torch
from torch import Tensor, nn

from reference_impls.api import build_neuron
from reference_impls.control import Actor
from reference_impls.graphs import Work
from reference_impls.names import check_name
from reference_impls.neuron import SequentialNeuron
from reference_impls.topologies.lateral import LateralMLP

CARD = {
    "name": "ilc-san",
    "kind": "system",
    "version": 1,
    "title": "ILC-SAN: fully spiking actor",
    "summary": (
        "An observation is spread over populations of receptive fields whose spikes go through current-based LIF; "
        "output populations have connections inside, and the last voltage of an integrator is the action."
    ),
    "equations": (
        "a = exp(-(o - mu)^2 / (2 sd^2)); m[t] = m[t-1] + a; e[t] = m[t] > 0.999, m -= 0.999 e; "
        "c[t] = c[t-1]/2 + W e[t] + b (+ L s[t-1] + b_L in the populations); v[t] = 0.75 v[t-1] (1 - s[t-1]) + c[t]; "
        "s[t] = v[t] > 1/2; y[t] = y[t-1] + D s[t] + b_D; action = tanh(y[T])"
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
    "capabilities": {"answers": "control", "spiking": True, "learns": True},
    "defaults": {
        "T": 5,
        "neuron": "ilc-cuba-lif",
        "encoder": "population",
        "receptive": 10,
        "population": 10,
        "lateral": "intra",
        "decoder": "membrane",
    },
    "variants": {
        "pop-san": {
            "title": "PopSAN",
            "summary": "The predecessor as ILC-SAN's code has it: no connections inside populations, read by rates.",
            "params": {"lateral": "none", "decoder": "rate"},
        },
        "spiking-actor": {
            "title": "Plain spiking actor",
            "summary": "The observation is a current into plain LIF, read by rates; no receptive fields.",
            "params": {"neuron": "lif", "encoder": "current", "lateral": "none", "decoder": "rate"},
        },
    },
    "divergences": [
        "Layers are of the task's sizes; the authors have two of 256 in MuJoCo.",
        "One Adam rate for actor and critics, that of the budget; the authors' are 1e-4 and 1e-3.",
        "The authors' options mean-mem and max-mem of the read-out, and their second-order neuron, are not here.",
    ],
}

ENCODERS, DECODERS = ("population", "current"), ("membrane", "rate")
RANGE = 3.0
"""Observations are clipped to it, either way; receptive fields are spread evenly over it."""
VARIANCE = 0.15
V_ENCODER = 0.999
GAUSSIAN = 13
"""Multiply-accumulates that a receptive field is charged with: a difference, its scaled square, an exponential."""


class _Populations(nn.Module):
    """Receptive fields and an integrate-and-fire neuron behind each: ``[B, D]`` to spikes ``[T, B, D E]``."""

    def __init__(self, observations: int, size: int, T: int) -> None:
        super().__init__()
        self.T = T
        self.mean = nn.Parameter(torch.linspace(-RANGE, RANGE, size).repeat(observations, 1))
        self.deviation = nn.Parameter(torch.full((observations, size), math.sqrt(VARIANCE)))

    def forward(self, observation: Tensor) -> Tensor:
        strength = torch.exp(-0.5 * ((observation[..., None] - self.mean) / self.deviation) ** 2).flatten(1)
        membrane, spikes = torch.zeros_like(strength), []
        for _ in range(self.T):
            membrane = membrane + strength
            # The spike's derivative is 1 everywhere, and the reset lets the gradient through, as in the authors' code.
            fired = (membrane > V_ENCODER).to(membrane.dtype) + (membrane - membrane.detach())
            membrane = membrane - V_ENCODER * fired
            spikes.append(fired)
        return torch.stack(spikes)


class SpikingActor(Actor):
    """A spiking actor (arXiv 2401.05444, equations as in the released code).

    Parameters
    ----------
    observations, actions, hidden : see `Actor`.
    T : time steps of a decision.
    neuron : row of a sequential neuron.
    encoder : ``population``: receptive fields that spike; ``current``: the observation itself, at every step.
    receptive : receptive fields of each number of an observation.
    population : neurons of each number of an action.
    lateral : connections inside output populations, see `LateralMap`.
    decoder : ``membrane``: the last voltage of an integrator; ``rate``: the mean.

    Golden vectors of the layers from the authors' code, with the topology ``lateral``.
    """

    def __init__(
        self,
        observations: int,
        actions: int,
        hidden: Sequence[int],
        T: int = 5,
        neuron: str = "ilc-cuba-lif",
        encoder: str = "population",
        receptive: int = 10,
        population: int = 10,
        lateral: str = "intra",
        decoder: str = "membrane",
    ) -> None:
        super().__init__(observations, actions, hidden)
        if min(T, receptive) < 1:
            raise ValueError(f"an actor needs steps and receptive fields, got {T} and {receptive}")
        check_name("encoder of an actor", encoder, ENCODERS)
        self.T, self.decoder = T, check_name("decoder of an actor", decoder, DECODERS)
        self.encoder = _Populations(observations, receptive, T) if encoder == "population" else None
        inputs = observations * (receptive if self.encoder is not None else 1)
        factory = functools.partial(build_neuron, neuron)
        self.network = LateralMLP((inputs,), actions, factory, hidden, population, lateral)
        self.fan_outs = [*hidden, actions * population][1:]

    @property
    def spiking_neuron(self) -> SequentialNeuron:
        """Return the neuron of the first layer; all are alike."""
        return self.network.neurons()[0]

    def forward(self, observation: Tensor) -> Tensor:
        """Decide in T steps, from rest."""
        potential = self.network.run(self._encoded(observation)).logits
        return torch.tanh(potential.sum(0) if self.decoder == "membrane" else potential.mean(0))

    @torch.no_grad()
    def work(self, observation: Tensor) -> Work:
        """Count sums of weights that spikes select; the product with a constant current is kept over the steps."""
        spikes: list[int] = [0] * len(self.network.neurons())
        updates = 0

        def count(layer: int, emitted: Tensor) -> None:
            nonlocal updates
            spikes[layer] += int(emitted.count_nonzero())
            updates += emitted.numel()

        encoded = self._encoded(observation)
        with self.network.observed_by(count):
            self.network.run(encoded)
        within = self.network.lateral.size if self.network.joined else 0
        accumulates = sum(fired * width for fired, width in zip(spikes, [*self.fan_outs, within + 1], strict=True))
        width = self.network.maps[0].out_features
        assert isinstance(width, int)
        if self.encoder is None:
            entered = Work(multiply_accumulates=observation.numel() * width)
        else:
            fields = encoded[0].numel()
            entered = Work(
                accumulates=int(encoded.sum()) * width + encoded.numel(), multiply_accumulates=fields * GAUSSIAN
            )
        return entered + Work(sum(spikes), accumulates, updates=updates, neurons=updates // self.T)

    def _encoded(self, observation: Tensor) -> Tensor:
        observation = observation.clamp(-RANGE, RANGE)
        if self.encoder is None:
            return observation.expand(self.T, *observation.shape)
        spikes: Tensor = self.encoder(observation)
        return spikes
