"""``spikeboard measure``: a trained network of any library, as a NIR graph, on a task of the board."""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, NamedTuple

import typer

from harness.cli import completion
from harness.cli._options import DataRoot
from harness.terminal import say

if TYPE_CHECKING:
    from harness.exchange import Imported
    from harness.results.record import Record

__all__ = ["register"]

MOST_ROWS = 12
"""Rows of the board that are shown beside the network."""


def register(app: typer.Typer) -> None:
    """Add the verb to `app`."""
    app.command("measure")(measure)


def measure(
    graph: Annotated[Path, typer.Argument(help="NIR graph: an HDF5 file, as nir.write gives it.")],
    task: Annotated[
        str, typer.Option(help="Task of the board that the network was trained for.", autocompletion=completion.tasks)
    ],
    name: Annotated[str | None, typer.Option(help="Under which it is recorded. \\[default: the file's]")] = None,
    convention: Annotated[
        str, typer.Option(help="Whose export it is: nir (the documented equations), spikingjelly, snntorch or norse.")
    ] = "nir",
    dt: Annotated[float | None, typer.Option(help="Step in s. \\[default: the graph's, or the convention's]")] = None,
    reset: Annotated[str | None, typer.Option(help="hard or soft. \\[default: the convention's]")] = None,
    reset_timing: Annotated[
        str | None, typer.Option(help="same_step, next_step or corrected. \\[default: the convention's]")
    ] = None,
    fire_rule: Annotated[str | None, typer.Option(help="gt or ge. \\[default: the convention's]")] = None,
    read_out: Annotated[str, typer.Option(help="mean, last or max of the outputs over all steps.")] = "mean",
    seed: Annotated[int, typer.Option(help="Of tasks that choose their test samples by it.")] = 0,
    store: Annotated[Path | None, typer.Option(help="Where records go. \\[default: reports/runs]")] = None,
    data_root: DataRoot = None,
) -> None:
    """Measure a trained network that another library exported: accuracy, spikes, operations and energy.

    Its test samples, encoding and counters are the board's. It was trained elsewhere, so it is shown beside the board's
    rows and not ranked among them; spikeboard table --board imported ranks imported networks.
    """
    import torch

    from harness.catalogue.loading import load_registry
    from harness.data import data_root as resolve
    from harness.exchange import READ_OUTS, Imported, measure_imported
    from harness.paths import RUNS, by_default
    from harness.results.store import Store
    from harness.text import slug
    from reference_impls.exchange import read_nir
    from reference_impls.names import check_name

    check_name("read-out", read_out, READ_OUTS)
    registry, digest = load_registry(), hashlib.sha256(graph.read_bytes()).hexdigest()
    network = read_nir(graph, convention, dt=dt, reset=reset, reset_timing=reset_timing, fire_rule=fire_rule)
    words = ["spikeboard", "measure", graph.name, "--task", task, "--seed", str(seed)]
    given = {
        "--convention": convention,
        "--dt": dt,
        "--reset": reset,
        "--reset-timing": reset_timing,
        "--fire-rule": fire_rule,
        "--read-out": read_out,
    }
    words += [word for option, value in given.items() if value is not None for word in (option, str(value))]
    imported = Imported(
        slug(name or graph.stem),
        network,
        read_out,  # type: ignore[arg-type]  # checked above
        f"{graph.name}, SHA-256 {digest}",
        tuple(words),
    )
    torch.set_num_threads(1)
    records = measure_imported(imported, task, registry, data_root=resolve(data_root), seed=seed)
    target = Store(store or by_default(RUNS))
    for record in records:
        target.write(record)
    _show(imported, task, records, target)


class _Line(NamedTuple):
    """What is shown of a row."""

    who: str
    error: float
    error_text: str
    spikes: str
    energy: str


def _show(imported: Imported, task: str, records: list[Record], target: object) -> None:
    """Print the network's figures, and where it stands among the board's rows on the same task."""
    from rich.table import Table

    from harness.cli._console import print_whole
    from harness.report.units import pretty

    metrics = {name: metric for record in records for name, metric in record.metrics.items()}
    how = imported.network.convention
    say(
        f"{imported.name} on {task}: stepped as {how.name!r} (dt {how.dt:g} s, {how.reset} reset, {how.reset_timing}), "
        f"outputs read out by their {imported.read_out}"
    )
    for key in ("accumulates_per_sample", "multiply_accumulates_per_sample", "spikes_per_sample", "energy_joules"):
        if key in metrics:
            say(f"  {key.replace('_', ' ')}: {pretty(metrics[key].value, metrics[key].unit)}")
    problems = [str(problem) for record in records for problem in record.details.get("problems", ())]
    for problem in problems:
        say(f"  {problem}", fg="yellow")
    lines = sorted([_own(imported, metrics), *_board_lines(task)], key=lambda line: line.error)
    place = next(index for index, line in enumerate(lines) if line.who == _who(imported))
    shown = [*lines[:MOST_ROWS], *([lines[place]] if place >= MOST_ROWS else [])]
    table = Table(box=None, pad_edge=False)
    for heading in ("", "test error", "spikes/neuron", "energy (45 nm)"):
        table.add_column(heading, justify="left" if not heading else "right")
    for line in shown:
        table.add_row(line.who, line.error_text, line.spikes, line.energy)
    print_whole(table)
    say(
        f"{place + 1} of {len(lines)} by test error; trained elsewhere, so not ranked. Records: {_root(target)}",
        dim=True,
    )


def _root(target: object) -> str:
    return str(getattr(target, "root", target))


def _who(imported: Imported) -> str:
    return f"> {imported.name} (imported)"


def _own(imported: Imported, metrics: object) -> _Line:
    from harness.report.units import pretty

    assert isinstance(metrics, dict)
    error = metrics["error_fraction"]
    spikes = metrics.get("spikes_per_neuron")
    return _Line(
        _who(imported),
        error.value,
        f"{100 * error.value:.2f} % ({100 * error.low:.2f} to {100 * error.high:.2f})",
        f"{spikes.value:.3g}" if spikes else "",
        pretty(metrics["energy_joules"].value, "joules"),
    )


def _board_lines(task: str) -> list[_Line]:
    """Return the board's rows on the same task that have an error, each combination once."""
    from harness.exchange import METHOD
    from harness.paths import readable_stores
    from harness.report.formats import mark_of
    from harness.report.units import pretty
    from harness.report.words import where
    from harness.results.asked import tables_of

    found: dict[str, _Line] = {}
    for board in ("neurons", "methods"):
        for table in tables_of(readable_stores(None), board, {"task": task}).tables:
            shared = dict(table.group.axes)
            for row in table.rows:
                axes = {**shared, table.board.axis: row.name, "topology": row.topology}
                error, spikes = row.values.get("accuracy.error_fraction"), row.values.get("spikes.spikes_per_neuron")
                if error is None or axes["method"] == METHOD:
                    continue
                energy = row.values.get("spikes.energy_joules")
                machines = where(row, table.group.machine)
                who = f"{axes['neuron']}, {axes['method']}, {row.topology}, {axes['budget']} ({machines})"
                found[who] = _Line(
                    who,
                    error.estimate.value,
                    f"{100 * error.estimate.value:.2f} %{mark_of(error)}",
                    f"{spikes.estimate.value:.3g}{mark_of(spikes)}" if spikes else "",
                    f"{pretty(energy.estimate.value, 'joules')}{mark_of(energy)}" if energy else "",
                )
    return list(found.values())
