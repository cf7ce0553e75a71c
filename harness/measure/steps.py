"""The arithmetic of straight-line programs: what of a neuron's traced step has to be computed at every step.

Three things need no arithmetic on any machine: what depends on parameters alone (computed once and kept), what takes
one of a few values known beforehand (a spike, its product with a constant: a choice), and a factor that can be folded
into another one. Everything else is charged by its operation. Must not know neurons.
"""

from __future__ import annotations

import itertools
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field

from harness.measure.arithmetic import NOTHING, OPERATIONS, Arithmetic
from reference_impls.backends import UnsupportedError

__all__ = ["COMPARISONS", "SAME", "Step", "charged", "reached"]

Operand = str | float | bool
COMPARISONS = frozenset({"ge", "gt", "le", "lt", "eq", "ne"})
LOGIC = frozenset({"and", "or", "not"})
SAME = "same"
"""Operation of a step that moves its argument and computes nothing."""
MOST_CHOICES = 8
"""Values that a choice may have; what has more is a number."""
_EVALUATED: Mapping[str, Callable[..., float]] = {
    "add": lambda a, b: a + b,
    "sub": lambda a, b: a - b,
    "mul": lambda a, b: a * b,
    "neg": lambda a: -a,
    "abs": abs,
    "number": float,
}


@dataclass(frozen=True, slots=True)
class Step:
    """``name = operation(*arguments)``, as often as `size` says for one neuron and time step."""

    name: str
    operation: str
    arguments: tuple[Operand, ...]
    size: float = 1.0
    work: Arithmetic | None = None
    """What it takes, where no operation says it (a filter over time); `size` is in it."""


@dataclass(frozen=True, slots=True)
class _Kind:
    """What is known of a value before anything runs."""

    constant: bool = False
    choices: frozenset[float] | None = None
    """Values that it may take; empty: some few, not known which. None: any number."""

    @property
    def varies(self) -> bool:
        """Whether arithmetic with it has to be done when it is there."""
        return not self.constant and self.choices is None

    @property
    def is_gate(self) -> bool:
        """Whether a product with it is a choice between a number, its negative and 0."""
        return self.choices is not None and bool(self.choices) and self.choices <= {-1.0, 0.0, 1.0}


_NUMBER, _CONSTANT, _FLAG = _Kind(), _Kind(constant=True), _Kind(choices=frozenset({0.0, 1.0}))


def charged(
    steps: Sequence[Step],
    constants: Iterable[str],
    outputs: Sequence[str | float],
    inputs: Iterable[str] = (),
    states: Mapping[str, str | float] | None = None,
) -> Arithmetic:
    """Return what `steps` take for one neuron in one time step.

    Parameters
    ----------
    steps : in order.
    constants : names of what does not change while the network runs.
    outputs : what is wanted of them.
    inputs : names of currents: a constant factor on one that is used nowhere else is folded into the weights.
    states : a state's name -> its next value, so that one that holds a spike is known to.

    Raises
    ------
    UnsupportedError
        If an operation has no energy.
    """
    steps = reached(steps, [*outputs, *(states or {}).values()])
    known: dict[Operand, _Kind] = dict.fromkeys(constants, _CONSTANT)
    kinds = _kinds(steps, known)
    held: dict[Operand, _Kind] = {
        name: kinds[after] for name, after in (states or {}).items() if after in kinds and kinds[after].choices
    }
    if held:
        kinds = _kinds(steps, known | held)
    ledger = _Ledger({step.name: step for step in steps}, kinds, _uses(steps, outputs), frozenset(inputs))
    return sum((ledger.work(step).times(1.0 if step.work else step.size) for step in steps), NOTHING)


def reached(steps: Sequence[Step], outputs: Iterable[str | float]) -> list[Step]:
    """Return the steps that an output needs, in order."""
    wanted, kept = set(outputs), []
    for step in reversed(steps):
        if step.name in wanted:
            kept.append(step)
            wanted.update(argument for argument in step.arguments if isinstance(argument, str))
    return kept[::-1]


def _uses(steps: Sequence[Step], outputs: Sequence[str | float]) -> Counter[Operand]:
    return Counter([*itertools.chain.from_iterable(step.arguments for step in steps), *outputs])


def _kinds(steps: Sequence[Step], known: Mapping[Operand, _Kind]) -> dict[Operand, _Kind]:
    kinds = dict(known)
    for step in steps:
        kinds[step.name] = _kind(step, [_kind_of(argument, kinds) for argument in step.arguments])
    return kinds


def _kind_of(argument: Operand, kinds: Mapping[Operand, _Kind]) -> _Kind:
    return kinds.get(argument, _NUMBER) if isinstance(argument, str) else _CONSTANT


def _kind(step: Step, given: Sequence[_Kind]) -> _Kind:
    if step.work is not None or step.operation == "draw":
        return _NUMBER
    if all(kind.constant for kind in given):
        return _CONSTANT
    if step.operation in COMPARISONS or step.operation in LOGIC:
        return _FLAG
    values = given[1:] if step.operation == "where" else given
    if any(kind.varies for kind in values):
        return _NUMBER
    return _chosen(step, values)


def _chosen(step: Step, values: Sequence[_Kind]) -> _Kind:
    """Return the kind of what is made of choices and constants alone."""
    arguments = step.arguments[1:] if step.operation == "where" else step.arguments
    unknown = _Kind(choices=frozenset())
    sets: list[frozenset[float]] = []
    for argument, kind in zip(arguments, values, strict=True):
        if kind.constant and isinstance(argument, str):
            return unknown
        sets.append(frozenset({float(argument)}) if kind.constant else kind.choices or frozenset())
    if not all(sets):
        return unknown
    if step.operation in ("where", SAME):
        found = frozenset[float]().union(*sets)
    elif step.operation in _EVALUATED:
        found = frozenset(_EVALUATED[step.operation](*values) for values in itertools.product(*sets))
    else:
        return unknown
    return _Kind(choices=found) if len(found) <= MOST_CHOICES else _NUMBER


@dataclass
class _Ledger:
    """Charges steps one by one."""

    steps: Mapping[str, Step]
    kinds: Mapping[Operand, _Kind]
    uses: Counter[Operand]
    inputs: frozenset[str]
    compared: frozenset[str] = field(init=False)
    """Differences that are only compared with a constant: two numbers are compared instead."""

    def __post_init__(self) -> None:
        self.compared = frozenset(
            argument
            for step in self.steps.values()
            if step.operation in COMPARISONS and any(not self._varies(other) for other in step.arguments)
            for argument in step.arguments
            if isinstance(argument, str) and self.uses[argument] == 1
        )

    def work(self, step: Step) -> Arithmetic:
        """Return what one step takes."""
        if step.work is not None:
            return step.work
        if not self.kinds[step.name].varies and not (step.operation in COMPARISONS and self._any_varies(step)):
            return NOTHING  # a choice or a constant; a comparison of numbers is what a choice begins with
        if step.operation == SAME:
            return NOTHING
        if step.operation in ("mul", "div") and self._is_free_product(step):
            return NOTHING
        if step.operation == "div" and not self._varies(step.arguments[1]):
            return OPERATIONS["mul"]
        if step.operation in ("add", "sub") and (0.0 in step.arguments or step.name in self.compared):
            return NOTHING
        if step.operation not in OPERATIONS:
            raise UnsupportedError(f"no energy is known for {step.operation}")
        return OPERATIONS[step.operation]

    def _varies(self, argument: Operand) -> bool:
        return _kind_of(argument, self.kinds).varies

    def _any_varies(self, step: Step) -> bool:
        return any(self._varies(argument) for argument in step.arguments)

    def _is_free_product(self, step: Step) -> bool:
        """Whether a factor selects, changes the sign, or stands in another product already."""
        first, second = step.arguments
        if step.operation == "mul" and any(_kind_of(argument, self.kinds).is_gate for argument in step.arguments):
            return True
        factor, other = (second, first) if step.operation == "div" or not self._varies(second) else (first, second)
        if not _kind_of(factor, self.kinds).constant:
            return False
        if not isinstance(factor, str) and abs(float(factor)) in (0.0, 1.0):
            return True
        return self._absorbs(other) or (other in self.inputs and self.uses[other] == 1)

    def _absorbs(self, name: Operand) -> bool:
        """Whether a constant factor on `name`, used nowhere else, can be folded into constants that it is made of."""
        if not isinstance(name, str):
            return True
        kind = _kind_of(name, self.kinds)
        if not kind.varies:
            return True
        step = self.steps.get(name)
        if step is None or self.uses[name] != 1 or step.work is not None:
            return False
        if step.operation in ("add", "sub"):
            return all(self._absorbs(argument) for argument in step.arguments)
        if step.operation in ("neg", SAME):
            return self._absorbs(step.arguments[0])
        return step.operation == "mul" and any(
            _kind_of(argument, self.kinds).constant and (isinstance(argument, str) or abs(argument) not in (0, 1))
            for argument in step.arguments
        )
