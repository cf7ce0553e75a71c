"""``spikeboard asv``: measure commits with asv, put records on the same graphs, publish beside the leaderboard."""

from __future__ import annotations

from importlib.util import find_spec
from pathlib import Path
from typing import Annotated

import typer

from harness.cli._options import Stores

__all__ = ["register"]


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
    gate: Annotated[bool, typer.Option("--gate", help="Exit with 1 if a figure has got worse for good.")] = False,
    store: Stores = None,
) -> None:
    """Measure commits of this repository with asv and publish its graphs beside the leaderboard.

    Every commit is measured with the suites, the clock and the list of rows of the working tree. Records of
    ``spikeboard run`` that were measured at a commit stand on the same graphs.
    """
    from harness.errors import UserError

    if find_spec("asv") is None:
        raise UserError("asv is not installed", "python -m nox -s asv, or pip install -c constraints.txt -e '.[asv]'")
    from harness.asv.regressions import published_regressions
    from harness.asv.runs import measure, open_tree, publish
    from harness.catalogue.cards import load_rows
    from harness.paths import readable_stores

    tree = open_tree(Path())
    complete = only_publish or measure(tree, commits, cells=cell or (), benchmarks=bench or ())
    points = publish(tree, readable_stores(store), load_rows())
    typer.echo(f"{len(points.values)} figures of records stand on the graphs")
    for reason, count in points.left_out.items():
        typer.echo(f"  {count} records do not: {reason}")
    worse = published_regressions(tree.pages)
    for item in worse:
        typer.secho(
            f"regression: {item.suite} {item.metric} of {item.label}: {item.best:.4g} -> {item.latest:.4g}"
            f" at {item.commit[:10]} ({item.where or 'one machine'})",
            fg="red",
        )
    typer.echo(f"over commits: {tree.pages / 'index.html'}")
    if not complete:
        typer.secho("some benchmarks failed; asv's output above says why", fg="yellow", err=True)
    if gate and worse:
        raise typer.Exit(1)
