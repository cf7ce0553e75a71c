"""Checks a submission line by line: its files, its records, its code by its text, and, if asked, what runs again.

Nothing of the submission is imported here. Must not print.
"""

from __future__ import annotations

import secrets
import stat
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from harness.catalogue.cards import Registry
from harness.errors import UserError
from harness.results.fingerprint import Fingerprint
from harness.results.freshness import Freshness, Today
from harness.results.freshness import compared as compared_with
from harness.results.marks import Key, key_of
from harness.results.record import Record
from harness.submissions import again, overlay
from harness.submissions.checks import costs, energy, figures, implementation, origin, training
from harness.submissions.folder import Contents, read_folder
from harness.submissions.manifest import CODE, Environment, Manifest
from harness.submissions.reading import code_files, records_in, unreadable_sources
from harness.submissions.sandbox import Sandbox
from harness.submissions.verdict import Line, Verdict, fails, holds, untold
from harness.text import printable

__all__ = ["Report", "Running", "verify"]

NOT_RUN = "nothing was run: --run measures a sample of its cells again"


@dataclass(frozen=True, slots=True)
class Running:
    """How a sample is measured again."""

    sandbox: Sandbox
    sample: int
    data_root: Path | None = None
    seed: int | None = None
    tell: Callable[[str], None] = field(default=lambda _: None)


@dataclass(frozen=True, slots=True)
class Report:
    """What became of a submission."""

    name: str
    digest: str
    """Of its manifest, which stands for all its files."""
    lines: tuple[Line, ...]
    records: tuple[Record, ...]
    again: tuple[again.Again, ...] = ()

    @property
    def failed(self) -> bool:
        """Whether anything does not hold."""
        return any(line.verdict is Verdict.FAILS for line in self.lines)


def verify(
    folder: Path, published: Sequence[Record], own: Registry, root: Path, running: Running | None = None
) -> Report:
    """Check the submission in `folder`.

    Parameters
    ----------
    published : records of the project, which tell its splits, its machines and what every gate asks.
    own : the project's rows.
    root : of the repository that commits are looked for in.
    running : how a sample is measured again; None: nothing runs.

    Raises
    ------
    UserError
        If there is no such folder.
    """
    try:
        mode = folder.lstat().st_mode
    except OSError as error:
        raise UserError(f"{folder}: {error.strerror}", "give the folder that `spikeboard submit` has made") from error
    if not stat.S_ISDIR(mode):
        what = "a link, and is not followed" if stat.S_ISLNK(mode) else "no folder"
        raise UserError(f"{folder} is {what}", "give the folder that `spikeboard submit` has made")
    contents = read_folder(folder)
    records, problems = records_in(folder, contents, own)
    lines = [*_of_folder(contents, len(records)), _of_records(records, problems)]
    found, results = _of_content(folder, contents, records, published, own, root, running)
    return Report(folder.resolve().name, contents.digest, (*lines, *found), tuple(records), tuple(results))


def _of_folder(contents: Contents, records: int) -> Iterator[Line]:
    manifest = contents.manifest
    size = sum(one.bytes for one in contents.files.values())
    yield (
        fails("files", contents.problems)
        if contents.problems
        else holds("files", f"{len(contents.files)} plain files of {size:,} bytes")
    )
    if isinstance(manifest, str):
        yield fails("manifest", [manifest])
        yield untold("digests", "there is no manifest to compare the files with")
    else:
        wrong = manifest.records != records
        yield (
            fails("manifest", [f"it announces {manifest.records} records, and {records} can be read"])
            if wrong
            else holds("manifest", f"{records} records, {len(manifest.implementations)} implementations")
        )
        differences = contents.differences()
        yield (
            fails("digests", differences)
            if differences
            else holds("digests", f"every file is the one that is listed; together {contents.digest[:16]}")
        )


def _of_records(records: Sequence[Record], problems: Sequence[str]) -> Line:
    check = "schema and ranges"
    if problems:
        return fails(check, problems)
    if not records:
        return fails(check, ["there is no record in it"])
    what = "of their schema, every figure possible for its metric, each of its own cell and in its own place"
    return holds(check, f"{len(records)} records {what}")


def _of_content(
    folder: Path,
    contents: Contents,
    records: Sequence[Record],
    published: Sequence[Record],
    own: Registry,
    root: Path,
    running: Running | None,
) -> tuple[list[Line], Sequence[again.Again]]:
    """Return the lines on records and code, and what was measured again."""
    manifest = contents.manifest
    files = code_files(contents)
    refused = [*overlay.code_problems(files), *unreadable_sources(folder, files)]
    announced = manifest.implementations if isinstance(manifest, Manifest) else ()
    taken = {} if refused else files
    with overlay.overlay(folder / CODE, taken, () if refused else announced, running is not None) as sources:
        changed = sorted(name for name in taken if overlay.differs(folder / CODE, name))
        lines = [
            *_consistent(records, published, sources.registry),
            *_from_where(records, published, contents.environment, root),
            *_of_code(records, published, sources, own, announced, changed, refused),
        ]
        if running is None:
            untold_ones = (again.CUT_OFF, again.EXACT, again.ERRORS)
            return [*lines, *(untold(check, NOT_RUN) for check in untold_ones)], ()
        if refused or any(line.verdict is Verdict.FAILS for line in _of_folder(contents, len(records))):
            why = "nothing was run: the files do not hold what the manifest lists"
            return [*lines, *(untold(check, why) for check in (again.CUT_OFF, again.EXACT, again.ERRORS))], ()
        more, results = _run(records, sources, announced, running)
        return [*lines, *more], results


def _consistent(records: Sequence[Record], published: Sequence[Record], registry: Registry) -> list[Line]:
    return [
        figures.check_figures(records, registry),
        figures.check_intervals(records),
        training.check_predictions(records),
        training.check_curves(records),
        energy.check_energy(records),
        costs.check_memory(records, registry),
        costs.check_timings(records),
        origin.check_splits(records, published),
        origin.check_seeds(records),
    ]


def _from_where(
    records: Sequence[Record], published: Sequence[Record], environment: Environment | str, root: Path
) -> list[Line]:
    return [
        origin.check_command(records),
        fails("environment", [environment])
        if isinstance(environment, str)
        else origin.check_environment(records, environment),
        origin.check_machine(records, published),
        origin.check_commit(records, root),
    ]


def _of_code(
    records: Sequence[Record],
    published: Sequence[Record],
    sources: overlay.Overlay,
    own: Registry,
    announced: Sequence[implementation.Implementation],
    changed: Sequence[str],
    refused: Sequence[str],
) -> list[Line]:
    if refused:
        why = "the sources of the submission cannot be taken"
        return [fails("implementations", refused), untold(origin.CODE, why), untold("gate", why)]
    try:
        expected = origin.fingerprints_for(sources.registry, sources.root)
        code = origin.check_code(records, sources.registry, expected)
        today = Today(sources.registry, sources.root, _freshness(records, expected))
        gate = implementation.check_gate(records, published, sources, today, announced)
    except (RecursionError, MemoryError) as error:
        return [fails("implementations", [f"the sources cannot be followed: {error}"])]
    return [code, implementation.check_implementations(announced, changed, sources, records, own), gate]


def _freshness(records: Sequence[Record], expected: Callable[[Record], Fingerprint]) -> dict[Key, Freshness]:
    """Return how each record stands to the code that lies here, with the packages that it names itself."""
    return {
        key_of(one): compared_with(expected(one), one.provenance.code_hash, one.provenance.inputs) for one in records
    }


def _run(
    records: Sequence[Record],
    sources: overlay.Overlay,
    announced: Sequence[implementation.Implementation],
    running: Running,
) -> tuple[list[Line], Sequence[again.Again]]:
    new = {name for one in announced for name in one.rows if one.kind in ("neuron", "training")}
    tasks = {name for one in announced for name in one.rows if one.kind == "task"}
    seed = secrets.randbelow(10**6) if running.seed is None else running.seed
    sample = again.choose(records, sources.registry, new, running.sample, seed, running.data_root)
    if not sample.records:
        return [untold(again.CUT_OFF, "no cell can be measured again here"), *again.lines_of(sample, (), "", tasks)], ()
    measured, words = again.measure_again(sample, sources, running.sandbox, running.data_root, running.tell)
    results = [again.compared(record, measured.get(key_of(record))) for record in sample.records]
    how = (
        holds(again.CUT_OFF, printable(running.sandbox.why))
        if running.sandbox.protects
        else untold(again.CUT_OFF, f"its code ran with network and files of this machine: {running.sandbox.why}")
    )
    return [how, *again.lines_of(sample, results, words, tasks)], results
