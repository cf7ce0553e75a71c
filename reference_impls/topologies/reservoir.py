"""reservoir: one pool of neurons that feed one another through filtered spikes, and a linear read-out of these."""

from __future__ import annotations

import math
from typing import NamedTuple

import torch
from torch import Tensor, nn

from reference_impls.api import Network, NetworkOutput, NeuronFactory, SequentialNeuron, State, Synapse

CARD = {
    "name": "reservoir",
    "kind": "topology",
    "version": 1,
    "title": "Recurrent pool",
    "summary": (
        "All neurons of a pool feed one another through spikes that rise and decay in a filter; the read-out is a "
        "linear map of the same filtered spikes."
    ),
    "equations": (
        "r[t] = r[t-1] exp(-dt/tau_rise) + q[t-1] dt; q[t] = q[t-1] exp(-dt/tau_decay) + s[t-1] / (tau_rise "
        "tau_decay); I[t] = J r[t-1] dt + U x[t]; O[t] = W r[t] dt"
    ),
    "citations": [
        {
            "authors": "A. Paul, S. Wagner, A. Das",
            "title": "Learning in Feedback-driven Recurrent Spiking Neural Networks using full-FORCE Training",
            "venue": "IJCNN",
            "year": 2022,
            "arxiv": "2205.13585",
            "code": "https://github.com/drexel-DISCO/SNN-full-FORCE (commit 60170a1)",
        }
    ],
    "capabilities": {"structure": "pool", "sample_dims": [1]},
    "defaults": {"size": 300, "gain": 1.5, "input_gain": 0.2},
}


class Pool(NamedTuple):
    """Where a pool is between two steps."""

    neuron: State
    rate: Tensor
    """Filtered spikes r, ``[B, N]``, per second."""
    slope: Tensor
    """The filter's other variable q."""
    spikes: Tensor
    """Those of the step before."""


class Reservoir(Network):
    """Recurrent pool of one layer.

    Parameters
    ----------
    sample_shape : ``(inputs,)``.
    classes : read-out units.
    neuron : called once; must be sequential.
    size : neurons N of the pool.
    gain : standard deviation of the recurrent weights, times sqrt N.
    input_gain : the input weights are uniform in +-`input_gain`.
    dt, tau_rise, tau_decay : length of a time step, and time constants of the filter behind the spikes, s.
    """

    structure = "pool"

    def __init__(
        self,
        sample_shape: tuple[int, ...],
        classes: int,
        neuron: NeuronFactory,
        size: int = 300,
        gain: float = 1.5,
        input_gain: float = 0.2,
        dt: float = 1e-3,
        tau_rise: float = 0.002,
        tau_decay: float = 0.02,
    ) -> None:
        super().__init__()
        if size < 1 or len(sample_shape) != 1:
            raise ValueError(f"a pool needs neurons and flat samples, got size {size} and shape {tuple(sample_shape)}")
        self.neuron = neuron(shape=(size,))
        if not isinstance(self.neuron, SequentialNeuron):
            raise TypeError(f"{type(self.neuron).__name__} is not sequential: a pool needs its spikes step by step")
        self.dt, self.tau_rise, self.tau_decay = dt, tau_rise, tau_decay
        self.size = size
        self.input_map = nn.Linear(sample_shape[0], size, bias=False)
        self.recurrent = nn.Linear(size, size, bias=False)
        self.readout = nn.Linear(size, classes, bias=False)
        nn.init.uniform_(self.input_map.weight, -input_gain, input_gain)
        nn.init.normal_(self.recurrent.weight, 0, gain / math.sqrt(size))
        nn.init.normal_(self.readout.weight)

    def neurons(self) -> tuple[SequentialNeuron, ...]:
        """Return the pool's neuron."""
        assert isinstance(self.neuron, SequentialNeuron)
        return (self.neuron,)

    def synapses(self) -> tuple[Synapse, ...]:
        """Return input, recurrent and read-out map; the last two see filtered spikes."""
        return (
            Synapse("input", self.input_map, "input"),
            Synapse("recurrent", self.recurrent, "rates"),
            Synapse("readout", self.readout, "rates"),
        )

    def at_rest(self, batch: int) -> Pool:
        """Return a pool of silent neurons."""
        nothing = self.readout.weight.new_zeros(batch, self.size)
        return Pool(self.neurons()[0].init_state(nothing), nothing, nothing, nothing)

    def advance(self, current: Tensor, pool: Pool) -> Pool:
        """Take one step with the input current ``[B, N]``, to which the pool adds its own."""
        return self.charge(current + self.recurrent(pool.rate * self.dt), pool)

    def charge(self, current: Tensor, pool: Pool) -> Pool:
        """Take one step with all the current there is, ``[B, N]``; filters use the old value of one another."""
        spikes, state = self.neurons()[0].advance(current, pool.neuron)
        rate = torch.add(pool.rate * math.exp(-self.dt / self.tau_rise), pool.slope, alpha=self.dt)
        decayed = pool.slope * math.exp(-self.dt / self.tau_decay)
        kick = 1 / (self.tau_rise * self.tau_decay)
        return Pool(state, rate, torch.add(decayed, pool.spikes, alpha=kick), spikes)

    def run(self, x: Tensor, states: tuple[State | None, ...] | None = None) -> NetworkOutput:
        """Process ``x[T, B, inputs]`` step by step; the state is one `Pool`."""
        self.refuse_other_batch(x, states)
        pool = states[0] if states and states[0] is not None else self.at_rest(x.shape[1])
        rates = []
        for current in self.input_map(x).unbind(0):
            pool = self.advance(current, pool)
            rates.append(pool.rate)
        return NetworkOutput(self.readout(torch.stack(rates) * self.dt), (pool,))
