"""A run of only some series: how asv is asked for it, and what it must not leave behind.

asv writes the same ``nan`` for a series that a commit cannot run and for one that nobody asked for, and takes both for
done. What was not asked for is made unknown again, or a later run of everything would pass it over. Must not know
what a series is.
"""

from __future__ import annotations

import itertools
import re
from collections.abc import Collection, Sequence
from pathlib import Path
from typing import Any

from asv.results import Results
from asv.util import is_nan, load_json, write_json

__all__ = ["expressions", "forget_unasked", "states"]

States = dict[Path, int]
"""Every file of results -> when it was written."""


def expressions(labels: Collection[str], benchmarks: Sequence[str]) -> list[str]:
    """Return what to give ``asv run --bench``; nothing where everything is wanted.

    Parameters
    ----------
    labels : of the wanted series; none for all.
    benchmarks : regular expressions of the wanted benchmarks; none for all.
    """
    if not labels:
        return list(benchmarks)
    wanted = "|".join(re.escape(repr(label)) for label in labels)
    return [rf"^(?=.*(?:{benchmark})).*\((?:{wanted})\)$" for benchmark in benchmarks or ("",)]


def states(results: Path, machine: str) -> States:
    """Return the files of `machine` in the tree `results`, to be told from those that a run has changed."""
    return {path: path.stat().st_mtime_ns for path in (results / machine).glob("*-*.json")}


def forget_unasked(before: States, after: States, asked: Sequence[str]) -> None:
    """Make unknown what a run of only `asked` has marked as done, in the files that it has changed.

    Parameters
    ----------
    before, after : the files, before and after the run.
    asked : what :func:`expressions` has given.
    """
    for path, written in after.items():
        if asked and before.get(path) != written:
            file = load_json(str(path), Results.api_version)
            for name, row in file["results"].items():
                columns = dict(zip(file["result_columns"], row, strict=False))
                _forget(name, columns["result"] or [], columns["params"], asked)
            write_json(str(path), file, Results.api_version, compact=True)


def _forget(name: str, figures: list[Any], params: list[list[str]], asked: Sequence[str]) -> None:
    for number, values in enumerate(itertools.islice(itertools.product(*params), len(figures))):
        shown = f"{name}({', '.join(values)})"
        if is_nan(figures[number]) and not any(re.search(one, shown) for one in asked):
            figures[number] = None
