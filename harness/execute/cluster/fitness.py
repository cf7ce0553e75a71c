"""Whether a node may take part in a run: the same commit, the same code behind every cell, the same data.

Asked on the node itself, of what is installed and lies there. Must not know Ray.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from harness.catalogue.cards import Registry
from harness.catalogue.cell import NOT_APPLICABLE, Cell
from harness.data import data_set
from harness.errors import UserError
from harness.results.fingerprint import fingerprint
from harness.results.provenance import Origin

__all__ = ["Expected", "expected_of", "why_unfit"]


@dataclass(frozen=True, slots=True)
class Expected:
    """What a node must have in common with the driver."""

    commit: str | None
    machine: str
    inputs: Mapping[Cell, Mapping[str, str]]
    """A cell for each fingerprint of the run, and what its figures depend on."""
    data: tuple[str, ...]
    """Data sets that the cells read."""
    timed: bool = False
    """Whether a cell measures time."""


def expected_of(cells: Iterable[Cell], registry: Registry, origin: Origin, machine: str) -> Expected:
    """Return what nodes must have to run `cells`: as it is here, on the driver of `origin`, but on that `machine`."""
    inputs: dict[str, tuple[Cell, Mapping[str, str]]] = {}
    data: set[str] = set()
    timed = False
    for cell in cells:
        if cell.suite in registry.suites:
            found = fingerprint(cell, registry)
            inputs.setdefault(found.code_hash, (cell, dict(found.inputs)))
            timed = timed or registry.suite(cell.suite).timed
        if cell.task != NOT_APPLICABLE and (name := registry.task(cell.task).data) is not None:
            data.add(name)
    return Expected(origin.commit, machine, dict(inputs.values()), tuple(sorted(data)), timed)


def why_unfit(
    expected: Expected,
    registry: Registry,
    origin: Origin,
    data_root: Path,
    verify: Callable[[str, Path], Sequence[str]] | None = None,
    niceness: int = 0,
) -> list[str]:
    """Return what keeps this node, of `origin`, from taking part; a sentence each.

    Parameters
    ----------
    registry : the driver's rows.
    verify : what is wrong with a data set below a root; None: read it and compare its digests.
    niceness : of what this node runs; other processes go before one that is nice.
    """
    if origin.machine.name != expected.machine:
        return [
            f"it is another machine ({origin.machine.name}), and the figures of a run are of one: {expected.machine}"
        ]
    if origin.commit != expected.commit:
        return [f"it has commit {_short(origin.commit)}, and the run is of {_short(expected.commit)}"]
    if expected.timed and niceness > 0:
        return [
            f"its cells have niceness {niceness}, and times are measured: start Ray there with RAY_worker_niceness=0"
        ]
    return [*_other_code(expected, registry), *_other_data(expected, data_root, verify or broken_data)]


def broken_data(name: str, root: Path) -> list[str]:
    """Return what is wrong with the data set `name` below `root`; empty: it is there and intact."""
    known = data_set(name)
    if known.embedded:
        return []
    try:
        return [verdict.finding for verdict in known.verify(root) if not verdict.intact]
    except UserError as error:
        return [" ".join(str(error).split())]


def _other_code(expected: Expected, registry: Registry) -> Iterator[str]:
    differing: set[str] = set()
    for cell, inputs in expected.inputs.items():
        found = fingerprint(cell, registry).inputs
        differing |= {name for name in {*inputs, *found} if inputs.get(name) != found.get(name)}
    if differing:
        yield f"its code or packages differ in what decides figures: {', '.join(sorted(differing))}"


def _other_data(expected: Expected, root: Path, verify: Callable[[str, Path], Sequence[str]]) -> Iterator[str]:
    for name in expected.data:
        findings = verify(name, root)
        if findings:
            yield f"data set {name!r}: {findings[0]}"


def _short(commit: str | None) -> str:
    return "none" if commit is None else commit[:10]
