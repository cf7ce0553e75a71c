"""Runs asv's own commands on this checkout: measure commits, publish its pages with our records on them.

asv is started as a program, since only its command line is a promise. Must not know what is tracked.
"""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from asv.config import Config

from harness.asv.commits import commit_dates
from harness.asv.export import export
from harness.asv.machines import register
from harness.asv.page import make_self_contained
from harness.asv.points import Points, points_of
from harness.asv.selection import expressions, forget_unasked, states
from harness.asv.series import SELECTION_VARIABLE, SUITES, selected, tracked_cells
from harness.catalogue.cards import Rows
from harness.errors import UserError
from harness.results.machine import this_machine
from harness.results.store import read_stores

__all__ = ["CONFIGURATION", "Tree", "measure", "open_tree", "publish"]

CONFIGURATION = "asv.conf.json"
SOME_FAILED = 2
"""Exit code of ``asv run`` when benchmarks failed; the others have their results."""


@dataclass(frozen=True, slots=True)
class Tree:
    """A checkout and where asv keeps things in it."""

    root: Path
    results: Path
    pages: Path


def open_tree(root: Path) -> Tree:
    """Return the checkout in the folder `root`.

    Raises
    ------
    UserError
        If it has no configuration of asv.
    """
    path = root / CONFIGURATION
    if not path.is_file():
        raise UserError(
            f"no {CONFIGURATION} in {root.resolve()}",
            "asv measures commits: run it at the top of a clone of the repository",
        )
    configuration = Config.load(str(path))
    return Tree(root, root / configuration.results_dir, root / configuration.html_dir)


def measure(tree: Tree, commits: str, *, cells: Sequence[str] = (), benchmarks: Sequence[str] = ()) -> bool:
    """Measure a range of commits with the benchmarks of the working tree, and say whether all of them succeeded.

    What a commit has a result of already is not measured again; what failed, or was not asked for, is.

    Parameters
    ----------
    tree : the checkout.
    commits : range as git has it, or ``NEW``, ``ALL``, ``TAGS``, ``EXISTING``, ``HASHFILE:path``.
    cells : shell-style patterns of series; none for all.
    benchmarks : regular expressions of asv's benchmarks; none for all.

    Raises
    ------
    UserError
        If no series is selected, or asv could not measure at all.
    """
    labels = _labels(cells)
    asked = expressions(labels, benchmarks)
    machine = this_machine()
    register(machine, tree.results)
    before = states(tree.results, machine.name)
    words = [
        "run",
        commits,
        "--machine",
        machine.name,
        "--skip-existing-successful",
        "--record-samples",
        "--show-stderr",
    ]
    for expression in asked:
        words += ["--bench", expression]
    code = _asv(tree, words, labels)
    forget_unasked(before, states(tree.results, machine.name), asked)
    if code not in (0, SOME_FAILED):
        raise UserError(
            f"asv could not measure {commits} (exit code {code}); its output above says why",
            "a range is git's: HEAD^!, main~3..main; an environment that broke is made anew after deleting .asv/env",
        )
    return code == 0


def _labels(patterns: Sequence[str]) -> list[str]:
    """Return the labels that `patterns` select; none for all."""
    known = tracked_cells(SUITES[0])
    for pattern in patterns:
        if not selected(known, [pattern]):
            raise UserError(
                f"no tracked series is called {pattern!r}",
                f"patterns are shell-style, as in --cell '{next(iter(known))}'",
            )
    return selected(known, patterns) if patterns else []


def publish(tree: Tree, stores: Sequence[Path], rows: Rows) -> Points:
    """Write asv's pages of what it has measured and of the records in `stores`; return what the records gave.

    Raises
    ------
    UserError
        If there is nothing to publish, or asv could not.
    """
    dates = commit_dates(tree.root)
    points = points_of(read_stores(list(stores)).records, rows, dates)
    tree.results.mkdir(parents=True, exist_ok=True)
    export(points, tree.results, rows, dates)
    if not (tree.results / "benchmarks.json").is_file():
        raise UserError("no figure belongs to a commit of this history", "measure one: spikeboard asv 'HEAD^!'")
    if code := _asv(tree, ["publish", "--no-pull"]):
        raise UserError(f"asv could not publish (exit code {code}); its output above says why", "see docs/asv.md")
    make_self_contained(tree.pages)
    return points


def _asv(tree: Tree, words: Sequence[str], labels: Sequence[str] = ()) -> int:
    """Run asv's command line on the checkout, with these series only, and return its exit code."""
    environment = {**os.environ, SELECTION_VARIABLE: ",".join(labels)}
    command = [sys.executable, "-m", "asv", "--config", CONFIGURATION, *words]
    return subprocess.run(command, cwd=tree.root, env=environment, check=False).returncode
