"""Writes points of records into asv's tree of results, beside what asv has measured itself.

So what `spikeboard run` has measured, on a GPU or on somebody else's machine, stands on the same graphs. The files are
this module's alone and are written anew each time; where asv has measured the same series at the same commit, its
figure stands. Must not decide what a record means.
"""

from __future__ import annotations

import ast
import itertools
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from asv.machine import Machine as AsvMachine
from asv.results import Results, iter_results
from asv.runner import BenchmarkResult
from asv.util import is_na, load_json, write_json

from harness.asv.machines import FILE, describe
from harness.asv.points import CommitDate, Line, Points, Value
from harness.asv.series import PARAMETER, benchmark_name, current_version
from harness.catalogue.cards import Rows

__all__ = ["export"]

KIND = "records"
"""What takes the place of an environment's kind in the names of the files written here."""
BENCHMARKS = "benchmarks.json"
BENCHMARKS_FORMAT = 2

_ByLabel = dict[str, Value]
_ByBenchmark = dict[tuple[str, str], _ByLabel]
"""(suite, metric) -> label -> value."""


def export(points: Points, results: Path, rows: Rows, commit_date: CommitDate) -> int:
    """Write `points` in place of what an earlier export wrote, and return how many were written.

    Call it after ``asv run``, which forgets benchmarks that it did not find in ``benchmarks/``.

    Parameters
    ----------
    points : of records.
    results : asv's ``results_dir``; made if it is not there.
    rows : give the units of figures.
    commit_date : of every commit that a point has.
    """
    for path in results.glob(f"*/*-{KIND}-py*.json"):
        path.unlink()
    measured = frozenset(_measured_by_asv(results, {point.benchmark: point.suite for point in points.values}))
    files: dict[tuple[Line, str], _ByBenchmark] = defaultdict(lambda: defaultdict(dict))
    for point, value in points.values.items():
        if (point.line.machine, point.commit, point.benchmark, point.label) not in measured:
            files[point.line, point.commit][point.suite, point.metric][point.label] = value
    for (line, commit), figures in files.items():
        description = describe(points.machines[line.machine], results)
        write_json(str(results / line.machine / FILE), description, AsvMachine.api_version)
        _write(line, commit, commit_date(commit) or 0, figures, description, results)
    _add_benchmarks(files.values(), results, rows)
    return sum(len(by_label) for figures in files.values() for by_label in figures.values())


def _measured_by_asv(results: Path, suites: Mapping[str, str]) -> Iterator[tuple[str, str, str, str]]:
    """Yield (machine, commit, benchmark, label) of every figure in the tree of the current version of a benchmark.

    `suites` has the suite of each benchmark that is looked for.
    """
    for found in iter_results(str(results)):
        for name in suites.keys() & found.get_all_result_keys():
            if found.benchmark_version.get(name) != current_version(suites[name]):
                continue
            params = found.get_result_params(name)
            for shown, value in zip(itertools.product(*params), found.get_result_value(name, params), strict=True):
                if len(shown) == 1 and not is_na(value):
                    yield found.params["machine"], found.commit_hash, name, ast.literal_eval(shown[0])


def _write(
    line: Line, commit: str, date: int, figures: _ByBenchmark, description: Mapping[str, str], results: Path
) -> None:
    """Write one file of results: all that is known of a commit on a line."""
    environment = "-".join([KIND, f"py{line.python}", *(name + version for name, version in line.packages)])
    requirements = dict(line.packages)
    params = {**description, "python": line.python, **requirements}
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


def _add_benchmarks(files: Iterable[_ByBenchmark], results: Path, rows: Rows) -> None:
    """Make the figures of `files` known: a new benchmark, or further values of the parameter of a known one."""
    path = results / BENCHMARKS
    known: dict[str, Any] = load_json(str(path), BENCHMARKS_FORMAT) if path.exists() else {}
    labels: dict[tuple[str, str], set[str]] = defaultdict(set)
    for figures in files:
        for key, by_label in figures.items():
            labels[key].update(map(repr, by_label))
    for (suite, metric), added in labels.items():
        card = rows.suite(suite).metrics[metric]
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
        write_json(str(path), known, BENCHMARKS_FORMAT)
