"""What is tracked over commits, and under which names: the one place where cells and asv's benchmarks meet.

A series is the history of one figure of one combination. Names are pure functions of cell and metric, so that asv's
measurements, exported records and links agree. Imported by every process of asv: must stay light, and must not take
names from the installed package, because parameters of an older commit would then stand for other rows.
"""

from __future__ import annotations

import ast
import fnmatch
import functools
import json
import math
import re
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, NamedTuple, TypedDict
from urllib.parse import quote

from harness.catalogue.cell import DEFAULT_RECIPE, NOT_APPLICABLE, Cell
from harness.text import slug
from reference_impls.card_files import read_literal
from reference_impls.structures import STRUCTURES

__all__ = [
    "DEVICES",
    "PARAMETER",
    "SELECTION_VARIABLE",
    "SUITES",
    "Published",
    "SeriesSamples",
    "benchmark_name",
    "benchmark_version",
    "clock_version",
    "current_version",
    "graph_link",
    "graphs_over_commits",
    "is_plain",
    "published_series",
    "reported",
    "selected",
    "series_label",
    "split_name",
    "tracked_cells",
]

ROOT = Path(__file__).resolve().parents[2]
"""Folder of the two packages: the working tree's, even where this file was reached through a link."""
SUITES = ("throughput", "memory", "accuracy")
"""Suites that asv measures; the records of every suite are exported."""
PARAMETER = "cell"
"""Name of the one parameter of every benchmark; its values are the labels of series."""
SELECTION_VARIABLE = "SPIKEBOARD_ASV_CELLS"
"""Environment variable with labels or shell-style patterns of them, separated by commas; empty or unset: all."""
DEVICES = ("cpu", "cuda")
"""Devices that asv measures on, one a run; the names of all their series are parameters of every run."""
GPU_BACKEND = "fused-cupy"
"""What neurons with a step run in on a GPU: the loop over T costs a launch for every operation there."""
TASK, BUDGET = "digits", "quick"
SAMPLES_FOR_INTERVAL = 8
"""Below this many samples there is no 99 % interval, and asv would write an infinite one."""

_NAME = re.compile(r"(?P<suite>\w+)\.\w+\.track_(?P<metric>\w+)")
_PLAIN = re.compile(r"[\w .+=-]+", re.ASCII)


class SeriesSamples(TypedDict):
    """What a ``track_*`` benchmark returns to be treated like a timing: median, interval, weight."""

    samples: list[float]
    number: int


class Published(NamedTuple):
    """A line on one of asv's graphs."""

    machine: str
    suite: str
    metric: str
    label: str


def benchmark_name(suite: str, metric: str) -> str:
    """Return asv's name of a figure, which is that of the method in ``benchmarks/`` that tracks it."""
    return f"{suite}.{suite.capitalize()}.track_{metric}"


def split_name(name: str) -> tuple[str, str] | None:
    """Return suite and metric of a benchmark of ours, or None for any other name."""
    found = _NAME.fullmatch(name)
    return (found["suite"], found["metric"]) if found else None


def series_label(cell: Cell, task_version: int = 1, seeds: int = 1) -> str:
    """Return the value of asv's parameter for `cell`: its names in order, then what is not as usual.

    Parameters
    ----------
    cell : the combination; its seed and threads do not count, they follow from the suite and the machine.
    task_version : a new version of a task starts a new series.
    seeds : how many seeds the figure is the median of; estimates of different breadth are different series.
    """
    names = (cell.neuron, cell.method, cell.topology, cell.task, cell.budget)
    unusual = {
        "backend": (cell.backend, "eager"),
        "device": (cell.device, "cpu"),
        "dtype": (cell.dtype, "float32"),
        "recipe": (cell.recipe, DEFAULT_RECIPE),
        "task-version": (task_version, 1),
        "seeds": (seeds, 1),
    }
    parts = [name for name in names if name != NOT_APPLICABLE]
    parts += [f"{key}={value}" for key, (value, usual) in unusual.items() if value not in (usual, NOT_APPLICABLE)]
    return " ".join(parts)


def is_plain(label: str) -> bool:
    """Whether a label may stand in asv's pages, which were not written for text that anybody may send."""
    return _PLAIN.fullmatch(label) is not None


def benchmark_version(suite_version: int, clock_version: int) -> str:
    """Return asv's version of a benchmark: results of another suite or ruler are not on the same line."""
    return f"suite {suite_version}, clock {clock_version}"


@functools.cache
def current_version(suite: str, root: Path = ROOT) -> str:
    """Return the version of a suite's benchmarks, as the files in `root` have it."""
    card = read_literal(root / "harness" / "suites" / f"{suite}.py")
    return benchmark_version(card["version"], clock_version(root))


@functools.cache
def clock_version(root: Path = ROOT) -> int:
    """Return the version of the ruler, as the files in `root` have it; read, because to import it takes torch."""
    return _integer(root / "harness" / "measure" / "clock.py", "CLOCK_VERSION")


def tracked_cells(suite: str, root: Path = ROOT) -> dict[str, Cell]:
    """Map the label of every series that asv measures for `suite` to its cell, as the cards in `root` have them.

    One row of each file, on each of `DEVICES`: neurons under BPTT, and training methods with IF neurons. Variants of a
    file come with the exported records.
    """
    task_version = read_literal(root / "harness" / "tasks" / f"{TASK}.py")["version"]
    return {series_label(cell, task_version): cell for cell in _combinations(suite, root / "reference_impls")}


def selected(labels: Iterable[str], patterns: Sequence[str]) -> list[str]:
    """Return the labels that any of the shell-style `patterns` matches; all of them if there is no pattern."""
    return [label for label in labels if not patterns or any(fnmatch.fnmatchcase(label, one) for one in patterns)]


def _combinations(suite: str, folder: Path) -> Iterator[Cell]:
    for device in DEVICES:
        yield from (replace(cell, device=device) for cell in _rows(suite, folder, device))


def _rows(suite: str, folder: Path, device: str) -> Iterator[Cell]:
    for path in sorted(folder.glob("neurons/[!_]*.py")):
        card = read_literal(path)
        fused = device == "cuda" and card["capabilities"]["parallel"] == "sequential"
        backend = GPU_BACKEND if fused else "eager"
        yield Cell(suite, TASK, card["name"], "bptt", "mlp", backend, budget=BUDGET)
    for path in sorted(folder.glob("training/[!_]*.py")):
        card = read_literal(path)
        trained = card["capabilities"]["structures"]
        topology = next((one.topology for name, one in STRUCTURES.items() if one.tracked and name in trained), None)
        if topology is not None:
            yield Cell(suite, TASK, "if", card["name"], topology, budget=BUDGET)


def reported(value: float, samples: Sequence[float]) -> float | SeriesSamples | None:
    """Return what asv is given for a figure: its samples if they make an interval, else its value.

    None, a failure, where the value is not finite: asv's step detection stumbles over it, and no page is published.
    """
    if not math.isfinite(value):
        return None
    if len(samples) < SAMPLES_FOR_INTERVAL or not all(map(math.isfinite, samples)):
        return value
    return {"samples": list(samples), "number": 1}


def graph_link(suite: str, metric: str, label: str, machine: str | None = None) -> str:
    """Return the address of a series' graph, below the folder of asv's pages; of one machine, or of all."""
    chosen = f"&machine={quote(machine, safe='')}" if machine else ""
    return f"index.html#{benchmark_name(suite, metric)}?p-{PARAMETER}={quote(repr(label), safe='')}{chosen}"


def graphs_over_commits(pages: Path) -> Callable[[str, str, Cell, int, int], str | None] | None:
    """Return what tells the address, below asv's `pages`, of the graph of a figure; None without pages.

    It is asked with machine, metric, cell, version of the task and number of seeds.
    """
    if not (pages / "index.html").is_file():
        return None
    series = published_series(pages)

    def address(machine: str, metric: str, cell: Cell, task_version: int, seeds: int) -> str | None:
        label = series_label(cell, task_version, seeds)
        name = slug(machine)
        known = Published(name, cell.suite, metric, label) in series
        return graph_link(cell.suite, metric, label, name) if known else None

    return address


def published_series(pages: Path) -> frozenset[Published]:
    """Return every series that has a point in asv's pages in the folder `pages`; none without pages."""
    try:
        index = json.loads((pages / "index.json").read_text(encoding="utf-8"))
        return frozenset(_published(index, pages))
    except (OSError, ValueError, KeyError, IndexError, TypeError, AttributeError, SyntaxError):
        return frozenset()  # pages of another version, or half of some: the leaderboard stands without links


def _published(index: dict[str, Any], pages: Path) -> Iterator[Published]:
    """Yield what has a point; the benchmarks' parameters alone also name what was never measured."""
    for name, benchmark in index["benchmarks"].items():
        split = split_name(name)
        if split is None:
            continue
        for path in pages.glob(f"graphs/**/machine-*/**/{name}.json"):
            machine = next(part for part in path.parts if part.startswith("machine-")).removeprefix("machine-")
            for _, values in json.loads(path.read_text(encoding="utf-8")):
                for label, value in zip(benchmark["params"][0], values, strict=True):
                    if value is not None:
                        yield Published(machine, *split, ast.literal_eval(label))


def _integer(path: Path, variable: str) -> int:
    """Return the integer assigned to `variable` in the file at `path`, without importing it."""
    for node in ast.parse(path.read_text(encoding="utf-8")).body:
        if isinstance(node, ast.Assign) and ast.unparse(node.targets[0]) == variable:
            value = ast.literal_eval(node.value)
            assert isinstance(value, int)
            return value
    raise ValueError(f"{path} assigns no {variable}")
