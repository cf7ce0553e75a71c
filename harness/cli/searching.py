"""``spikeboard search``: look for the skip connections that suit a task, beside as many tries at random."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from harness.cli import completion
from harness.cli._options import Address, DataRoot, Device, ExecutorName
from harness.terminal import say

if TYPE_CHECKING:
    from harness.catalogue.cards import Registry
    from harness.search.run import SearchOutcome, SearchPlan

__all__ = ["register"]

GIBIBYTE = 2**30


def register(app: typer.Typer) -> None:
    """Add the verb to `app`."""
    app.command("search")(search)


def search(
    task: Annotated[str, typer.Option(help="Task to search on.", autocompletion=completion.tasks)] = "digits",
    topology: Annotated[
        str, typer.Option(help="Network whose skips are searched.", autocompletion=completion.topologies)
    ] = "skip-mlp",
    neuron: Annotated[str, typer.Option(help="Neuron in it.", autocompletion=completion.neurons)] = "lif",
    method: Annotated[str, typer.Option(help="Training method.", autocompletion=completion.methods)] = "bptt",
    evaluations: Annotated[int, typer.Option(min=1, help="Candidates to train, those at the start included.")] = 40,
    initial: Annotated[int, typer.Option(min=1, help="Of these, at random before the model is asked.")] = 8,
    kappa: Annotated[float, typer.Option(min=0, help="Weight of the uncertainty in the acquisition.")] = 2.0,
    space: Annotated[str, typer.Option(help="free, one-type (in a block) or counts (from the nearest layers).")] = (
        "free"
    ),
    skip_type: Annotated[list[str] | None, typer.Option(help="Only this type: dsc or asc. \\[default: both]")] = None,
    max_skips: Annotated[int | None, typer.Option(min=1, help="Most skips into a layer.")] = None,
    max_parameters: Annotated[int | None, typer.Option(min=1, help="Most weights and biases.")] = None,
    budget: Annotated[
        str, typer.Option(help="Training budget of a candidate.", autocompletion=completion.budgets)
    ] = "quick",
    seeds: Annotated[int, typer.Option(min=1, help="Trainings of a candidate; their mean counts.")] = 1,
    seed: Annotated[int, typer.Option(min=0, help="Of what is drawn.")] = 0,
    baseline: Annotated[bool, typer.Option(help="Also try as many candidates at random.")] = True,
    final_budget: Annotated[
        str, typer.Option(help="Training budget of the best.", autocompletion=completion.budgets)
    ] = "standard",
    final_seeds: Annotated[int, typer.Option(min=0, help="Trainings of the best, and of no skips. 0: none.")] = 3,
    export: Annotated[str | None, typer.Option(metavar="NAME", help="Write the best as a topology.")] = None,
    name: Annotated[str | None, typer.Option(help="Of the search. \\[default: from what is searched]")] = None,
    folder: Annotated[Path | None, typer.Option(help="Where searches lie. \\[default: reports/runs/search]")] = None,
    device: Device = "cpu",
    executor: ExecutorName = "local",
    address: Address = None,
    slots: Annotated[
        int | None, typer.Option(min=1, help="Trainings side by side. \\[default: physical cores]")
    ] = None,
    data_root: DataRoot = None,
) -> None:
    """Search the skip connections of a network with Bayesian optimisation.

    Each candidate is trained for a small budget and judged on the validation part. The same command goes on with a
    search that was interrupted, or with more --evaluations. The best are trained anew for the final budget, beside the
    network without skips, and their test errors shown.
    """
    from harness.extras import require

    require("optuna")
    from harness.catalogue.loading import load_registry
    from harness.execute.where import Where
    from harness.paths import RUNS, by_default
    from harness.search.export import check_exportable
    from harness.search.request import SearchRequest
    from harness.search.run import SearchPlan, run_search

    registry, where = load_registry(), Where(device, executor, address)
    target = None if export is None else check_exportable(export, registry)
    types = tuple(sorted(set(skip_type or ("asc", "dsc"))))
    known = name or "-".join((task, topology, neuron, method, budget, space, str(seed)))
    plan = SearchPlan(
        request=SearchRequest(task, topology, neuron, method, where.kind, space, types, max_skips, max_parameters),
        folder=(folder or by_default(RUNS) / "search") / known,
        evaluations=evaluations,
        initial=initial,
        kappa=kappa,
        budget=budget,
        seeds=seeds,
        seed=seed,
        baseline=baseline,
        final_budget=final_budget,
        final_seeds=final_seeds,
        slots=slots,
        where=where,
    )
    outcome = run_search(plan, registry, data_root, say)
    if outcome is None:
        say("interrupted. The same command goes on from here.", fg="yellow")
        raise typer.Exit(130)
    _conclude(plan, outcome)
    if export is not None and target is not None:
        _export(export, target, plan, outcome, registry)


def _conclude(plan: SearchPlan, outcome: SearchOutcome) -> None:
    from rich.table import Table

    from harness.report.units import scale_for, with_interval
    from harness.search.space import code_of
    from harness.terminal import Console

    table = Table(box=None, pad_edge=False)
    seeds = f"{plan.final_seeds} seed{'s' if plan.final_seeds != 1 else ''}"
    for heading in ("", "skips", "parameters", f"validation accuracy ({plan.budget})"):
        table.add_column(heading)
    table.add_column(f"test error in % ({plan.final_budget}, {seeds})" if plan.final_seeds else "")
    for final in outcome.finals:
        error = "" if final.test_error is None else with_interval(final.test_error, scale_for("fraction", 1))
        table.add_row(
            final.label, code_of(final.candidate), f"{final.parameters:,.0f}", f"{final.search_accuracy:.2%}", error
        )
    Console().print(table)
    say(f"figure: {outcome.picture}")


def _export(name: str, path: Path, plan: SearchPlan, outcome: SearchOutcome, registry: Registry) -> None:
    from harness.search.export import export

    asked, best = plan.request, outcome.best
    found = (
        f"validation accuracy {best.search_accuracy:.2%} with {asked.neuron} and {asked.method} under {plan.budget} "
        f"({best.label}, {plan.evaluations} evaluations, seed {plan.seed})"
    )
    export(name, registry.topologies[asked.topology], best.candidate, asked.task, found, path)
    say(f"wrote {path}")
    say(
        f"spikeboard run --budget {plan.final_budget} --task {asked.task} --neuron {asked.neuron} "
        f"--method {asked.method} --topology {name} --topology {asked.topology}-plain"
    )
