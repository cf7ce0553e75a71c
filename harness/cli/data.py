"""``spikeboard data``: the data sets, which are present, fetching and verifying them."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from harness.cli import completion
from harness.cli._options import DataRoot
from harness.terminal import say

__all__ = ["register"]

commands = typer.Typer(help="Data sets: which there are, which are present, fetch and verify them.")


def register(app: typer.Typer) -> None:
    """Add the verbs to `app`."""
    app.add_typer(commands, name="data")


@commands.callback(invoke_without_command=True)
def overview(context: typer.Context, data_root: DataRoot = None) -> None:
    """List the data sets and say which are present."""
    if context.invoked_subcommand is not None:
        return
    from rich.table import Table

    from harness.data import data_root as resolve
    from harness.data import data_set, presences
    from harness.terminal import Console

    root = resolve(data_root)
    table = Table(box=None, pad_edge=False)
    for heading in ("data set", "title", "present", "where, or how to get it"):
        # A path is folded rather than cut: it is there to be copied.
        table.add_column(heading, no_wrap=heading == "data set", overflow="fold")
    for presence in presences(root):
        known = data_set(presence.name)
        if known.embedded:
            found, where = "embedded", known.source
        elif presence.present:
            counts = ", ".join(f"{count:,} {part}" for part, count in presence.samples.items())
            found, where = counts or "yes", str(presence.where)
        else:
            found, where = "no", known.how_to_get
        table.add_row(presence.name, known.title, found, where)
    Console().print(table)
    say(f"data root: {root}")


@commands.command("fetch")
def fetch(
    name: Annotated[str, typer.Argument(help="Data set to download.", autocompletion=completion.data_sets)],
    data_root: DataRoot = None,
) -> None:
    """Download a data set, verify it, and put it below the data root."""
    from rich.progress import Progress

    from harness.data import data_root as resolve
    from harness.data import fetch as fetch_set
    from harness.terminal import Console

    root: Path = resolve(data_root)
    with Progress(transient=True, console=Console()) as progress:
        line = progress.add_task(name, total=1.0)
        presence = fetch_set(
            name, root, lambda fraction, note: progress.update(line, completed=fraction, description=note)
        )
    say(f"{name}: {presence.where}")


@commands.command("verify")
def verify(
    name: Annotated[
        str | None,
        typer.Argument(
            help="Data set to verify. \\[default: all that are present]", autocompletion=completion.data_sets
        ),
    ] = None,
    data_root: DataRoot = None,
) -> None:
    """Check digests and counts; exit code 1 if something is not as it should be."""
    from harness.data import data_root as resolve
    from harness.data import verify as verify_sets

    broken = 0
    for data_set, verdicts in verify_sets(resolve(data_root), name).items():
        for verdict in verdicts:
            broken += not verdict.intact
            mark = "ok     " if verdict.intact else "BROKEN "
            say(f"{mark} {data_set}: {verdict.subject}: {verdict.finding}", fg=None if verdict.intact else "red")
    raise typer.Exit(1 if broken else 0)
