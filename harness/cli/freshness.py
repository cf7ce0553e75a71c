"""``spikeboard status`` and ``migrate``: which published figures are today's, and records of before they could say."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from harness.cli._options import MachineName
from harness.terminal import say

if TYPE_CHECKING:
    from harness.planning.stale import StaleGroup

__all__ = ["register"]

NAMED = 4
"""Inputs that a line names."""
Published = Annotated[
    list[Path] | None,
    typer.Option("--store", metavar="DIR", help="Folder of records; may be repeated. \\[default: reports/data]"),
]


def register(app: typer.Typer) -> None:
    """Add the verbs to `app`."""
    app.command("status")(status)
    app.command("migrate")(migrate)


def status(store: Published = None, machine: MachineName = None) -> None:
    """Say which figures are of older code, since when, why, and what measuring them again takes.

    Exit code 1 while one is.
    """
    from harness.catalogue.loading import load_registry
    from harness.paths import PUBLISHED, by_default, existing_store
    from harness.planning.stale import grouped, stale_of
    from harness.report.words import count
    from harness.results.index import select

    stores = [existing_store(path) for path in store or [by_default(PUBLISHED)]]
    contents = select(stores)
    for problem in contents.problems:
        say(f"skipped {problem}", fg="yellow", err=True)
    records = [record for record in contents.records if machine in (None, record.provenance.machine.name)]
    cells = {(one.cell_id, one.provenance.machine.name) for one in records if one.status != "unsupported"}
    groups = grouped(stale_of(records, load_registry()))
    stale = sum(group.cells for group in groups)
    where = ", ".join(map(str, stores))
    if not stale:
        say(f"{where}: {count(len(cells), 'cell')}, every one current", fg="green")
        return
    _print(groups)
    say(f"{where}: {stale:,} of {len(cells):,} cells are stale")
    _advise(groups, store)
    raise typer.Exit(1)


def migrate(
    store: Annotated[Path | None, typer.Option(help="Store to rewrite. \\[default: reports/data]")] = None,
) -> None:
    """Give records from before inputs were named the fingerprint of the commit they were measured at.

    Their figures are not touched. Where a record has no commit, the tree had changes, or the commit is not in this
    repository, nothing can be proved, and the record stays as it is.
    """
    from harness.catalogue.loading import load_registry
    from harness.paths import PUBLISHED, by_default, existing_store
    from harness.results.migration import migrate as rewrite
    from harness.results.store import Store

    target = Store(existing_store(store or by_default(PUBLISHED)))
    counts = rewrite(target, load_registry())
    say(f"{target.root}: {counts.total():,} records")
    for finding, count in counts.most_common():
        changed = "has the fingerprint of its commit: " if finding in ("current", "older") else "left as it is: "
        say(f"{count:6,}  {changed}{finding}")


def _print(groups: Sequence[StaleGroup]) -> None:
    from rich.table import Table

    from harness.report.units import pretty
    from harness.report.words import day
    from harness.terminal import Console

    console = Console(highlight=False)
    if not console.is_terminal:
        console = Console(highlight=False, width=160)
    table = Table(box=None, pad_edge=False)
    for title in ("machine", "suite", "task", "stale", "measured", "commits", "changed since", "again"):
        table.add_column(title, justify="right" if title in ("stale", "again") else "left")
    for group in groups:
        first, last = day(group.first), day(group.last)
        commits = ", ".join(group.commits[:2]) + (f" and {len(group.commits) - 2} more" if group.commits[2:] else "")
        table.add_row(
            group.machine,
            group.suite,
            group.task,
            f"{group.cells:,}",
            first if first == last else f"{first} to {last}",
            commits,
            _reasons(group),
            pretty(group.seconds, "seconds") if group.seconds else "",
        )
    console.print(table)


def _reasons(group: StaleGroup) -> str:
    """Return what changed, with the number of cells where it is not all of them."""
    parts = [name if count == group.cells else f"{name} ({count})" for name, count in group.changed[:NAMED]]
    more = len(group.changed) - NAMED
    blocked = [f"{group.blocked} cannot be measured here"] if group.blocked else []
    return ", ".join([*parts, *([f"{more} more"] if more > 0 else []), *blocked])


def _advise(groups: Sequence[StaleGroup], store: Sequence[Path] | None) -> None:
    from harness.report.units import pretty
    from harness.results.machine import this_machine

    here = this_machine().name
    seconds = sum(group.seconds for group in groups if group.machine == here)
    if seconds:
        given = "".join(f" --look-at {path}" for path in store or ())
        say(f"measure them again on this machine, {pretty(seconds, 'seconds')} one by one:")
        say(f"  spikeboard run --stale{given}")
    elsewhere = sorted({group.machine for group in groups if group.machine != here})
    if elsewhere:
        say(f"others were measured on {', '.join(elsewhere)}: run the same there")
