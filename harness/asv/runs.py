"""Runs asv's own commands on this checkout: measure commits, publish its pages with our records on them.

asv is started as a program, since only its command line is a promise. What is published is made in a folder of its
own, from asv's results and from records: the results that are committed change only when asv measures. Must not
know what is tracked.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from asv.config import Config
from asv.results import iter_results
from asv.util import load_json

from harness.asv.commits import commit_dates
from harness.asv.export import export
from harness.asv.machines import register
from harness.asv.output import without_unasked
from harness.asv.page import make_self_contained
from harness.asv.points import Points, points_of
from harness.asv.selection import expressions, forget_unasked, states
from harness.asv.series import SELECTION_VARIABLE, SUITES, selected, tracked_cells
from harness.catalogue.cards import Registry
from harness.defaults import DEVICE_VARIABLE
from harness.errors import UserError
from harness.extras import MissingExtraError
from harness.results.machine import this_machine
from harness.results.record import Machine
from harness.results.store import read_stores
from harness.text import slug
from reference_impls.requirements import installed_version

__all__ = ["CONFIGURATION", "Tree", "commits_with_results", "measure", "open_tree", "publish"]

CONFIGURATION = "asv.conf.json"
CUPY = ("cupy-cuda13x", "cupy-cuda12x")
"""Distributions of CuPy, one for each version of CUDA."""
SOME_FAILED = 2
"""Exit code of ``asv run`` when benchmarks failed; the others have their results."""


@dataclass(frozen=True, slots=True)
class Tree:
    """A checkout and where asv keeps things in it."""

    root: Path
    results: Path
    """What asv has measured; committed."""
    merged: Path
    """The same with points of records; made anew by each publication, not committed."""
    pages: Path
    thresholds: Mapping[str, float]
    """Relative growth that counts as a regression, by patterns of series."""


def open_tree(folder: Path) -> Tree:
    """Return the checkout that `folder` is a part of.

    Raises
    ------
    UserError
        If it has no configuration of asv.
    """
    here = folder.resolve()
    root = next((one for one in (here, *here.parents) if (one / CONFIGURATION).is_file()), None)
    if root is None:
        raise UserError(
            f"no {CONFIGURATION} in {here} or above",
            "asv measures commits: run it in a clone of the repository",
        )
    root = folder if root == here else root
    configuration = Config.load(str(root / CONFIGURATION))
    # Beside the environments, which are not committed either.
    merged = (root / configuration.env_dir).parent / "merged"
    return Tree(
        root=root,
        results=root / configuration.results_dir,
        merged=merged,
        pages=root / configuration.html_dir,
        thresholds=configuration.regressions_thresholds,
    )


def measure(
    tree: Tree,
    commits: str,
    *,
    cells: Sequence[str] = (),
    benchmarks: Sequence[str] = (),
    device: str = "cpu",
    machine: Machine | None = None,
) -> bool:
    """Measure a range of commits with the benchmarks of the working tree, and say whether all of them succeeded.

    What a commit has a result of already is not measured again; what failed, or was not asked for, is.

    Parameters
    ----------
    tree : the checkout.
    commits : range as git has it, or ``NEW``, ``ALL``, ``TAGS``, ``EXISTING``, ``HASHFILE:path``.
    cells : shell-style patterns of series; none for all.
    benchmarks : regular expressions of asv's benchmarks; none for all.
    device : whose series are measured: one that is here, as ``spikeboard run --device`` has it.
    machine : that measures. [default: this one]

    Raises
    ------
    UserError
        If no series is selected, CuPy is not here for a GPU, or asv could not measure at all.
    """
    kind = device.partition(":")[0]
    labels = _labels(cells, kind)
    asked = expressions(labels, benchmarks)
    machine = machine or this_machine()
    register(machine, tree.results)
    before = states(tree.results, slug(machine.name))
    configuration = CONFIGURATION if kind == "cpu" else str(_with_compiler(tree))
    words = [
        "run",
        commits,
        "--machine",
        slug(machine.name),
        "--skip-existing-successful",
        "--record-samples",
        "--show-stderr",
    ]
    for expression in asked:
        words += ["--bench", expression]
    code = _asv(tree.root, configuration, words, labels, device)
    forget_unasked(before, states(tree.results, slug(machine.name)), asked)
    if code not in (0, SOME_FAILED):
        raise UserError(
            f"asv could not measure {commits} (exit code {code}); its output above says why",
            "a range is git's: HEAD^!, main~3..main; an environment that broke is made anew after deleting .asv/env",
        )
    return code == 0


def _labels(patterns: Sequence[str], device: str) -> list[str]:
    """Return the labels of the series of `device` that `patterns` select; without a pattern all of them."""
    known = [label for label, cell in tracked_cells(SUITES[0]).items() if cell.device == device]
    for pattern in patterns:
        if not selected(known, [pattern]):
            raise UserError(
                f"no tracked series of {device} is called {pattern!r}",
                f"patterns are shell-style, as in --cell '{known[0]}'; series of a GPU are measured with --device cuda",
            )
    return selected(known, patterns)


def publish(tree: Tree, stores: Sequence[Path], registry: Registry) -> Points:
    """Write asv's pages of what it has measured and of the records in `stores`; return what the records gave.

    Raises
    ------
    UserError
        If there is nothing to publish, or asv could not.
    """
    dates = commit_dates(tree.root)
    points = points_of(read_stores(list(stores)).records, registry, dates)
    shutil.rmtree(tree.merged, ignore_errors=True)
    results = tree.merged / "results"
    if tree.results.is_dir():
        shutil.copytree(tree.results, results)
    results.mkdir(parents=True, exist_ok=True)
    export(points, results, registry, dates)
    if not (results / "benchmarks.json").is_file():
        raise UserError("no figure belongs to a commit of this history", "measure one: spikeboard asv 'HEAD^!'")
    if code := _asv(tree.root, str(_configuration(tree, results)), ["publish", "--no-pull"]):
        raise UserError(f"asv could not publish (exit code {code}); its output above says why", "see docs/asv.md")
    make_self_contained(tree.pages)
    return points


def commits_with_results(tree: Tree) -> frozenset[str]:
    """Return the commits that the published pages have figures of."""
    return frozenset(found.commit_hash for found in iter_results(str(tree.merged / "results")))


def _configuration(tree: Tree, results: Path) -> Path:
    """Write a configuration that reads `results` and is otherwise the checkout's; return its path."""
    return _derived(tree, tree.merged, {"results_dir": str(results.resolve())})


def _with_compiler(tree: Tree) -> Path:
    """Write a configuration whose environments have the CuPy of this one beside what they have; return its path."""
    cupy = next((name for name in CUPY if installed_version(name) is not None), None)
    if cupy is None:
        raise MissingExtraError("cupy")
    own = load_json(str(tree.root / CONFIGURATION), Config.api_version, js_comments=True)
    first, *rest = own["install_command"]
    # Constrained like everything else there; {conf_dir} would be the folder of the file that is written here.
    commands = [f"{first.replace('{conf_dir}', str(tree.root.resolve()))} {cupy}", *rest]
    return _derived(tree, tree.merged.parent / "gpu", {"install_command": commands})


def _derived(tree: Tree, folder: Path, changes: Mapping[str, object]) -> Path:
    """Write a configuration into `folder` that is the checkout's but for `changes`; return its path."""
    root = tree.root.resolve()
    own = load_json(str(tree.root / CONFIGURATION), Config.api_version, js_comments=True)
    named = ("repo", "benchmark_dir", "env_dir", "html_dir", "results_dir")
    paths = {name: str(root / own[name]) for name in named if name in own}
    path = folder.resolve() / CONFIGURATION
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps({**own, **paths, **changes, "version": Config.api_version}), encoding="utf-8")
    return path


def _asv(
    root: Path, configuration: str, words: Sequence[str], labels: Sequence[str] = (), device: str | None = None
) -> int:
    """Run asv's command line on the checkout, with these series only, and return its exit code."""
    environment = {**os.environ, SELECTION_VARIABLE: ",".join(labels), **({DEVICE_VARIABLE: device} if device else {})}
    command = [sys.executable, "-m", "asv", "--config", configuration, *words]
    with subprocess.Popen(command, cwd=root, env=environment, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        for line in without_unasked(process.stdout, labels):
            print(line, end="", flush=True)
    return process.returncode
