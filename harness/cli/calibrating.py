"""``spikeboard calibrate``: the same commit again and again, and how far its figures are apart."""

from __future__ import annotations

import functools
import time
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from harness.cli import completion
from harness.cli._options import (
    Address,
    DataRoot,
    Device,
    ExecutorName,
    Methods,
    Neurons,
    Patterns,
    Topologies,
)
from harness.cli._spreads import conclude
from harness.cli.running import measure_shown
from harness.terminal import note, say

if TYPE_CHECKING:
    from harness.catalogue.cards import Registry
    from harness.execute.where import Where
    from harness.planning.plan import Filters, PlannedCell
    from harness.results.store import Store

__all__ = ["register"]

RUNS = 10
SUITES = ["throughput"]
"""Of which asv times every commit."""


def register(app: typer.Typer) -> None:
    """Add the verb to `app`."""
    app.command("calibrate")(calibrate)


@dataclass(frozen=True, slots=True)
class _Session:
    """What all runs of a calibration have in common."""

    registry: Registry
    where: Where
    planned: tuple[PlannedCell, ...]
    """The cells of one run."""
    stores: tuple[Store, ...]
    """One for each run."""
    data_root: Path
    apart_seconds: float
    """Between the beginnings of two runs, at least."""

    def left(self, store: Store) -> list[PlannedCell]:
        """Return what is not done of a run."""
        from harness.planning.plan import done_in

        is_done = done_in(store, self.where.machine().name, self.registry)
        return [one for one in self.planned if not is_done(one.cell)]


def calibrate(
    runs: Annotated[
        int, typer.Option(help="How often everything is run: 5 at least, 20 where 10 % shall be found.")
    ] = RUNS,
    over: Annotated[
        str | None, typer.Option(metavar="TIME", help="Spread the runs over this time: 6h, 90m. \\[default: no pause]")
    ] = None,
    preset: Annotated[
        str | None, typer.Option(help="Where series come from. \\[default: quick]", autocompletion=completion.presets)
    ] = None,
    suite: Annotated[
        Patterns, typer.Option(help="Only these suites. \\[default: throughput]", autocompletion=completion.suites)
    ] = None,
    task: Annotated[Patterns, typer.Option(help="Only these tasks.", autocompletion=completion.tasks)] = None,
    neuron: Neurons = None,
    method: Methods = None,
    topology: Topologies = None,
    backend: Annotated[Patterns, typer.Option(help="Only these backends.", autocompletion=completion.backends)] = None,
    budget: Annotated[
        str | None, typer.Option(help="Training budget instead of the preset's.", autocompletion=completion.budgets)
    ] = None,
    device: Device = "cpu",
    executor: ExecutorName = "local",
    address: Address = None,
    store: Annotated[
        Path | None, typer.Option(metavar="DIR", help="Where the runs' records go. \\[default: reports/calibration]")
    ] = None,
    noise: Annotated[
        Path | None, typer.Option(metavar="DIR", help="Where the spread goes. \\[default: reports/asv/noise]")
    ] = None,
    data_root: DataRoot = None,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Show what would be run, and how long it takes.")] = False,
) -> None:
    """Measure how far runs of this commit are apart, for alarms that know the machine's noise.

    Every run has fresh processes and goes through all series before the next one does. What is done is kept: after a
    Ctrl-C, or noisy timings, the same command goes on.
    """
    from harness.execute.pauses import seconds_of
    from harness.execute.where import Where
    from harness.paths import CALIBRATION, NOISE, by_default
    from harness.planning.plan import Filters

    _check_runs(runs)
    apart = seconds_of(over) / (runs - 1) if over else 0.0
    filters = Filters(
        suite=tuple(suite or SUITES),
        task=tuple(task or ()),
        neuron=tuple(neuron or ()),
        method=tuple(method or ()),
        topology=tuple(topology or ()),
        backend=tuple(backend or ()),
    )
    folder = (store or by_default(CALIBRATION)) / _commit()[:10]
    session = _planned(Where(device, executor, address), folder, runs, apart, filters, preset, budget, data_root)
    _describe(session)
    if dry_run:
        return
    failed = _run(session)
    runs_records = [one.read().records for one in session.stores]
    conclude(runs_records, [one.cell for one in session.planned], session.registry, noise or by_default(NOISE))
    if failed:
        say(f"{failed} cells failed; their records in {folder} say why", fg="red")
        raise typer.Exit(1)


def _check_runs(runs: int) -> None:
    from harness.errors import UserError
    from harness.results.steps import FEWEST_RUNS

    if runs < FEWEST_RUNS:
        raise UserError(
            f"--runs {runs} gives no spread that an alarm could rest on",
            f"{FEWEST_RUNS} is the least, {RUNS} the default, and 20 find the smaller steps",
        )


def _commit() -> str:
    """Return the commit that is checked out, of which nothing that is measured was changed."""
    from harness.errors import UserError
    from harness.results.provenance import this_origin, why_no_commit

    origin = this_origin()
    if origin.commit is None:
        raise UserError(
            f"what is measured here is of no commit{f': {why}' if (why := why_no_commit()) else ''}",
            "a series is one of commits: run it in a clone of the repository",
        )
    if origin.dirty is not False:
        raise UserError("what is measured here was changed since its commit", "commit it, or put it aside: git stash")
    return origin.commit


def _planned(
    where: Where,
    folder: Path,
    runs: int,
    apart: float,
    filters: Filters,
    preset: str | None,
    budget: str | None,
    data_root: Path | None,
) -> _Session:
    """Choose the cells, once for all runs, and refuse suites whose figures are the same every time."""
    from harness.asv.noise import is_noisy
    from harness.catalogue.loading import load_registry
    from harness.catalogue.presets import find_preset
    from harness.data import data_root as resolve
    from harness.data import data_set
    from harness.errors import UserError
    from harness.planning.plan import make_plan
    from harness.results.store import Store

    registry, root = load_registry(), resolve(data_root)
    stores = tuple(Store(folder / f"run-{number:03d}") for number in range(1, runs + 1))
    name = preset or (None if budget else "quick")
    plan = make_plan(
        registry,
        stores[0],
        where.machine().name,
        preset=None if name is None else find_preset(name),
        budget=budget,
        filters=filters,
        device=where.kind,
        cores=where.cores(),
        data_present=functools.cache(lambda data: data_set(data).find(root).present),
        again=True,
    )
    for suite in sorted({one.cell.suite for one in plan.todo}):
        if not any(map(is_noisy, registry.suite(suite).metrics.values())):
            raise UserError(
                f"the suite {suite!r} gives the same figures at every run: there is no noise to measure",
                f"name one that takes times: --suite {SUITES[0]}",
            )
    for missing, cells in plan.missing.items():
        say(f"{cells} cells wait for the data set {missing!r}. {data_set(missing).how_to_get}", fg="yellow")
    return _Session(registry, where, plan.todo, stores, root, apart)


def _describe(session: _Session) -> None:
    from harness.report.units import pretty
    from harness.report.words import count

    left = [session.left(store) for store in session.stores]
    seconds = sum(one.estimated_seconds for run in left for one in run)
    note(f"machine {session.where.machine().name}, {count(len(session.planned), 'cell')} a run")
    done = sum(not run for run in left)
    pause = (
        f", {session.apart_seconds / 60:.3g} min from the start of one to that of the next"
        if session.apart_seconds
        else ""
    )
    note(f"{count(len(left), 'run')}, {done} of them done already; about {pretty(seconds, 'seconds')}{pause}")


def _run(session: _Session) -> int:
    """Do what is left of every run and return how many cells failed; exit after a signal."""
    from harness.execute.jobs import jobs_of
    from harness.execute.pauses import wait_until
    from harness.paths import SCRATCH, by_default
    from harness.results.record import DONE, MEASURED

    failed, due = 0, 0.0
    for number, store in enumerate(session.stores, start=1):
        todo = session.left(store)
        if todo:
            note(f"run {number} of {len(session.stores)}{_at(due)}")
            signal = wait_until(due)
            if signal is not None:
                _stop(128 + signal)
            jobs = jobs_of(todo, session.registry, machine=session.where.machine())
            where = session.where.for_cells(job.cell for job in jobs)
            summary = measure_shown(where, jobs, session.registry, store, session.data_root, by_default(SCRATCH))
            if summary.interrupted:
                _stop(summary.exit_code)
            failed += sum(many for status, many in summary.counts.items() if status not in DONE | MEASURED)
        due = _began(store) + session.apart_seconds
    return failed


def _at(due: float) -> str:
    return f", at {datetime.fromtimestamp(due):%H:%M}" if due > time.time() else ""


def _began(store: Store) -> float:
    """Return when the first cell of a run began, in seconds since 1970."""
    return min((one.provenance.moment.timestamp() for one in store.read().records), default=time.time())


def _stop(code: int) -> None:
    say("interrupted. The same command goes on from here.", fg="yellow")
    raise typer.Exit(code)
