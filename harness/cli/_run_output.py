"""What ``spikeboard run`` says of its plan before, and of what came of it afterwards."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from typing import TYPE_CHECKING

import typer

from harness.cli._options import tell_problems
from harness.terminal import note, say

if TYPE_CHECKING:
    from harness.catalogue.cards import Registry
    from harness.catalogue.cell import Cell
    from harness.execute.job import Summary
    from harness.planning.plan import Plan, PlannedCell
    from harness.results.store import Store

__all__ = ["conclude", "describe", "list_cells"]

MOST_TABLES = 8
"""Tables at the end of a run, the fullest: more than that nobody reads on a terminal."""
LINES_AT_ONCE = 1000
"""Of a plan: half a million calls that print a line each take longer than planning."""


def describe(plan: Plan, registry: Registry, machine: str, machines: int, slots: int) -> None:
    """Say what is to be measured on which machine, how long it takes, and which data are missing."""
    from harness.data import data_set
    from harness.report.units import pretty
    from harness.report.words import count
    from harness.results.provenance import why_no_commit

    note(f"machine {machine}" + (f", {machines} of them" if machines > 1 else ""))
    if plan.todo and (why := why_no_commit()):
        say(f"the records will carry no commit: {why}", fg="yellow")
    parts = [f"{count(len(plan.todo), 'cell')} to measure", f"{len(plan.done)} done already"]
    if plan.impossible:
        parts.append(f"{sum(one.cells for one in plan.impossible):,} combinations impossible")
    note(
        ", ".join(parts)
        + (f"; about {pretty(_wall_seconds(plan, registry, machines, slots), 'seconds')}" if plan.todo else "")
    )
    for name, cells in plan.missing.items():
        say(f"{count(cells, 'cell')} wait for the data set {name!r}. {data_set(name).how_to_get}", fg="yellow")


def _wall_seconds(plan: Plan, registry: Registry, machines: int, slots: int) -> float:
    """Return when the last cell is expected to end."""
    from harness.planning.schedule import Piece, best_order, makespan

    pieces = [
        Piece(one.cell.suite, one.estimated_seconds, registry.suite(one.cell.suite).exclusive) for one in plan.todo
    ]
    if machines > 1:
        pieces = [pieces[number] for number in best_order(pieces, machines, slots)]
    return makespan(pieces, machines, slots)


def _line_of(planned: PlannedCell) -> str:
    cell = planned.cell
    return f"{cell.id}  {planned.estimated_seconds:7.1f} s  {cell.suite:<12} {cell.task:<14} {cell.label}"


def list_cells(plan: Plan) -> None:
    """Print the cells of a plan, and what is impossible and why."""
    if plan.todo:
        note(f"{'cell':<12}  {'estimated':>9}  {'suite':<12} {'task':<14} row", dim=True)
    for start in range(0, len(plan.todo), LINES_AT_ONCE):
        say("\n".join(map(_line_of, plan.todo[start : start + LINES_AT_ONCE])))
    sentences: Counter[str] = Counter()
    for one in plan.impossible:
        sentences[one.reason] += one.cells
    for sentence, count in sentences.most_common():
        say(f"impossible  {count:>9,}  {sentence}", dim=True)


def conclude(summary: Summary, plan: Plan, store: Store, registry: Registry, tables: bool) -> None:
    """Print the `tables`, unless others were, and say how it went.

    Exit 1 if a cell failed for a reason of its own, 128 + n after signal n.
    """
    from harness.results.record import DONE, MEASURED

    if tables:
        _print_touched([*(planned.cell for planned in plan.todo), *plan.done], store, registry)
    if summary.counts:
        say("this run: " + ", ".join(f"{count} {status}" for status, count in summary.counts.items()))
    if summary.interrupted:
        say(
            f"interrupted; {summary.not_started} cells were not started. The same command goes on from here.",
            fg="yellow",
        )
        raise typer.Exit(summary.exit_code)
    noisy = summary.counts.get("noisy", 0)
    if noisy:
        say(
            f"{noisy} timings are too noisy to be ranked, the second try as well; on a quiet machine the same command "
            "takes them again.",
            fg="yellow",
        )
    failed = sum(count for status, count in summary.counts.items() if status not in DONE | MEASURED)
    if failed:
        say(f"{failed} cells failed; their records say why (spikeboard show ID, or the pages)", fg="red")
        raise typer.Exit(1)


def _print_touched(cells: Sequence[Cell], store: Store, registry: Registry) -> None:
    """Print the tables in which the cells of a run stand, and how many more there are."""
    from harness.cli._tables import print_tables
    from harness.results.index import select
    from harness.results.queries import Wanted
    from harness.results.table import touched_by, worth_comparing
    from harness.results.tables import build_tables

    settings = {(cell.task, cell.budget) for cell in cells}
    contents = select([store.root], [Wanted({"task": (task,), "budget": (budget,)}) for task, budget in settings])
    tell_problems(contents.problems)
    tables = worth_comparing(touched_by(cells, build_tables(contents.records, registry)))
    print_tables(tables[:MOST_TABLES])
    if len(tables) > MOST_TABLES:
        say(
            f"and {len(tables) - MOST_TABLES} more tables that this run touched: spikeboard table, or spikeboard report"
        )
