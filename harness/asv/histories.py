"""Series as sequences of figures over commits, read from asv's results as they were published.

What was measured with another version of suite or clock is another series. Must not decide what a change is.
"""

from __future__ import annotations

import ast
import itertools
from collections import defaultdict
from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from asv.results import Results, iter_results
from asv.step_detect import detect_regressions, detect_steps
from asv.util import is_na

from harness.asv.series import current_version, split_name

__all__ = ["History", "falls", "histories"]

DESCRIPTION = ("arch", "cpu", "gpu", "num_cpu", "os", "ram")
"""What the name of a machine says already."""


@dataclass(frozen=True, slots=True)
class History:
    """The figures of a series on one line."""

    suite: str
    metric: str
    label: str
    machine: str
    where: str
    """Machine, interpreter and packages, as they tell lines apart."""
    commits: tuple[str, ...]
    """Those that have a figure, the oldest first."""
    values: tuple[float, ...]

    @property
    def key(self) -> tuple[str, str, str, str]:
        """Return machine, suite, metric and label: what several lines may have in common."""
        return self.machine, self.suite, self.metric, self.label


def histories(results: Path, commits: Sequence[str]) -> list[History]:
    """Return every series in asv's tree `results`, in the order of names.

    Parameters
    ----------
    commits : of this history, the oldest first; figures of others are left out.
    """
    place = {commit: number for number, commit in enumerate(commits)}
    found: dict[tuple[str, str, str, str, str], dict[int, float]] = defaultdict(dict)
    for file in iter_results(str(results)):
        if file.commit_hash in place:
            for suite, metric, label, value in _figures(file):
                found[file.params["machine"], suite, metric, label, _where(file)][place[file.commit_hash]] = value
    return [
        History(suite, metric, label, machine, where, *_in_order(figures, commits))
        for (machine, suite, metric, label, where), figures in sorted(found.items())
    ]


def _in_order(figures: dict[int, float], commits: Sequence[str]) -> tuple[tuple[str, ...], tuple[float, ...]]:
    places = sorted(figures)
    return tuple(commits[place] for place in places), tuple(figures[place] for place in places)


def _figures(file: Results) -> Iterator[tuple[str, str, str, float]]:
    """Yield suite, metric, label and value of what was measured with today's suites and clock."""
    for benchmark in _of_today(file, file.get_all_result_keys()):
        split = split_name(benchmark)
        params = file.get_result_params(benchmark)
        values = file.get_result_value(benchmark, params)
        for shown, value in zip(itertools.product(*params), values, strict=True):
            if split is not None and len(shown) == 1 and not is_na(value):
                yield *split, ast.literal_eval(shown[0]), value


def _of_today(file: Results, benchmarks: Collection[str]) -> Iterator[str]:
    for benchmark in benchmarks:
        split = split_name(benchmark)
        try:
            current = split and current_version(split[0])
        except OSError:  # a suite that is gone
            continue
        if current and file.benchmark_version.get(benchmark) == current:
            yield benchmark


def _where(file: Results) -> str:
    """Return what tells a line from others, as far as the machine's name does not say it."""
    return ", ".join(f"{key} {value}" for key, value in sorted(file.params.items()) if key not in DESCRIPTION and value)


def falls(history: History, threshold: float) -> list[tuple[int, int, float, float]]:
    """Return the falls of a series for good, by asv's own rule for regressions on its reciprocal.

    Each is the place of the last figure before and of the first one after it, and the levels.
    """
    if any(value <= 0 for value in history.values):
        return []
    _, _, jumps = detect_regressions(detect_steps([1 / value for value in history.values]), threshold)
    return [
        (before, before + 1 if after is None else after, 1 / old, 1 / new) for before, after, old, new in jumps or ()
    ]
