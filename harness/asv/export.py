"""Writes points of records into asv's tree of results, beside what asv has measured itself.

So what `spikeboard run` has measured, on a GPU or on somebody else's machine, stands on the same graphs. The files are
this module's alone and are written anew each time; where asv has measured the same series at the same commit, its
figure stands. Must not decide what a record means.
"""

from __future__ import annotations

import ast
import itertools
import os
import shutil
import tempfile
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from asv.machine import Machine as AsvMachine
from asv.results import Results, get_filename, iter_results_paths
from asv.runner import BenchmarkResult
from asv.util import UserError as AsvError
from asv.util import is_na, load_json, write_json

from harness.asv.machines import FILE, describe
from harness.asv.points import CommitDate, Points, SeriesLine, Value
from harness.asv.series import PARAMETER, benchmark_name, current_version
from harness.catalogue.cards import Registry
from harness.text import inside

__all__ = ["export"]

KIND = "records"
"""What takes the place of an environment's kind in the names of the files written here."""
BENCHMARKS = "benchmarks.json"
BENCHMARKS_FORMAT = 2

_ByLabel = dict[str, Value]
_ByBenchmark = dict[tuple[str, str], _ByLabel]
"""(suite, metric) -> label -> value."""


def export(points: Points, results: Path, registry: Registry, commit_date: CommitDate) -> int:
    """Write `points` in place of what an earlier export wrote, and return how many were written.

    Call it after ``asv run``, which forgets benchmarks that it did not find in ``benchmarks/``. If it fails, what was
    there stays: all files are written elsewhere first, and then moved.

    Parameters
    ----------
    points : of records.
    results : asv's ``results_dir``; made if it is not there.
    rows : give the units of figures.
    commit_date : of every commit that a point has.
    """
    earlier = set(results.glob(f"*/*-{KIND}-py*.json"))
    measured = frozenset(_measured_by_asv(results, {point.benchmark: point.suite for point in points.values}))
    files: dict[tuple[SeriesLine, str], _ByBenchmark] = defaultdict(lambda: defaultdict(dict))
    for point, value in points.values.items():
        if (point.line.machine, point.commit, point.benchmark, point.label) not in measured:
            files[point.line, point.commit][point.suite, point.metric][point.label] = value
    results.mkdir(parents=True, exist_ok=True)
    draft = Path(tempfile.mkdtemp(prefix=f".{results.name}-", dir=results.parent))
    try:
        for (line, commit), figures in files.items():
            description = describe(points.machines[line.machine], results)
            write_json(str(inside(draft, line.machine, FILE)), description, AsvMachine.api_version)
            _write(line, commit, commit_date(commit) or 0, figures, description, draft)
        _add_benchmarks(files.values(), results / BENCHMARKS, draft / BENCHMARKS, registry)
        _replace(earlier, draft, results)
    finally:
        shutil.rmtree(draft, ignore_errors=True)
    return sum(len(by_label) for figures in files.values() for by_label in figures.values())


def _replace(earlier: set[Path], draft: Path, results: Path) -> None:
    """Move every file of `draft` to its place in `results`, and delete those of an earlier export that have none."""
    written = {results / path.relative_to(draft): path for path in draft.rglob("*.json")}
    for place, path in written.items():
        place.parent.mkdir(parents=True, exist_ok=True)
        os.replace(path, place)
    for path in earlier - written.keys():
        path.unlink()


def _measured_by_asv(results: Path, suites: Mapping[str, str]) -> Iterator[tuple[str, str, str, str]]:
    """Yield (machine, commit, benchmark, label) of every figure of asv's own of the current version of a benchmark.

    `suites` has the suite of each benchmark that is looked for.
    """
    for folder, name, machine in iter_results_paths(str(results)):
        if f"-{KIND}-py" in name:
            continue
        try:
            found = Results.load(os.path.join(folder, name), machine_name=machine)
        except AsvError:  # asv names the file when it publishes
            continue
        for benchmark in suites.keys() & found.get_all_result_keys():
            if found.benchmark_version.get(benchmark) != current_version(suites[benchmark]):
                continue
            params = found.get_result_params(benchmark)
            values = found.get_result_value(benchmark, params)
            for shown, value in zip(itertools.product(*params), values, strict=True):
                if len(shown) == 1 and not is_na(value):
                    yield machine, found.commit_hash, benchmark, ast.literal_eval(shown[0])


def _write(
    line: SeriesLine, commit: str, date: int, figures: _ByBenchmark, description: Mapping[str, str], results: Path
) -> None:
    """Write one file of results: all that is known of a commit on a line."""
    environment = "-".join([KIND, f"py{line.python}", *(name + version for name, version in line.packages)])
    requirements = dict(line.packages)
    params = {**description, "machine": line.machine, "python": line.python, **requirements}
    file = Results(params, requirements, commit, date, line.python, environment, {})
    for (suite, metric), by_label in sorted(figures.items()):
        benchmark = {
            "name": benchmark_name(suite, metric),
            "version": current_version(suite),
            "params": [[repr(label) for label in sorted(by_label)]],
        }
        values = [by_label[label] for label in sorted(by_label)]
        # The commit's date, not this moment's: the same records make the same file.
        file.add_result(benchmark, _result(values), started_at=datetime.fromtimestamp(date / 1000, UTC))
    inside(results, get_filename(line.machine, commit, environment))
    file.save(str(results))


def _result(values: list[Value]) -> BenchmarkResult:
    """Return `values` as asv's runner would: True where there are samples, from which asv computes the figure."""
    sampled = [value if isinstance(value, dict) else None for value in values]
    return BenchmarkResult(
        result=[True if isinstance(value, dict) else value for value in values],
        samples=[item and item["samples"] for item in sampled],
        number=[item and item["number"] for item in sampled],
        errcode=0,
        stderr="",
        profile=None,
    )


def _add_benchmarks(files: Iterable[_ByBenchmark], path: Path, out: Path, registry: Registry) -> None:
    """Write the benchmarks of `path` to `out`, with those of `files`: new ones, or further values of a known one's."""
    known: dict[str, Any] = load_json(str(path), BENCHMARKS_FORMAT) if path.exists() else {}
    labels: dict[tuple[str, str], set[str]] = defaultdict(set)
    for figures in files:
        for key, by_label in figures.items():
            labels[key].update(map(repr, by_label))
    for (suite, metric), added in labels.items():
        card = registry.suite(suite).metrics[metric]
        name = benchmark_name(suite, metric)
        entry = known.setdefault(
            name,
            {
                "name": name,
                "code": f"{card.title}\n\nFrom records of `spikeboard run`; asv itself does not measure it.",
                "type": "track",
                "unit": card.unit,
                "param_names": [PARAMETER],
                "params": [[]],
                "timeout": 0,
            },
        )
        entry["version"] = current_version(suite)
        entry["params"] = [entry["params"][0] + sorted(added.difference(entry["params"][0]))]
    if known:
        write_json(str(out), known, BENCHMARKS_FORMAT)
