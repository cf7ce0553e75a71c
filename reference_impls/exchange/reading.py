"""Reads a NIR graph as a network: nodes become linear maps and neurons, by the equations and a stated convention.

What feeds what is kept; reshaping and pooling become part of the map behind them. A loop is cut where it leaves a
neuron: what comes back arrives a step later. What has no counterpart is refused with the node's name.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from graphlib import CycleError, TopologicalSorter
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import nn

from reference_impls.exchange import nodes
from reference_impls.exchange.conventions import Convention, convention_of
from reference_impls.exchange.errors import NirError
from reference_impls.exchange.graph import FlatGraph, flattened, kind_of, read_graph
from reference_impls.exchange.network import INPUT, NirNetwork, ScaleMap, Unit

__all__ = ["from_nir", "read_nir"]

PASSING = ("Identity", "Output")


def read_nir(
    path: str | Path,
    convention: str | Convention = "nir",
    *,
    dt: float | None = None,
    reset: str | None = None,
    reset_timing: str | None = None,
    fire_rule: str | None = None,
) -> NirNetwork:
    """Read the NIR graph in the HDF5 file at `path` as a network; see `from_nir`.

    Raises
    ------
    NirError
        If the file is no graph, or one that cannot be translated.
    """
    return from_nir(read_graph(path), convention, dt=dt, reset=reset, reset_timing=reset_timing, fire_rule=fire_rule)


def from_nir(
    graph: Any,
    convention: str | Convention = "nir",
    *,
    dt: float | None = None,
    reset: str | None = None,
    reset_timing: str | None = None,
    fire_rule: str | None = None,
) -> NirNetwork:
    """Translate a NIR graph into a network.

    Parameters
    ----------
    graph : a ``nir.NIRGraph`` with one Input and one Output.
    convention : what the graph does not say, by the library that wrote it (`CONVENTIONS`): ``nir`` (the documented
        equations, 0.1 ms), ``spikingjelly``, ``snntorch``, ``norse``.
    dt : length of a step in s, over the graph's metadata and the convention's.
    reset : ``hard`` (to v_reset) or ``soft`` (minus v_threshold), over the convention's.
    reset_timing : ``same_step``, ``next_step`` or ``corrected`` (snnTorch's reset_delay=False)
        over the convention's.
    fire_rule : ``gt`` or ``ge``, over the convention's.

    Returns
    -------
    A network whose read-out is the graph's output at every step, ``[T, B, C]``.

    Raises
    ------
    NirError
        If a node or a connection has no counterpart here; the message names it and says why.
    UnknownNameError
        If the convention, or a word of it, is not known.
    """
    chosen, flat = (
        convention_of(convention, reset=reset, reset_timing=reset_timing, fire_rule=fire_rule),
        flattened(graph),
    )
    step = dt if dt is not None else flat.dt if flat.dt is not None else chosen.dt
    chosen = replace(chosen, dt=step)
    source, sink = flat.the("Input"), flat.the("Output")
    reader = _Reader(flat, chosen, source)
    units = [unit for name in flat.nodes for unit in reader.units_of(name)]
    outputs, shaping = reader.sum_before(sink)
    order, late = _in_order(units, outputs)
    return NirNetwork(order, late, outputs, nn.Sequential(*shaping), _sample_shape(flat, source), chosen)


def _sample_shape(graph: FlatGraph, source: str) -> tuple[int, ...]:
    """Return the shape that the Input says, or that what it feeds asks for; libraries call it by different keys."""
    readers = [target for before, target in graph.edges if before == source]
    for name in (source, *readers):
        for shape in (getattr(graph.nodes[name], "input_type", None) or {}).values():
            if shape is not None:
                return tuple(int(n) for n in np.atleast_1d(shape))
    raise NirError(f"the Input {source!r} does not say the shape of a sample")


class _Reader:
    """Turns the nodes of a graph into units."""

    def __init__(self, graph: FlatGraph, convention: Convention, source: str) -> None:
        self._graph = graph
        self._convention = convention
        self._source = source
        self._firing = {name: nodes.fires(node) for name, node in graph.nodes.items() if nodes.is_neuron(node)}

    def units_of(self, name: str) -> list[Unit]:
        """Return the unit that the node `name` becomes, and those that stand before it; none of what only reshapes."""
        node = self._graph.nodes[name]
        if nodes.is_map(node):
            sources, shaping = self.sum_before(name)
            module = nodes.linear_map(name, node)
            whole = nn.Sequential(*shaping, module) if shaping else module
            return [Unit(name, whole, sources, self._fed_with(sources))]
        if nodes.is_neuron(node):
            return self._layer(name, node)
        if nodes.is_shaping(node) or kind_of(node) in ("Input", *PASSING):
            return []
        raise NirError(f"{name!r} is a {kind_of(node)}, which cannot be translated; known: {', '.join(nodes.KNOWN)}")

    def _layer(self, name: str, node: Any) -> list[Unit]:
        """Return a layer, with a map of ones for whatever reaches it through no linear map: those are synapses too."""
        before: list[Unit] = []
        sources: list[str] = []
        for fed_by in self._fed_by(name):
            found, shaping = self._resolved(fed_by, name)
            if not shaping and all(one != INPUT and nodes.is_map(self._graph.nodes[one]) for one in found):
                sources += found
                continue
            through = f"{fed_by}->{name}"
            module = nn.Sequential(*shaping, ScaleMap(torch.ones(())))
            before.append(Unit(through, module, found, self._fed_with(found)))
            sources.append(through)
        return [*before, Unit(name, nodes.neuron(name, node, self._convention), tuple(sources))]

    def sum_before(self, name: str) -> tuple[tuple[str, ...], list[nn.Module]]:
        """Return the units whose sum reaches the node `name`, and what reshapes it on the way."""
        fed_by = self._fed_by(name)
        if len(fed_by) == 1:
            return self._resolved(fed_by[0], name)
        sources: list[str] = []
        for one in fed_by:
            found, shaping = self._resolved(one, name)
            if shaping:
                kinds = " and ".join(type(module).__name__ for module in shaping)
                raise NirError(f"{name!r} adds up several inputs of which one passes {kinds}; that is not translated")
            sources += found
        return tuple(sources), []

    def _resolved(self, name: str, asked_by: str, depth: int = 0) -> tuple[tuple[str, ...], list[nn.Module]]:
        node = self._graph.nodes[name]
        if depth > len(self._graph.nodes):
            raise NirError(f"{asked_by!r} stands in a loop without a neuron: nothing delays it")
        if name == self._source:
            return (INPUT,), []
        if nodes.is_shaping(node):
            fed_by = self._fed_by(name)
            if len(fed_by) != 1:
                raise NirError(f"the {kind_of(node)} {name!r} has {len(fed_by)} inputs; it can have one")
            sources, shaping = self._resolved(fed_by[0], asked_by, depth + 1)
            return sources, [*shaping, nodes.shaping(name, node)]
        if kind_of(node) in PASSING:
            fed_by = self._fed_by(name)
            if len(fed_by) == 1:
                return self._resolved(fed_by[0], asked_by, depth + 1)
            return self.sum_before(name)
        return (name,), []

    def _fed_by(self, name: str) -> list[str]:
        found = self._graph.before(name)
        if not found:
            raise NirError(f"nothing feeds {name!r}")
        return found

    def _fed_with(self, sources: Sequence[str]) -> str:
        """Return what a map is fed with, in the words of a synapse."""
        kinds = {"input" if one == INPUT else "spikes" if self._firing.get(one) else "rates" for one in sources}
        return kinds.pop() if len(kinds) == 1 else "mixed"


def _in_order(units: Sequence[Unit], outputs: Sequence[str]) -> tuple[list[Unit], frozenset[tuple[str, str]]]:
    """Return the units in an order in which they can be computed, and what of their inputs is of the step before."""
    by_name = {unit.name: unit for unit in units}
    layers = {unit.name for unit in units if unit.is_layer}
    _sorted(by_name, lambda source, _target: source not in layers)  # a loop of maps alone is found first
    late = _late(by_name, outputs)
    return _sorted(by_name, lambda source, target: (source, target) not in late), late


def _sorted(by_name: Mapping[str, Unit], counts: Callable[[str, str], bool]) -> list[Unit]:
    """Return the units behind all of their sources, as far as an edge `counts`."""
    before = {
        unit.name: {source for source in unit.sources if source != INPUT and counts(source, unit.name)}
        for unit in by_name.values()
    }
    try:
        return [by_name[name] for name in TopologicalSorter(before).static_order()]
    except CycleError as error:
        loop = " -> ".join(map(repr, error.args[1]))
        raise NirError(f"the loop {loop} holds no neuron at which it could be cut: nothing delays it") from error


def _late(by_name: Mapping[str, Unit], outputs: Sequence[str]) -> frozenset[tuple[str, str]]:
    """Return which inputs close a loop, each at the neuron that it comes from."""
    readers: dict[str, list[str]] = defaultdict(list)
    for unit in by_name.values():
        for source in unit.sources:
            readers[source].append(unit.name)
    late: set[tuple[str, str]] = set()
    for source, target in _closing(readers):
        # From the edge that closes the loop back to the neurons whose spikes it carries.
        waiting = [(source, target)]
        while waiting:
            sender, receiver = waiting.pop()
            if sender == INPUT or (sender, receiver) in late:
                continue
            if by_name[sender].is_layer:
                late.add((sender, receiver))
                continue
            elsewhere = [name for name in readers[sender] if name != receiver]
            if elsewhere or sender in outputs:
                where = f"{elsewhere[0]!r}" if elsewhere else "the output"
                raise NirError(f"{sender!r} feeds {receiver!r} a step late and {where} at once; use a map for each")
            waiting += [(before, sender) for before in by_name[sender].sources]
    return frozenset(late)


def _closing(readers: Mapping[str, Sequence[str]]) -> list[tuple[str, str]]:
    """Return the edges that lead back to a unit that a walk from the input is still behind."""
    found: list[tuple[str, str]] = []
    open_, done = {INPUT}, set()
    stack = [(INPUT, iter(readers.get(INPUT, ())))]
    while stack:
        name, following = stack[-1]
        step = next(following, None)
        if step is None:
            stack.pop()
            open_.discard(name)
            done.add(name)
        elif step in open_:
            found.append((name, step))
        elif step not in done:
            open_.add(step)
            stack.append((step, iter(readers.get(step, ()))))
    return found
