"""Whether a submission's implementations are what it says, and have passed the gate: by their text and its records.

Cards are read from the syntax tree. Must not import what it reads.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence

from harness.catalogue.cards import Registry, Row
from harness.catalogue.cell import NOT_APPLICABLE
from harness.results.freshness import Today
from harness.results.record import MEASURED, Record
from harness.results.verification import Verification
from harness.submissions.manifest import Implementation
from harness.submissions.overlay import Overlay
from harness.submissions.verdict import Complaint, Line, fails, holds, judged, untold

__all__ = ["GATE", "check_gate", "check_implementations", "rows_by_kind"]

GATE = "conformance"
CHECK = "implementations"


def rows_by_kind(registry: Registry) -> Mapping[str, Mapping[str, Row]]:
    """Map the kinds of cards that a submission may bring to their rows."""
    return {
        "neuron": registry.neurons,
        "training": registry.methods,
        "topology": registry.topologies,
        "task": registry.tasks,
    }


def check_implementations(
    implementations: Sequence[Implementation],
    changed: Sequence[str],
    sources: Overlay,
    records: Sequence[Record],
    own: Registry,
) -> Line:
    """Return whether the cards are sound, make the rows that are announced, and every row of a record has one.

    `changed` are files of which the project has others.
    """
    rows = rows_by_kind(sources.registry)
    causes = list(sources.problems)
    for one in implementations:
        for name in (one.name, *one.rows):
            row = rows[one.kind].get(name)
            if row is None or row.module != one.module:
                causes.append(f"{one.module} has no {one.kind} {name!r}")
    brought = {(one.kind, name) for one in implementations for name in one.rows}
    causes += [
        f"the name {name!r} is taken by the project's {own_row.module}"
        for kind, name in sorted(brought)
        if (own_row := rows_by_kind(own)[kind].get(name)) is not None and own_row.module != rows[kind][name].module
    ]
    causes += sorted({problem for record in records for problem in _unknown(record, sources.registry)})
    if causes:
        return fails(CHECK, list(dict.fromkeys(causes)))
    if changed:
        what = f"it brings another {', '.join(changed)} than the project has"
        return untold(CHECK, f"{what}: figures with it count on no board before that change is the project's")
    if not implementations:
        return holds(CHECK, "every row of the records is the project's own")
    names = ", ".join(f"{one.kind} {' and '.join(one.rows)}" for one in implementations)
    return holds(CHECK, f"{names}: the cards are sound, and nothing of the project is changed")


def _unknown(record: Record, registry: Registry) -> Iterator[str]:
    cell = record.cell
    axes = (
        ("neuron", cell.neuron, registry.cell_neurons),
        ("training method", cell.method, registry.methods),
        ("topology", cell.topology, registry.topologies),
        ("task", cell.task, registry.tasks),
    )
    for what, name, known in axes:
        if name not in known and name != NOT_APPLICABLE:
            yield f"records name the {what} {name!r}, which neither the project nor the submission has"


def check_gate(
    records: Sequence[Record],
    published: Sequence[Record],
    sources: Overlay,
    today: Today,
    implementations: Sequence[Implementation],
) -> Line:
    """Return whether all that was measured has passed the gate, in records of the same code and machine."""
    gate = [record for record in records if record.cell.suite == GATE]
    asked_here = [one for one in published if one.cell.suite == GATE]
    verified = Verification([*asked_here, *records], sources.registry, today)
    clauses = _common_clauses(one for one in asked_here if one.cell.neuron in sources.registry.neurons)
    complaints: list[Complaint] = [(record, problem) for record in gate for problem in _of_gate(record, clauses)]
    measured = [record for record in records if record.cell.suite != GATE and record.status in MEASURED]
    seen: set[tuple[str, ...]] = set()
    for record in measured:
        cell = record.cell
        key = (record.provenance.machine.name, cell.neuron, cell.backend, cell.method, cell.topology)
        if key not in seen and not verified.of(record):
            seen.add(key)
            complaints.append(
                (record, "has no passed gate of its neuron under its backend and of its method beside it")
            )
    new = [name for one in implementations if one.kind in ("neuron", "training") for name in one.rows]
    without = [name for name in new if not _golden(name, gate)]
    what = f"records of the gate, passed clause by clause, for {len(measured)} records"
    if without and not complaints:
        what += f"; no numbers of its authors are compared with {', '.join(without)}"
    return judged("gate", len(gate) or len(measured), what, complaints, "nothing was measured")


def _golden(name: str, gate: Iterable[Record]) -> bool:
    """Whether records of the gate say that a row agrees with numbers of its authors' code."""
    about = [record for record in gate if name in (record.cell.neuron, record.cell.method)]
    return any(isinstance(n := record.details.get("golden_cases"), int) and n > 0 for record in about)


def _kind(record: Record) -> str:
    cell = record.cell
    if cell.method == NOT_APPLICABLE:
        return f"neuron under {cell.backend}"
    return "method"


def _common_clauses(published: Iterable[Record]) -> Mapping[str, frozenset[str]]:
    """Map kinds of gates to the clauses that every published record of them lists."""
    found: dict[str, frozenset[str]] = {}
    for record in published:
        if record.status in MEASURED:
            names = frozenset(_clauses(record))
            found[_kind(record)] = found.get(_kind(record), names) & names
    return found


def _clauses(record: Record) -> list[str]:
    checks = record.details.get("checks")
    return [str(one.get("name")) for one in checks if isinstance(one, dict)] if isinstance(checks, list) else []


def _of_gate(record: Record, common: Mapping[str, frozenset[str]]) -> Iterator[str]:
    failed = record.metrics.get("failed_checks")
    if record.status != "ok" or failed is None or failed.value:
        broken = [
            str(one.get("name"))
            for one in record.details.get("checks", ())
            if isinstance(one, dict) and one.get("passed") is not True
        ]
        yield f"did not pass the gate ({', '.join(broken[:4]) or record.reason or record.status})"
        return
    lacking = sorted(common.get(_kind(record), frozenset()) - set(_clauses(record)))
    if lacking:
        yield f"lists no clause {', '.join(lacking[:4])}, which every published record of a {_kind(record)} has"
