"""What has become worse or better for good, since when, and by how much: by measured noise, else by asv's own rule.

A series with a measured spread is judged by :mod:`harness.results.steps`, whatever asv's pages say of it; the others by
asv's step detection and the thresholds of asv.conf.json. Must not print, nor know where files lie.
"""

from __future__ import annotations

import statistics
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

from harness.asv.accepted import Accepted, accepted_places
from harness.asv.histories import History, falls
from harness.asv.noise import Spread, is_current
from harness.asv.regressions import Jump, Regression, new_regressions, threshold_of
from harness.asv.series import benchmark_name
from harness.catalogue.cards import Registry
from harness.results.steps import Noise, Step, StepRule, find_steps, last_is_beyond, with_nights

__all__ = ["Alarm", "Judged", "Question", "Suspicion", "judge"]

Verdict = Literal["regression", "improvement"]


@dataclass(frozen=True, slots=True)
class Alarm:
    """A change of level that has lasted."""

    verdict: Verdict
    suite: str
    metric: str
    label: str
    machine: str | None
    """None where the pages have one machine only."""
    where: str
    first: str
    """First commit with the new level that there is a figure of."""
    last_before: str | None
    """Last commit with the old level that there is a figure of; None if it is not in this history."""
    unmeasured: tuple[str, ...]
    """Commits between the two, the oldest first: one of them, or `first`, has brought the change."""
    old: float
    new: float
    ratio: float
    interval: tuple[float, float] | None = None
    """95 %, of `ratio`; None where the noise is not measured."""
    noise: Noise | None = None
    """What it was judged by; None: asv's step detection."""


@dataclass(frozen=True, slots=True)
class Suspicion:
    """A last figure beyond the limit: the next run decides."""

    suite: str
    metric: str
    label: str
    commit: str
    ratio: float
    worse: bool


@dataclass(frozen=True, slots=True)
class Judged:
    """What came of all series."""

    alarms: tuple[Alarm, ...]
    """Regressions before improvements, the largest change first."""
    suspicions: tuple[Suspicion, ...]
    by_noise: int
    """Lines that were judged by a measured spread."""
    too_noisy: int
    """Of these, lines on which a step of 10 % is not surely found within two runs."""
    noisier_nights: int
    """Of these, lines whose nights are noisier than the calibration was."""
    by_asv: int
    """Lines that were judged by asv's step detection."""

    @property
    def regressions(self) -> tuple[Alarm, ...]:
        """Return the alarms that fail a gate."""
        return tuple(alarm for alarm in self.alarms if alarm.verdict == "regression")


@dataclass(frozen=True, slots=True)
class Question:
    """What is to be judged."""

    histories: Sequence[History]
    regressions: Sequence[Regression]
    """What asv has found, of the whole history."""
    commits: Sequence[str]
    """Of the history, the oldest first."""
    judged: Collection[str]
    """Commits whose changes count, for series without a spread."""
    since: str | None
    """Commit after which changes count for those with one; None: from their first calibration on."""
    spreads: Sequence[Spread]
    accepted: Sequence[Accepted]
    thresholds: Mapping[str, float]
    is_wanted: Callable[[str, str, str], bool] = lambda _suite, _metric, _label: True
    """Whether a figure of a series is judged."""


def judge(question: Question, registry: Registry) -> Judged:
    """Return what has changed for good and is not accepted."""
    places = {commit: place for place, commit in enumerate(question.commits)}
    spreads = {spread.key: spread for spread in question.spreads if is_current(spread)}
    wanted = [one for one in question.histories if question.is_wanted(one.suite, one.metric, one.label)]
    by_noise = [_ByNoise(one, spreads[one.key], question, places) for one in wanted if _has_spread(one, spreads)]
    by_asv = [one for one in wanted if not _has_spread(one, spreads) and _is_judged(one, registry)]
    alarms = [alarm for one in by_noise for alarm in one.alarms()]
    alarms += _found_by_asv(question, by_noise, places, registry)
    alarms += [alarm for one in by_asv for alarm in _improvements(one, question, places)]
    return Judged(
        alarms=tuple(sorted(alarms, key=_worst_first)),
        suspicions=tuple(found for one in by_noise if (found := one.suspicion()) is not None),
        by_noise=len(by_noise),
        too_noisy=sum(not StepRule(one.noise).holds() for one in by_noise),
        noisier_nights=sum(one.noise.of_nights for one in by_noise),
        by_asv=len(by_asv),
    )


def _worst_first(alarm: Alarm) -> tuple[bool, float]:
    return alarm.verdict == "improvement", -max(alarm.ratio, 1 / alarm.ratio if alarm.ratio else alarm.ratio)


def _is_judged(history: History, registry: Registry) -> bool:
    if history.suite not in registry.suites:
        return False
    card = registry.suite(history.suite).metrics.get(history.metric)
    return card is not None and card.judged


def _has_spread(history: History, spreads: Mapping[tuple[str, str, str, str], Spread]) -> bool:
    return history.key in spreads and all(value > 0 for value in history.values)


class _ByNoise:
    """A line with a measured spread, from the last change on that was accepted."""

    def __init__(self, history: History, spread: Spread, question: Question, places: Mapping[str, int]) -> None:
        newest = accepted_places(question.accepted, history.machine, places)
        start = newest.get((history.suite, history.metric, history.label), 0)
        kept = [number for number, commit in enumerate(history.commits) if places[commit] >= start]
        self.history, self._places, self._commits = history, places, question.commits
        self._at = [history.commits[number] for number in kept]
        self._values = [history.values[number] for number in kept]
        self._after = places.get(question.since or spread.judged_from, -1)
        self.noise = with_nights(spread.noise, self._values)
        self._steps = find_steps(self._values, self.noise)

    def alarms(self) -> Iterator[Alarm]:
        """Yield the steps that were confirmed since, and which what came later has not undone."""
        for step in self._steps:
            is_new = self._places[self._at[step.confirmed]] > self._after
            if is_new and self._lasts(step, self._steps[-1].new):
                yield self._alarm(step)

    def suspicion(self) -> Suspicion | None:
        """Return what the last figure alone suggests."""
        if not self._values or self._places[self._at[-1]] <= self._after:
            return None
        direction = last_is_beyond(self._values, self.noise)
        if not direction:
            return None
        level = statistics.median(self._values[self._steps[-1].first if self._steps else 0 : -1])
        one = self.history
        return Suspicion(one.suite, one.metric, one.label, self._at[-1], self._values[-1] / level, direction > 0)

    def _lasts(self, step: Step, latest: float) -> bool:
        """Whether the `latest` level is still beyond the limit of the level before `step`, in its direction."""
        ratio = latest / step.old if step.ratio > 1 else step.old / latest
        return ratio > 1 + StepRule(self.noise).least(step.old_runs)

    def _alarm(self, step: Step) -> Alarm:
        one = self.history
        last_before, first = self._at[step.last_before], self._at[step.first]
        return Alarm(
            verdict="regression" if step.ratio > 1 else "improvement",
            suite=one.suite,
            metric=one.metric,
            label=one.label,
            machine=one.machine,
            where=one.where,
            first=first,
            last_before=last_before,
            unmeasured=_between(last_before, first, self._places, self._commits),
            old=step.old,
            new=step.new,
            ratio=step.ratio,
            interval=step.interval(),
            noise=step.noise,
        )


def _between(before: str | None, first: str, places: Mapping[str, int], commits: Sequence[str]) -> tuple[str, ...]:
    if before is None or before not in places or first not in places:
        return ()
    return tuple(commits[places[before] + 1 : places[first]])


def _found_by_asv(
    question: Question, by_noise: Iterable[_ByNoise], places: Mapping[str, int], registry: Registry
) -> Iterator[Alarm]:
    """Yield what asv has found on lines without a spread, and nobody has accepted."""
    covered = {one.history.key for one in by_noise}
    machines = {one.machine for one in question.histories}
    only = next(iter(machines)) if len(machines) == 1 else None

    def is_accepted(item: Regression, jump: Jump) -> bool:
        newest = accepted_places(question.accepted, item.machine or only, places)
        return places.get(jump.commit, -1) <= newest.get((item.suite, item.metric, item.label), -2)

    found = [
        one
        for one in question.regressions
        if question.is_wanted(one.suite, one.metric, one.label)
        and (one.machine or only or "", one.suite, one.metric, one.label) not in covered
    ]
    for one in new_regressions(found, question.judged, registry, question.thresholds, is_accepted=is_accepted):
        first = one.commit
        last_before = one.after or (question.commits[places[first] - 1] if places.get(first) else None)
        yield Alarm(
            verdict="regression",
            suite=one.suite,
            metric=one.metric,
            label=one.label,
            machine=one.machine or only,
            where=one.where,
            first=first,
            last_before=last_before,
            unmeasured=_between(last_before, first, places, question.commits),
            old=one.best,
            new=one.latest,
            ratio=one.growth,
        )


def _improvements(history: History, question: Question, places: Mapping[str, int]) -> Iterator[Alarm]:
    """Yield the falls of a line without a spread, by the rule and the threshold that its rises are judged by."""
    entry = f"{benchmark_name(history.suite, history.metric)}({history.label!r})@HEAD"
    newest = accepted_places(question.accepted, history.machine, places)
    start = newest.get((history.suite, history.metric, history.label), -1)
    for before, after, old, new in falls(history, threshold_of(entry, question.thresholds)):
        first, last_before = history.commits[after], history.commits[before]
        if first in question.judged and places[first] > start:
            yield Alarm(
                verdict="improvement",
                suite=history.suite,
                metric=history.metric,
                label=history.label,
                machine=history.machine,
                where=history.where,
                first=first,
                last_before=last_before,
                unmeasured=_between(last_before, first, places, question.commits),
                old=old,
                new=new,
                ratio=new / old,
            )
