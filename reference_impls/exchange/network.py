"""A NIR graph as a network: units in an order, what feeds each, and which of it comes a step late.

A unit is a linear map (with the reshaping and pooling before it) or a layer of neurons. What forms no loop takes all
steps at once; with a loop the network goes step by step. Must not know how a graph is written.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import NamedTuple, cast

import torch
from torch import Tensor, nn

from reference_impls.exchange.conventions import Convention
from reference_impls.exchange.errors import NirError
from reference_impls.exchange.neurons import NirNeuron
from reference_impls.network import Network, NetworkOutput, Synapse, over_time
from reference_impls.neuron import State

__all__ = ["INPUT", "NirNetwork", "ScaleMap", "Unit"]

INPUT = ""
"""What a unit that reads the sample names as its source; no node is called so."""


class Unit(NamedTuple):
    """A part of the network that is computed as one."""

    name: str
    module: nn.Module
    """A `NirNeuron`, or a linear map."""
    sources: tuple[str, ...]
    """Units whose outputs are added up to its input."""
    fed_with: str = ""
    """Of a map: what `reference_impls.network.Synapse` calls its source."""

    @property
    def is_layer(self) -> bool:
        """Whether it is neurons."""
        return isinstance(self.module, NirNeuron)


class ScaleMap(nn.Module):
    """Multiplies every value by a number of its own; one synapse a value."""

    def __init__(self, scale: Tensor) -> None:
        super().__init__()
        self.scale = nn.Parameter(scale)

    def effective_weight(self) -> Tensor:
        """Return the factors."""
        return self.scale

    def apply_weight(self, x: Tensor, weight: Tensor) -> Tensor:
        """Return ``x[B, ...]`` times the factors."""
        return x * weight

    def forward(self, x: Tensor) -> Tensor:
        """Map ``[B, ...]`` to the same shape."""
        return x * self.scale


class NirNetwork(Network):
    """A network that came from a NIR graph; its weights are parameters and can be trained on.

    Parameters
    ----------
    units : in the order in which they are computed.
    late : (source, unit): what the unit gets of this source is of the step before.
    output : units whose outputs are added up to the network's.
    shaping : reshaping and pooling before the output.
    input_shape : of one sample at one step.
    convention : how the graph was stepped, for the reader.

    Raises
    ------
    NirError
        If shapes do not fit; the message names the unit.
    """

    structure = "recurrent"

    def __init__(
        self,
        units: Sequence[Unit],
        late: frozenset[tuple[str, str]],
        output: tuple[str, ...],
        shaping: nn.Module,
        input_shape: tuple[int, ...],
        convention: Convention,
    ) -> None:
        super().__init__()
        self.parts = nn.ModuleList(unit.module for unit in units)
        self.shaping = shaping
        self.input_shape, self.convention = tuple(input_shape), convention
        self._units = tuple(unit._replace(module=nn.Identity()) for unit in units)
        self._is_layer = tuple(unit.is_layer for unit in units)
        self._late, self._output = late, output
        self._shapes = self._learn_shapes()
        self.output_shape = tuple(shaping(torch.zeros(1, *self._shapes[output[0]])).shape[1:])

    def neurons(self) -> tuple[NirNeuron, ...]:
        """Return the layers that fire; leaky integrators, which only read out, are not among them."""
        layers = (part for part, is_layer in zip(self.parts, self._is_layer, strict=True) if is_layer)
        return tuple(layer for layer in cast("tuple[NirNeuron, ...]", tuple(layers)) if layer.fires)

    def synapses(self) -> tuple[Synapse, ...]:
        """Return the linear maps, in the order in which they are computed."""
        return tuple(
            Synapse(unit.name, part, unit.fed_with)
            for unit, part, is_layer in zip(self._units, self.parts, self._is_layer, strict=True)
            if not is_layer
        )

    def run(self, x: Tensor, states: tuple[State | None, ...] | None = None) -> NetworkOutput:
        """Process ``x[T, B, ...]``; the last of `states` is what comes late at the next step."""
        x = self._fitted(x)
        self.refuse_other_batch(x, states)
        *before, remembered = states if states is not None else [None] * (sum(self._is_layer) + 1)
        if not self._late:
            values, after = self._all_at_once(x, before)
            return NetworkOutput(over_time(self._read_out, *(values[name] for name in self._output)), (*after, None))
        after, late, outputs = list(before), remembered, []
        for x_t in x.unbind(0):
            values, after, late = self._one_step(x_t, after, late)
            outputs.append(self._read_out(*(values[name] for name in self._output)))
        return NetworkOutput(torch.stack(outputs), (*after, late))

    def _all_at_once(self, x: Tensor, states: Sequence[State]) -> tuple[dict[str, Tensor], list[State]]:
        values, after, waiting = {INPUT: x}, [], iter(states)
        for unit, part, is_layer in zip(self._units, self.parts, self._is_layer, strict=True):
            total = _sum([values[source] for source in unit.sources])
            if is_layer:
                out = cast("NirNeuron", part).run(total, next(waiting))
                values[unit.name] = out.spikes
                after.append(out.state)
            else:
                values[unit.name] = over_time(part, total)
        return values, after

    def _one_step(
        self, x: Tensor, states: Sequence[State], late: tuple[Tensor, ...] | None
    ) -> tuple[dict[str, Tensor], list[State], tuple[Tensor, ...]]:
        senders = sorted({source for source, _ in self._late})
        kept = late if late is not None else [x.new_zeros(x.shape[0], *self._shapes[name]) for name in senders]
        before = dict(zip(senders, kept, strict=True))
        values, after, waiting = {INPUT: x}, [], iter(states)
        for unit, part, is_layer in zip(self._units, self.parts, self._is_layer, strict=True):
            given = [(before if (source, unit.name) in self._late else values)[source] for source in unit.sources]
            if is_layer:
                neuron, state, total = cast("NirNeuron", part), next(waiting), _sum(given)
                values[unit.name], state = neuron.advance(total, neuron.init_state(total) if state is None else state)
                after.append(state)
            else:
                values[unit.name] = part(_sum(given))
        return values, after, tuple(values[name] for name in senders)

    def _read_out(self, *outputs: Tensor) -> Tensor:
        """Return the network's output ``[B, C]`` of the output units' ``[B, ...]``."""
        shaped: Tensor = self.shaping(_sum(outputs))
        return shaped.flatten(1)

    def _fitted(self, x: Tensor) -> Tensor:
        """Return ``x[T, B, ...]`` in the shape that the graph reads: the same values, in the same order."""
        features = tuple(x.shape[2:])
        if features == self.input_shape:
            return x
        if x.shape[2:].numel() != torch.Size(self.input_shape).numel():
            raise ValueError(f"the graph reads samples of shape {self.input_shape}; this input has {features}")
        # Not by one reshape: an input that is the same at every step shall stay a broadcast.
        flat = x.flatten(2) if features else x.unsqueeze(2)
        return flat if len(self.input_shape) == 1 else flat.unflatten(2, self.input_shape)

    @torch.no_grad()
    def _learn_shapes(self) -> Mapping[str, tuple[int, ...]]:
        """Return the shape of every unit's output, from the sample's on."""
        shapes: dict[str, tuple[int, ...]] = {INPUT: self.input_shape}
        waiting = list(zip(self._units, self.parts, self._is_layer, strict=True))
        while waiting:
            ready = [entry for entry in waiting if any(source in shapes for source in entry[0].sources)]
            if not ready:
                raise NirError(f"{waiting[0][0].name!r} is not fed by the graph's input")
            for entry in ready:
                unit, part, is_layer = entry
                shapes[unit.name] = _shape_behind(unit, part, is_layer, shapes)
                waiting.remove(entry)
        for unit in self._units:  # now that all are known
            found = {shapes[source] for source in unit.sources}
            if len(found) != 1:
                raise NirError(f"{unit.name!r} adds up values of shapes {', '.join(map(str, sorted(found)))}")
        return shapes


def _shape_behind(
    unit: Unit, part: nn.Module, is_layer: bool, shapes: Mapping[str, tuple[int, ...]]
) -> tuple[int, ...]:
    given = next(shapes[source] for source in unit.sources if source in shapes)
    try:
        if is_layer:
            own = cast("NirNeuron", part).parameters_shape
            if tuple(torch.broadcast_shapes(own, given)) != given:
                raise NirError(f"{unit.name!r} has parameters of shape {own} and is given {given}")
            return given
        return tuple(part(torch.zeros(1, *given)).shape[1:])
    except RuntimeError as error:
        raise NirError(f"{unit.name!r} cannot take values of shape {given}: {error}") from error


def _sum(values: Sequence[Tensor]) -> Tensor:
    """Return the sum; of one value itself, so that a broadcast stays one."""
    total = values[0]
    for value in values[1:]:
        total = total + value
    return total
