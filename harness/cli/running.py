"""``spikeboard run``: plan, measure with a live display, store, and show the tables."""

from __future__ import annotations

import functools
from collections import Counter
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from harness.cli import completion
from harness.cli._options import (
    DEVICE_VARIABLE,
    DEVICES,
    Address,
    DataRoot,
    ExecutorName,
    Methods,
    Neurons,
    Patterns,
    Topologies,
    tell_problems,
)
from harness.cli.placing import print_places
from harness.cli.quiet import demand_quiet
from harness.terminal import note, say

if TYPE_CHECKING:
    from harness.catalogue.cards import Registry
    from harness.catalogue.cell import Cell
    from harness.execute.job import Job, Summary
    from harness.execute.where import Where
    from harness.planning.plan import Plan, PlannedCell
    from harness.results.store import Store

__all__ = ["measure_shown", "register"]

GIBIBYTE = 2**30
MOST_TABLES = 8
"""Tables at the end of a run, the fullest: more than that nobody reads on a terminal."""
ONES_OWN = "new"
"""The preset that is about named rows: it ends with their places among the published ones."""
LINES_AT_ONCE = 1000
"""Of a plan: half a million calls that print a line each take longer than planning."""


def register(app: typer.Typer) -> None:
    """Add the verb to `app`."""
    app.command("run")(run)


def run(
    preset: Annotated[
        str | None,
        typer.Option(
            help="smoke, quick or standard. [default: quick; with --budget: every combination]",
            autocompletion=completion.presets,
        ),
    ] = None,
    suite: Annotated[
        Patterns,
        typer.Option(help="Only these suites (patterns; may be repeated).", autocompletion=completion.suites),
    ] = None,
    task: Annotated[Patterns, typer.Option(help="Only these tasks.", autocompletion=completion.tasks)] = None,
    neuron: Neurons = None,
    method: Methods = None,
    topology: Topologies = None,
    backend: Annotated[Patterns, typer.Option(help="Only these backends.", autocompletion=completion.backends)] = None,
    dtype: Annotated[Patterns, typer.Option(help="Only these number formats.")] = None,
    seed: Annotated[list[int] | None, typer.Option(help="These seeds instead of the preset's.")] = None,
    recipe: Annotated[
        Patterns, typer.Option(help="Hyper-parameters: default (the cards'), tuned. [default: the preset's]")
    ] = None,
    budget: Annotated[
        str | None, typer.Option(help="Training budget instead of the preset's.", autocompletion=completion.budgets)
    ] = None,
    device: Annotated[
        str | None,
        typer.Option(
            metavar="DEVICE",
            help=f"{DEVICES} [default: cpu; with --stale: both]",
            envvar=DEVICE_VARIABLE,
            show_envvar=False,
        ),
    ] = None,
    executor: ExecutorName = "local",
    address: Address = None,
    store: Annotated[Path | None, typer.Option(help="Where records go. [default: reports/runs]")] = None,
    data_root: DataRoot = None,
    slots: Annotated[int | None, typer.Option(help="Cells side by side. [default: physical cores]")] = None,
    memory_gib: Annotated[
        float | None, typer.Option(help="Memory a cell may take. [default: 80 % of the machine]")
    ] = None,
    timeout_factor: Annotated[float, typer.Option(help="Multiplies every suite's time limit.")] = 1.0,
    stale: Annotated[
        bool, typer.Option("--stale", help="Measure again what was measured with older code, and nothing else.")
    ] = False,
    look_at: Annotated[
        list[Path] | None,
        typer.Option(metavar="DIR", help="With --stale: where the records are. [default: reports/data, reports/runs]"),
    ] = None,
    again: Annotated[bool, typer.Option("--again", help="Measure what is done already once more.")] = False,
    require_quiet: Annotated[
        bool,
        typer.Option(
            "--require-quiet", help="Measure nothing, and exit with 3, while something would disturb timings here."
        ),
    ] = False,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Show what would be run, and how long it would take.")
    ] = False,
) -> None:
    """Measure what has not been measured yet.

    Every cell runs in a process of its own, within hard limits of time and memory; a failure is a record with its
    reason, and the rest goes on. Ctrl-C leaves a store from which the same command resumes.
    """
    from harness.catalogue.loading import load_registry
    from harness.data import data_root as resolve
    from harness.data import data_set
    from harness.errors import UserError
    from harness.execute.jobs import jobs_of
    from harness.execute.where import Where
    from harness.paths import RUNS, SCRATCH, by_default, readable_stores
    from harness.planning.plan import Filters, make_plan
    from harness.planning.stale import plan_stale
    from harness.results.index import history_in, select
    from harness.results.store import Store
    from harness.search.evaluation import with_named

    where = Where(device or "cpu", executor, address)
    registry, machine, target = (
        with_named(load_registry(), topology or ()),
        where.machine(),
        Store(store or by_default(RUNS)),
    )
    if stale and preset:
        raise UserError("--stale measures what has records, whatever preset they are of", "use --suite, --task, ...")
    root = resolve(data_root)
    filters = Filters(
        suite=tuple(suite or ()),
        task=tuple(task or ()),
        neuron=tuple(neuron or ()),
        method=tuple(method or ()),
        topology=tuple(topology or ()),
        backend=tuple(backend or ()),
        dtype=tuple(dtype or ()),
        seed=tuple(seed or ()),
        recipe=tuple(recipe or ()),
    )
    stores = list(dict.fromkeys([*readable_stores(look_at), target.root]))
    present = functools.cache(lambda data: data_set(data).find(root).present)
    if stale:
        plan = plan_stale(
            registry,
            target,
            machine.name,
            select(stores).records,
            filters=filters,
            budget=budget,
            device=device and where.kind,
            data_present=present,
        )
    else:
        plan_with = functools.partial(
            make_plan,
            registry,
            target,
            machine.name,
            budget=budget,
            filters=filters,
            device=where.kind,
            cores=where.cores(),
            data_present=present,
            history=history_in(stores),
            again=again,
        )
        plan = _preset_plan(plan_with, preset, budget, combined=bool(neuron and method))
    _describe(plan, registry, machine.name, where.machines(), slots or machine.physical_cores)
    if dry_run:
        _list_cells(plan)
        return
    jobs = jobs_of(
        plan.todo,
        registry,
        machine=machine,
        memory_bytes=int(memory_gib * GIBIBYTE) if memory_gib else None,
        timeout_factor=timeout_factor,
    )
    where = where.for_cells(job.cell for job in jobs)
    if require_quiet and jobs:
        demand_quiet(where)
    summary = measure_shown(where, jobs, registry, target, root, by_default(SCRATCH), slots)
    if preset == ONES_OWN:
        print_places((*(planned.cell for planned in plan.todo), *plan.done), stores, registry, machine.name)
    _conclude(summary, plan, target, registry, tables=preset != ONES_OWN)


def _preset_plan(plan_with: Callable[..., Plan], preset: str | None, budget: str | None, combined: bool) -> Plan:
    """Plan a preset's cells; where nobody asked for one, a neuron and a method that are named are combined."""
    from harness.catalogue.presets import find_preset, widened
    from harness.planning.plan import NothingLeftError

    name = preset or (None if budget else "quick")
    chosen = None if name is None else find_preset(name)
    try:
        return plan_with(preset=chosen)
    except NothingLeftError:
        if chosen is None or preset is not None or not combined:
            raise
        # The preset combines neurons with BPTT, and methods with IF, only.
        plan = plan_with(preset=widened(chosen))
        say(f"not a combination of the preset {chosen.name!r}: measured like those that are")
        return plan


def measure_shown(
    where: Where,
    jobs: list[Job],
    registry: Registry,
    store: Store,
    data_root: Path,
    scratch: Path,
    slots: int | None = None,
) -> Summary:
    """Run `jobs` with a live display, in processes that nothing has run in before."""
    from harness.execute.display import Display
    from harness.execute.job import Summary

    if not jobs:
        return Summary({})
    backends = [job.cell.backend for job in jobs]
    with (
        where.executor_for(store, data_root, scratch, slots, registry, backends=backends) as executor,
        Display(jobs) as display,
    ):
        return executor.run(jobs, display)


def _describe(plan: Plan, registry: Registry, machine: str, machines: int, slots: int) -> None:
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


def _list_cells(plan: Plan) -> None:
    if plan.todo:
        note(f"{'cell':<12}  {'estimated':>9}  {'suite':<12} {'task':<14} row", dim=True)
    for start in range(0, len(plan.todo), LINES_AT_ONCE):
        say("\n".join(map(_line_of, plan.todo[start : start + LINES_AT_ONCE])))
    sentences: Counter[str] = Counter()
    for one in plan.impossible:
        sentences[one.reason] += one.cells
    for sentence, count in sentences.most_common():
        say(f"impossible  {count:>9,}  {sentence}", dim=True)


def _conclude(summary: Summary, plan: Plan, store: Store, registry: Registry, tables: bool) -> None:
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
    from harness.cli.reporting import print_tables
    from harness.results.index import select
    from harness.results.queries import Wanted
    from harness.results.tables import build_tables, touched_by, worth_comparing

    settings = {(cell.task, cell.budget) for cell in cells}
    contents = select([store.root], [Wanted({"task": (task,), "budget": (budget,)}) for task, budget in settings])
    tell_problems(contents.problems)
    tables = worth_comparing(touched_by(cells, build_tables(contents.records, registry)))
    print_tables(tables[:MOST_TABLES])
    if len(tables) > MOST_TABLES:
        say(
            f"and {len(tables) - MOST_TABLES} more tables that this run touched: spikeboard table, or spikeboard report"
        )
