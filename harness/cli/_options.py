"""Options that several verbs share, so that they read and behave alike."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from harness.cli import completion
from harness.defaults import DEVICE_VARIABLE
from harness.terminal import say

if TYPE_CHECKING:
    from harness.results.store import Problem

__all__ = [
    "DEVICES",
    "Address",
    "DataRoot",
    "Device",
    "ExecutorName",
    "MachineName",
    "Methods",
    "Neurons",
    "Patterns",
    "Stores",
    "Topologies",
    "tell_problems",
]

MOST_PROBLEMS = 20

Stores = Annotated[
    list[Path] | None,
    typer.Option(
        "--store",
        metavar="DIR",
        help="Folder of records; may be repeated. \\[default: reports/data (or what was installed), reports/runs]",
    ),
]
DataRoot = Annotated[
    Path | None,
    typer.Option(
        "--data-root",
        metavar="DIR",
        help="Folder of data sets. \\[default: $SPIKEBOARD_DATA, ~/.cache/spikeboard/data]",
    ),
]
Patterns = list[str] | None
Neurons = Annotated[Patterns, typer.Option(help="Only these neurons.", autocompletion=completion.neurons)]
Methods = Annotated[Patterns, typer.Option(help="Only these training methods.", autocompletion=completion.methods)]
Topologies = Annotated[Patterns, typer.Option(help="Only these topologies.", autocompletion=completion.topologies)]
DEVICES = "cpu, cuda (the first GPU), cuda:0,cuda:3 or cuda:all."
Device = Annotated[str, typer.Option(metavar="DEVICE", help=DEVICES, envvar=DEVICE_VARIABLE, show_envvar=False)]
ExecutorName = Annotated[
    str, typer.Option("--executor", metavar="NAME", help="local: this machine; ray: the nodes of a Ray cluster.")
]
Address = Annotated[
    str | None,
    typer.Option(metavar="HOST:PORT", help="Of the Ray cluster. \\[default: $RAY_ADDRESS, else that of this machine]"),
]
MachineName = Annotated[
    str | None,
    typer.Option(
        "--machine",
        metavar="NAME",
        help="Show this machine's records only. \\[default: all]",
        autocompletion=completion.machines,
    ),
]


def tell_problems(problems: Sequence[Problem]) -> None:
    """Name the files of a store that are not what they should be, on the standard error output."""
    for problem in problems[:MOST_PROBLEMS]:
        say(f"{'skipped' if problem.skipped else 'misplaced'} {problem}", fg="yellow", err=True)
    if len(problems) > MOST_PROBLEMS:
        say(f"and {len(problems) - MOST_PROBLEMS:,} more; spikeboard report lists them all", fg="yellow", err=True)
