"""Which figures are no longer today's: what changed since, and what measuring them again would take.

A cell is stale on a machine where it has records and none of them is current. What is impossible is no figure and never
stale. Must not import torch, and must not know how this is printed.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass

from harness.catalogue.cards import Registry
from harness.catalogue.cell import NOT_APPLICABLE, Cell
from harness.catalogue.compatibility import why_unsupported
from harness.catalogue.loading import match
from harness.planning.durations import Durations, history_of
from harness.planning.plan import DTYPES, Filters, Plan, done_in, sort_out
from harness.results.freshness import Freshness, Today
from harness.results.record import Record
from harness.results.selection import preferred
from harness.results.store import Store
from reference_impls import backends

__all__ = ["Stale", "StaleGroup", "grouped", "plan_stale", "stale_of", "wanted_by"]


@dataclass(frozen=True, slots=True)
class Stale:
    """A cell whose newest record is of an older code, suite or task."""

    record: Record
    freshness: Freshness
    seconds: float
    """What measuring it again takes."""
    blocked: str
    """Why it cannot be measured again, here and now; empty where it can."""


@dataclass(frozen=True, slots=True)
class StaleGroup:
    """The stale cells of one suite on one task and machine."""

    machine: str
    suite: str
    task: str
    cells: int
    first: str
    last: str
    """When they were measured, ISO 8601."""
    commits: tuple[str, ...]
    """Where, oldest first."""
    changed: tuple[tuple[str, int], ...]
    """Inputs that are not what they were, and of how many cells, most first."""
    seconds: float
    blocked: int
    """How many of them cannot be measured again, here and now."""


def stale_of(records: Iterable[Record], registry: Registry) -> list[Stale]:
    """Return every stale cell among `records`, which also tell how long cells take."""
    records = [record for record in records if record.status != "unsupported"]
    today, seconds = Today(registry), Durations(history_of(records), registry)
    found = []
    for record in preferred(records, today):
        freshness = today.of_record(record)
        if not freshness.is_current:
            blocked = _why_blocked(record.cell, registry)
            cost = 0.0 if blocked else seconds.of(record.cell)
            found.append(Stale(record, freshness, cost, blocked))
    return found


def grouped(stale: Iterable[Stale]) -> list[StaleGroup]:
    """Sort stale cells by machine, suite and task."""
    groups: dict[tuple[str, str, str], list[Stale]] = defaultdict(list)
    for one in stale:
        cell = one.record.cell
        groups[(one.record.provenance.machine.name, cell.suite, cell.task)].append(one)
    return [_group(key, members) for key, members in sorted(groups.items())]


def plan_stale(
    registry: Registry,
    store: Store,
    machine: str,
    records: Iterable[Record],
    *,
    filters: Filters,
    budget: str | None,
    device: str | None,
    data_present: Callable[[str], bool],
) -> Plan:
    """Plan what is stale on `machine`: the same cells, with today's code.

    Parameters
    ----------
    rows, store, data_present : as for `make_plan`.
    records : of any store; what they say of other machines tells how long cells take.
    filters, budget, device : which of the stale cells; what is not given leaves them all.

    Raises
    ------
    UserError
        If a pattern matches no name.
    """
    records = list(records)
    wanted = wanted_by(filters, registry)
    cells = sorted(
        one.record.cell
        for one in stale_of(records, registry)
        if not one.blocked
        and one.record.provenance.machine.name == machine
        and wanted(one.record.cell)
        and budget in (None, one.record.cell.budget)
        and device in (None, one.record.cell.device)
    )
    return sort_out(
        cells, registry, done_in(store, machine, registry), data_present, Durations(history_of(records), registry)
    )


def wanted_by(filters: Filters, registry: Registry) -> Callable[[Cell], bool]:
    """Return what tells whether a cell fits `filters`; an axis that it does not have fits any pattern.

    Raises
    ------
    UserError
        If a pattern matches no name.
    """
    known = {
        "suite": registry.suites,
        "task": registry.tasks,
        "neuron": registry.cell_neurons,
        "method": registry.methods,
        "topology": registry.topologies,
        "backend": dict.fromkeys(backends.names()),
        "dtype": dict.fromkeys(DTYPES),
        "recipe": dict.fromkeys(registry.recipe_names),
    }
    patterns = {axis: getattr(filters, axis) for axis in known}
    allowed = {axis: {NOT_APPLICABLE, *match(axis, patterns[axis], known[axis])} for axis in known if patterns[axis]}

    def wanted(cell: Cell) -> bool:
        fits = all(getattr(cell, axis) in names for axis, names in allowed.items())
        return fits and (not filters.seed or cell.seed in filters.seed)

    return wanted


def _why_blocked(cell: Cell, registry: Registry) -> str:
    known = {
        "suite": registry.suites,
        "task": registry.tasks,
        "neuron": registry.cell_neurons,
        "method": registry.methods,
        "topology": registry.topologies,
    }
    for axis, names in known.items():
        name = getattr(cell, axis)
        if name != NOT_APPLICABLE and name not in names:
            return f"there is no {axis} {name!r} any more"
    if cell.budget != NOT_APPLICABLE and cell.budget not in registry.task(cell.task).budgets:
        return f"{cell.task} has no budget {cell.budget!r} any more"
    return why_unsupported(cell, registry) or ""


def _group(key: tuple[str, str, str], members: Sequence[Stale]) -> StaleGroup:
    ordered = sorted(members, key=lambda one: one.record.provenance.moment)
    changed = Counter(name for one in members for name in one.freshness.changed)
    commits = dict.fromkeys((one.record.provenance.commit or "no commit")[:8] for one in ordered)
    return StaleGroup(
        *key,
        cells=len(members),
        first=ordered[0].record.provenance.started_at,
        last=ordered[-1].record.provenance.started_at,
        commits=tuple(commits),
        changed=tuple(changed.most_common()),
        seconds=sum(one.seconds for one in members),
        blocked=sum(bool(one.blocked) for one in members),
    )
