"""``spikeboard alternate``: two commits measured in turns, base, head, base, head, and compared without a history."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from harness.terminal import note, say

if TYPE_CHECKING:
    from collections.abc import Sequence

    from harness.results.store import Store

__all__ = ["register"]

ROUNDS = 2
SIDES = ("before", "after")
GOES_ON_AFTER = (0, 1)
"""Exit codes of a run: 1 says that cells failed, which is a result."""


def register(app: typer.Typer) -> None:
    """Add the verb to `app`."""
    app.command("alternate", context_settings={"allow_extra_args": True, "ignore_unknown_options": True})(alternate)


def alternate(
    context: typer.Context,
    base: Annotated[str, typer.Argument(metavar="BASE", help="A commit.")],
    head: Annotated[str, typer.Argument(metavar="HEAD", help="The commit that is compared with it.")],
    rounds: Annotated[int, typer.Option(help="How often each of the two is measured.")] = ROUNDS,
    store: Annotated[
        Path | None, typer.Option(metavar="DIR", help="Where records go. \\[default: reports/turns/BASE-HEAD]")
    ] = None,
) -> None:
    """Measure two commits in turns, and compare them.

    Every other option is one of ``spikeboard run``, which is called with it in a clone of each commit: --suite
    throughput --neuron lif --device cuda. A figure has changed if all of one's runs are on one side of all of the
    other's, intervals included, by more than compare asks for. What is done is kept: the same command goes on after a
    Ctrl-C. Exit code 1 if anything is worse or gone.
    """
    from harness.cli.comparing import compare_sets
    from harness.errors import UserError
    from harness.execute.turns import clone_of
    from harness.paths import TURNS, by_default
    from harness.results.commits import commit_of
    from harness.results.rounds import FEWEST
    from harness.results.store import Store

    if rounds < FEWEST:
        raise UserError(f"--rounds {rounds} does not say how far runs are apart", f"{FEWEST} is the least")
    here = Path()
    commits = commit_of(here, base), commit_of(here, head)
    folder = (store or by_default(TURNS) / "-".join(commit[:10] for commit in commits)).resolve()
    merged = tuple(Store(folder / side) for side in SIDES)
    _refuse_others(merged, commits)
    clones = [clone_of(here, commit, folder / "clones" / commit[:10]) for commit in commits]
    runs: tuple[list[Store], list[Store]] = ([], [])
    for number in range(1, rounds + 1):
        for side, clone in enumerate(clones):
            note(f"round {number} of {rounds}: {(base, head)[side]} ({commits[side][:10]})")
            runs[side].append(Store(folder / "rounds" / f"{number}-{SIDES[side]}"))
            _measure(clone, runs[side][-1], context.args)
    _merge(runs, merged)
    say(f"compared over {rounds} rounds: spikeboard compare {merged[0].root} {merged[1].root}")
    compare_sets(str(merged[0].root), str(merged[1].root))


def _refuse_others(merged: Sequence[Store], commits: Sequence[str]) -> None:
    """Refuse a folder that holds another pair: its records would be taken for those of this one."""
    from harness.errors import UserError

    for one, commit in zip(merged, commits, strict=True):
        for record in one.read().records:
            if record.provenance.commit not in (commit, None):
                raise UserError(
                    f"{one.root} holds records of the commit {record.provenance.commit}", "give another --store"
                )


def _measure(clone: Path, store: Store, words: Sequence[str]) -> None:
    from harness.execute.turns import run_in

    code = run_in(clone, ["run", *words, "--store", str(store.root)])
    if code not in GOES_ON_AFTER:
        if code >= 128:
            say("interrupted. The same command goes on from here.", fg="yellow")
        raise typer.Exit(code)


def _merge(runs: Sequence[Sequence[Store]], merged: Sequence[Store]) -> None:
    from harness.results.rounds import over_rounds

    for stores, target in zip(runs, merged, strict=True):
        for record in over_rounds([one.read().records for one in stores]):
            target.write(record)
