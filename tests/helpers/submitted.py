"""Submissions made of published records: whole ones, and ones in which something is not what it should be."""

from __future__ import annotations

import functools
import json
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from harness.catalogue.cell import NOT_APPLICABLE, Cell
from harness.catalogue.loading import load_registry
from harness.results.fingerprint import Fingerprint, combined
from harness.results.freshness import Today
from harness.results.provenance import command
from harness.results.record import Record
from harness.results.store import Store
from harness.submissions.folder import read_folder
from harness.submissions.making import write
from harness.submissions.manifest import MANIFEST, Implementation, Manifest
from harness.submissions.overlay import INSTALLED
from harness.submissions.sources import Sources
from harness.submissions.verdict import Line, Verdict
from harness.submissions.verify import Report, verify

PUBLISHED = Path(__file__).parents[2] / "reports" / "data"
ALIEN = '''"""A LIF of somebody else."""

from reference_impls.neurons.lif import LIF
{more}
CARD = {{
    "name": "{name}",
    "kind": "neuron",
    "version": 1,
    "title": "LIF of somebody else",
    "summary": "As LIF.",
    "capabilities": {{
        "parallel": "sequential",
        "causal": True,
        "stochastic": False,
        "needs_T": False,
        "output": "binary",
        "membrane": "linear",
        "reset": "soft",
    }},
    "defaults": {{"tau": 2.0}},
}}


class AlienLIF(LIF):
    """As LIF."""
'''


@functools.cache
def published() -> tuple[Record, ...]:
    """Return all published records."""
    return Store(PUBLISHED).read().records


@functools.cache
def some(task: str = "digits", neuron: str = "lif", method: str = "bptt") -> tuple[Record, ...]:
    """Return the published records of one row on one task, of every suite, and of the gate they stand behind."""
    found = [one for one in published() if _is_of(one.cell, task, neuron, method)]
    # Submitters have one machine: that on which the row was trained.
    own = next(one.provenance.machine.name for one in found if one.cell.suite == "accuracy")
    found = [one for one in found if one.provenance.machine.name == own]
    assert {"accuracy", "spikes", "memory", "throughput", "conformance"} <= {one.cell.suite for one in found}
    today = Today(load_registry())
    assert all(map(today.is_current, found))  # follows the project's code, so that a copy need not
    return tuple(found)


def _is_of(cell: Cell, task: str, neuron: str, method: str) -> bool:
    if cell.suite == "conformance":
        return cell.method == method or (cell.method == NOT_APPLICABLE and cell.neuron == neuron)
    return (cell.task, cell.neuron, cell.method) == (task, neuron, method)


def submission(
    folder: Path,
    records: Sequence[Record] | None = None,
    files: Mapping[str, str] | None = None,
    implementations: tuple[Implementation, ...] = (),
) -> Path:
    """Write a submission of `records` to `folder`, with the text of `files` as its sources."""
    texts = folder.parent / f"{folder.name}-sources"
    for name, text in (files or {}).items():
        (texts / name).parent.mkdir(parents=True, exist_ok=True)
        (texts / name).write_text(text, encoding="utf-8")
    sources = Sources(implementations, {name: texts / name for name in files or {}})
    write(some() if records is None else records, Today(load_registry()), sources, folder)
    return folder


def resealed(folder: Path, **more: Any) -> Path:
    """Write the manifest anew over whatever lies there now: a stranger can do that at any time."""
    manifest = json.loads((folder / MANIFEST).read_text(encoding="utf-8"))
    found = read_folder(folder)
    files = {name: one.model_dump() for name, one in sorted(found.files.items())}
    (folder / MANIFEST).write_text(json.dumps(manifest | {"files": files} | more), encoding="utf-8")
    assert isinstance(read_folder(folder).manifest, Manifest)
    return folder


def checked(folder: Path) -> Report:
    """Check a submission against the published records, without running anything."""
    return verify(folder, published(), load_registry(), INSTALLED)


def line(report: Report | Iterable[Line], check: str) -> Line:
    """Return the line of one check."""
    lines = report.lines if isinstance(report, Report) else report
    [found] = [one for one in lines if one.check == check]
    return found


def failing(report: Report) -> set[str]:
    """Return the names of the checks that do not hold."""
    return {one.check for one in report.lines if one.verdict is Verdict.FAILS}


def changed(record: Record, change: Callable[[dict[str, Any]], None]) -> Record:
    """Return `record` as JSON that `change` was let loose on: nothing is validated but the schema."""
    data = json.loads(record.model_dump_json())
    change(data)
    if data["cell_id"] == record.cell_id and data["cell"] != record.cell.written():
        data["cell_id"] = Cell(**data["cell"]).id
    return Record.model_validate_json(json.dumps(data))


def as_neuron(record: Record, name: str, expected: Callable[[Record], Fingerprint]) -> Record:
    """Return `record` as if the neuron `name` had been measured, with the fingerprint that `expected` gives."""

    def rename(data: dict[str, Any]) -> None:
        data["cell"]["neuron"] = name
        data["provenance"]["command"] = command(Cell(**data["cell"]))

    renamed = changed(record, rename)
    inputs = dict(expected(renamed).inputs)
    origin = renamed.provenance.model_copy(update={"inputs": inputs, "code_hash": combined(inputs)})
    return renamed.model_copy(update={"provenance": origin})
