"""Is everything right? Golden vectors, contract and backends of every entry, gathered from records of the gate.

The conformance suite does the work, in cells like any other; here they are chosen, and what became of them is read
into a table of one row an entry. Must not import torch, and must not know how a table is printed.
"""

from __future__ import annotations

import fnmatch
import json
from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Literal

from harness.catalogue.cards import Registry
from harness.catalogue.cell import NOT_APPLICABLE, Cell
from harness.catalogue.loading import match
from harness.catalogue.presets.everything import ALL_CELLS
from harness.catalogue.presets.model import Preset
from harness.errors import UserError
from harness.planning.plan import GATE, Filters, Plan, PlannedCell, make_plan
from harness.results.record import Record
from harness.results.store import Store
from reference_impls.card import Kind
from reference_impls.discovery import resolve
from reference_impls.names import UnknownNameError

__all__ = [
    "COLUMNS",
    "SURROGATES",
    "CheckRow",
    "EntryVerdict",
    "check_rows",
    "explained",
    "plan_check",
    "system_row",
    "systems_to_check",
    "task_row",
    "tasks_to_check",
    "unanswered",
]

SURROGATES = "surrogates"
"""The entry that is no row: what all neurons build on. The conformance suite knows it by this name too."""
COLUMNS = ("golden", "contract")
"""What comes before the backends."""
NAMED = 3
"""Clauses of one cause that are named."""
EXPLAINED = "harness.suites.common.explained"
"""Module of the gate as it is asked here: the first look at what the code returns comes before the clauses."""
SECONDS = {"eager": 0.2, "compiled": 5.0}
"""Guess of how long a cell takes, for the bar; another backend takes a second."""

_EVERYTHING = Preset("check", "the gate of everything", "quick", tuple(s for s in ALL_CELLS if s.suites == (GATE,)))

State = Literal["passed", "failed", "unsupported", "missing"]


@dataclass(frozen=True, slots=True)
class EntryVerdict:
    """One field of the table."""

    state: State
    count: int = 0
    """Clauses or cases that were compared."""
    problems: tuple[str, ...] = ()
    """Why it failed, or why it cannot be run."""


@dataclass(slots=True)
class CheckRow:
    """What became of one entry."""

    name: str
    kind: str
    verdicts: dict[str, EntryVerdict] = field(default_factory=dict)
    """By column: ``golden``, ``contract`` or the name of a backend; what does not apply is absent."""

    @property
    def failed(self) -> bool:
        """Whether anything is not as it should be."""
        return any(verdict.state in ("failed", "missing") for verdict in self.verdicts.values())


def explained(registry: Registry) -> Registry:
    """Return the rows with the gate that explains itself in place of the plain one."""
    return replace(registry, suites={**registry.suites, GATE: replace(registry.suites[GATE], module=EXPLAINED)})


def plan_check(registry: Registry, names: Sequence[str], backends: Sequence[str], store: Store, device: str) -> Plan:
    """Return the cells that judge the entries `names` (patterns; none: all) under the `backends` (patterns).

    Raises
    ------
    UserError
        If a pattern matches nothing; the message suggests the nearest name.
    """
    known = {SURROGATES: None, **dict.fromkeys(registry.cell_neurons), **dict.fromkeys(registry.methods)}
    if names:  # tasks have no cells of the gate, see `tasks_to_check`
        known |= dict.fromkeys(registry.tasks)
    wanted = set(match("entry to check", names, known)) if names else set(known)
    plan = make_plan(
        registry,
        store,
        "-",
        preset=_EVERYTHING,
        budget=None,
        filters=Filters(backend=tuple(backends)),
        device=device,
        cores=1,
        data_present=lambda _: True,
    )
    todo = [
        replace(planned, estimated_seconds=SECONDS.get(planned.cell.backend, 1.0))
        for planned in plan.todo
        if entry_of(planned.cell) in wanted
    ]
    if SURROGATES in wanted:
        todo.insert(0, PlannedCell(Cell(GATE, neuron=SURROGATES, dtype="float64", device=device), 0.2))
    impossible = tuple(one for one in plan.impossible if entry_of(one.cell) in wanted)
    return Plan(tuple(todo), (), impossible, {})


def tasks_to_check(registry: Registry, names: Sequence[str]) -> list[str]:
    """Return the tasks among the entries `names` (patterns): their contract is asked without a cell."""
    return [task for task in registry.tasks if any(fnmatch.fnmatchcase(task, name) for name in names)]


def task_row(name: str, outcomes: Sequence[Mapping[str, object]]) -> CheckRow:
    """Return the row of a task of which every clause had one of the `outcomes`."""
    return CheckRow(name, "task", {"contract": _verdict(outcomes, len(outcomes), named=True)})


def systems_to_check(registry: Registry, names: Sequence[str]) -> list[str]:
    """Return the systems among the entries `names` (patterns; none: all): their contract is asked without a cell."""
    return [name for name in registry.systems if not names or any(fnmatch.fnmatchcase(name, one) for one in names)]


def system_row(name: str, outcomes: Sequence[Mapping[str, object]]) -> CheckRow:
    """Return the row of a system of which every clause had one of the `outcomes`."""
    return CheckRow(name, "system", {"contract": _verdict(outcomes, len(outcomes), named=True)})


def entry_of(cell: Cell) -> str:
    """Return the entry that a cell of the gate judges."""
    return cell.neuron if cell.method == NOT_APPLICABLE else cell.method


def check_rows(plan: Plan, records: Iterable[Record], registry: Registry) -> list[CheckRow]:
    """Return a row for each entry of `plan`, in the order of the cards; what has no record was not run."""
    by_cell = {record.cell_id: record for record in records}
    kinds = {SURROGATES: "surrogates"}
    for kind, of_kind in (("neuron", registry.neurons), ("method", registry.methods), ("peer", registry.peers)):
        kinds |= dict.fromkeys(of_kind, kind)
    found = {name: CheckRow(name, kind) for name, kind in kinds.items()}
    for cells, of_columns in (
        ([planned.cell for planned in plan.todo], lambda cell: _of_record(cell, by_cell.get(cell.id))),
        ([one.cell for one in plan.impossible], _unsupported_by(plan)),
    ):
        for cell in cells:
            row = found[entry_of(cell)]
            for column, verdict in of_columns(cell).items():
                row.verdicts[column] = _joined(row.verdicts.get(column), verdict)
    return [row for row in found.values() if row.verdicts]


def unanswered(vectors: Path) -> dict[str, list[Path]]:
    """Return the slugs of golden files below `vectors` that nothing here implements, with their files.

    Raises
    ------
    UserError
        If the folder holds no golden file, or one that cannot be read.
    """
    found: dict[str, list[Path]] = defaultdict(list)
    files = sorted(vectors.rglob("*.json"))
    if not files:
        raise UserError(
            f"{vectors}: no golden files (*.json) here", "give a folder of neurons/, training/ or conversion/ vectors"
        )
    for path in files:
        try:
            content = json.loads(path.read_text(encoding="utf-8"))
            kinds: tuple[Kind, ...] = ("neuron", "topology") if "neuron" in content else ("training",)
            slug = content["neuron"] if "neuron" in content else content["slug"]
        except (json.JSONDecodeError, UnicodeDecodeError, KeyError, TypeError) as error:
            raise UserError(f"{path}: not a golden file: {error!r}", "leave it out of the folder") from error
        if slug != SURROGATES and not any(_exists(kind, slug) for kind in kinds):
            found[slug].append(path)
    return found


def _exists(kind: Kind, name: str) -> bool:
    try:
        resolve(kind, name)
    except UnknownNameError:
        return False
    return True


def _unsupported_by(plan: Plan) -> Callable[[Cell], dict[str, EntryVerdict]]:
    reasons = {one.cell: one.reason for one in plan.impossible}
    return lambda cell: {_column(cell): EntryVerdict("unsupported", problems=(reasons[cell],))}


def _column(cell: Cell) -> str:
    return "contract" if cell.backend in ("eager", NOT_APPLICABLE) else cell.backend


def _of_record(cell: Cell, record: Record | None) -> dict[str, EntryVerdict]:
    """Return what a record says: golden and contract of an eager cell, one column of another backend's."""
    column = _column(cell)
    if record is None:
        return {column: EntryVerdict("missing", problems=("was not run",))}
    if record.status != "ok":
        state: State = "unsupported" if record.status == "unsupported" else "failed"
        return {column: EntryVerdict(state, problems=(record.reason or record.status,))}
    checks: list[Mapping[str, object]] = record.details["checks"]
    golden = [check for check in checks if check["name"] == "golden"]
    others = [check for check in checks if check["name"] != "golden"]
    verdicts = {}
    if golden:
        verdicts["golden"] = _verdict(golden, int(record.details["golden_cases"]))
    if others:
        verdicts[column] = _verdict(others, len(others), named=column == "contract")
    return verdicts


def _verdict(checks: Iterable[Mapping[str, object]], count: int, named: bool = False) -> EntryVerdict:
    """Return what `checks` found: each cause once, with the names of its clauses where a column holds several."""
    alike: dict[str, list[str]] = defaultdict(list)
    for check in checks:
        if not check["passed"]:
            alike[str(check["problem"])].append(str(check["name"]))
    problems = tuple(f"{_few(clauses)}: {problem}" if named else problem for problem, clauses in alike.items())
    return EntryVerdict("failed" if problems else "passed", count, problems)


def _few(clauses: Sequence[str]) -> str:
    """Name clauses that failed for the same cause."""
    return (
        ", ".join(clauses) if len(clauses) <= NAMED else f"{', '.join(clauses[:NAMED])} and {len(clauses) - NAMED} more"
    )


def _joined(first: EntryVerdict | None, second: EntryVerdict) -> EntryVerdict:
    """Return the verdict of two cells on one field: a method is judged on each kind of network that it trains."""
    if first is None or first.state == "unsupported":
        return second
    if second.state == "unsupported":
        return first
    worst = next(state for state in ("failed", "missing", "passed") if state in (first.state, second.state))
    problems = tuple(dict.fromkeys((*first.problems, *second.problems)))
    return EntryVerdict(worst, max(first.count, second.count), problems)
