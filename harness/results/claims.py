"""Verdicts on the papers' claims, computed from current records by the rules that rank rows.

Each test is one comparison, made for itself at 95 %: same seeds, same samples, same everything but what the claim is
about. Evidence decides only where means were equal: what training decides (errors, spikes, energy) needs tuned rows and
several seeds of each; what a step costs needs a contract that was passed and a timing that was not noisy. Other
evidence is shown, and gives no verdict. Nothing here is written by hand, and nothing here prints.
"""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

from harness.catalogue.boards import BOARDS
from harness.catalogue.boards.model import COMPARED
from harness.catalogue.cards import MetricCard, Registry
from harness.catalogue.cell import DEFAULT_RECIPE
from harness.catalogue.claims import CLAIMS, Claim, Comparison
from harness.catalogue.recipes import TUNED
from harness.results.evidence import observed, rule_of
from harness.results.freshness import Today
from harness.results.grouping import ANY_MACHINE, axes_under, of_machine, one_a_seed
from harness.results.ranking import places
from harness.results.record import Record
from harness.results.selection import preferred
from harness.results.stats import Estimate
from harness.results.tables import combined_over_seeds
from harness.results.verification import Verification

__all__ = ["VERDICTS", "Evidence", "Judged", "Tried", "Verdict", "judge"]

Verdict = Literal["confirmed", "not confirmed", "reversed", "not testable here", "not measured yet"]
VERDICTS: tuple[Verdict, ...] = Verdict.__args__  # type: ignore[attr-defined]
TRAINED = frozenset({"accuracy", "spikes", "frontier", "time_to_target", "tracking"})
"""Suites whose figures depend on how a row was trained: they need tuned rows and several seeds."""
UNVERIFIED = frozenset({"accuracy", "spikes", "frontier", "tracking"})
"""Suites that say something of a row that has not passed its contract."""
LEAST_SEEDS = 3


@dataclass(frozen=True, slots=True)
class Evidence:
    """What one test says under one condition."""

    where: str
    """Condition, such as "fsdd, bptt, mlp, standard, tuned"."""
    machine: str
    row: Estimate
    against: Estimate | None
    effect: Estimate
    """Row minus the other as a share of the other (-0.2: a fifth less), or in `points`; the row's own figure for a test
    against a number."""
    points: bool
    seeds: int
    verdict: Verdict | None
    """None: it decides nothing, for the reason."""
    reason: str = ""
    records: tuple[Record, ...] = ()


@dataclass(frozen=True, slots=True)
class Tried:
    """A test with its evidence."""

    test: Comparison
    title: str
    """The figure's title."""
    card: MetricCard | None
    row: str
    against: str
    evidence: tuple[Evidence, ...]
    verdict: Verdict
    reason: str = ""


@dataclass(frozen=True, slots=True)
class Judged:
    """A claim with all that speaks for and against it."""

    claim: Claim
    verdict: Verdict
    reason: str
    tried: tuple[Tried, ...]


def judge(records: Iterable[Record], registry: Registry, claims: Sequence[Claim] = CLAIMS) -> list[Judged]:
    """Return every claim with its verdict; of the records only current ones count."""
    today = Today(registry)
    latest = preferred(records, today)
    court = _Court(
        [one for one in latest if one.status in ("ok", "noisy") and today.is_current(one)],
        registry,
        Verification(latest, registry, today),
    )
    return [court.judged(claim) for claim in claims]


class _Court:
    """Holds what claims are judged by."""

    def __init__(self, current: Iterable[Record], registry: Registry, verified: Verification) -> None:
        self._registry = registry
        self._verified = verified
        self._by_suite: dict[str, list[Record]] = defaultdict(list)
        for record in current:
            self._by_suite[record.cell.suite].append(record)

    def judged(self, claim: Claim) -> Judged:
        """Return the verdict on a claim: all tests have to hold, and the first is the headline.

        There is none before every test has evidence that decides: half a claim is no claim.
        """
        tried = tuple(self._tried(test) for test in claim.tests)
        verdicts = [one.verdict for one in tried]
        if not tried or "not testable here" in verdicts:
            reason = claim.untestable or next(one.reason for one in tried if one.verdict == "not testable here")
            return Judged(claim, "not testable here", reason, tried)
        if "not measured yet" in verdicts:
            reasons = [one.reason for one in tried if one.verdict == "not measured yet"]
            return Judged(claim, "not measured yet", "; ".join(reasons), tried)
        failing = next((one for one in tried if one.verdict != "confirmed"), None)
        if failing is None:
            return Judged(claim, "confirmed", "", tried)
        return Judged(claim, "reversed" if verdicts[0] == "reversed" else "not confirmed", failing.reason, tried)

    def _tried(self, test: Comparison) -> Tried:
        suite, _, metric = test.figure.partition(".")
        row, against = self._meant(test.row), self._meant(test.against)
        card = self._registry.suite(suite).metrics.get(metric) if suite in self._registry.suites else None
        named = (" ".join(row.values()) if row else "", " ".join(against.values()) if against else "")
        title = card.title if card else metric.replace("_", " ")
        if row is None or against is None:
            missing = _names(test.row if row is None else test.against)
            return Tried(test, title, card, *named, (), "not testable here", f"there is no row {missing} here")
        if card is None:
            return Tried(test, title, card, *named, (), "not testable here", f"no suite here measures {title}")
        evidence = tuple(self._evidence(test, card, row, against))
        verdict, reason = _together(title, evidence)
        return Tried(test, title, card, *named, evidence, verdict, reason)

    def _meant(self, side: Mapping[str, Sequence[str]]) -> dict[str, str] | None:
        """Return the first row of each axis that the catalogue has; None if it has none."""
        registry = self._registry
        known = {"neuron": registry.cell_neurons, "method": registry.methods, "topology": registry.topologies}
        found = {axis: next((name for name in names if name in known[axis]), "") for axis, names in side.items()}
        return found if all(found.values()) else None

    def _evidence(
        self, test: Comparison, card: MetricCard, row: Mapping[str, str], against: Mapping[str, str]
    ) -> Iterable[Evidence]:
        mine, theirs = self._groups(test, row), self._groups(test, against) if against else {}
        for key in sorted(mine, key=str):
            if against and key not in theirs:
                continue
            yield self._compared(test, card, key, mine[key], theirs.get(key, []))

    def _groups(self, test: Comparison, side: Mapping[str, str]) -> dict[tuple[tuple[str, str], ...], list[Record]]:
        """Return the records of one side by all that it shares with the other."""
        suite, _, metric = test.figure.partition(".")
        free = {*test.row, *test.against}
        groups: dict[tuple[tuple[str, str], ...], list[Record]] = defaultdict(list)
        for record in self._by_suite[suite]:
            axes = self._conditions(record)
            fits = all(axes[axis] == name for axis, name in side.items())
            fits &= all(axes[axis] in names for axis, names in test.given.items())
            if fits and metric in record.metrics and (not test.tasks or axes["task"] in test.tasks):
                key = tuple((axis, str(axes[axis])) for axis in (*COMPARED, "machine") if axis not in free)
                groups[key].append(record)
        return {key: one_a_seed(found, dict(key)["machine"]) for key, found in groups.items()}

    def _conditions(self, record: Record) -> dict[str, str]:
        """Return the axes of `record` and its machine, less what does not move its figures."""
        machine = record.provenance.machine.name if of_machine(record, self._registry) else ANY_MACHINE
        return axes_under(record, "eager") | {"machine": machine}

    def _compared(
        self,
        test: Comparison,
        card: MetricCard,
        key: tuple[tuple[str, str], ...],
        mine: Sequence[Record],
        theirs: Sequence[Record],
    ) -> Evidence:
        axes = dict(key)
        metric = test.figure.partition(".")[2]
        row = combined_over_seeds([one.metrics[metric] for one in mine])
        other = combined_over_seeds([one.metrics[metric] for one in theirs]) if theirs else None
        shared = {one.cell.seed for one in mine} & {one.cell.seed for one in theirs} if theirs else {*map(_seed, mine)}
        effect, better, no_worse, worse = _measured(test, card, mine, theirs, row, other)
        why = self._why_not(test, axes, [*mine, *theirs], len(shared))
        verdict = None if why else _verdict(test, card, effect, better, no_worse, worse)
        implied = ("-", "cpu", "float32", "eager", axes["machine"])
        return Evidence(
            where=", ".join(value for value in axes.values() if value not in implied) or "layers of their own",
            machine=axes["machine"],
            row=row,
            against=other,
            effect=effect,
            points=bool(theirs) and card.unit == "fraction",
            seeds=len(shared),
            verdict=verdict,
            reason=why,
            records=(*mine, *theirs),
        )

    def _why_not(self, test: Comparison, axes: Mapping[str, str], records: Sequence[Record], seeds: int) -> str:
        """Return why evidence decides nothing; empty where it may."""
        suite = test.figure.partition(".")[0]
        if suite in TRAINED and axes.get("recipe", DEFAULT_RECIPE) != TUNED:
            return "not tuned with equal means"
        if suite in TRAINED and seeds < LEAST_SEEDS:
            return f"{seeds} of the {LEAST_SEEDS} seeds that it takes"
        if any(one.status == "noisy" for one in records):
            return "timed too noisily"
        if suite not in UNVERIFIED and not all(self._verified.of(one) for one in records):
            return "contract not passed"
        return ""


def _seed(record: Record) -> int:
    return record.cell.seed


def _names(side: Mapping[str, Sequence[str]]) -> str:
    return " or ".join(name for names in side.values() for name in names)


def _measured(
    test: Comparison,
    card: MetricCard,
    mine: Sequence[Record],
    theirs: Sequence[Record],
    row: Estimate,
    other: Estimate | None,
) -> tuple[Estimate, bool, bool, bool]:
    """Return the effect with its interval, and whether the row is better, no worse, and worse."""
    if other is None:
        return row, False, False, False
    metric = test.figure.partition(".")[2]
    board = BOARDS[0]  # margins are the same on all boards
    rule = rule_of(card, board, [one.metrics[metric] for one in (*mine, *theirs)])
    rows = [observed(side, metric, rule.scale) for side in (mine, theirs)]
    found, reference = places([row.value, other.value], rows, [1, None], rule)
    difference = found.to_baseline
    assert difference is not None
    bounds = [difference.value, difference.low, difference.high]
    if card.unit != "fraction" and not difference.relative:
        bounds = [math.inf if other.value == 0 else bound / abs(other.value) for bound in map(_or_nan, bounds)]
    value, low, high = (None if one is None or math.isnan(one) else one for one in bounds)
    effect = Estimate(math.nan if value is None else value, low, high)
    return effect, reference.rank.best == 2, difference.no_worse, found.rank.best == 2


def _or_nan(bound: float | None) -> float:
    return math.nan if bound is None else bound


def _verdict(
    test: Comparison, card: MetricCard, effect: Estimate, better: bool, no_worse: bool, worse: bool
) -> Verdict:
    if test.expects in ("at most", "at least"):
        return _against_limit(test, effect)
    if worse and not (test.expects == "no worse" and no_worse):
        return "reversed"
    if test.expects == "no worse":
        return "confirmed" if better or no_worse else "not confirmed"
    if not better:
        return "not confirmed"
    if not test.size:
        return "confirmed"
    sign = -1 if card.direction == "lower" else 1
    reached = [sign * bound for bound in (effect.value, effect.low, effect.high) if bound is not None]
    return "confirmed" if max(reached) >= test.size else "not confirmed"


def _against_limit(test: Comparison, effect: Estimate) -> Verdict:
    """Judge a figure against a number: its whole interval has to keep to it."""
    ends = [bound for bound in (effect.value, effect.low, effect.high) if bound is not None]
    keeps = max(ends) <= test.limit if test.expects == "at most" else min(ends) >= test.limit
    return "confirmed" if keeps else "not confirmed"


def _together(title: str, evidence: Sequence[Evidence]) -> tuple[Verdict, str]:
    """Return what a test's evidence says under all conditions: every one that decides has to confirm."""
    decided = [one for one in evidence if one.verdict is not None]
    if not decided:
        if not evidence:
            return "not measured yet", f"{title}: no current records of both rows under one condition"
        return "not measured yet", f"{title}: {'; '.join(sorted({one.reason for one in evidence}))}"
    verdicts = [one.verdict for one in decided]
    failing = next((one for one in decided if one.verdict != "confirmed"), None)
    if failing is None:
        return "confirmed", ""
    if "confirmed" not in verdicts and "reversed" in verdicts:
        return (
            "reversed",
            f"{title}: the opposite holds on {next(one.where for one in decided if one.verdict == 'reversed')}",
        )
    return "not confirmed", f"{title}: not shown on {failing.where}"
