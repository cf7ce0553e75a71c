"""Makes a submission: the records that may be one, the sources they need, the environment, a manifest, a word to go on.

What cannot be submitted is refused, and everything that stands in the way is named at once. Must not measure.
"""

from __future__ import annotations

import hashlib
import json
import shutil
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from harness.catalogue.cards import Registry
from harness.catalogue.cell import NOT_APPLICABLE, Cell
from harness.errors import UserError
from harness.results import packing
from harness.results.freshness import Today
from harness.results.parts import INSTALLED
from harness.results.record import MEASURED, Record
from harness.results.selection import preferred
from harness.results.store import Store
from harness.results.verification import Verification
from harness.submissions.checks.implementation import GATE
from harness.submissions.folder import read_folder
from harness.submissions.manifest import CODE, ENVIRONMENT, MANIFEST, README, RECORDS, Environment, Manifest
from harness.submissions.repository import changed_since, project_branch, uncommitted
from harness.submissions.sources import Sources, new_sources
from harness.submissions.verdict import named
from harness.writing import write_whole

__all__ = ["Made", "make", "write"]

NAMED = 4
FOLDERS = ("harness", "reference_impls")
READ_ME = """# Submission: {records} records of {rows}

Made by `spikeboard submit`. Measured on {machines}, with Spikeboard {versions}.

What to do next:

1. See what a check says: `spikeboard verify-submission {folder}`
2. In a clone of the project, on a branch of your own, put this folder to `reports/submissions/NAME/`: NAME is yours,
   lower-case letters, digits and dashes.
3. Change nothing in it: `manifest.json` holds the digest of every file, and a changed file is a named problem.
4. Open a pull request. The same check runs there without running any of your code; a maintainer may then measure a
   sample of your cells again.

What is in it:

- `records/`: packed, a record a line
{sources}- `environment.json`: versions, machine, commit
- `manifest.json`: digests
"""


@dataclass(frozen=True, slots=True)
class Made:
    """What was put into a submission."""

    folder: Path
    records: int
    sources: Sources
    base: str | None
    """Commit of the project's branch that sources were compared with; None if none is known."""


def make(
    found: Sequence[Record],
    wanted: Callable[[Cell], bool],
    registry: Registry,
    target: Path,
    branch: str | None = None,
    published: Sequence[Record] = (),
) -> Made:
    """Write a submission of those of the records `found` that are `wanted`, and of the gate that stands before them.

    Parameters
    ----------
    branch : the project's, as git knows it here. [default: the one that is there]
    published : records of the project: a contract that it has asked on the same machine need not be asked again.

    Raises
    ------
    UserError
        If it cannot be made; the message names every reason.
    """
    _require_empty(target)
    today = Today(registry)
    latest = [one for one in preferred(found, today) if not _says_nothing(one)]
    chosen = [record for record in latest if record.cell.suite != GATE and wanted(record.cell)]
    records = [*chosen, *_gate_of(chosen, latest)]
    base = project_branch(INSTALLED, branch)
    if branch is not None and base is None:
        raise UserError(
            f"--base {branch!r} is no branch or commit that this clone shares a history with", "git branch -a"
        )
    sources = new_sources(records, registry, frozenset() if base is None else changed_since(INSTALLED, base))
    refusals = [*_refusals(records, registry, today, published), *sources.refusals]
    if refusals:
        raise UserError("this cannot be submitted:\n" + "\n".join(f"  {one}" for one in refusals), _next(records))
    write(records, today, sources, target)
    return Made(target, len(records), sources, base)


def _require_empty(target: Path) -> None:
    if target.exists() and (not target.is_dir() or any(target.iterdir())):
        what = "not empty" if target.is_dir() else "a file"
        raise UserError(f"{target} is {what}", "name a folder that is not there yet: --to DIR")


def _says_nothing(record: Record) -> bool:
    never_ran = record.status == "unsupported" and record.provenance.duration_seconds == 0
    return never_ran or record.status == "interrupted"


def _gate_of(chosen: Sequence[Record], latest: Iterable[Record]) -> Iterator[Record]:
    """Yield the records of the gate that stand before `chosen` ones."""
    neurons = {(one.provenance.machine.name, one.cell.neuron) for one in chosen}
    methods = {(one.provenance.machine.name, one.cell.method) for one in chosen} - {
        (one.provenance.machine.name, NOT_APPLICABLE) for one in chosen
    }
    for record in latest:
        cell, machine = record.cell, record.provenance.machine.name
        if cell.suite != GATE:
            continue
        of_neuron = cell.method == NOT_APPLICABLE and (machine, cell.neuron) in neurons
        if of_neuron or (machine, cell.method) in methods:
            yield record


def _refusals(
    records: Sequence[Record], registry: Registry, today: Today, published: Sequence[Record]
) -> Iterator[str]:
    """Say everything that stands in the way of submitting `records`."""
    if not any(record.status in MEASURED for record in records):
        yield "no records: of what was asked for nothing has been measured, the contract aside"
        return
    if files := uncommitted(INSTALLED, *FOLDERS):
        yield f"uncommitted changes: {_few(files)}; commit them and measure again: others must have the same code"
    yield from _said("uncommitted changes while it was measured", [one for one in records if one.provenance.dirty])
    stale = [one for one in records if not today.is_current(one)]
    changed = sorted({name for one in stale for name in today.of_record(one).changed})
    yield from _said(f"stale records (another {_few(changed)} today)", stale)
    gate = [one for one in records if one.cell.suite == GATE]
    broken = [one for one in gate if today.is_current(one) and not _has_passed(one)]
    yield from _said("failed conformance", broken)
    verified = Verification([*published, *records], registry, today)
    judged_ones = {(one.cell.neuron, one.cell.method) for one in broken}
    lacking = [
        one
        for one in records
        if one.cell.suite != GATE
        and one.status in MEASURED
        and today.is_current(one)
        and not verified.of(one)
        and not any(one.cell.neuron == neuron or one.cell.method == method for neuron, method in judged_ones)
    ]
    yield from _said("no passed conformance of its neuron and training method beside it", lacking)


def _has_passed(record: Record) -> bool:
    failed = record.metrics.get("failed_checks")
    return record.status == "ok" and failed is not None and failed.value == 0


def _said(what: str, records: Sequence[Record]) -> Iterator[str]:
    if records:
        more = f" and {len(records) - 1} more" if len(records) > 1 else ""
        yield f"{what}: {named(records[0])}{more}"


def _few(names: Sequence[str]) -> str:
    return ", ".join(names[:NAMED]) + (f" and {len(names) - NAMED} more" if len(names) > NAMED else "")


def _next(records: Sequence[Record]) -> str:
    if not records:
        return "measure something first, or give other filters: spikeboard run --preset new --neuron NAME"
    names = sorted({record.cell.neuron for record in records} - {NOT_APPLICABLE})
    return (
        f"measure what is stale or missing: spikeboard run --suite conformance --neuron {names[0] if names else 'NAME'}"
    )


def write(records: Sequence[Record], today: Today, sources: Sources, target: Path) -> None:
    """Write a submission to `target`, whatever stands in it; the manifest last: a folder without one is not whole."""
    packing.publish(records, Store(target / RECORDS), today)
    for place, path in (sources.files or {}).items():
        (target / CODE / place).parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(path, target / CODE / place)
    environment = _environment(records)
    write_whole(target / ENVIRONMENT, environment.model_dump_json(indent=1) + "\n")
    write_whole(target / README, _read_me(records, environment, sources, target))
    files = dict(sorted(read_folder(target).files.items()))
    manifest = Manifest(records=len(records), implementations=sources.implementations, files=files)
    write_whole(target / MANIFEST, manifest.model_dump_json(indent=1) + "\n")


def _environment(records: Iterable[Record]) -> Environment:
    origins = [record.provenance for record in records]
    machines = {hashlib.sha256(one.machine.model_dump_json().encode()).hexdigest(): one.machine for one in origins}
    packages = {json.dumps(dict(one.packages), sort_keys=True): dict(one.packages) for one in origins}
    return Environment(
        spikeboard=tuple(sorted({one.spikeboard for one in origins})),
        commits=tuple(sorted({one.commit for one in origins}, key=lambda commit: commit or "")),
        machines=tuple(machines.values()),
        packages=tuple(packages.values()),
    )


def _read_me(records: Sequence[Record], environment: Environment, sources: Sources, target: Path) -> str:
    new = [name for one in sources.implementations for name in one.rows]
    rows = new or sorted({one.cell.neuron for one in records} - {NOT_APPLICABLE})
    return READ_ME.format(
        records=len(records),
        rows=_few(rows),
        machines=", ".join(one.name for one in environment.machines),
        versions=", ".join(environment.spikeboard),
        folder=target.name,
        sources="- `implementations/`: the new sources, as they are imported\n" if sources.files else "",
    )
