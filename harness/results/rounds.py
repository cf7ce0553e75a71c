"""Several runs of one code as one set of records, whose intervals span what the runs have found.

For two commits that were measured in turns: what differs between them must differ by more than the runs of either do.
Must not know how the runs were made, nor compare.
"""

from __future__ import annotations

import statistics
from collections import defaultdict
from collections.abc import Iterable, Sequence

from harness.catalogue.cell import Cell
from harness.results.record import MEASURED, Metric, Record

__all__ = ["FEWEST", "FORKS", "RUNS", "SAYS_NOTHING", "over_rounds"]

FEWEST = 2
"""Runs that say how far runs are apart."""
RUNS = "runs"
"""What an interval covers that spans those of several runs."""
FORKS = "processes"
"""What an interval covers whose repetitions were processes of one session."""
SAYS_NOTHING = "interrupted"
"""Status of a cell that somebody stopped: as if it had not been measured."""


def over_rounds(rounds: Sequence[Iterable[Record]]) -> list[Record]:
    """Return one record for every cell of one code that was run in `rounds`.

    A figure is the median over the runs, and its interval reaches from the lowest to the highest bound of theirs; one
    that has no interval gets none. A cell that failed once has failed; one with fewer than `FEWEST` runs whose timings
    were good enough is noisy.
    """
    found: dict[tuple[str, Cell], list[Record]] = defaultdict(list)
    for records in rounds:
        for record in records:
            if record.status != SAYS_NOTHING:
                found[record.provenance.machine.name, record.cell].append(record)
    return [_merged(records, len(rounds)) for records in found.values()]


def _merged(records: Sequence[Record], rounds: int) -> Record:
    failed = next((record for record in records if record.status not in MEASURED), None)
    if failed is not None:
        return failed
    good = [record for record in records if record.status == "ok"]
    if len(good) < FEWEST:
        reason = f"{len(good)} of {rounds} runs gave a figure; {FEWEST} say how far runs are apart."
        return records[-1].model_copy(update={"status": "noisy", "reason": reason})
    names = [name for name in good[0].metrics if all(name in record.metrics for record in good)]
    metrics = {name: _spanning([record.metrics[name] for record in good]) for name in names}
    return good[-1].model_copy(update={"metrics": metrics})


def _spanning(figures: Sequence[Metric]) -> Metric:
    *_, last = figures
    bounds = [(one.low, one.high) for one in figures if one.low is not None and one.high is not None]
    known = len(bounds) == len(figures)
    return last.model_copy(
        update={
            "value": statistics.median(one.value for one in figures),
            "low": min(low for low, _ in bounds) if known else None,
            "high": max(high for _, high in bounds) if known else None,
            # Two runs do not say how far peaks of sessions are apart; `comparison` does.
            "covers": (FORKS if last.covers == FORKS else RUNS) if known else None,
            "samples": (),
        }
    )
