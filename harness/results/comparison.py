"""Two sets of records side by side: what is gone, what got worse beyond the noise, what better, what merely moved.

A set is a store, or a commit: then the records are those whose code hash is that of the commit's code, whenever they
were measured. The answer is one verdict a cell, its worst change first. Must not print, nor decide whether two
values differ (``stats`` does).
"""

from __future__ import annotations

import math
import statistics
from collections import defaultdict
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Literal

from harness.catalogue.cards import MetricCard, Registry
from harness.catalogue.cell import Cell
from harness.results.allowances import Allowances, NoiseOf, metrics_of, no_noise
from harness.results.fingerprint import Fingerprints
from harness.results.record import MEASURED, Metric, Record
from harness.results.rounds import FORKS, RUNS, SAYS_NOTHING
from harness.results.selection import newest
from harness.results.stats import Estimate, Verdict, change
from harness.results.store import Contents, Store, read_stores
from harness.results.tables import combined_over_seeds
from harness.results.trees import checked_out

__all__ = ["VERDICTS", "CellChange", "CellVerdict", "MetricChange", "compare", "records_of"]

CellVerdict = Literal[
    "regression", "gone", "improvement", "changed", "new", "noisy", "incomparable", "failing", "noise", "same"
]
VERDICTS: tuple[CellVerdict, ...] = CellVerdict.__args__  # type: ignore[attr-defined]
"""In the order in which a reader wants them."""
NOISY = "noisy"
"""Status of a timing that missed its interval: there is no figure to judge, and no failure either."""
APART_WITHOUT_INTERVAL: Mapping[str, float] = {
    "bytes": 1.0,
    "seconds": 1.0,
    "seconds per time step": 1.0,
    "ratio": 0.5,
}
"""By unit: what two runs of the same code may be apart (1.0: one has twice the other) where no interval says so.

Peaks of a process, a single time, a slope through a few times. Of some 950 pairs of published records of one code and
machine, half have peaks more than 9 % apart, one in a hundred 59 %, none 92 %; slopes of times are 18 % apart in half
of the pairs and 112 % in one of a hundred. Other units come out the same and keep the threshold alone."""

_Key = tuple[str, Cell]
"""Machine, cell with its seed set to 0."""
_Seeds = Mapping[int, Record]
"""The newest record of each seed."""


@dataclass(frozen=True, slots=True)
class MetricChange:
    """What became of one metric of a cell."""

    metric: str
    card: MetricCard
    before: Estimate
    after: Estimate | None
    """None where the second set has no such value, or a seed of it; then `before` is of those that had it."""
    verdict: Verdict
    relative: float | None
    """(after - before) / before; infinite where before is 0, None where there is no after."""
    allowed: float | None = None
    """Growth that the measured noise allows (0.1: 10 %); None where intervals and the threshold decided."""

    @property
    def severity(self) -> float:
        """Return how many times it has changed, in either direction; infinite where it is gone or came from 0."""
        if self.after is None or self.before.value * self.after.value <= 0:
            return 1.0 if self.after is not None and self.after.value == self.before.value else math.inf
        ratio = self.after.value / self.before.value
        return max(ratio, 1 / ratio)


@dataclass(frozen=True, slots=True)
class CellChange:
    """What became of a cell, all its seeds together."""

    machine: str
    cell: Cell
    """The cell; its seed is 0 where several were combined."""
    verdict: CellVerdict
    before: str
    """Status in the first set; of several seeds, of the one that decided. Empty where there is no record."""
    after: str
    """Status in the second set."""
    reason: str = ""
    """One sentence, where a status or a version decided."""
    metrics: tuple[MetricChange, ...] = ()
    """Of the seeds that both sets have; the worst first."""

    @property
    def fails(self) -> bool:
        """Whether the second set is worse for it."""
        return self.verdict in ("regression", "gone")


def records_of(name: str, stores: Iterable[Path], registry: Registry) -> Contents:
    """Return the records that `name` stands for.

    Parameters
    ----------
    name : folder of a store, or anything git takes for a commit.
    stores : where the records of commits are looked for.
    registry : what the cells' names stand for.

    Raises
    ------
    UserError
        If it is neither.
    """
    if Path(name).is_dir():
        return Store(Path(name)).read()
    with checked_out(name, registry) as tree:
        contents = read_stores(stores)
        then = Fingerprints(tree.registry, tree.root)
        kept = tuple(
            record for record in contents.records if then.of(record.cell).code_hash == record.provenance.code_hash
        )
    return Contents(kept, contents.problems)


def compare(
    before: Iterable[Record],
    after: Iterable[Record],
    registry: Registry,
    threshold: float,
    noise_of: NoiseOf = no_noise,
    least: float = 0.0,
) -> list[CellChange]:
    """Judge every cell that either set has, on the machines that both have; the worst first.

    Parameters
    ----------
    before, after : the two sets; of several records of one cell on one machine the newest counts.
    rows : say which metrics of a suite are judged.
    threshold : relative change below which a metric that is not exact counts as the same; where there is no interval,
        what is known of its unit counts too (`APART_WITHOUT_INTERVAL`).
    noise_of : measured noise, which decides instead where it is known.
    least : relative change below which also such a metric counts as the same.
    """
    first, second = _by_cell(before), _by_cell(after)
    machines = {machine for machine, _ in first} & {machine for machine, _ in second}
    keys = [key for key in first.keys() | second.keys() if key[0] in machines]
    pairs = [first[key].values() for key in keys if key in first and key in second]
    rule = _Rule(registry, threshold, Allowances(pairs, registry, noise_of, least))
    found = [_judged(key, first.get(key, {}), second.get(key, {}), rule) for key in keys]
    return sorted((item for item in found if item is not None), key=_order)


def _order(item: CellChange) -> tuple[int, float, str, Cell]:
    # A status that was lost is worse than any figure that has grown.
    severity = max((metric.severity for metric in item.metrics), default=math.inf)
    return VERDICTS.index(item.verdict), -severity, item.machine, item.cell


def _by_cell(records: Iterable[Record]) -> dict[_Key, dict[int, Record]]:
    found: dict[_Key, dict[int, Record]] = defaultdict(dict)
    for record in newest(record for record in records if record.status != SAYS_NOTHING):
        found[record.provenance.machine.name, replace(record.cell, seed=0)][record.cell.seed] = record
    return found


@dataclass(frozen=True, slots=True)
class _Rule:
    """What decides whether a figure has changed."""

    registry: Registry
    threshold: float
    allowances: Allowances


def _judged(key: _Key, before: _Seeds, after: _Seeds, rule: _Rule) -> CellChange | None:
    """Return what became of a cell; None where there was nothing to lose and nothing was gained."""
    was_ok, is_ok = ({seed for seed, record in seeds.items() if record.status == "ok"} for seeds in (before, after))
    # A noisy timing ran to its end: that it now does not is worse, whatever its figures were worth.
    ran = {seed for seed, record in before.items() if record.status in MEASURED}
    failed = [seed for seed in sorted(ran & after.keys()) if after[seed].status not in MEASURED]
    if failed:
        was, now = before[failed[0]], after[failed[0]]
        reason = _of_seeds(now.reason or "", failed, before)
        return CellChange(*key, "regression", was.status, now.status, reason)
    common = sorted(was_ok & is_ok)
    if not common:
        return _without_metrics(key, before, after, was_ok, is_ok)
    pairs = [before[seed] for seed in common], [after[seed] for seed in common]
    versions = [{_versions(record) for record in records} for records in pairs]
    if versions[0] != versions[1]:
        why = f"measured by {_shown(versions[0])}, then by {_shown(versions[1])}: another series"
        return CellChange(*key, "incomparable", "ok", "ok", why)
    metrics = tuple(sorted(_metrics(*pairs, metrics_of(key[1], rule.registry), rule), key=_worst_first))
    verdict = metrics[0].verdict if metrics else "same"
    if verdict != "regression" and was_ok - after.keys():
        reason = _of_seeds("has no record in the second set", was_ok - after.keys(), before)
        return CellChange(*key, "gone", "ok", "", reason, metrics)
    if verdict != "regression" and (mended := _mended(key, before, after, is_ok)):
        return replace(mended, metrics=metrics)
    return CellChange(*key, verdict, "ok", "ok", metrics=metrics)


def _without_metrics(
    key: _Key, before: _Seeds, after: _Seeds, was_ok: Collection[int], is_ok: Collection[int]
) -> CellChange | None:
    """Judge a cell of which no seed is ok in both sets, and none has failed that was."""
    was, now = (next((str(record.status) for record in seeds.values()), "") for seeds in (before, after))
    if NOISY in (was, now) and after:
        return CellChange(*key, "noisy", was, now, "a timing that missed its interval is not compared")
    if was_ok or (was == NOISY and not after):
        return CellChange(*key, "gone", was, "", "has no record in the second set")
    if is_ok and before:
        return _mended(key, before, after, is_ok)
    if now in ("", "unsupported"):
        return None
    record = next(iter(after.values()))
    return CellChange(*key, "failing" if before else "new", was, now, record.reason or "")


def _mended(key: _Key, before: _Seeds, after: _Seeds, is_ok: Collection[int]) -> CellChange | None:
    seeds = [seed for seed in sorted(is_ok) if seed in before and before[seed].status not in ("ok", NOISY)]
    if not seeds:
        return None
    record = before[seeds[0]]
    return CellChange(*key, "improvement", record.status, "ok", _of_seeds(record.reason or "", seeds, after))


def _of_seeds(reason: str, seeds: Iterable[int], of: _Seeds) -> str:
    """Say which seeds a reason is about, where there are others."""
    about = sorted(seeds)
    if len(of) <= 1:
        return reason
    return f"{reason} (seed{'s' * (len(about) > 1)} {', '.join(map(str, about))} of {len(of)})"


def _versions(record: Record) -> tuple[int, int | None, int | None]:
    origin = record.provenance
    return origin.suite_version, origin.task_version, origin.clock_version


def _shown(versions: Iterable[tuple[int, int | None, int | None]]) -> str:
    return " and ".join(
        ", ".join(
            f"{what} {number}"
            for what, number in zip(("suite", "task", "clock"), each, strict=True)
            if number is not None
        )
        for each in sorted(versions, key=str)
    )


def _metrics(
    before: Sequence[Record], after: Sequence[Record], cards: Mapping[str, MetricCard], rule: _Rule
) -> Iterator[MetricChange]:
    """Judge every metric of the first records that its suite has judged; both are of the same seeds, in order."""
    for name, card in cards.items():
        if not card.judged:
            continue
        pairs = list(zip(before, after, strict=True))
        lost = [a.metrics[name] for a, b in pairs if name in a.metrics and name not in b.metrics]
        both = [(a.metrics[name], b.metrics[name]) for a, b in pairs if _have(name, a, b)]
        if lost:
            yield MetricChange(name, card, combined_over_seeds(lost), None, "regression", None)
        elif both:
            pair = [_combined(metrics) for metrics in zip(*both, strict=True)]
            allowed = rule.allowances.of(before, name, card)
            if allowed is None:
                judged = change(pair[0], pair[1], card.direction, card.exact, rule.threshold, _apart(pair, card))
            else:  # the spread between runs has what an interval within one sees, and more
                alone = Estimate(pair[0].value), Estimate(pair[1].value)
                judged = change(*alone, card.direction, exact=False, threshold=0.0, apart=allowed)
            yield MetricChange(name, card, pair[0], pair[1], judged.verdict, judged.relative, allowed)


def _combined(metrics: Sequence[Metric]) -> Estimate:
    """Return one estimate of a figure of several seeds, no surer than each of them is over runs or sessions."""
    found, covers = combined_over_seeds(metrics), {one.covers for one in metrics}
    lows, highs = ([bound for one in metrics if (bound := getattr(one, side)) is not None] for side in ("low", "high"))
    if len(metrics) == 1 or not covers <= {FORKS, RUNS} or found.low is None or found.high is None:
        return found
    return replace(
        found,
        low=min(found.low, statistics.fmean(lows)),
        high=max(found.high, statistics.fmean(highs)),
        covers=FORKS if FORKS in covers else RUNS,
    )


def _apart(pair: Sequence[Estimate], card: MetricCard) -> float:
    """Return how far apart two runs of the same code may be, where it is not in the intervals of both."""
    # Forks of one fork server share its heap: an interval over them does not see what another session's would be.
    if card.exact or all(one.low is not None and one.covers != FORKS for one in pair):
        return 0.0
    return APART_WITHOUT_INTERVAL.get(card.unit, 0.0)


def _have(name: str, *records: Record) -> bool:
    return all(name in record.metrics for record in records)


def _worst_first(item: MetricChange) -> tuple[int, float]:
    order: tuple[Verdict, ...] = ("regression", "improvement", "changed", "noise", "same")
    return order.index(item.verdict), -item.severity
