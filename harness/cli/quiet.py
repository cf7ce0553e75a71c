"""What ``--require-quiet`` does: look at the machine, and refuse to measure on it with what to do about each thing."""

from __future__ import annotations

from typing import TYPE_CHECKING

import typer

from harness.terminal import note, say

if TYPE_CHECKING:
    from harness.execute.where import Where

__all__ = ["NOT_QUIET", "demand_quiet"]

NOT_QUIET = 3
"""Exit code: nothing was measured, and the same command may do better later."""


def demand_quiet(where: Where) -> None:
    """Return if nothing disturbs timings `where` a run would be; else say what does, and exit with `NOT_QUIET`.

    Raises
    ------
    UserError
        If that is not this machine alone.
    """
    from harness.errors import UserError
    from harness.execute.quiet import disturbances, look_around, unknowns
    from harness.execute.where import LOCAL
    from harness.report.words import count

    if where.executor != LOCAL:
        raise UserError(
            "--require-quiet looks at this machine, and the run would be on others",
            "leave it out: every record says what state its node was in; or run on each node by itself",
        )
    look = look_around(where.gpus())
    if unknown := unknowns(look):
        note(f"this system does not tell {', nor '.join(unknown)}", dim=True)
    found = disturbances(look)
    if not found:
        note(f"the machine is quiet: {look.load}")
        return
    say(f"this machine is not quiet, and nothing was measured: {count(len(found), 'reason')}", fg="red", err=True)
    for one in found:
        say(f"- {one.what}\n  {one.remedy}", err=True)
    raise typer.Exit(NOT_QUIET)
