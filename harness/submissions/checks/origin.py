"""Whether records come from where they say: machine, environment, commit, command, code, seeds and splits.

Asked of the cards and the sources that lie here, of git, and of records that are published already; nothing is
imported or run. Must not look at figures, but for those that tell two trainings apart.
"""

from __future__ import annotations

import dataclasses
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from pathlib import Path

from harness.catalogue.cards import Registry
from harness.catalogue.cell import NOT_APPLICABLE
from harness.results import provenance
from harness.results.fingerprint import Fingerprint, Fingerprints, combined
from harness.results.record import Machine, Record
from harness.submissions.manifest import Environment
from harness.submissions.repository import knows_commit
from harness.submissions.verdict import Complaint, Line, holds, judged, untold
from reference_impls.requirements import installed_version

__all__ = [
    "check_code",
    "check_command",
    "check_commit",
    "check_environment",
    "check_machine",
    "check_seeds",
    "check_splits",
    "fingerprints_for",
]

CODE, SPLITS = "versions and code", "splits"
NAMED = 6


def fingerprints_for(registry: Registry, root: Path | None) -> Callable[[Record], Fingerprint]:
    """Return what gives the fingerprint that a record must have: on these sources, with the packages it names.

    The versions are the record's own, because another machine has others; what it says of them is checked by that.
    """
    known: dict[tuple[tuple[str, str], ...], Fingerprints] = {}

    def of(record: Record) -> Fingerprint:
        packages = dict(record.provenance.packages)
        key = tuple(sorted(packages.items()))
        if key not in known:
            known[key] = Fingerprints(registry, root, lambda name: _version(name, packages))
        return known[key].of(record.cell)

    return of


def _version(name: str, packages: Mapping[str, str]) -> str | None:
    if name not in provenance.PACKAGES:
        return installed_version(name)
    return packages[name].partition("+")[0] if name in packages else None


def check_code(records: Sequence[Record], registry: Registry, expected: Callable[[Record], Fingerprint]) -> Line:
    """Return whether records are of today's suites, tasks and code, the submission's implementations among it."""
    return judged(
        CODE,
        len(records),
        "records were measured with the code that lies here, under its versions of suites and tasks",
        (complaint for record in records for complaint in _of_code(record, registry, expected)),
        "there is no record",
    )


def _of_code(record: Record, registry: Registry, expected: Callable[[Record], Fingerprint]) -> Iterator[Complaint]:
    origin, cell = record.provenance, record.cell
    names = (("suite", cell.suite, registry.suites), ("task", cell.task, registry.tasks))
    unknown = [f"no {axis} {name!r}" for axis, name, rows in names if name not in {*rows, NOT_APPLICABLE}]
    if unknown:
        yield record, f"there is {' and '.join(unknown)} here"
        return
    if origin.suite_version != (version := registry.suite(cell.suite).version):
        yield record, f"is of version {origin.suite_version} of its suite; here it is {version}"
    task_version = None if cell.task == NOT_APPLICABLE else registry.task(cell.task).version
    if origin.task_version != task_version:
        yield record, f"is of version {origin.task_version} of its task; here it is {task_version}"
    if origin.inputs is None:
        yield record, "does not name the inputs that decide its figures"
        return
    if origin.code_hash != combined(origin.inputs):
        yield record, "has a code hash that is not that of its inputs: it was edited"
    today = expected(record)
    if origin.code_hash != today.code_hash:
        names_of = today.inputs.keys() | origin.inputs.keys()
        changed = sorted(name for name in names_of if today.inputs.get(name) != origin.inputs.get(name))
        yield record, f"was measured with another {', '.join(changed[:NAMED])} than lies here" + _more(changed)


def _more(names: Sequence[str]) -> str:
    return f" (and {len(names) - NAMED} more)" if len(names) > NAMED else ""


def check_command(records: Sequence[Record]) -> Line:
    """Return whether every record names the command that measures its own cell again."""
    return judged(
        "commands",
        len(records),
        "records name the command of their own cell, and its threads",
        (complaint for record in records for complaint in _of_command(record)),
        "there is no record",
    )


def _of_command(record: Record) -> Iterator[Complaint]:
    origin, cell = record.provenance, record.cell
    if origin.command != provenance.command(cell):
        yield record, "names the command of something else: copied from another record, or edited"
    if origin.threads != cell.threads:
        yield record, f"ran with {origin.threads} threads, and its cell has {cell.threads}"
    ran = record.status == "ok" and origin.duration_seconds == 0
    if ran:
        yield record, "has figures and took no time"


def check_seeds(records: Sequence[Record]) -> Line:
    """Return whether no two seeds of one training have the same course: one would be the copy of the other."""
    courses: dict[tuple[object, ...], list[Record]] = defaultdict(list)
    for record in records:
        loss = record.series.get("train_loss")
        if loss is not None and len(loss.points) > 1:
            courses[dataclasses.replace(record.cell, seed=0), loss.points].append(record)
    copies = [several for several in courses.values() if len({one.cell.seed for one in several}) > 1]
    return judged(
        "seeds",
        sum(map(len, courses.values())),
        "trainings, no two seeds with the same course",
        ((several[1], f"has exactly the losses of seed {several[0].cell.seed}") for several in copies),
        "no record of a training",
    )


def check_splits(records: Sequence[Record], published: Iterable[Record]) -> Line:
    """Return whether splits and test samples have one digest for each task and seed, that of the published records."""
    asked = [record for record in records if "split_digest" in record.details]
    tasks = {record.cell.task for record in asked}
    known = [record for record in published if record.cell.task in tasks and "split_digest" in record.details]
    splits, order = _digests(known)
    compared = [record for record in asked if _split_key(record) in splits]
    own_splits, own_order = _digests(asked)
    complaints = [
        *_unlike(asked, own_splits, _split_key, _split, "another record of the submission"),
        *_unlike(asked, splits, _split_key, _split, "the published records"),
        *_unlike(asked, own_order, _order_key, _order, "another record of the submission"),
        *_unlike(asked, order, _order_key, _order, "the published records"),
    ]
    if complaints:
        return judged(SPLITS, 0, "", complaints, "")
    missing = sorted({record.cell.task for record in asked if _split_key(record) not in splits})
    if missing or not asked:
        why = f"no published record of {', '.join(missing)} with those seeds" if missing else "no record of a split"
        return untold(SPLITS, f"{why}; {len(compared)} of {len(asked)} records share the published split")
    return holds(SPLITS, f"{len(asked)} records share the split and the test samples of the published ones")


Key = tuple[object, ...]


def _split_key(record: Record) -> Key:
    return record.cell.task, record.provenance.task_version, record.cell.seed


def _split(record: Record) -> object:
    return record.details["split_digest"]


def _order_key(record: Record) -> Key:
    said = record.predictions
    return str(_split(record)), -1 if said is None else said.samples


def _order(record: Record) -> object:
    return None if record.predictions is None else record.predictions.digest


def _digests(records: Iterable[Record]) -> tuple[dict[Key, object], dict[Key, object]]:
    """Return the split of each task and seed, and the order of test samples of each split: those seen first."""
    splits: dict[Key, object] = {}
    orders: dict[Key, object] = {}
    for record in records:
        splits.setdefault(_split_key(record), _split(record))
        if record.predictions is not None:
            orders.setdefault(_order_key(record), _order(record))
    return splits, orders


def _unlike(
    records: Iterable[Record],
    known: Mapping[Key, object],
    key: Callable[[Record], Key],
    value: Callable[[Record], object],
    whose: str,
) -> Iterator[Complaint]:
    for record in records:
        found = value(record)
        if found is not None and known.get(key(record), found) != found:
            what = "split" if value is _split else "test samples"
            yield record, f"has another digest of its {what} than {whose}"


def check_environment(records: Sequence[Record], environment: Environment) -> Line:
    """Return whether the environment that is stated is the one in which the records were measured."""
    complaints: list[Complaint] = []
    for record in records:
        origin = record.provenance
        if origin.machine not in environment.machines:
            complaints.append((record, "was measured on a machine that the environment does not describe"))
        elif dict(origin.packages) not in environment.packages:
            complaints.append((record, "was measured with packages that the environment does not list"))
    stated = set(environment.commits)
    strange = [record for record in records if record.provenance.commit not in stated]
    complaints += [(record, "was measured at a commit that the environment does not list") for record in strange]
    what = "records were measured in the environment that is stated"
    return judged("environment", len(records), what, complaints, "there is no record")


def check_machine(records: Sequence[Record], published: Iterable[Record]) -> Line:
    """Return whether each machine is described, one name for one of them, as the published records know it."""
    here: dict[str, Machine] = {}
    complaints: list[Complaint] = []
    for record in records:
        machine = record.provenance.machine
        described = here.setdefault(machine.name, machine)
        if _hardware(described) != _hardware(machine):
            complaints.append((record, f"describes the machine {machine.name} otherwise than another record"))
        complaints += ((record, problem) for problem in _of_machine(record))
    known: dict[str, Machine] = {}
    for record in published:
        known.setdefault(record.provenance.machine.name, record.provenance.machine)
    for record in records:
        machine = record.provenance.machine
        if machine.name in known and _hardware(known[machine.name]) != _hardware(machine):
            complaints.append((record, f"names the machine {machine.name}, which is another in the published records"))
    new = sorted(here.keys() - known.keys())
    what = f"records, of {', '.join(sorted(here))}" + (f"; new here: {', '.join(new)}" if new else "; known here")
    return judged("machine", len(records), what, complaints, "there is no record")


def _hardware(machine: Machine) -> tuple[object, ...]:
    """Return what makes a machine another one; memory in GiB, for a kernel keeps some to itself."""
    memory = round(machine.memory_bytes / 2**30)
    return machine.cpu, machine.physical_cores, machine.logical_cores, memory, machine.gpu


def _of_machine(record: Record) -> Iterator[str]:
    machine, cell = record.provenance.machine, record.cell
    if not (machine.cpu and machine.name and machine.os and machine.python):
        yield "does not describe its machine"
    if not 1 <= machine.physical_cores <= machine.logical_cores:
        yield f"has a machine of {machine.physical_cores} cores and {machine.logical_cores} threads"
    if cell.threads > machine.logical_cores:
        yield f"ran with {cell.threads} threads on a machine of {machine.logical_cores}"
    if cell.device.startswith("cuda") and (machine.gpu is None or record.provenance.gpu is None):
        yield "is of a GPU and does not describe it"


def check_commit(records: Sequence[Record], root: Path) -> Line:
    """Return whether every record names a commit of this repository, without changes on top of it."""
    dirty = [record for record in records if record.provenance.dirty]
    if dirty:
        return judged("commit", 0, "", ((one, "was measured with uncommitted changes") for one in dirty), "")
    commits = {record.provenance.commit for record in records}
    if None in commits or not commits:
        return untold(
            "commit", "measured with an installed Spikeboard, which has none; the line on versions and code decides"
        )
    known = {commit: knows_commit(root, commit) for commit in sorted(filter(None, commits))}
    named = ", ".join(commit[:12] for commit in known)
    if any(answer is None for answer in known.values()):
        return untold("commit", f"{named}: there is no git repository here to ask")
    if all(known.values()):
        return holds("commit", f"{named} known here, without uncommitted changes")
    strange = ", ".join(commit[:12] for commit, answer in known.items() if not answer)
    return untold(
        "commit",
        f"{strange} is not known here: it may lie on the branch of the pull request (git fetch); the line on versions "
        "and code decides",
    )
