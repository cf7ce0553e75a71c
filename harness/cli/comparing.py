"""``spikeboard compare``: two commits or two stores; exit code 1 only for what is gone or worse beyond the noise."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from harness.cli._options import Stores, tell_problems
from harness.terminal import say

if TYPE_CHECKING:
    from harness.results.comparison import CellChange
    from harness.results.store import Contents

__all__ = ["register"]

THRESHOLD = 0.05
NOTE = "md"
"""The format for people: it chooses what it shows."""
COLOURS = {"regression": "red", "gone": "red", "improvement": "green"}
UNREMARKABLE = ("same", "noise", "new", "failing")
"""Verdicts that only ``--all`` shows."""


def register(app: typer.Typer) -> None:
    """Add the verb to `app`."""
    app.command("compare")(compare_sets)


def compare_sets(
    before: Annotated[str, typer.Argument(metavar="A", help="A commit, or a folder of records.")],
    after: Annotated[str, typer.Argument(metavar="B", help="A commit, or a folder of records.")],
    store: Stores = None,
    threshold: Annotated[
        float | None,
        typer.Option(
            help="Relative change below which a value that is not exact counts as the same. \\[default: 0.05, or what "
            "the measured noise allows]"
        ),
    ] = None,
    noise: Annotated[
        Path | None, typer.Option(metavar="DIR", help="Measured noise. \\[default: reports/asv/noise]")
    ] = None,
    partial: Annotated[
        bool, typer.Option("--partial", help="B was measured in part: cells that it has no record of are not judged.")
    ] = False,
    output_format: Annotated[
        str | None, typer.Option("--format", help="md, csv or json. \\[default: for the terminal]")
    ] = None,
    show_all: Annotated[bool, typer.Option("--all", help="Show cells that did not change as well.")] = False,
    output: Annotated[
        Path | None, typer.Option(metavar="FILE", help="With --format: write there instead of printing.")
    ] = None,
    page: Annotated[
        str | None, typer.Option(metavar="URL", help="With --format md: link to the published pages.")
    ] = None,
) -> None:
    """Compare A with B, cell by cell, the worst first.

    A cell has regressed if it was fine and now fails, if it has lost a metric, or if one is worse: the 95 % intervals
    do not touch and the change exceeds the threshold; an exact one (bytes saved, operations) if it is worse at all; one
    whose noise spikeboard calibrate has measured on that machine, if the change exceeds what that allows.
    It is gone if B has no record of it. Exit code 1 if any cell has regressed or is gone, 0 otherwise.

    ``--format md`` is a note for a pull request: what fails, is worse, better and new.
    """
    from harness.asv.noise import noise_lookup, read_noise
    from harness.catalogue.loading import load_registry
    from harness.paths import NOISE, by_default, readable_stores
    from harness.report.change_notes import note_of
    from harness.report.changes import changes_to_text
    from harness.results.comparison import compare, records_of

    _check_options(output_format, output, page)
    registry = load_registry()
    stores = readable_stores(store)
    sets = [records_of(name, stores, registry) for name in (before, after)]
    for contents in sets:
        tell_problems(contents.problems)
    limit = THRESHOLD if threshold is None else threshold
    found = compare(
        sets[0].records,
        sets[1].records,
        registry,
        limit,
        noise_lookup(read_noise(noise or by_default(NOISE))),
        threshold or 0.0,
    )
    by_noise = sum(metric.allowed is not None for item in found for metric in item.metrics)
    _demand_common((before, after), sets, found)
    counts: Counter[str] = Counter(item.verdict for item in found)
    if partial:
        found = [item for item in found if item.verdict != "gone"]
    shown = [item for item in found if show_all or item.verdict not in UNREMARKABLE]
    if output_format is None:
        _print(shown)
    else:
        text = note_of(found, limit, page) if output_format == NOTE else changes_to_text(shown, output_format)
        _write(text, output)
    _summarise(counts, partial, by_noise, aside=output_format is not None)
    raise typer.Exit(1 if any(item.fails for item in found) else 0)


def _check_options(output_format: str | None, output: Path | None, page: str | None) -> None:
    """Say what is wrong with the options before anything is read."""
    from harness.errors import UserError
    from harness.report.change_notes import note_of
    from harness.report.changes import CHANGE_FORMATS
    from reference_impls.names import check_name

    if output_format is not None:
        check_name("format", output_format, [NOTE, *CHANGE_FORMATS])
    elif output is not None:
        raise UserError("--output writes a file, and what is for the terminal is none", "add --format md, csv or json")
    if page is not None and output_format != NOTE:
        raise UserError("--page is the link of a note", f"add --format {NOTE}")
    note_of((), THRESHOLD, page)


def _write(text: str, output: Path | None) -> None:
    from harness.writing import write_whole

    if output is None:
        say(text, nl=False)
    else:
        write_whole(output, text)


def _demand_common(names: Sequence[str], sets: Sequence[Contents], found: Sequence[CellChange]) -> None:
    """Refuse two sets that share nothing: nothing was compared, and that is no pass."""
    from harness.errors import UserError

    if all(item.verdict in ("gone", "new") for item in found):
        said = " and ".join(
            f"{name} ({len(contents.records)} records)" for name, contents in zip(names, sets, strict=True)
        )
        raise UserError(
            f"{said} have no figure in common",
            "measure both on the same machine with the same cells, for example: spikeboard run --preset quick",
        )


def _summarise(counts: Counter[str], partial: bool, by_noise: int, aside: bool) -> None:
    """Say how many cells had which verdict; beside the output where that is for a program."""
    from harness.report.changes import BY_NOISE
    from harness.report.words import count
    from harness.results.comparison import VERDICTS

    words = {"gone": "not measured again" if partial else "gone", "noise": "within the noise"}
    said = ", ".join(f"{counts[one]} {words.get(one, one)}" for one in VERDICTS if counts[one])
    say(f"{count(counts.total(), 'cell')}: {said}", err=aside)
    if by_noise:
        figures = count(by_noise, "figure")
        say(f"judged by measured noise ({BY_NOISE}): {figures}; the others by their intervals", err=aside)
    if counts["gone"] and not partial:
        say("gone: fine in A and without a record in B; --partial if B was not to measure them", err=aside)


def _print(items: Sequence[CellChange]) -> None:
    from rich.table import Table
    from rich.text import Text

    from harness.cli._console import print_whole
    from harness.report.changes import HEADINGS, headline

    if not items:
        return
    table = Table(box=None, pad_edge=False)
    for title in HEADINGS:
        right = title in ("before", "after", "change")
        table.add_column(title, justify="right" if right else "left", overflow="fold")
    for item in items:
        table.add_row(*map(Text, headline(item)), style=COLOURS.get(item.verdict))
    print_whole(table)
