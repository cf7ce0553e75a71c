"""Learning online with presynaptic traces: one walk over time, each step differentiated within itself.

OTTT and NDOT differ in one line, how a trace fades, and share all of this. Must not know which topology it trains
(the network's own ``wire`` carries the traces along) nor which rule fades a trace.
"""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, ClassVar, NamedTuple

import torch
from torch import Tensor, nn

from reference_impls.api import (
    Network,
    OptimizerFactory,
    SequentialNeuron,
    Signal,
    StageReport,
    State,
    TrainingMethod,
    UpdateReport,
    detached,
)
from reference_impls.names import check_name
from reference_impls.training._losses import step_loss

__all__ = ["LayerMemory", "Step", "TraceMethod", "TracedSpikes"]

UPDATES = ("accumulated", "online")
STRUCTURES = ("chain", "residual", "feedback")


@dataclass(frozen=True, slots=True)
class TracedSpikes:
    """Spikes of one step on their way to the next linear map, with the trace that stands for them in its gradient.

    What lies between (pooling, a scale) acts on both alike.
    """

    spikes: Tensor
    trace: Tensor
    """Carries the gradient of this step's spikes and nothing of the past."""

    def __mul__(self, factor: float | Tensor) -> TracedSpikes:
        return TracedSpikes(self.spikes * factor, self.trace * factor)

    def detach(self) -> TracedSpikes:
        """Return both, cut off from the graph."""
        return TracedSpikes(self.spikes.detach(), self.trace.detach())


@dataclass(slots=True)
class LayerMemory:
    """What a layer carries from one step to the next; none of it holds a graph."""

    state: State | None = None
    trace: Tensor | float = 0.0
    leak: Tensor | float = 0.0
    """Factor on the trace at the next step."""


class Step(NamedTuple):
    """A time step whose gradient has been added."""

    loss: Tensor
    logits: Tensor
    """``[B, C]``."""
    layers: tuple[LayerMemory, ...]


class TraceMethod(TrainingMethod):
    """A method whose gradient of a step is the step's error times a trace of the presynaptic spikes.

    Parameters
    ----------
    update : ``accumulated``: one optimizer step a batch. ``online``: one a time step.
    mse_weight : w of the loss of a step, ``((1 - w) CE + w MSE) / T``, MSE against one-hot rows.
    trace_readout : whether the read-out's gradient uses the trace, although it has no membrane (released code: yes).
    """

    title: ClassVar[str]
    """What messages call the method."""

    def __init__(self, update: str = "accumulated", mse_weight: float = 0.05, trace_readout: bool = True) -> None:
        self.online = check_name("update", update, UPDATES) == "online"
        if not 0 <= mse_weight <= 1:
            raise ValueError(f"mse_weight must lie in [0, 1], got {mse_weight}")
        self.mse_weight = mse_weight
        self.bptt_loss = {"loss": "tet", "tet_weight": mse_weight, "tet_target": None}
        self.trace_readout = trace_readout

    @abstractmethod
    def leak(self, neuron: Any, before: State, after: State) -> Tensor | float:
        """Return the factor by which a trace fades at the next step, from the states before and after this one."""

    def prepare(self, network: Network, optimizer: OptimizerFactory | None = None) -> None:
        """Take over a network of sequential neurons with a linear membrane and a soft reset."""
        if network.structure not in STRUCTURES:
            raise ValueError(
                f"{self.title} walks networks that are a chain, residual or with feedback; this network's structure "
                f"is {network.structure!r}"
            )
        for neuron in network.neurons():
            if not (isinstance(neuron, SequentialNeuron) and hasattr(neuron, "decay")):
                raise ValueError(f"{self.title} needs the decay of a linear membrane; {type(neuron).__name__} has none")
        super().prepare(network, optimizer)

    def update(self, x: Tensor, target: Tensor) -> UpdateReport:
        """Learn from one batch: one optimizer step after the last time step, or one at each."""
        if not self.online:
            return super().update(x, target)
        optimizer = self._require_optimizer()
        optimizer.zero_grad(set_to_none=True)
        total, updates = 0.0, 0
        with self._stage("forward", x.shape[0]) as stages:
            for step in self.walk(x, target):
                optimizer.step()
                optimizer.zero_grad(set_to_none=True)
                total, updates = total + float(step.loss), updates + 1
        return UpdateReport(total, updates, tuple(stages))

    @torch.no_grad()
    def predict(self, x: Tensor) -> Tensor:
        """Return the mean over time of the read-out, ``[B, C]``."""
        return self.network.run(x).logits.mean(0)

    def accumulate(self, x: Tensor, target: Tensor) -> UpdateReport:
        """Add the gradients of all time steps, without an optimizer step between them."""
        stages: list[StageReport]
        with self._stage("forward", x.shape[0]) as stages:
            total = sum((step.loss for step in self.walk(x, target)), torch.zeros((), device=x.device))
        return UpdateReport(float(total), stages=tuple(stages))

    def walk(self, x: Tensor, target: Tensor) -> Iterator[Step]:
        """Take one time step of ``x[T, B, ...]`` after another; yield it when its gradient has been added."""
        network = self.network
        network.begin_batch()
        neurons: Any = network.neurons()
        layers = tuple(LayerMemory() for _ in neurons)
        fed_back: Signal = None

        def fire(layer: int, current: Tensor) -> TracedSpikes:
            return self._fire(neurons[layer], current, layers[layer])

        for signal in self.inputs(x):
            logits, last = network.wire(signal, fire, self.apply, fed_back)
            loss = step_loss(logits, target, self.mse_weight) / x.shape[0]
            loss.backward()
            fed_back = last.detach() if network.structure == "feedback" else None
            yield Step(loss.detach(), logits.detach(), layers)

    def inputs(self, x: Tensor) -> Iterator[Signal]:
        """Yield what the input map gets at each step: the input itself, which has no trace."""
        yield from x.unbind(0)

    def apply(self, synapse: nn.Module, signal: Signal) -> Tensor:
        """Return what `synapse` makes of the spikes, with the gradient that it has at their trace."""
        if not isinstance(signal, TracedSpikes):
            current: Tensor = synapse(signal)
            return current
        if not self.trace_readout and synapse is self.network.synapses()[-1].module:
            return self.apply(synapse, signal.spikes)
        with torch.no_grad():
            value: Tensor = synapse(signal.spikes)
        graph = synapse(signal.trace)
        return value + (graph - graph.detach())

    def _fire(self, neuron: Any, current: Tensor, memory: LayerMemory) -> TracedSpikes:
        before = neuron.init_state(current) if memory.state is None else memory.state
        spikes, after = neuron.advance(current, before)
        after_cut = detached(after)
        trace = memory.leak * memory.trace + spikes
        memory.leak = self.leak(neuron, before, after_cut)
        memory.state, memory.trace = after_cut, trace.detach()
        return TracedSpikes(spikes, trace)
