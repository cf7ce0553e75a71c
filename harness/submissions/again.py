"""Measuring a sample of a submission's cells again, and holding what comes out against what was submitted.

Exact figures must be equal bit for bit, test errors must lie in the interval that was submitted; what else is equal is
confirmed, and what is not (times, another machine's rounding) cannot be told. Must not run anything in this process.
"""

from __future__ import annotations

import json
import os
import random
import subprocess
import sys
import tempfile
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from harness.catalogue.cards import Registry
from harness.catalogue.cell import NOT_APPLICABLE
from harness.data import data_root as resolve_data_root
from harness.data import data_set
from harness.errors import UserError
from harness.results.evidence import is_share
from harness.results.marks import Key, key_of
from harness.results.record import MEASURED, Metric, Record
from harness.results.store import Store
from harness.submissions.checks.implementation import GATE
from harness.submissions.overlay import INSTALLED, Overlay
from harness.submissions.sandbox import LARGEST_FILE_BYTES, Sandbox
from harness.submissions.verdict import Line, fails, holds, named, untold
from harness.text import printable

__all__ = ["Again", "Sample", "choose", "compared", "lines_of", "measure_again"]

EXACT, ERRORS, CUT_OFF = "exact figures", "test errors", "isolation"
LEAST_SECONDS, PER_CELL_SECONDS, LONGER = 120.0, 60.0, 20.0
"""How long a sample may take: so much, and for each cell so much more than it took its submitter, at most its suite's
limit."""
SHOWN = 3


@dataclass(frozen=True, slots=True)
class Sample:
    """The cells to measure again."""

    records: tuple[Record, ...]
    seed: int
    """That chose them, so that the same can be chosen again."""
    left_out: Mapping[str, int]
    """Why cells cannot be in it, and how many."""


@dataclass(frozen=True, slots=True)
class Again:
    """A record, and what became of its figures when its cell was measured again."""

    record: Record
    confirmed: frozenset[str] = frozenset()
    """Figures that are equal, or lie where they must."""
    problems: tuple[str, ...] = ()
    untold: tuple[str, ...] = ()
    """Figures that differ and may."""


def choose(
    records: Sequence[Record], registry: Registry, new: Collection[str], count: int, seed: int, data_root: Path | None
) -> Sample:
    """Choose cells by chance, of each suite in turn; the gate of new rows is always among them.

    Parameters
    ----------
    new : names of neurons and training methods that the submission brings.
    count : cells, the gate of new rows aside.
    """
    left_out: dict[str, int] = {}
    possible: dict[str, list[Record]] = {}
    gate: list[Record] = []
    for record in sorted(records, key=lambda record: (record.cell, record.provenance.machine.name)):
        why = _why_not(record, registry, data_root)
        if why:
            left_out[why] = left_out.get(why, 0) + 1
        elif record.cell.suite == GATE and {record.cell.neuron, record.cell.method} & set(new):
            gate.append(record)
        else:
            possible.setdefault(record.cell.suite, []).append(record)
    luck = random.Random(seed)
    for several in possible.values():
        luck.shuffle(several)
    chosen: list[Record] = []
    while len(chosen) < count and any(possible.values()):
        for suite in sorted(possible):
            if possible[suite] and len(chosen) < count:
                chosen.append(possible[suite].pop())
    return Sample((*gate, *chosen), seed, left_out)


def _why_not(record: Record, registry: Registry, data_root: Path | None) -> str:
    cell = record.cell
    if record.status not in MEASURED:
        return "gave no figures"
    if cell.suite not in registry.suites:
        return "of no suite"
    if registry.suite(cell.suite).timed:
        return "measure times, which are their machine's"
    if cell.device != "cpu":
        return f"need the device {cell.device}"
    if cell.threads > (os.cpu_count() or 1):
        return f"need {cell.threads} threads"
    data = None if cell.task == NOT_APPLICABLE or cell.task not in registry.tasks else registry.task(cell.task).data
    if data is not None and not _is_there(data, data_root):
        return f"need the data set {data}, which is not here"
    return ""


def _is_there(name: str, data_root: Path | None) -> bool:
    try:
        data_set(name).require(resolve_data_root(data_root))
    except UserError:
        return False
    return True


def measure_again(
    sample: Sample, sources: Overlay, sandbox: Sandbox, data_root: Path | None, tell: Callable[[str], None]
) -> tuple[dict[Key, Record], str]:
    """Measure the cells of `sample` in `sandbox`; return what was measured, and the last words if not all was."""
    registry, root = sources.registry, sources.root or INSTALLED
    seconds = LEAST_SECONDS
    for record in sample.records:
        limit = registry.suite(record.cell.suite).timeout_seconds
        seconds += min(limit, PER_CELL_SECONDS + LONGER * record.provenance.duration_seconds)
    with tempfile.TemporaryDirectory(prefix="spikeboard-") as folder:
        place, data = Path(folder).resolve(), resolve_data_root(data_root).resolve()
        request = {
            "cells": [record.cell.written() for record in sample.records],
            "store": str(place / "store"),
            "scratch": str(place / "scratch"),
            "data_root": str(data) if data.is_dir() else None,
            "largest_file_bytes": LARGEST_FILE_BYTES,
        }
        (place / "request.json").write_text(json.dumps(request), encoding="utf-8")
        environment = {"PYTHONPATH": str(root), "PYTHONSAFEPATH": "1", "OMP_NUM_THREADS": "1"}
        command = [sys.executable, "-m", "harness.submissions.rerun", str(place / "request.json")]
        tell(f"measuring {len(sample.records)} cells again ({sandbox.name or 'without protection'})")
        try:
            done = sandbox.run(command, place, [root, INSTALLED, data], seconds, environment)
            words = "" if done.returncode == 0 else " ".join(done.stdout.split())[-400:] or f"code {done.returncode}"
        except subprocess.TimeoutExpired:
            words = f"it was killed after {seconds:.0f} s"
        found = Store(place / "store").read(registry).records
    by_cell = {record.cell_id: record for record in found}
    measured = {key_of(record): by_cell[record.cell_id] for record in sample.records if record.cell_id in by_cell}
    return measured, printable(words, lines=False)


def compared(record: Record, again: Record | None) -> Again:
    """Hold a record against the one that was measured again."""
    if again is None:
        return Again(record, problems=("was not measured: its process ended without a record",))
    if again.status not in MEASURED:
        return Again(record, problems=(f"ended as {again.status} here: {again.reason}",))
    problems = list(_unlike_data(record, again))
    confirmed, other = set(), []
    for name, metric in record.metrics.items():
        found = again.metrics.get(name)
        if found is None:
            problems.append(f"{name} was not measured here")
        elif found.value == metric.value:
            confirmed.add(name)
        elif metric.exact:
            problems.append(f"{name} is {metric.value!r}, and exactly {found.value!r} here")
        elif _bounds_errors(metric):
            if _inside(metric, found.value):
                confirmed.add(name)
            else:
                problems.append(
                    f"{name} is {metric.value:.4g} ({metric.low:.4g} to {metric.high:.4g}), here {found.value:.4g}"
                )
        else:
            other.append(name)
    return Again(record, frozenset(confirmed), tuple(problems), tuple(other))


def _unlike_data(record: Record, again: Record) -> Iterable[str]:
    said, found = (one.details.get("split_digest") for one in (record, again))
    if said != found:
        yield "was measured on another split"
    tested = [None if one.predictions is None else one.predictions.digest for one in (record, again)]
    if None not in tested and tested[0] != tested[1]:
        yield "was tested on other samples"


def _bounds_errors(metric: Metric) -> bool:
    return is_share(metric) and metric.low is not None and metric.high is not None


def _inside(metric: Metric, value: float) -> bool:
    return metric.low is not None and metric.high is not None and metric.low <= value <= metric.high


def lines_of(sample: Sample, results: Sequence[Again], words: str, brought: Collection[str]) -> list[Line]:
    """Return the lines on exact figures and on test errors.

    Parameters
    ----------
    words : the last that was heard of the run, if it did not come to its end.
    brought : tasks of the submission: data of their own are not among its files.
    """
    if not sample.records:
        why = "; ".join(f"{count} records {reason}" for reason, count in sample.left_out.items()) or "no record"
        return [
            untold(EXACT, f"no cell can be measured again here: {why}"),
            untold(ERRORS, "no cell was measured again"),
        ]
    broken = [one for one in results if one.problems and one.record.cell.task not in brought]
    if broken:
        causes = [f"{named(one.record)} {problem}" for one in broken for problem in one.problems]
        lines = [fails(EXACT, [*causes, *([words] if words else [])])]
    else:
        lines = [_of_exact(sample, results)]
    errors = [one for one in results if any(_bounds_errors(metric) for metric in one.record.metrics.values())]
    wrong = [one for one in errors if one in broken]
    sound = [one for one in errors if not one.problems]
    if wrong:
        lines.append(fails(ERRORS, [f"{named(one.record)}: {'; '.join(one.problems[:SHOWN])}" for one in wrong]))
    elif sound:
        lines.append(holds(ERRORS, f"of {len(sound)} cells measured again lie inside their intervals"))
    else:
        lines.append(untold(ERRORS, "no cell with a test error was measured again"))
    return lines


def _of_exact(sample: Sample, results: Sequence[Again]) -> Line:
    done = [one for one in results if not one.problems]
    exact = sum(one.record.metrics[name].exact for one in done for name in one.confirmed)
    equal = sum(len(one.confirmed) for one in done)
    cells = ", ".join(one.record.cell_id for one in done)
    noisy = sorted({name for one in done for name in one.untold})
    if not exact:
        return untold(EXACT, f"none of the {len(done)} cells that were measured again has one (seed {sample.seed})")
    more = f"; not told: {', '.join(noisy)}" if noisy else ""
    what = f"{exact} equal bit for bit, {equal} figures confirmed in all, of {len(done)} cells"
    return holds(EXACT, f"{what} (--sample-seed {sample.seed}): {cells}{more}")
