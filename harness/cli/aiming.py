"""``spikeboard targets``: the errors that training is timed to, where they come from, and making them anew."""

from __future__ import annotations

from typing import Annotated

import typer

from harness.cli._options import Stores
from harness.terminal import say

__all__ = ["register"]


def register(app: typer.Typer) -> None:
    """Add the verb to `app`."""
    app.command("targets")(targets)


def targets(
    write: Annotated[bool, typer.Option("--write", help="Put what the records say into the file of targets.")] = False,
    store: Stores = None,
) -> None:
    """Say to which validation error training is timed on each task, and what the records of LIF under BPTT say today.

    The target is the largest error that one of its seeds ends with, tuned where it is.
    """
    from harness.catalogue.targets import TARGETS, read_targets, write_targets
    from harness.paths import readable_stores
    from harness.results.index import select
    from harness.results.queries import Wanted
    from harness.results.targets import REFERENCE, targets_from

    known, problems = read_targets()
    for problem in problems:
        say(f"skipped {problem}", fg="yellow", err=True)
    wanted = Wanted({axis: (value,) for axis, value in REFERENCE.items()})
    found = {target.key: target for target in targets_from(select(readable_stores(store), [wanted]).records)}
    for key in sorted({*known, *found}):
        now, then = found.get(key), known.get(key)
        one = now or then
        assert one is not None
        today = "no records" if now is None else f"{now.error_fraction:.2%} (mean {now.mean_error_fraction:.2%})"
        file = "not in the file" if then is None else f"{then.error_fraction:.2%} in the file"
        say(f"{key[0]}, {key[1]}: {file}; {today}; {one.recipe}, {one.topology}, {len(one.seeds)} seeds")
    if write:
        write_targets({**known, **found}.values())
        say(f"{TARGETS}: {len({**known, **found})} targets")
