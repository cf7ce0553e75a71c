"""Decides which values of a step are kept for its gradient: the cheapest that all of it can be computed from.

A minimum cut between what a step is given and what its gradient takes, as in AOTAutograd's partitioner (H. He, S. Yu,
2023): for most neurons a single value, the slope of the surrogate, in place of input and states. Must not know torch.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import networkx

__all__ = ["Argument", "Assignment", "least_kept"]

Argument = str | float | bool
"""A name, or a constant."""

WRITTEN_AND_READ, READ = 2, 1
"""What keeping a value costs; the input lies in memory anyway and is only read once more."""


@dataclass(frozen=True, slots=True)
class Assignment:
    """``name = operation(*arguments)``; `is_flag` says that the value is a truth value, not a number."""

    name: str
    operation: str
    arguments: tuple[Argument, ...]
    is_flag: bool


def least_kept(
    body: Sequence[Assignment], given: Sequence[str], upstream: Iterable[str], gradients: Iterable[Argument]
) -> tuple[str, ...]:
    """Return the names of what to keep, in the order of `given` and `body`.

    Parameters
    ----------
    body : of a step and of its gradient.
    given : input (first) and states; what comes of parameters and constants alone costs nothing to have.
    upstream, gradients : what the gradient is given, and what it computes.
    """
    late = _depending_on(upstream, body)
    costly = _depending_on(given, body) - late
    early = [one for one in body if one.name in costly]
    taken = {name for one in body if one.name in late for name in one.arguments} | {*gradients}
    # Every value is an edge, whose capacity is its cost; a truth value is never kept, as a number it comes from can be.
    flow = networkx.DiGraph()
    for name in given:
        flow.add_edge("given", (name, "in"))
        flow.add_edge((name, "in"), (name, "out"), capacity=READ if name == given[0] else WRITTEN_AND_READ)
    for one in early:
        flow.add_edge((one.name, "in"), (one.name, "out"), **({} if one.is_flag else {"capacity": WRITTEN_AND_READ}))
        flow.add_edges_from(((name, "out"), (one.name, "in")) for name in one.arguments if (name, "out") in flow)
    names = [*given, *(one.name for one in early)]
    flow.add_edges_from(((name, "out"), "gradient") for name in names if name in taken)
    if "gradient" not in flow:
        return ()
    _, (before, _) = networkx.minimum_cut(flow, "given", "gradient")
    return tuple(name for name in names if (name, "in") in before and (name, "out") not in before)


def _depending_on(names: Iterable[str], body: Iterable[Assignment]) -> set[Argument]:
    """Return the names of assignments that take one of `names`, or something that does."""
    found: set[Argument] = set(names)
    given = frozenset(found)
    for assignment in body:
        if found.intersection(assignment.arguments):
            found.add(assignment.name)
    return found - given
