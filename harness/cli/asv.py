"""``spikeboard asv``: measure commits with asv, put records on the same graphs, publish beside the leaderboard."""

from __future__ import annotations

import re
from collections.abc import Collection, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from harness.cli._options import Device, Stores
from harness.terminal import say

if TYPE_CHECKING:
    from harness.asv.alarms import Judged
    from harness.asv.runs import Tree
    from harness.catalogue.cards import Registry

__all__ = ["judged_in", "register"]


def register(app: typer.Typer) -> None:
    """Add the verb to `app`."""
    app.command("asv")(asv)


def asv(
    commits: Annotated[
        str, typer.Argument(metavar="RANGE", help="Commits, as git has a range; or NEW, ALL, TAGS, EXISTING.")
    ] = "HEAD^!",
    cell: Annotated[list[str] | None, typer.Option(help="Only these series (patterns; may be repeated).")] = None,
    bench: Annotated[
        list[str] | None, typer.Option(help="Only these of asv's benchmarks (regular expressions; may be repeated).")
    ] = None,
    only_publish: Annotated[bool, typer.Option("--publish", help="Measure nothing; publish what there is.")] = False,
    gate: Annotated[
        bool, typer.Option("--gate", help="Exit with 1 if a figure has got worse for good since --since.")
    ] = False,
    since: Annotated[
        str | None,
        typer.Option(
            metavar="COMMIT",
            help="Judge what changed after this commit. \\[default: the last one that changed published results]",
        ),
    ] = None,
    device: Device = "cpu",
    store: Stores = None,
) -> None:
    """Measure commits of this repository with asv and publish its graphs beside the leaderboard.

    Every commit is measured with the suites, the clock and the list of rows of the working tree. Records of
    ``spikeboard run`` that were measured at a commit stand on the same graphs.
    """
    from harness.extras import require

    require("asv")
    from harness.asv.commits import commits_since
    from harness.asv.runs import measure, open_tree, publish
    from harness.catalogue.loading import load_registry
    from harness.execute.where import Where
    from harness.paths import readable_stores

    tree, registry = open_tree(Path()), load_registry()
    baseline = since or _baseline(tree)
    commits_since(tree.root, baseline)  # one that is none is said before anything is measured
    complete = only_publish or measure(
        tree, commits, cells=cell or (), benchmarks=bench or (), device=device, machine=Where(device).machine()
    )
    points = publish(tree, readable_stores(store), registry)
    say(f"{len(points.values)} figures of records stand on the graphs")
    for reason, count in points.left_out.items():
        say(f"  {count} records do not: {reason}")
    found = judged_in(tree, registry, since, cell or (), bench or ())
    _report(found, since, baseline, tree)
    if not complete:
        say("some benchmarks failed; asv's output above says why", fg="yellow", err=True)
    if gate and found.regressions:
        raise typer.Exit(1)


def judged_in(
    tree: Tree, registry: Registry, since: str | None, cells: Sequence[str], benchmarks: Sequence[str]
) -> Judged:
    """Return what has changed for good in what is published of `tree`.

    Parameters
    ----------
    since : commit; None: the last that changed published results, or, of a series with a spread, its calibration.
    cells, benchmarks : patterns of the series and regular expressions of the figures that are judged; none for all.
    """
    from harness.asv.accepted import read_accepted
    from harness.asv.alarms import Question, judge
    from harness.asv.commits import commits_since, history_of
    from harness.asv.histories import histories
    from harness.asv.noise import read_noise
    from harness.asv.regressions import published_regressions
    from harness.asv.series import benchmark_name
    from harness.paths import ACCEPTED, NOISE
    from harness.results.commits import commit_of

    labels, commits = _labels(tree, cells), history_of(tree.root)

    def is_wanted(suite: str, metric: str, label: str) -> bool:
        name = benchmark_name(suite, metric)
        return (labels is None or label in labels) and (
            not benchmarks or any(re.search(one, name) for one in benchmarks)
        )

    question = Question(
        histories=histories(tree.merged / "results", commits),
        regressions=published_regressions(tree.pages),
        commits=commits,
        judged=frozenset(commits_since(tree.root, since or _baseline(tree))),
        since=since and commit_of(tree.root, since),
        spreads=read_noise(tree.root / NOISE),
        accepted=read_accepted(tree.root / ACCEPTED),
        thresholds=tree.thresholds,
        is_wanted=is_wanted,
    )
    return judge(question, registry)


def _baseline(tree: Tree) -> str | None:
    """Return the commit up to which everything counts as accepted: it has published what was measured until then."""
    from harness.asv.commits import last_change
    from harness.paths import PUBLISHED

    return last_change(tree.root, [PUBLISHED, tree.results.relative_to(tree.root)])


def _labels(tree: Tree, patterns: Sequence[str]) -> Collection[str] | None:
    """Return the series on the pages that `patterns` select; None for all."""
    from harness.asv.series import published_series, selected
    from harness.errors import UserError

    if not patterns:
        return None
    known = sorted({series.label for series in published_series(tree.pages)})
    for pattern in patterns:
        if not selected(known, [pattern]):
            raise UserError(
                f"no series on the graphs is called {pattern!r}",
                f"patterns are shell-style, as in --cell '{next(iter(known), 'lif *')}'",
            )
    return frozenset(selected(known, patterns))


def _report(found: Judged, since: str | None, baseline: str | None, tree: Tree) -> None:
    from harness.asv.commits import commits_since
    from harness.asv.runs import commits_with_results
    from harness.cli._alarms import tell_alarms, tell_rules
    from harness.report.words import count

    tell_alarms(found)
    tell_rules(found, since)
    judged = frozenset(commits_since(tree.root, baseline))
    span = f"the {count(len(judged), 'commit')} since {baseline[:10]}" if baseline else "the whole history"
    measured = len(judged & commits_with_results(tree))
    better = len(found.alarms) - len(found.regressions)
    improved = f", {count(better, 'improvement')}" if better else ""
    say(f"judged: {span}, {measured} of them with figures; {count(len(found.regressions), 'regression')}{improved}")
    say(f"over commits: {tree.pages / 'index.html'}")
