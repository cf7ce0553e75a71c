"""``spikeboard new``: the file of a neuron, a training method or a task, complete, and the command that comes next."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from harness.terminal import say

__all__ = ["register"]


def register(app: typer.Typer) -> None:
    """Add the verb to `app`."""
    app.command("new")(new)


def new(
    kind: Annotated[str, typer.Argument(metavar="KIND", help="neuron, method or task.")],
    name: Annotated[str, typer.Argument(metavar="NAME", help="Of the row: lower-case words with dashes.")],
) -> None:
    """Write the file of an entry of one's own: it runs as it is, and only its equations (or data) are to be changed.

    In a clone of the project it goes where the project's own lie, anywhere else into ./spikeboard_entries. Nothing is
    overwritten.
    """
    from harness.catalogue.loading import load_registry
    from harness.drafts.draft import KINDS, begin
    from reference_impls.names import check_name

    check_name("kind of entry", kind, KINDS)
    draft = begin(kind, name, load_registry(), Path.cwd())  # type: ignore[arg-type]  # checked above
    shown = draft.path.relative_to(Path.cwd()) if draft.path.is_relative_to(Path.cwd()) else draft.path
    say(f"{shown}: a {kind} that runs as it is; change what stands there to yours.", fg="green")
    say(f"found because {draft.found}")
    say("while you write, in another terminal:")
    say(f"  {draft.check_command}")
    say("next, in under a minute:")
    say(f"  {draft.next_command}")
