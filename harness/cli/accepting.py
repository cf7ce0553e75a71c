"""``spikeboard accept``: a change that asv's gate tells of is meant; from then on the new level is what counts."""

from __future__ import annotations

import math
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from harness.terminal import say

if TYPE_CHECKING:
    from harness.asv.accepted import Accepted
    from harness.asv.alarms import Alarm

__all__ = ["register"]


def register(app: typer.Typer) -> None:
    """Add the verb to `app`."""
    app.command("accept")(accept)


def accept(
    reason: Annotated[str, typer.Option(help="Why the change is meant; it stands in the file.")],
    cell: Annotated[list[str] | None, typer.Option(help="Only these series (patterns; may be repeated).")] = None,
    bench: Annotated[
        list[str] | None, typer.Option(help="Only these of asv's benchmarks (regular expressions; may be repeated).")
    ] = None,
    since: Annotated[
        str | None, typer.Option(metavar="COMMIT", help="Only what changed after this commit, as asv --since has it.")
    ] = None,
) -> None:
    """Accept the regressions and improvements that spikeboard asv told of last.

    Each becomes a line of reports/asv/accepted.jsonl, with the commit and the reason: commit that file, and gates judge
    the series by its new level.
    """
    from harness.extras import require

    require("asv")
    from harness.asv.accepted import read_accepted, write_accepted
    from harness.asv.runs import open_tree
    from harness.catalogue.loading import load_registry
    from harness.cli.asv import judged_in
    from harness.errors import UserError
    from harness.paths import ACCEPTED
    from harness.report.words import count

    tree = open_tree(Path())
    if not reason.strip():
        raise UserError("--reason is empty", "say in a sentence why the change is meant")
    if not (tree.pages / "regressions.json").is_file():
        raise UserError("nothing is published that could be accepted", "spikeboard asv --publish")
    alarms = judged_in(tree, load_registry(), since, cell or (), bench or ()).alarms
    if not alarms:
        raise UserError("nothing has changed that could be accepted", "spikeboard asv --publish says what has")
    path = tree.root / ACCEPTED
    write_accepted(path, [*read_accepted(path), *(_accepted(alarm, reason) for alarm in alarms)])
    for alarm in alarms:
        say(
            f"accepted: {alarm.verdict}, {alarm.suite} {alarm.metric} of {alarm.label}: {alarm.ratio - 1:+.1%} "
            f"at {alarm.first[:10]}"
        )
    say(f"{count(len(alarms), 'line')} in {path}: commit it")


def _accepted(alarm: Alarm, reason: str) -> Accepted:
    from harness.asv.accepted import Accepted

    return Accepted(
        suite=alarm.suite,
        metric=alarm.metric,
        label=alarm.label,
        machine=alarm.machine,
        commit=alarm.first,
        ratio=float(f"{alarm.ratio:.6g}") if math.isfinite(alarm.ratio) else None,
        reason=reason.strip(),
        day=f"{datetime.now(UTC):%Y-%m-%d}",
    )
