"""``spikeboard run``: plan, measure with a live display, store, and show the tables."""

from __future__ import annotations

import functools
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from harness.cli import completion
from harness.cli._options import (
    DEVICES,
    Address,
    DataRoot,
    ExecutorName,
    Methods,
    Neurons,
    Patterns,
    Topologies,
)
from harness.cli.placing import print_places
from harness.cli.quiet import demand_quiet
from harness.defaults import DEVICE_VARIABLE
from harness.terminal import say

if TYPE_CHECKING:
    from harness.catalogue.cards import Registry
    from harness.execute.job import Job, Summary
    from harness.execute.where import Where
    from harness.planning.plan import Plan
    from harness.results.store import Store

__all__ = ["measure_shown", "register"]

GIBIBYTE = 2**30
ONES_OWN = "new"
"""The preset that is about named rows: it ends with their places among the published ones."""


def register(app: typer.Typer) -> None:
    """Add the verb to `app`."""
    app.command("run")(run)


def run(
    preset: Annotated[
        str | None,
        typer.Option(
            help="smoke, quick or standard. \\[default: quick; with --budget: every combination]",
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
        Patterns, typer.Option(help="Hyper-parameters: default (the cards'), tuned. \\[default: the preset's]")
    ] = None,
    budget: Annotated[
        str | None, typer.Option(help="Training budget instead of the preset's.", autocompletion=completion.budgets)
    ] = None,
    device: Annotated[
        str | None,
        typer.Option(
            metavar="DEVICE",
            help=f"{DEVICES} \\[default: cpu; with --stale: both]",
            envvar=DEVICE_VARIABLE,
            show_envvar=False,
        ),
    ] = None,
    executor: ExecutorName = "local",
    address: Address = None,
    store: Annotated[Path | None, typer.Option(help="Where records go. \\[default: reports/runs]")] = None,
    data_root: DataRoot = None,
    slots: Annotated[int | None, typer.Option(help="Cells side by side. \\[default: physical cores]")] = None,
    memory_gib: Annotated[
        float | None, typer.Option(help="Memory a cell may take. \\[default: 80 % of the machine]")
    ] = None,
    timeout_factor: Annotated[float, typer.Option(help="Multiplies every suite's time limit.")] = 1.0,
    stale: Annotated[
        bool, typer.Option("--stale", help="Measure again what was measured with older code, and nothing else.")
    ] = False,
    look_at: Annotated[
        list[Path] | None,
        typer.Option(
            metavar="DIR", help="With --stale: where the records are. \\[default: reports/data, reports/runs]"
        ),
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
    from harness.cli._run_output import conclude, describe, list_cells
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
    describe(plan, registry, machine.name, where.machines(), slots or machine.physical_cores)
    if dry_run:
        list_cells(plan)
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
    conclude(summary, plan, target, registry, tables=preset != ONES_OWN)


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
