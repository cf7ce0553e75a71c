"""Sequence tapes: what a neuron without a step computes over a whole sequence, as steps that can be charged.

The sequence is traced once. Stretches that are linear over time become filters, whose matrix is found by sending in
impulses, so that a product over time costs what the filter costs however the code computes it (one matrix, blocks, a
scan, spectra). All else is charged operation by operation. Must not know any neuron.
"""

from __future__ import annotations

import copy
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import torch
from torch import Tensor, fx

from harness.measure.arithmetic import NOTHING, OPERATIONS, Arithmetic
from harness.measure.filters import FilterWork, cheapest, clean, entries, price
from harness.measure.operators import (
    ADDING,
    DRAWING,
    FILLING,
    ITEM,
    MIXING,
    MOVING,
    OPS,
    PRODUCTS,
    SCALING,
    evaluate,
    flat,
    packets,
    traced,
)
from harness.measure.steps import SAME, Step, charged, reached
from reference_impls.api import ParallelNeuron
from reference_impls.backends import UnsupportedError
from reference_impls.backends.fused import aten

__all__ = ["sequence_work"]

SAMPLED_NEURONS = 4
"""Neurons whose filters are looked at, where each has its own."""
LONGEST = 4096


def sequence_work(neuron: ParallelNeuron, T: int) -> tuple[Arithmetic, tuple[str, ...]]:
    """Return what a parallel neuron takes for one neuron and step of a sequence of `T`, and its filters' forms.

    Raises
    ------
    UnsupportedError
        If the sequence cannot be traced, or an operator of it has no energy.
    """
    own = copy.deepcopy(neuron).to("cpu", torch.float64).eval().requires_grad_(False)
    features = own.parameter_shape or (1,)
    x = torch.rand(T, 1, *features, dtype=torch.float64) + 0.1
    who = type(neuron).__name__
    forward = getattr(type(own), own.entry_point)  # the class's: a backend replaces the instance's

    def run(x: Tensor) -> Tensor:
        out = forward(own, x)
        spikes: Tensor = out[0] if isinstance(out, tuple) else out
        return spikes

    with torch.no_grad():
        tape = _Tape(who, traced(run, x, who), x)
        steps, constants, output = tape.read()
    forms = [tape.forms[step.name] for step in reached(steps, [output]) if step.name in tape.forms]
    return charged(steps, constants, [output], ("x",)), tuple(forms)


@dataclass(frozen=True, slots=True)
class _Value:
    """What is known of a node."""

    value: Any
    varies: bool
    source: fx.Node | None = None
    """Node that it is an affine function of; itself, if it is no such function of one node."""


@dataclass
class _Tape:
    """Reads a graph into steps."""

    who: str
    module: fx.GraphModule
    x: Tensor
    forms: dict[str, str] = field(default_factory=dict)
    """Of each filter, by the name of its step."""
    _known: dict[fx.Node, _Value] = field(default_factory=dict)

    def read(self) -> tuple[list[Step], list[str], str]:
        """Return the steps, the names of constants, and that of the output."""
        graph = self.module.graph
        nodes = [node for node in graph.nodes if node.op != "output"]
        for node in nodes:
            self._known[node] = self._learn(node)
        output = next(node for node in graph.nodes if node.op == "output").args[0]
        ends = self._ends(nodes, output)
        steps: list[Step] = []
        written: set[fx.Node] = set()
        for node in nodes:
            if self._known[node].varies and node.op != "placeholder" and node in ends:
                self._write(node, steps, written)
        constants = [node.name for node in nodes if not self._known[node].varies]
        return steps, constants, output.name

    def _learn(self, node: fx.Node) -> _Value:
        if node.op == "placeholder":
            return _Value(self.x, True, node)
        if node.op == "get_attr":
            return _Value(getattr(self.module, str(node.target)), False)
        value = evaluate(node, {parent: self._known[parent].value for parent in node.all_input_nodes})
        parents = [parent for parent in node.all_input_nodes if self._known[parent].varies]
        packet = _packet(node)
        if packet in DRAWING:
            return _Value(value, True, node)
        if not parents or packet in FILLING:
            return _Value(value, False)
        if packet is OPS.sub and len({_owner(argument) for argument in node.args}) == 1:
            return _Value(torch.zeros_like(value), False)  # a straight-through estimator's soft part: forward it is 0
        sources = {self._known[parent].source for parent in parents}
        if len(sources) == 1 and self._is_affine(node, parents):
            return _Value(value, True, sources.pop())
        return _Value(value, True, node)

    def _is_affine(self, node: fx.Node, parents: Sequence[fx.Node]) -> bool:
        packet = _packet(node)
        value = self._known[parents[0]].value
        if isinstance(value, Tensor) and not (value.is_floating_point() or value.is_complex()):
            return False
        if packet in MOVING or packet in ADDING or node.target is ITEM:
            return True
        if packet in SCALING:
            return len(parents) == 1 and (packet is OPS.mul or node.args[0] is parents[0])
        return packet in MIXING and len(parents) == 1

    def _ends(self, nodes: Sequence[fx.Node], output: fx.Node) -> set[fx.Node]:
        """Return where stretches end: what something else than their own continuation uses."""
        ends = {output}
        for node in nodes:
            if not self._known[node].varies or node.op == "placeholder":
                continue
            if self._known[node].source is node:
                ends.add(node)
                ends.update(parent for parent in node.all_input_nodes if self._known[parent].varies)
        return ends

    def _write(self, end: fx.Node, steps: list[Step], written: set[fx.Node]) -> None:
        source = self._known[end].source
        if source is not None and source is not end:
            stretch = self._stretch(end)
            if any(self._mixes_time(node) for node in stretch):
                found = self._filter(end, stretch)
                if found is not None:
                    self.forms[end.name] = found.form
                    steps.append(Step(end.name, "filter", (_name(source),), work=found.work))
                    written.add(end)
                    return
            for node in stretch:
                if node not in written:
                    steps.append(self._step(node))
                    written.add(node)
            return
        if end not in written:
            steps.append(self._step(end))
            written.add(end)

    def _stretch(self, end: fx.Node) -> list[fx.Node]:
        """Return the nodes between a source and `end`, it included, in order."""
        source, found, todo = self._known[end].source, {end}, [end]
        while todo:
            for parent in todo.pop().all_input_nodes:
                if self._known[parent].varies and parent is not source and parent not in found:
                    found.add(parent)
                    todo.append(parent)
        return [node for node in self.module.graph.nodes if node in found]

    def _mixes_time(self, node: fx.Node) -> bool:
        packet = _packet(node)
        return packet in MIXING or packet in packets(
            "cat", "constant_pad_nd", "slice", "flip", "roll", "select", "split"
        )

    def _filter(self, end: fx.Node, stretch: Sequence[fx.Node]) -> FilterWork | None:
        """Return the filter from a stretch's source to its end; None if it is no filter over time."""
        source = self._known[end].source
        assert source is not None
        entered, left = self._known[source].value, self._known[end].value
        T = self.x.shape[0]
        if not (
            isinstance(left, Tensor) and entered.shape[0] == T == left.shape[0] and left.numel() == entered.numel()
        ):
            return None
        if left.is_complex() or T > LONGEST:
            return None

        def response(step: int) -> Tensor:
            impulse = torch.zeros_like(entered, dtype=torch.float64)
            impulse[step] = 1.0
            return self._run(stretch, source, impulse, end) - rest

        rest = self._run(stretch, source, torch.zeros_like(entered, dtype=torch.float64), end)
        neurons = entered[0].numel()
        chosen = sorted({int(i) for i in np.linspace(0, neurons - 1, min(neurons, SAMPLED_NEURONS))})
        if not self._keeps_neurons_apart(stretch, source, end, rest):
            return None
        first = _columns(response(0), T, chosen)
        if self._is_shift_invariant(response, first, T, chosen):
            works = [cheapest(clean(first[:, i])) for i in range(len(chosen))]
        else:
            matrices = np.stack([_columns(response(step), T, chosen) for step in range(T)], axis=1)
            works = [entries(clean(matrices[:, :, i])) for i in range(len(chosen))]
        return max(works, key=price)

    def _keeps_neurons_apart(self, stretch: Sequence[fx.Node], source: fx.Node, end: fx.Node, rest: Tensor) -> bool:
        entered = self._known[source].value
        if entered[0].numel() == 1:
            return True
        probe = torch.zeros_like(entered, dtype=torch.float64)
        probe.view(len(probe), -1)[:, 0] = 1.0
        out = (self._run(stretch, source, probe, end) - rest).reshape(len(probe), -1)
        return bool((out[:, 1:].abs() <= 1e-9 * (1 + out.abs().max())).all())

    def _is_shift_invariant(self, response: Any, first: Any, T: int, chosen: Sequence[int]) -> bool:
        scale = float(np.abs(first).max(initial=0.0)) or 1.0
        for shift in {1, T // 2, T - 1} - {0}:
            if shift >= T:
                continue
            later = _columns(response(shift), T, chosen)
            expected = np.concatenate([np.zeros_like(first[:shift]), first[: T - shift]])
            if np.abs(later - expected).max() > 1e-9 * scale:
                return False
        return True

    def _run(self, stretch: Sequence[fx.Node], source: fx.Node, value: Tensor, end: fx.Node) -> Tensor:
        values: dict[fx.Node, Any] = {node: known.value for node, known in self._known.items() if not known.varies}
        values[source] = value
        for node in stretch:
            values[node] = evaluate(node, values)
        out: Tensor = values[end]
        return out

    def _step(self, node: fx.Node) -> Step:
        """Return one operator as a step, as often as it is computed for a neuron and a time step."""
        packet, known = _packet(node), self._known[node]
        size = known.value.numel() / self.x.numel() if isinstance(known.value, Tensor) else 0.0
        arguments = tuple(self._argument(a) for a in flat(node.args) if isinstance(a, (fx.Node, int, float)))
        varying = [parent for parent in node.all_input_nodes if self._known[parent].varies]
        if packet in DRAWING:
            return Step(node.name, "draw", (), size)
        if packet in MOVING or node.target is ITEM or packet in packets("gather", "index"):
            return Step(node.name, SAME, tuple(map(_name, varying)))
        work = self._combined(node, varying)
        if work is not None:
            return Step(node.name, "filter", tuple(map(_name, varying)), work=work.times(1 / self.x.numel()))
        operation = _operation(node)
        if packet is OPS.pow and node.args[1] == 2:
            return Step(node.name, "mul", (arguments[0], arguments[0]), size)
        if operation is None:
            raise UnsupportedError(f"{self.who}: no energy is known for {node.target}")
        count = (
            3
            if operation == "where"
            else 2
            if OPERATIONS[operation] is not NOTHING or operation in ("and", "or")
            else 1
        )
        return Step(node.name, operation, arguments[:count], size)

    def _argument(self, value: fx.Node | float) -> str | float:
        """Return an argument's name, or the number that it is everywhere."""
        if not isinstance(value, fx.Node):
            return float(value)
        known = self._known[value]
        if not known.varies and isinstance(known.value, Tensor) and known.value.numel():
            first = known.value.flatten()[0]
            if not known.value.is_complex() and bool((known.value == first).all()):
                return float(first)
        return _name(value)

    def _combined(self, node: fx.Node, varying: Sequence[fx.Node]) -> Arithmetic | None:
        """Return the work of an operator that combines entries, over the whole sequence; None if it is no such."""
        packet, out = _packet(node), self._known[node].value
        entered: Any = self._known[varying[0]].value if varying else None
        if packet in PRODUCTS:
            place = PRODUCTS[packet]
            factors: list[Any] = [node.args[i] for i in (place - 1, place)]
            first, second = (self._known[factor].value for factor in factors)
            pairs = float(((first != 0).double() @ (second != 0).double()).sum())
            return Arithmetic(additions=pairs, multiplications=pairs)
        if packet in (OPS.sum, OPS.mean):
            scaled = out.numel() if packet is OPS.mean else 0
            return Arithmetic(additions=max(entered.numel() - out.numel(), 0), multiplications=scaled)
        if packet is OPS.cumsum:
            return Arithmetic(additions=out.numel())
        if packet in packets("argmax", "argmin", "max", "amax", "any"):
            return Arithmetic(comparisons=entered.numel())
        return None


def _columns(out: Tensor, T: int, chosen: Sequence[int]) -> Any:
    return out.reshape(T, -1)[:, list(chosen)].numpy()


def _packet(node: fx.Node) -> Any:
    return getattr(node.target, "overloadpacket", node.target)


def _operation(node: fx.Node) -> str | None:
    target: Any = node.target
    known = aten.OPERATIONS.get(target)
    if known is not None:
        return known
    name = str(_packet(node)).rsplit(".", 1)[-1]
    return {"clamp_min": "maximum", "clamp": "maximum", "clamp_max": "minimum", "rsub": "sub", "rsqrt": "rsqrt"}.get(
        name
    )


def _owner(value: Any) -> Any:
    """Return the node whose value `value` shows."""
    while isinstance(value, fx.Node) and _packet(value) in (OPS.alias, OPS.detach):
        value = value.args[0]
    return value


def _name(node: fx.Node) -> str:
    return "x" if node.op == "placeholder" else node.name
