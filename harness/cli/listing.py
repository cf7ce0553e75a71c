"""``spikeboard list``: what there is. Reads cards only, so that it answers at once and without torch."""

from __future__ import annotations

import json
from collections.abc import Iterable
from typing import TYPE_CHECKING, Annotated

import typer

from harness.cli import completion
from harness.terminal import say

if TYPE_CHECKING:
    from reference_impls.card import SystemCapabilities

__all__ = ["register"]

KINDS = (
    *("neurons", "methods", "topologies", "peers", "systems"),
    *("tasks", "suites", "backends", "presets", "boards"),
)


def register(app: typer.Typer) -> None:
    """Add the verb to `app`."""
    app.command("list")(list_rows)


def list_rows(
    kind: Annotated[
        str | None,
        typer.Argument(
            metavar="[KIND]", help=", ".join(KINDS) + ". \\[default: all]", autocompletion=completion.among(KINDS)
        ),
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON instead of tables.")] = False,
) -> None:
    """Show neurons, methods, topologies, peers, systems, tasks and what else there is.

    Without KIND the names of all, with it a line on each: spikeboard list neurons.
    """
    from reference_impls.names import check_name

    kinds = KINDS if kind is None else (check_name("kind to list", kind, KINDS),)
    found = {name: list(_entries(name)) for name in kinds}
    if as_json:
        data = {
            name: [dict(zip(("name", "title", "note"), entry, strict=True)) for entry in rows]
            for name, rows in found.items()
        }
        say(json.dumps(data, indent=1))
        return
    if kind is None:
        _print_names(found)
    else:
        _print(found[kinds[0]])
    _print_problems()


def _entries(kind: str) -> Iterable[tuple[str, str, str]]:
    """Yield (name, title, note) of every row of a kind."""
    from harness.catalogue.boards import BOARDS
    from harness.catalogue.loading import load_registry
    from harness.catalogue.presets import PRESETS
    from reference_impls import backends

    if kind == "backends":
        return ((name, "", "") for name in backends.names())
    if kind == "presets":
        return ((preset.name, preset.summary, f"budget {preset.budget}") for preset in PRESETS.values())
    if kind == "boards":
        return ((board.name, board.title, board.question) for board in BOARDS)
    rows = getattr(load_registry(), kind)
    return ((row.name, row.title, _note(kind, row)) for row in rows.values())


def _note(kind: str, row: object) -> str:
    able = getattr(row, "capabilities", None)
    card = getattr(row, "card", None)
    if kind == "neurons":
        learned = ", ".join(able.learnable)  # type: ignore[union-attr]
        return able.parallel + (f"; learns {learned} a {able.granularity}" if learned else "")  # type: ignore[union-attr]
    if kind == "methods":
        return f"{' and '.join(able.structures)} networks; memory {able.memory_in_T}"  # type: ignore[union-attr]
    if kind == "peers":
        pinned = ", ".join(f"{name} {version}" for name, version in able.requires.items())  # type: ignore[union-attr]
        return f"needs {pinned}" if pinned else ""
    if kind == "systems":
        return _system_note(able)  # type: ignore[arg-type]
    if kind == "tasks":
        named = {"classes": "classes", "links": "entities", "control": "components of an action"}
        target = card.target  # type: ignore[union-attr]
        asked = named.get(target, f"components of {target}")
        return f"T = {card.T}, {card.classes} {asked}, data {card.data or 'of its own'}"  # type: ignore[union-attr]
    if kind == "suites":
        return ", ".join(card.metrics)  # type: ignore[union-attr]
    return ""


def _system_note(able: SystemCapabilities) -> str:
    asked = {
        "links": "completes facts of a graph",
        "control": "acts in an environment",
        "frames": "tells the frames of a video",
        "flow": "tells where every pixel moves",
        "boxes": "tells where objects are",
    }
    sends = "spiking" if able.spiking else "not spiking"
    return f"{asked[able.answers]}; {sends}{'' if able.learns else ', learns nothing'}"


def _print_names(found: dict[str, list[tuple[str, str, str]]]) -> None:
    """Print what there is of every kind, by name."""
    from rich.padding import Padding
    from rich.text import Text

    from harness.terminal import Console

    console = Console()
    for kind, entries in found.items():
        console.print(Text.assemble((kind, "bold"), f" ({len(entries)})", (f"  spikeboard list {kind}", "dim")))
        console.print(Padding(Text(", ".join(name for name, *_ in entries), "cyan"), (0, 0, 0, 2)))


def _print(entries: list[tuple[str, str, str]]) -> None:
    from rich.table import Table

    from harness.cli._console import print_whole

    table = Table(box=None, pad_edge=False, show_header=False)
    table.add_column(style="cyan", no_wrap=True)
    table.add_column()
    table.add_column(style="dim")
    for entry in entries:
        table.add_row(*entry)
    print_whole(table)


def _print_problems() -> None:
    from harness.catalogue.loading import load_registry
    from harness.terminal import Console

    problems = load_registry().problems
    if problems:
        console = Console()
        console.print("cards that cannot be used", style="bold red")
        for problem in problems:
            console.print(f"  {problem}", style="red", soft_wrap=True)
