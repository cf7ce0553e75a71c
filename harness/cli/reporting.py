"""``spikeboard table``, ``show``, ``figure``, ``report`` and ``publish``: what was measured, as text and pictures."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from harness.cli import completion
from harness.cli._options import MachineName, Stores, tell_problems
from harness.terminal import is_quiet, say

__all__ = ["register"]

OfTask = Annotated[str | None, typer.Option(help="Only tables of this task.", autocompletion=completion.tasks)]
OfBudget = Annotated[
    str | None, typer.Option(help="Only tables of this training budget.", autocompletion=completion.budgets)
]


def register(app: typer.Typer) -> None:
    """Add the verbs to `app`."""
    app.command("table")(table)
    app.command("show")(show)
    app.command("figure")(figure)
    app.command("report")(report)
    app.command("publish")(publish)


def table(
    board: Annotated[
        str | None,
        typer.Option(
            help="neurons, methods, tasks, ...; overall-neurons, overall-methods, claims. \\[default: boards]",
            autocompletion=completion.boards,
        ),
    ] = None,
    task: OfTask = None,
    neuron: Annotated[
        str | None, typer.Option(help="Only tables of this neuron, or with it.", autocompletion=completion.neurons)
    ] = None,
    method: Annotated[
        str | None,
        typer.Option(help="Only tables of this training method, or with it.", autocompletion=completion.methods),
    ] = None,
    budget: OfBudget = None,
    recipe: Annotated[str | None, typer.Option(help="Only tables of these hyper-parameters: default, tuned.")] = None,
    machine: MachineName = None,
    output_format: Annotated[
        str | None, typer.Option("--format", help="md, latex, csv, html or json. \\[default: for the terminal]")
    ] = None,
    rows: Annotated[
        list[str] | None, typer.Option(help="Only these rows (patterns; may be repeated); ranks stay those of all.")
    ] = None,
    columns: Annotated[
        list[str] | None,
        typer.Option(
            help="Only these columns, in this order: metrics or headings; rank, contract, vectors, differences."
        ),
    ] = None,
    top: Annotated[int | None, typer.Option(metavar="N", help="Only the first N rows of each table.")] = None,
    sort: Annotated[
        str | None, typer.Option(metavar="COLUMN", help="Best figure of this column first; name: by name.")
    ] = None,
    every: Annotated[bool, typer.Option("--all", help="Tables with a single row as well.")] = False,
    current: Annotated[
        bool, typer.Option("--current", help="Leave out what was measured with older code, instead of marking it.")
    ] = False,
    store: Stores = None,
) -> None:
    """Print the ranked tables."""
    from harness.cli._tables import asked_tables, found_tables, print_tables, strangers_of
    from harness.cli.deciding import CLAIMS, OVERALL, print_claims, print_overall
    from harness.errors import UserError
    from harness.report.formats import to_text
    from harness.report.trimming import Trim, trim
    from harness.results.table import worth_comparing

    axes = {"task": task, "neuron": neuron, "method": method, "budget": budget, "recipe": recipe}
    wanted = Trim(tuple(rows or ()), tuple(columns or ()), top, sort)
    if wanted != Trim() and board is not None and (board == CLAIMS or board in OVERALL):
        raise UserError(f"{board} is no table of one board", "--rows, --columns, --top and --sort need --board neurons")
    if board == CLAIMS:
        print_claims(store, output_format)
        return
    if board in OVERALL:
        print_overall(board, asked_tables(store, board.removeprefix("overall-"), axes, machine, True), output_format)
        return
    tables = found_tables(store, board, axes, machine, current, strangers_of(store))
    parts = trim(tables if every else worth_comparing(tables), wanted)
    if output_format is None:
        print_tables(parts)
    else:
        say(to_text(parts, output_format), nl=False)


def show(
    cell: Annotated[str, typer.Argument(help="Id of a cell, or the beginning of one.")],
    as_json: Annotated[bool, typer.Option("--json", help="Print the JSON alone.")] = False,
    store: Stores = None,
) -> None:
    """Show what is recorded of a cell: ten lines of summary, then all of it as JSON.

    Packed predictions are left out: nobody reads them, and the record's file has them.
    """
    from harness.catalogue.loading import load_registry
    from harness.errors import UserError
    from harness.paths import readable_stores
    from harness.report.record_summary import summary
    from harness.results.freshness import Today
    from harness.results.index import select
    from harness.results.queries import Wanted

    records = select(readable_stores(store), [Wanted(cell_id=cell)]).records
    if not records:
        raise UserError(f"no record of a cell {cell!r}", "spikeboard table and the pages show the ids of cells")
    registry = load_registry()
    today = Today(registry)
    for record in records:
        if not as_json:
            say(summary(record, registry, today) + "\n")
        if as_json or not is_quiet():
            say(record.model_dump_json(indent=1, exclude={"predictions": {"packed"}}))


def figure(
    out: Annotated[Path, typer.Argument(help="File to write: .pdf, .svg or .png.")],
    board: Annotated[
        str, typer.Option(help="neurons or methods.", autocompletion=completion.among(("neurons", "methods")))
    ] = "neurons",
    task: Annotated[str, typer.Option(help="Task of the table.", autocompletion=completion.tasks)] = "digits",
    budget: Annotated[
        str | None, typer.Option(help="Training budget of the table.", autocompletion=completion.budgets)
    ] = None,
    recipe: Annotated[str | None, typer.Option(help="Hyper-parameters of the table: default, tuned.")] = None,
    against: Annotated[
        str,
        typer.Option(
            metavar="COST",
            help="Cost to draw the error against: time, energy, memory (peak), saved (for backward), or a column.",
            autocompletion=completion.costs,
        ),
    ] = "time",
    rows: Annotated[list[str] | None, typer.Option(help="Draw only these rows (patterns; may be repeated).")] = None,
    highlight: Annotated[
        list[str] | None, typer.Option(help="Draw these rows in a colour of their own, always with their names.")
    ] = None,
    machine: MachineName = None,
    store: Stores = None,
) -> None:
    """Draw test error against a cost, with intervals and frontier, for a paper.

    Of several tables that fit, the one with most rows of those that have current figures. With --rows, the frontier is
    that of the rows drawn.
    """
    from harness.cli._tables import found_tables
    from harness.extras import require
    from harness.report.figures import draw_pareto, has_ranks, pareto_plot
    from harness.report.trimming import Trim, trim
    from harness.report.words import where

    require("matplotlib")
    tables = found_tables(store, board, {"task": task, "budget": budget, "recipe": recipe}, machine)
    tables = [part.table for part in trim(tables, Trim(rows=tuple(rows or ())))]
    fullest = next(filter(has_ranks, tables), tables[0])
    plot = pareto_plot(fullest, against)
    draw_pareto(plot, out, highlight or ())
    say(f"{out}: {fullest.group.label} ({where(fullest, fullest.group.machine)}). {plot.caption}")


def report(
    out: Annotated[Path | None, typer.Option(help="Folder of the pages. \\[default: reports/site]")] = None,
    store: Stores = None,
) -> None:
    """Write the leaderboard's pages: static, without a server or a network."""
    from harness.asv.series import graphs_over_commits
    from harness.cli._tables import strangers_of
    from harness.paths import PUBLISHED, RUNS, SITE, by_default, readable_stores
    from harness.report import links
    from harness.report.site import build_site
    from harness.results.index import select
    from harness.results.record import MEASURED

    site, stores = out or by_default(SITE), readable_stores(store)
    index = build_site(stores, site, over_commits=graphs_over_commits(site / links.ASV), strangers=strangers_of(store))
    found = [record.status for root in stores for record in select([root]).records]
    if not MEASURED.intersection(found):
        looked = ", ".join(map(str, stores)) or f"neither {by_default(PUBLISHED)} nor {by_default(RUNS)} is there"
        why = f"none of {len(found)} records has one" if found else "no record was found"
        say(
            f"these pages are empty of figures: {why} ({looked}). Measure something first: "
            "spikeboard run --preset smoke",
            fg="yellow",
            err=True,
        )
    say(f"leaderboard: {index}")


def publish(
    source: Annotated[Path | None, typer.Option("--from", help="Store to copy from. \\[default: reports/runs]")] = None,
    to: Annotated[Path | None, typer.Option(help="Store to copy to. \\[default: reports/data]")] = None,
    preset_budget: Annotated[str | None, typer.Option("--budget", help="Only records of this budget.")] = None,
    only_current: Annotated[
        bool, typer.Option("--only-current", help="Let go of what was measured with older code, published or not.")
    ] = False,
) -> None:
    """Put one of one's own records of every cell into the store that is committed: the current one, or the newest.

    They are packed into few files. An interrupted cell says nothing about an implementation and stays behind, as does
    what another record supersedes or the cards rule out. From a store to itself, it is packed where it lies. Records of
    older code stay, marked, unless --only-current lets go of them; what was committed stays in the history.
    """
    from harness.catalogue.cell import NOT_APPLICABLE
    from harness.catalogue.loading import load_registry
    from harness.paths import PUBLISHED, RUNS, by_default, existing_store
    from harness.results import packing
    from harness.results.freshness import Today
    from harness.results.store import Store

    own, target = Store(existing_store(source or by_default(RUNS))), Store(to or by_default(PUBLISHED))
    contents = own.read()
    tell_problems(contents.problems)
    budgets = (preset_budget, NOT_APPLICABLE)
    wanted = [record for record in contents.records if preset_budget is None or record.cell.budget in budgets]
    packed = packing.publish(
        wanted if own.root.resolve() != target.root.resolve() else (),
        target,
        Today(load_registry()),
        only_current=only_current,
    )
    older = f", and {packed.older} of older code" if packed.older else ""
    say(
        f"{packed.records} records in {packed.files} files of {target.root}; {packed.left_out} that are superseded, "
        f"interrupted or impossible are left out{older}"
    )
