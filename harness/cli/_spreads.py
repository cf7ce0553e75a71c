"""What a calibration ends with: the file of spreads, and a table of what alarms can find with them."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from harness.terminal import say

if TYPE_CHECKING:
    from harness.asv.noise import Spread
    from harness.catalogue.cards import Registry
    from harness.catalogue.cell import Cell
    from harness.results.record import Record

__all__ = ["conclude"]

HOPELESS = 10.0
"""Growth of which the size is of no interest: nothing but a change of method is so large."""


def conclude(runs: Sequence[Sequence[Record]], cells: Sequence[Cell], registry: Registry, folder: Path) -> None:
    """Write the spread of what has enough runs into `folder`, and show it.

    Parameters
    ----------
    runs : records of each run.
    cells : that each of them should have.
    """
    from harness.asv.noise import merge, read_noise, spreads_of, write_noise
    from harness.report.words import count
    from harness.results.steps import FEWEST_RUNS

    spreads = spreads_of(runs, registry)
    if spreads:
        _print(spreads)
        for path in write_noise(folder, merge(read_noise(folder), spreads)):
            say(f"spread of {count(len(spreads), 'figure')}: {path}")
    missing = _unmeasured(cells, registry, {(spread.suite, spread.label) for spread in spreads})
    for suite, series in missing.items():
        say(
            f"{suite}: {count(series, 'series', 'series')} without a spread, of which fewer than {FEWEST_RUNS} runs "
            "were ok; the same command takes noisy and failed ones again",
            fg="yellow",
        )


def _unmeasured(cells: Sequence[Cell], registry: Registry, measured: Collection[tuple[str, str]]) -> Counter[str]:
    """Return of how many series, by their suite, no figure was `measured`."""
    from harness.asv.series import series_label

    versions = {cell.task: registry.task(cell.task).version for cell in cells if cell.task in registry.tasks}
    series = {(cell.suite, series_label(cell, versions.get(cell.task, 1))) for cell in cells}
    return Counter(suite for suite, _ in series.difference(measured))


def _print(spreads: Sequence[Spread]) -> None:
    """Show what was found, and what an alarm can find with it."""
    from rich.table import Table

    from harness.cli._console import print_whole
    from harness.report.words import count
    from harness.results.steps import SEARCHED

    table = Table(box=None, pad_edge=False)
    for title in ("figure", "series", "runs", "between", "within", "found in two runs"):
        table.add_column(title, justify="left" if title in ("figure", "series") else "right", overflow="fold")
    for one in sorted(spreads, key=lambda spread: (spread.suite, spread.metric, -spread.between)):
        table.add_row(
            f"{one.suite} {one.metric}",
            one.label,
            str(one.runs),
            f"{one.between:.2%}",
            "" if one.within is None else f"{one.within:.2%}",
            _found(one.rule.smallest_found()),
            style=None if one.rule.holds() else "yellow",
        )
    print_whole(table)
    noisy = sum(not one.rule.holds() for one in spreads)
    if noisy:
        say(
            f"{count(noisy, 'figure')} too noisy for a step of {SEARCHED:.0%} to be found within two runs; the last "
            "column says which step is",
            fg="yellow",
        )


def _found(growth: float) -> str:
    return f"{growth:.1%}" if growth < HOPELESS else f"over {HOPELESS:.0%}"
