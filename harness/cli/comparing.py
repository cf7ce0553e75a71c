"""``spikeboard compare``: two commits or two stores; exit code 1 only for a regression beyond the noise."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Annotated

import typer

from harness.cli._options import Stores

if TYPE_CHECKING:
    from harness.results.comparison import Compared

__all__ = ["register"]

THRESHOLD = 0.05


def register(app: typer.Typer) -> None:
    """Add the verb to `app`."""
    app.command("compare")(compare_sets)


def compare_sets(
    before: Annotated[str, typer.Argument(metavar="A", help="A commit, or a folder of records.")],
    after: Annotated[str, typer.Argument(metavar="B", help="A commit, or a folder of records.")],
    store: Stores = None,
    threshold: Annotated[
        float, typer.Option(help="Relative change below which a figure that is not exact counts as the same.")
    ] = THRESHOLD,
    show_all: Annotated[bool, typer.Option("--all", help="Show figures that did not change as well.")] = False,
) -> None:
    """Compare A with B, figure by figure.

    A figure has regressed if it is worse, the 95 % intervals do not touch and the change exceeds the threshold; an
    exact figure (bytes saved, operations) if it is worse at all. Exit code 1 if any has, 0 otherwise.
    """
    from harness.catalogue.cards import load_rows
    from harness.errors import UserError
    from harness.paths import readable_stores
    from harness.results.comparison import compare, records_of

    rows = load_rows()
    stores = readable_stores(store)
    sets = [records_of(name, stores, rows) for name in (before, after)]
    for contents in sets:
        for problem in contents.problems:
            typer.secho(f"skipped {problem}", fg="yellow", err=True)
    found = compare(sets[0].records, sets[1].records, threshold)
    if not found:
        raise UserError(
            f"{before} ({len(sets[0].records)} records) and {after} ({len(sets[1].records)} records) have no figure "
            "in common",
            "measure both on the same machine with the same cells, for example: spikeboard run --preset quick",
        )
    shown = [item for item in found if show_all or item.change.verdict not in ("same", "noise")]
    _print(shown)
    verdicts = [item.change.verdict for item in found]
    counts = {verdict: verdicts.count(verdict) for verdict in ("regression", "improvement", "changed", "noise", "same")}
    typer.echo(
        f"{len(found)} figures: " + ", ".join(f"{count} {verdict}" for verdict, count in counts.items() if count)
    )
    raise typer.Exit(1 if counts["regression"] else 0)


def _print(items: Sequence[Compared]) -> None:
    from rich.console import Console
    from rich.table import Table

    from harness.report.units import scale_for, with_interval

    if not items:
        return
    table = Table(box=None, pad_edge=False)
    for title in ("verdict", "cell", "figure", "before", "after", "change"):
        table.add_column(title, justify="right" if title in ("before", "after", "change") else "left")
    colours = {"regression": "red", "improvement": "green"}
    for item in sorted(items, key=lambda item: (item.change.verdict != "regression", item.cell, item.metric)):
        scale = scale_for(item.unit, item.change.after.value)
        table.add_row(
            item.change.verdict,
            f"{item.cell.suite} {item.cell.task} {item.cell.label}",
            f"{item.metric} [{scale.label}]".replace("[", r"\["),
            with_interval(item.change.before, scale),
            with_interval(item.change.after, scale),
            f"{item.change.relative:+.1%}",
            style=colours.get(item.change.verdict),
        )
    Console().print(table)
