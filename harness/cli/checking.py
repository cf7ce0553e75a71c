"""``spikeboard check``: golden vectors, contract and backends of every entry (or of some, tasks too), as one table."""

from __future__ import annotations

import tempfile
from collections import defaultdict
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from harness.cli import completion
from harness.cli._options import Address, DataRoot, Device, ExecutorName
from harness.cli.watching import OPTION, again_and_again, folders_of
from harness.terminal import say

if TYPE_CHECKING:
    from rich.text import Text

    from harness.catalogue.cards import Registry
    from harness.execute.job import Summary
    from harness.execute.where import Where
    from harness.planning.checking import CheckRow, EntryVerdict
    from harness.planning.plan import Plan
    from harness.results.store import Store
    from harness.terminal import Console

__all__ = ["register"]

FILE_WIDTH = 120
"""Columns of a table that goes into a file."""
FIELDS = {"passed": "green", "failed": "bold red", "missing": "yellow", "unsupported": "dim"}


def register(app: typer.Typer) -> None:
    """Add the verb to `app`."""
    app.command("check")(check)


def check(
    entry: Annotated[
        list[str] | None,
        typer.Argument(
            metavar="[ENTRY]...",
            help="Neurons, methods, peers, systems and tasks (patterns).",
            autocompletion=completion.entries,
        ),
    ] = None,
    everything: Annotated[bool, typer.Option("--all", help="Check every entry there is.")] = False,
    backend: Annotated[
        list[str] | None, typer.Option(help="Only these backends (patterns); eager is contract and golden vectors.")
    ] = None,
    vectors: Annotated[
        Path | None, typer.Option(metavar="DIR", help="Golden vectors to run. \\[default: those of the project]")
    ] = None,
    device: Device = "cpu",
    executor: ExecutorName = "local",
    address: Address = None,
    slots: Annotated[int | None, typer.Option(help="Entries side by side. \\[default: physical cores]")] = None,
    data_root: DataRoot = None,
    watch: Annotated[
        bool,
        typer.Option(
            OPTION,
            help="Check again whenever a file is saved, until Ctrl-C; under eager only, unless --backend says.",
        ),
    ] = False,
) -> None:
    """Say whether every entry keeps its contract and equals its authors' numbers, under every backend.

    Nothing is stored. Exit code 1 if anything fails, 130 after Ctrl-C.
    """
    if watch:
        again_and_again([] if backend else ["--backend", "eager"], folders_of(entry or ()))
        return
    from harness.catalogue.loading import load_registry
    from harness.errors import UserError
    from harness.execute.where import Where
    from harness.planning.checking import (
        check_rows,
        explained,
        plan_check,
        systems_to_check,
        tasks_to_check,
        unanswered,
    )
    from harness.results.store import Store

    if bool(entry) == everything:
        raise UserError("say what to check", "spikeboard check lif ottt-a, or spikeboard check --all")
    where = Where(device, executor, address)
    strangers = unanswered(vectors) if vectors is not None else {}
    registry, console = load_registry(), _console()
    with tempfile.TemporaryDirectory() as folder:
        store = Store(Path(folder))
        plan = plan_check(registry, entry or (), backend or (), store, where.kind)
        summary = _run(where, plan, explained(registry), store, vectors, slots, console)
        found = check_rows(plan, store.read().records, registry)
    found += [_task_row(task, registry, data_root) for task in tasks_to_check(registry, entry or ())]
    found += [_system_row(name, registry) for name in systems_to_check(registry, entry or ())]
    _print(console, found, plan)
    _explain(found, registry)
    for slug, files in strangers.items():
        say(f"not run: nothing here implements {slug!r} ({', '.join(map(str, files))})", fg="yellow")
    _conclude(found, summary)


def _task_row(name: str, registry: Registry, data_root: Path | None) -> CheckRow:
    """Check a task in this process: its data are read, and nothing is trained."""
    from dataclasses import asdict

    from harness.conformance import run_checks
    from harness.conformance.environment_tasks import ENVIRONMENT_CHECKS, EnvironmentSubject
    from harness.conformance.graph_tasks import GRAPH_CHECKS, GraphSubject
    from harness.conformance.tasks import TASK_CHECKS, TaskSubject
    from harness.data import data_root as resolve
    from harness.planning.checking import task_row

    root, target = resolve(data_root), registry.task(name).target
    if target == "links":
        outcomes = run_checks(GRAPH_CHECKS, GraphSubject(name, registry, root))
    elif target == "control":
        outcomes = run_checks(ENVIRONMENT_CHECKS, EnvironmentSubject(name, registry, root))
    else:
        outcomes = run_checks(TASK_CHECKS, TaskSubject(name, registry, root))
    return task_row(name, [asdict(outcome) for outcome in outcomes])


def _system_row(name: str, registry: Registry) -> CheckRow:
    """Check a whole system in this process: its contract takes a second."""
    from dataclasses import asdict

    from harness.conformance.systems import judged
    from harness.planning.checking import system_row

    return system_row(name, [asdict(outcome) for outcome in judged(registry.systems[name])])


def _console() -> Console:
    """Return the standard output; where it is no terminal, wide enough for the table."""
    from harness.terminal import Console

    console = Console()
    return console if console.is_terminal else Console(width=max(console.width, FILE_WIDTH))


def _run(
    where: Where,
    plan: Plan,
    registry: Registry,
    store: Store,
    vectors: Path | None,
    slots: int | None,
    console: Console,
) -> Summary:
    from harness.execute.display import Display, is_failure
    from harness.execute.jobs import jobs_of

    jobs = jobs_of(plan.todo, registry, machine=where.machine())

    worth_a_line = is_failure if console.is_terminal else None
    with (
        where.executor_for(
            store, slots=slots, registry=registry, vectors=vectors, backends=[job.cell.backend for job in jobs]
        ) as executor,
        Display(jobs, console, worth_a_line) as display,
    ):
        return executor.run(jobs, display)


def _print(console: Console, found: Sequence[CheckRow], plan: Plan) -> None:
    from rich.table import Table
    from rich.text import Text

    from harness.planning.checking import COLUMNS

    cells = [planned.cell for planned in plan.todo] + [one.cell for one in plan.impossible]
    backends = sorted({column for row in found for column in row.verdicts} & {cell.backend for cell in cells})
    table = Table(box=None, pad_edge=False)
    for heading in ("entry", "kind", *COLUMNS, *backends):
        table.add_column(heading, no_wrap=True)
    for row in found:
        fields = [_field(row.verdicts.get(column), column) for column in (*COLUMNS, *backends)]
        table.add_row(row.name, Text(row.kind, "dim"), *fields)
    console.print(table)


def _field(verdict: EntryVerdict | None, column: str) -> Text:
    from rich.text import Text

    if verdict is None:
        return Text("–", "dim")
    unit = {"golden": "case", "contract": "clause"}.get(column)
    words = {"passed": "ok", "failed": "FAILED", "missing": "not run", "unsupported": "unsupported"}[verdict.state]
    if verdict.state == "passed" and unit:
        words += f" ({verdict.count} {unit}{'s' if verdict.count != 1 else ''})"
    return Text(words, FIELDS[verdict.state])


def _explain(found: Iterable[CheckRow], registry: Registry) -> None:
    """Give the reasons: one line for all entries that cannot be run, or that fail, for the same one."""
    alike: dict[tuple[str, str], list[str]] = defaultdict(list)
    for row in found:
        for column, verdict in row.verdicts.items():
            if verdict.state == "unsupported":
                for problem in verdict.problems:
                    alike[(column, problem.replace(row.name, "this one"))].append(row.name)
    if alike:
        say("\nunsupported")
    for (column, problem), names in alike.items():
        who = names[0] if len(names) == 1 else f"{len(names)} entries ({', '.join(names)})"
        say(f"  {column}, {who}: {problem}", dim=True)
    failures: dict[tuple[str, tuple[str, ...], Path | None], list[str]] = defaultdict(list)
    entries = {**registry.tasks, **registry.methods, **registry.cell_neurons}
    for row in found:
        for column, verdict in row.verdicts.items():
            if verdict.state == "failed":
                path = entries[row.name].path if row.name in entries else None
                failures[column, verdict.problems, path].append(row.name)
    for (column, problems, path), names in failures.items():
        say(_failure(names, column, problems, path), fg="red")


def _failure(names: Sequence[str], column: str, problems: Sequence[str], path: Path | None) -> str:
    """Say what is wrong in one column with rows of one file, and which file, unless that is said already."""
    unnamed = path is not None and column == "contract" and not all(str(path) in problem for problem in problems)
    who = f"{', '.join(names)}, {column}" + (f" ({path}):" if unnamed else ":")
    return f"{who} {problems[0]}" if len(problems) == 1 else "\n  ".join([who, *problems])


def _conclude(found: Sequence[CheckRow], summary: Summary) -> None:
    failed = [row.name for row in found if row.failed]
    if summary.interrupted:
        say(f"interrupted; {summary.not_started} checks were not started.", fg="yellow")
        raise typer.Exit(summary.exit_code)
    if failed:
        say(f"{len(failed)} of {len(found)} entries fail: spikeboard check {' '.join(failed)}", fg="red")
        raise typer.Exit(1)
    say("1 entry passes." if len(found) == 1 else f"{len(found)} entries pass.", fg="green")
