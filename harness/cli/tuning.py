"""``spikeboard tune`` and ``tunability``: equal trials for every row, the recipes they come to, what they are worth."""

from __future__ import annotations

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
from harness.terminal import say

if TYPE_CHECKING:
    from collections.abc import Iterable

    from harness.catalogue.cards import Registry
    from harness.catalogue.cell import Cell
    from harness.catalogue.recipes import Recipe
    from harness.execute.job import Summary
    from harness.planning.expansion import Filters
    from harness.tuning.run import TuningPlan
    from harness.tuning.study import Study
    from harness.tuning.tunability import Curve

__all__ = ["register"]

Studies = Annotated[
    Path | None, typer.Option("--studies", metavar="DIR", help="Where trials are kept. \\[default: reports/tuning]")
]


def register(app: typer.Typer) -> None:
    """Add the verbs to `app`."""
    app.command("tune")(tune)
    app.command("tunability")(tunability)


def tune(
    preset: Annotated[
        str | None,
        typer.Option(help="Combinations of this preset: neurons, methods.", autocompletion=completion.presets),
    ] = None,
    task: Annotated[
        Patterns, typer.Option(help="Only these tasks (patterns; may be repeated).", autocompletion=completion.tasks)
    ] = None,
    neuron: Neurons = None,
    method: Methods = None,
    topology: Topologies = None,
    budget: Annotated[
        str, typer.Option(help="Training budget of a trial.", autocompletion=completion.budgets)
    ] = "standard",
    trials: Annotated[int, typer.Option(min=2, help="Trials of each row; the first is the cards' default.")] = 12,
    jobs: Annotated[int | None, typer.Option(min=1, help="Trials side by side. \\[default: physical cores]")] = None,
    device: Device = "cpu",
    executor: ExecutorName = "local",
    address: Address = None,
    studies: Studies = None,
    data_root: DataRoot = None,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Show what would be tried, and how long it would take.")
    ] = False,
) -> None:
    """Tune every row with the same means, and write the recipes.

    Each combination of a task, a network, a neuron and a training method gets the same number of trials of the same
    budget, from a space that is data; what has the least validation error is its recipe. Every trial is kept. Ctrl-C
    leaves files from which the same command goes on; so does a larger --trials. Then measure fresh seeds:
    spikeboard run --recipe tuned.
    """
    from harness.catalogue.loading import load_registry
    from harness.catalogue.recipes import recipe_folder
    from harness.data import data_root as resolve
    from harness.execute.where import Where
    from harness.extras import require
    from harness.paths import STUDIES, by_default, readable_stores
    from harness.planning.durations import Durations
    from harness.planning.plan import Filters
    from harness.results.index import history_in
    from harness.writing import require_writable

    require("optuna")
    from harness.tuning.run import plan_tuning, run_tuning

    where = Where(device, executor, address)
    registry, machine, root = load_registry(), where.machine(), resolve(data_root)
    filters = Filters(
        task=tuple(task or ()),
        neuron=tuple(neuron or ()),
        method=tuple(method or ()),
        topology=tuple(topology or ()),
        suite=("accuracy",),
    )
    cells = _present(_combinations(registry, preset, budget, filters, where.kind), registry, root)
    durations = Durations(history_in(readable_stores(None)), registry)
    folder = studies or by_default(STUDIES)
    plan = plan_tuning(cells, registry, trials, folder, recipe_folder(), durations)
    _describe(plan, jobs or machine.physical_cores, dry_run)
    if dry_run:
        return
    for written, what in ((folder, "the folder of studies"), (plan.recipes, "the folder of recipes")):
        require_writable(written, what, "name one that can be: --studies DIR, or SPIKEBOARD_RECIPES=DIR for recipes")
    _conclude(run_tuning(plan, registry, root, jobs, _tell, where), plan)


def _combinations(registry: Registry, preset: str | None, budget: str, filters: Filters, device: str) -> Iterable[Cell]:
    """Return a cell of every combination that is asked for and possible."""
    from harness.catalogue.presets import find_preset
    from harness.errors import UserError
    from harness.planning.expansion import combinations

    if preset is None and not (filters.neuron and filters.method):
        raise UserError(
            "nothing says what to tune: there are millions of combinations",
            "name a preset (--preset neurons, --preset methods), or --neuron and --method",
        )
    chosen = None if preset is None else find_preset(preset)
    found = combinations(registry, preset=chosen, budget=budget, filters=filters, device=device, cores=1)
    if not found.possible:
        reasons = "; ".join(dict.fromkeys(one.reason for one in found.impossible))
        raise UserError(f"nothing to tune under the budget {budget!r}: {reasons or 'no task has it'}")
    return [cell for cell in found.possible if cell.suite == "accuracy"]


def _present(cells: Iterable[Cell], registry: Registry, root: Path) -> list[Cell]:
    """Return the cells whose data are there, and say what the others wait for."""
    import functools

    from harness.data import data_set

    present = functools.cache(lambda name: data_set(name).find(root).present)
    found, missing = [], set[str]()
    for cell in cells:
        data = registry.task(cell.task).data
        if data is None or present(data):  # None: the task reads data of its own
            found.append(cell)
        else:
            missing.add(data)
    for name in sorted(missing):
        say(f"left out, for want of the data set {name!r}. {data_set(name).how_to_get}", fg="yellow")
    return found


def _describe(plan: TuningPlan, slots: int, every: bool) -> None:
    from harness.report.units import pretty

    if every:
        for one in plan.studies:
            line = f"{len(one.missing):>4} trials {one.expected_seconds:9.1f} s  {' '.join(one.study.combination)}"
            say(f"{line}  {len(one.study.space)} parameters")
    done = len(plan.studies) * plan.trials - plan.missing
    tail = f"; about {pretty(plan.expected_seconds / slots, 'seconds')}" if plan.missing else ""
    say(f"{len(plan.studies)} studies of {plan.trials} trials: {plan.missing} to run, {done} done already{tail}")


def _tell(study: Study, recipe: Recipe | None) -> None:
    """Say what a study came to."""
    name = " ".join(study.combination)
    if recipe is None:
        reason = next((trial.reason for trial in study.ordered() if trial.reason), "")
        say(f"{name}: no trial gave a figure, so there is no recipe. {reason}", fg="red")
        return
    default, best = study.trials[0].validation_error_fraction, recipe.origin.validation_error_fraction
    said = "failed" if default is None else f"{default:.2%}"
    chosen = f"trial {recipe.origin.chosen} of {recipe.origin.trials}"
    say(f"{name}: validation error {best:.2%} with {chosen}; the default: {said}")
    if recipe.origin.on_edge:
        say(
            f"  on the edge of the space: {', '.join(recipe.origin.on_edge)}. Better values may lie beyond it; the "
            "space is to be widened for all.",
            fg="yellow",
        )


def _conclude(summary: Summary, plan: TuningPlan) -> None:
    failed = sum(count for status, count in summary.counts.items() if status != "ok")
    if failed:
        counted = ", ".join(f"{count} {status}" for status, count in summary.counts.items())
        say(f"trials: {counted}; those that failed count as worse than any other")
    if summary.interrupted:
        say("interrupted. The same command goes on from here.", fg="yellow")
        raise typer.Exit(summary.exit_code)
    say(f"trials: {plan.folder}; recipes: {plan.recipes}. Now measure them: spikeboard run --recipe tuned")


def tunability(
    task: Annotated[
        str | None, typer.Option(help="Only studies of this task.", autocompletion=completion.tasks)
    ] = None,
    neuron: Annotated[
        str | None, typer.Option(help="Only studies of this neuron.", autocompletion=completion.neurons)
    ] = None,
    method: Annotated[
        str | None, typer.Option(help="Only studies of this training method.", autocompletion=completion.methods)
    ] = None,
    studies: Studies = None,
    output_format: Annotated[
        str | None, typer.Option("--format", help="md or csv. \\[default: for the terminal]")
    ] = None,
    out: Annotated[Path | None, typer.Option(help="Draw the curves into this file too: .pdf, .svg or .png.")] = None,
) -> None:
    """Show the test error to expect after 1, 2, 4, ... trials: what a row is worth to who will not tune it."""
    from harness.errors import UserError
    from harness.paths import STUDIES, by_default
    from harness.tuning.show import curves_in, draw_curves, to_text

    folder = studies or by_default(STUDIES)
    curves = curves_in(folder, {"task": task, "neuron": neuron, "method": method})
    if not curves:
        raise UserError(f"{folder} holds no such study", "spikeboard tune makes them")
    if output_format is None:
        _print_curves(curves)
    else:
        say(to_text(curves, output_format), nl=False)
    if out is not None:
        draw_curves(curves, out)
        say(f"figure: {out}")


def _print_curves(curves: list[Curve]) -> None:
    from rich.table import Table

    from harness.terminal import Console
    from harness.tuning.show import grouped, readable

    for group, members in grouped(curves).items():
        frame = readable(members)
        table = Table(box=None, pad_edge=False, title=group.label, title_justify="left")
        for name in frame.columns:
            table.add_column(name)
        for line in frame.itertuples(index=False):
            table.add_row(*map(str, line))
        Console().print(table)
