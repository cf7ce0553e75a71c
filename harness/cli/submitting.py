"""``spikeboard submit`` and ``verify-submission``: results that go to a project, and those that come from strangers."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from harness.cli import completion
from harness.cli._options import DataRoot, Methods, Neurons, Patterns, Stores, Topologies, tell_problems
from harness.terminal import say

if TYPE_CHECKING:
    from harness.catalogue.cell import Cell
    from harness.submissions.verdict import Line
    from harness.submissions.verify import Report, Running

__all__ = ["register"]

FORMATS = ("text", "json", "md")
SUMMED = {"holds": "hold", "does not hold": "do not hold", "cannot be told": "cannot be told"}
COLOURS = {"holds": "green", "does not hold": "red", "cannot be told": "yellow"}


def register(app: typer.Typer) -> None:
    """Add the verbs to `app`."""
    app.command("submit")(submit)
    app.command("verify-submission")(verify_submission)


def submit(
    to: Annotated[Path, typer.Option("--to", metavar="DIR", help="Folder to make; it must not be there, or be empty.")],
    suite: Annotated[Patterns, typer.Option(help="Only these suites.", autocompletion=completion.suites)] = None,
    task: Annotated[Patterns, typer.Option(help="Only these tasks.", autocompletion=completion.tasks)] = None,
    neuron: Neurons = None,
    method: Methods = None,
    topology: Topologies = None,
    budget: Annotated[
        str | None, typer.Option(help="Only this training budget.", autocompletion=completion.budgets)
    ] = None,
    seed: Annotated[list[int] | None, typer.Option(help="Only these seeds.")] = None,
    base: Annotated[
        str | None,
        typer.Option(metavar="BRANCH", help="The project's branch in this clone. \\[default: upstream's or origin's]"),
    ] = None,
    store: Stores = None,
) -> None:
    """Make a folder of one's own records, to be handed to the project by a pull request.

    It holds the records (those of the contract that they stand behind among them), the sources of new implementations,
    the environment and a manifest of digests. What cannot be submitted is named: uncommitted changes, records of older
    code, a broken contract.
    """
    from harness.catalogue.cell import NOT_APPLICABLE
    from harness.catalogue.loading import load_registry
    from harness.paths import RUNS, by_default, existing_store, published_store
    from harness.planning.expansion import Filters
    from harness.planning.stale import wanted_by
    from harness.report.words import count
    from harness.results.store import read_stores
    from harness.submissions.making import make

    registry = load_registry()
    contents = read_stores([existing_store(path) for path in store or [by_default(RUNS)]])
    tell_problems(contents.problems)
    given = {"suite": suite, "task": task, "neuron": neuron, "method": method, "topology": topology, "seed": seed}
    filters = Filters(**{axis: tuple(values or ()) for axis, values in given.items()})  # type: ignore[arg-type]
    fits = wanted_by(filters, registry)
    published = read_stores(filter(None, [published_store()])).records

    def wanted(cell: Cell) -> bool:
        return fits(cell) and budget in (None, cell.budget, NOT_APPLICABLE)

    made = make(contents.records, wanted, registry, to, base, published)
    new = [f"{one.kind} {' and '.join(one.rows)}" for one in made.sources.implementations]
    say(f"{made.folder}: {count(made.records, 'record')}" + (f", with the sources of {', '.join(new)}" if new else ""))
    if made.base is None:
        say(
            "no branch of the project is known to this clone, so every committed file counts as the project's: "
            "name it with --base",
            fg="yellow",
            err=True,
        )
    say(f"what a check says: spikeboard verify-submission {to}")


def verify_submission(
    folder: Annotated[Path, typer.Argument(metavar="DIR", help="Folder that spikeboard submit has made.")],
    run: Annotated[
        bool, typer.Option("--run", help="Run its code: measure a sample of its cells again, cut off from the rest.")
    ] = False,
    sample: Annotated[int, typer.Option(min=1, help="Cells to measure again, the contract of new rows aside.")] = 5,
    sample_seed: Annotated[
        int | None, typer.Option(help="Chooses the cells; a run says which one it took. \\[default: by chance]")
    ] = None,
    unprotected: Annotated[
        bool, typer.Option("--unprotected", help="With --run: also where this system can cut off nothing.")
    ] = False,
    mark: Annotated[
        bool,
        typer.Option("--mark", help="Where nothing fails, write down beside DIR what was made sure of, for boards."),
    ] = False,
    output_format: Annotated[str, typer.Option("--format", help="text, json or md.")] = "text",
    data_root: DataRoot = None,
    store: Stores = None,
) -> None:
    """Say line by line what of somebody's results holds; exit code 0 only if nothing fails.

    Nothing of the submission is run or imported without --run. Records of the project (--store) tell what its splits,
    machines and contracts are.
    """
    from harness.catalogue.loading import load_registry
    from harness.errors import UserError
    from harness.paths import existing_store, published_store
    from harness.results.store import read_stores
    from harness.submissions.marks import write_marks
    from harness.submissions.overlay import INSTALLED
    from harness.submissions.verify import verify
    from reference_impls.names import unknown_message

    if output_format not in FORMATS:
        raise UserError(unknown_message("format", output_format, FORMATS))
    running = _running(sample, sample_seed, data_root, unprotected) if run else None
    known = [existing_store(path) for path in store] if store else [*filter(None, [published_store()])]
    published = read_stores(known).records
    report = verify(folder, published, load_registry(), INSTALLED, running)
    _print(report, output_format)
    if mark and not report.failed:
        path = write_marks(folder, report)
        say(f"what was made sure of: {path}", err=output_format != "text")
    if report.failed:
        raise typer.Exit(1)


def _running(sample: int, seed: int | None, data_root: Path | None, unprotected: bool) -> Running:
    from harness.errors import UserError
    from harness.submissions.sandbox import find_sandbox
    from harness.submissions.verify import Running

    sandbox = find_sandbox()
    if not sandbox.protects and not unprotected:
        raise UserError(
            f"this system cannot cut a stranger's code off from network and files: {sandbox.why}",
            "install bubblewrap; or, in a container or virtual machine that may be thrown away, add --unprotected",
        )
    return Running(sandbox, sample, data_root, seed, lambda text: say(text, err=True))


def _print(report: Report, output_format: str) -> None:
    if output_format == "json":
        say(json.dumps(_data(report), indent=1))
    elif output_format == "md":
        say(_markdown(report))
    else:
        width = max(len(line.check) for line in report.lines)
        for line in report.lines:
            say(
                f"{line.check:<{width}}  {line.verdict.value:<14}  {_one_line(line.text)}",
                fg=COLOURS[line.verdict.value],
            )
        say(_conclusion(report))


def _one_line(text: str) -> str:
    from harness.text import printable

    return printable(text, lines=False)


def _conclusion(report: Report) -> str:
    counts = ", ".join(f"{number} {SUMMED[verdict]}" for verdict, number in _counts(report.lines).items())
    return f"{_one_line(report.name)}: {counts}"


def _counts(lines: Sequence[Line]) -> dict[str, int]:
    return {verdict: sum(line.verdict.value == verdict for line in lines) for verdict in COLOURS}


def _data(report: Report) -> dict[str, object]:
    lines = [
        {"check": one.check, "verdict": one.verdict.value, "text": one.text, "causes": list(one.causes)}
        for one in report.lines
    ]
    again = [{"cell": one.record.cell_id, "confirmed": sorted(one.confirmed)} for one in report.again]
    return {
        "submission": report.name,
        "digest": report.digest,
        "failed": report.failed,
        "records": len(report.records),
        "lines": lines,
        "measured_again": again,
    }


def _markdown(report: Report) -> str:
    from harness.report.escapes import markdown_text

    head = [f"**{markdown_text(_conclusion(report))}**", "", "| check | verdict | |", "| --- | --- | --- |"]
    lines = [
        f"| {markdown_text(one.check)} | {one.verdict.value} | {markdown_text(_one_line(one.text))} |"
        for one in report.lines
    ]
    return "\n".join([*head, *lines])
