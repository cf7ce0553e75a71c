"""A neuron's step and its gradient as straight-line scalar programs, traced from the step itself.

The step is run once on scalars with autograd recording; what comes out is a graph of elementary operations for the
step and one for its vector-Jacobian product. They become two programs of a few dozen assignments, joined by the few
values of a step that its gradient needs (``cut``), and a printer turns them into a language. Must not know any printer.

A program holds for every neuron of a layer because a step is element-wise: that is what the contract of a sequential
neuron says, and what makes a scalar trace enough.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, fx
from torch.fx.experimental.proxy_tensor import make_fx

from reference_impls.backends import UnsupportedError
from reference_impls.backends.fused import aten
from reference_impls.backends.fused.cut import Argument, Assignment, least_kept
from reference_impls.neuron import SequentialNeuron, State

__all__ = ["Argument", "Assignment", "Program", "Traced", "trace_step"]


@dataclass(frozen=True, slots=True)
class Program:
    """Assignments in order, and which name (or constant) each output has."""

    inputs: tuple[str, ...]
    body: tuple[Assignment, ...]
    outputs: Mapping[str, Argument]

    def used(self) -> frozenset[Argument]:
        """Return everything that an assignment or an output takes."""
        return frozenset(self.outputs.values()).union(*(assignment.arguments for assignment in self.body))

    def only(self, outputs: Iterable[str]) -> Program:
        """Return what computes these outputs."""
        wanted = {name: self.outputs[name] for name in outputs}
        return Program(self.inputs, _reached(self.body, wanted.values()), wanted)


@dataclass(frozen=True, slots=True)
class Traced:
    """A step, forward and backward."""

    state: Callable[..., State]
    """Makes a state of its tensors."""
    rest: tuple[float, ...] | None
    """The state at rest, if it is the same number for all neurons."""
    states: tuple[str, ...]
    params: tuple[str, ...]
    kept: tuple[str, ...]
    """What the gradient needs of a step: ``x`` (comes first), ``v0..`` or the name of an assignment in `forward`."""
    forward: Program
    """From ``x``, ``v0..`` and ``p0..`` to ``s``, ``n0..`` (the next state) and what is `kept`, by its name."""
    backward: Program
    """From what is `kept`, ``p0..``, ``ds`` and ``dn0..`` to ``dx``, ``dv0..`` and ``dp0..``."""

    @property
    def written(self) -> tuple[str, ...]:
        """What is kept by writing it down; the input lies in memory anyway."""
        return tuple(name for name in self.kept if name != "x")

    @property
    def start(self) -> tuple[float, ...]:
        """What a kernel begins with where it is given no state: if there is no `rest` it always is."""
        return self.rest or (0.0,) * len(self.states)


def trace_step(neuron: SequentialNeuron, dtype: torch.dtype) -> Traced:
    """Trace the step of `neuron` in `dtype`.

    Raises
    ------
    UnsupportedError
        If the step does something that has no scalar form; the message names the operation and the neuron.
    """
    params = neuron.step_params()
    example = torch.zeros((), dtype=dtype)
    rest = neuron.init_state(example)
    who = type(neuron).__name__
    if any(not isinstance(part, Tensor) for part in rest):
        raise UnsupportedError(f"{who}: the fused backends need a state that is a NamedTuple of tensors")
    count, names = len(rest), tuple(params)
    inputs = ("x", *(f"v{i}" for i in range(count)), *(f"p{i}" for i in range(len(names))))
    upstream = ("ds", *(f"dn{i}" for i in range(count)))

    def advance(values: Sequence[Tensor]) -> list[Tensor]:
        x, state, effective = values[0], values[1 : 1 + count], values[1 + count :]
        spikes, following = neuron.step(x, type(rest)(*state), dict(zip(names, effective, strict=True)))
        return [spikes, *following]

    def pull_back(values: Sequence[Tensor]) -> list[Tensor]:
        leaves = [value.detach().requires_grad_() for value in values[: len(inputs)]]
        with torch.enable_grad():
            results = advance(leaves)
        carried = [(out, up) for out, up in zip(results, values[len(inputs) :], strict=True) if out.requires_grad]
        found = torch.autograd.grad(
            [out for out, _ in carried], leaves, [up for _, up in carried], allow_unused=True, materialize_grads=True
        )
        return list(found)

    reader = _Reader(who)
    following = ("s", *(f"n{i}" for i in range(count)))
    forward = reader.read(_graph(advance, inputs, dtype, who), inputs, following)
    gradients = tuple(f"d{name}" for name in inputs)
    backward = reader.read(_graph(pull_back, (*inputs, *upstream), dtype, who), (*inputs, *upstream), gradients)
    kept = least_kept(reader.body(), inputs[: 1 + count], upstream, backward.values())
    return Traced(
        type(rest),
        _at_rest(neuron, count, dtype, who),
        rest._fields,
        names,
        kept,
        _program(reader.body(), inputs, forward | {name: name for name in kept}),
        _program(reader.body(), (*kept, *inputs[1 + count :], *upstream), backward),
    )


def _at_rest(neuron: SequentialNeuron, count: int, dtype: torch.dtype, who: str) -> tuple[float, ...] | None:
    """Return the numbers that a state at rest consists of; None if it depends on anything."""
    try:
        graph = _graph(lambda values: [*neuron.init_state(values[0])], ("x",), dtype, who)
        found = _Reader(who).read(graph, ("x",), [f"v{i}" for i in range(count)]).values()
    except UnsupportedError:
        return None
    return None if any(isinstance(value, str) for value in found) else tuple(map(float, found))


def _graph(
    function: Callable[[Sequence[Tensor]], list[Tensor]], inputs: Sequence[str], dtype: torch.dtype, who: str
) -> fx.Graph:
    """Run `function` on scalars and write down what it does."""
    # Different numbers, so that nothing is taken for the same value by accident.
    examples = [torch.tensor(0.37 + 0.1 * place, dtype=dtype) for place in range(len(inputs))]
    try:
        graph = make_fx(function, decomposition_table=aten.decompositions())(examples).graph
    except UnsupportedError:
        raise
    except (RuntimeError, TypeError, ValueError) as error:
        raise UnsupportedError(f"{who}: its step cannot be traced on scalars: {error}") from error
    graph.eliminate_dead_code()
    return graph


class _Reader:
    """Turns graphs of torch operations into assignments, merging equal ones: also those of one graph with another's."""

    def __init__(self, who: str) -> None:
        self._who = who
        self._values: dict[fx.Node, Argument] = {}
        self._owners: dict[fx.Node, fx.Node] = {}
        """The node whose memory a view shows: an operation in place changes it for all of them."""
        self._body: dict[tuple[str, tuple[Argument, ...]], Assignment] = {}
        self._flags: set[str] = set()

    def body(self) -> tuple[Assignment, ...]:
        """Return the assignments of all graphs, in order."""
        return tuple(self._body.values())

    def read(self, graph: fx.Graph, inputs: Sequence[str], outputs: Sequence[str]) -> dict[str, Argument]:
        """Take a graph in; return which name (or constant) each output has."""
        placeholders = [node for node in graph.nodes if node.op == "placeholder"]
        self._values.update(zip(placeholders, inputs, strict=True))
        for node in graph.nodes:
            if node.op == "call_function":
                self._take(node)
            elif node.op not in ("placeholder", "output"):
                raise UnsupportedError(
                    f"{self._who}: its step uses {node.target} from outside; a fused kernel sees only input, state and "
                    "step_params"
                )
        (returned,) = next(node for node in graph.nodes if node.op == "output").args
        return {name: self._argument(value) for name, value in zip(outputs, returned, strict=True)}

    def _argument(self, value: Any) -> Argument:
        return self._values[self._owner(value)] if isinstance(value, fx.Node) else value

    def _owner(self, node: fx.Node) -> fx.Node:
        return self._owners.get(node, node)

    def _take(self, node: fx.Node) -> None:
        """Note a node's value: a view has its owner's, an operation in place gives its first argument a new one."""
        target: Any = node.target
        first: Any = node.args[0] if node.args else None
        in_place = target._schema.is_mutable
        if in_place:
            target = getattr(getattr(aten.OPS, target._opname.removesuffix("_")), target._overloadname)
        if in_place or target in aten.VIEWS:
            self._owners[node] = self._owner(first)
        if target not in aten.VIEWS:
            self._values[self._owner(node)] = self._read(node, target)

    def _read(self, node: fx.Node, target: Any) -> Argument:
        arguments = [self._argument(value) for value in node.args]
        if target is aten.OPS.copy.default:  # (destination, source): what is written, not what was there
            return self._as_kind_of(*arguments[:2])
        if target in aten.COPIES:
            return arguments[0]
        if target in aten.CONSTANTS:
            return aten.CONSTANTS[target](node, arguments)
        if target is aten.OPS._to_copy.default:
            return self._converted(arguments[0], node)
        if target in (aten.OPS.add.Tensor, aten.OPS.sub.Tensor, aten.OPS.add.Scalar, aten.OPS.sub.Scalar):
            scale = node.kwargs.get("alpha", 1)
            if scale != 1:
                arguments[1] = self._assign("mul", (arguments[1], float(scale)))  # type: ignore[arg-type]
        if target is aten.OPS.pow.Tensor_Scalar:
            return self._power(arguments[0], arguments[1])
        if target in (aten.OPS.clamp.default, aten.OPS.hardtanh.default):
            return self._clamped([*arguments, None, None])
        operation = aten.OPERATIONS.get(target)
        if operation is None or (node.kwargs and set(node.kwargs) - {"alpha"}):
            raise UnsupportedError(
                f"{self._who}: no fused kernel can be printed for {target}; use elementary operations in its step, or "
                "another backend"
            )
        return self._assign(operation, tuple(arguments))

    def _assign(self, operation: str, arguments: tuple[Argument, ...]) -> str:
        known = self._body.get((operation, arguments))
        if known is None:
            is_flag = operation in aten.FLAGS
            known = Assignment(f"a{len(self._body)}", operation, arguments, is_flag)
            self._body[operation, arguments] = known
            if is_flag:
                self._flags.add(known.name)
        return known.name

    def _converted(self, value: Argument, node: fx.Node) -> Argument:
        dtype: Any = node.kwargs.get("dtype")
        if dtype is torch.bool:
            return value if value in self._flags else self._assign("ne", (value, 0.0))
        return self._assign("number", (value,)) if value in self._flags else value

    def _as_kind_of(self, old: Argument, new: Argument) -> Argument:
        """Return `new` as what `old` was: a truth value that is written into a number becomes one."""
        return self._assign("number", (new,)) if new in self._flags and old not in self._flags else new

    def _power(self, base: Argument, exponent: Argument) -> Argument:
        if exponent == 2:
            return self._assign("mul", (base, base))
        if exponent == 3:
            return self._assign("mul", (self._assign("mul", (base, base)), base))
        if exponent == 0.5:
            return self._assign("sqrt", (base,))
        if exponent == -1:
            return self._assign("reciprocal", (base,))
        return self._assign("pow", (base, exponent))

    def _clamped(self, arguments: list[Any]) -> Argument:
        value, low, high, *_ = arguments
        if low is not None:
            value = self._assign("maximum", (value, low))
        return value if high is None else self._assign("minimum", (value, high))


def _program(body: Iterable[Assignment], inputs: tuple[str, ...], outputs: Mapping[str, Argument]) -> Program:
    """Keep the assignments that an output needs; an input needs none."""
    return Program(inputs, _reached((one for one in body if one.name not in inputs), outputs.values()), outputs)


def _reached(body: Iterable[Assignment], outputs: Iterable[Argument]) -> tuple[Assignment, ...]:
    """Keep the assignments that an output needs."""
    wanted = {name for name in outputs if isinstance(name, str)}
    kept = []
    for assignment in reversed([*body]):
        if assignment.name in wanted:
            kept.append(assignment)
            wanted.update(name for name in assignment.arguments if isinstance(name, str))
    return tuple(reversed(kept))
