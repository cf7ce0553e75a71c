"""What authors report beside what was measured here, with what differs between the two.

Must not judge: it states both figures and every difference that the cards tell.
"""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import NamedTuple

from harness.catalogue.cards import Budget, Registry
from harness.report.measured import Combination
from harness.report.units import Scale, with_interval
from harness.report.words import count
from harness.results.stats import Estimate
from reference_impls.card import Evidence, Reported

__all__ = ["Here", "ReportedView", "reported_beside"]

ERROR = "accuracy.error_fraction"
SIGNAL_ERROR = "tracking.normalised_error_fraction"


def _accuracy(error: Estimate) -> Estimate:
    """Turn an error fraction into an accuracy fraction; low and high change places."""
    low, high = (None if end is None else 1 - end for end in (error.high, error.low))
    return Estimate(1 - error.value, low, high, error.n, error.covers)


class _Counterpart(NamedTuple):
    """How a reported figure is had from a measured fraction."""

    column: str
    convert: Callable[[Estimate], Estimate] = lambda error: error


_MEASURED_AS: Mapping[str, _Counterpart] = {
    "accuracy_percent": _Counterpart(ERROR, _accuracy),
    "error_percent": _Counterpart(ERROR),
    "normalised_error_percent": _Counterpart(SIGNAL_ERROR),
}
"""By reported metric; others have no counterpart here."""
_SPEEDUPS: Mapping[str, tuple[tuple[str, str], ...]] = {
    "training_speedup_over_lif_ratio": (
        ("speedup_t2048", "one layer, T = 2,048"),
        ("speedup_t16", "one layer, T = 16"),
    ),
    "forward_speedup_over_lif_ratio": (("forward_speedup_t64", "one layer, T = 64"),),
}
"""Figures of the suite ``layers`` that a reported speed-up is compared with, and what each is of."""
_SHAPED_LIKE = {"shd": ("network_speedup", "training step on random spikes shaped like SHD")}
"""The same for a speed-up on a task that the suite imitates."""
MOST = 4
"""Measured figures that stand beside a reported one."""
_UNITS: Mapping[str, str] = {
    "percent": "%",
    "ratio": "x",
    "seconds": "s",
    "bytes": "B",
    "joules": "J",
    "points": "points",
    "hertz": "Hz",
    "milliseconds": "ms",
    "milliwatts": "mW",
    "millijoules": "mJ",
    "megabytes": "MB",
}
"""By the last word of a reported metric; a word that is none of these is part of the name."""
_EVIDENCE: Mapping[Evidence, str] = {
    "paper-text": "the paper's own text",
    "official-log": "the authors' log",
    "official-readme": "the authors' README",
    "official-repo": "the authors' repository",
    "official-web": "the authors' page",
    "official-figure": "read off the authors' picture",
    "abstract": "the abstract",
    "quoted-in-paper": "quoted in another paper",
    "third-party-log": "measured by others: their log",
    "third-party-readme": "measured by others: their README",
    "third-party-paper": "measured by others: their paper",
    "results-index": "an index of results",
    "third-party-note": "a third party's note",
}


@dataclass(frozen=True, slots=True)
class Here:
    """One measured figure of the same task."""

    figure: str
    what: str
    """Combination and budget."""
    differs: str


@dataclass(frozen=True, slots=True)
class ReportedView:
    """One reported figure, and what was measured of the same task."""

    task: str
    task_page: str | None
    metric: str
    figure: str
    network: str
    steps: str
    where: str
    evidence: str
    """What kind of place that is, in a reader's words."""
    system: str
    note: str
    here: tuple[Here, ...]


def reported_beside(
    reported: Iterable[Reported],
    combinations: Iterable[Combination],
    registry: Registry,
    pages: Mapping[tuple[str, str], str],
) -> tuple[ReportedView, ...]:
    """Set every reported figure beside the measured ones of its task.

    Parameters
    ----------
    combinations : what was measured of the implementation.
    pages : page of each (kind, name).
    """
    by_task: dict[str, list[Combination]] = defaultdict(list)
    combinations = list(combinations)
    layers = [one for one in combinations if one.suite == "layers"]
    for one in combinations:
        if {ERROR, SIGNAL_ERROR} & set(one.row.values):
            by_task[dict(one.table.group.axes).get("task", "")].append(one)
    return tuple(_view(figure, by_task, layers, registry, pages) for figure in reported)


def _view(
    figure: Reported,
    by_task: Mapping[str, list[Combination]],
    layers: Iterable[Combination],
    registry: Registry,
    pages: Mapping[tuple[str, str], str],
) -> ReportedView:
    tasks = [task for task in registry.tasks if _plain(figure.task) in _names(registry, task)]
    name, _, unit = figure.metric.rpartition("_")
    if unit not in _UNITS:
        name, unit = figure.metric, ""
    measured = _MEASURED_AS.get(figure.metric)
    longest = [one for task in tasks for one in _longest(by_task.get(task, ()), registry)]
    return ReportedView(
        task=figure.task,
        task_page=next((pages[("task", task)] for task in tasks if ("task", task) in pages), None),
        metric=name.replace("_", " "),
        figure=f"{figure.value:.7g} {_UNITS.get(unit, '')}".rstrip(),
        network=figure.network,
        steps="" if figure.T is None else str(figure.T),
        where=figure.where,
        evidence=_EVIDENCE[figure.evidence],
        system=figure.system,
        note=figure.note,
        here=(
            *(
                _here(figure, one, registry, measured)
                for one in longest
                if measured and measured.column in one.row.values
            ),
            *_speedups(figure, layers),
        ),
    )


def _speedups(figure: Reported, layers: Iterable[Combination]) -> Iterable[Here]:
    """Yield the measured speed-ups over eager LIF that a reported one can be held against."""
    wanted = _SPEEDUPS.get(figure.metric, ())
    shaped = _SHAPED_LIKE.get(_plain(figure.task))
    for metric, what in (shaped,) if wanted and shaped else wanted:
        for one in layers:
            value = one.row.values.get(f"layers.{metric}")
            if value is not None:
                text = f"{with_interval(value.estimate, Scale(1.0, 'x'))} x"
                differs = "; ".join(part for part in (f"over our eager LIF, on {one.where}", figure.note) if part)
                yield Here(text, what, differs)


def _plain(name: str) -> str:
    return re.sub(r"[^a-z0-9]", "", name.lower())


def _names(registry: Registry, task: str) -> set[str]:
    # Not the data set's name: a figure for MNIST says nothing of MNIST read pixel by pixel.
    return {_plain(task), _plain(registry.tasks[task].title)}


def _longest(combinations: Iterable[Combination], registry: Registry) -> list[Combination]:
    """Keep of each combination the one with the longest training budget."""
    longest: dict[tuple[object, ...], Combination] = {}
    for one in sorted(combinations, key=lambda one: (_epochs(one, registry), one.measured)):
        axes = {axis: value for axis, value in one.table.group.axes if axis != "budget"}
        longest[(one.row.topology, *axes.items())] = one
    return list(longest.values())[-MOST:]


def _budget(one: Combination, registry: Registry) -> Budget | None:
    axes = dict(one.table.group.axes)
    return registry.task(axes["task"]).budgets.get(axes.get("budget", ""))


def _epochs(one: Combination, registry: Registry) -> int:
    budget = _budget(one, registry)
    return budget.epochs if budget else 0


def _here(figure: Reported, one: Combination, registry: Registry, measured: _Counterpart) -> Here:
    axes, value, budget = dict(one.table.group.axes), one.row.values[measured.column], _budget(one, registry)
    card = registry.task(axes["task"])
    steps = f"T {figure.T} there, {card.T} here" if figure.T not in (None, card.T) else ""
    network = f"network {figure.network} there, {one.row.topology} here" if figure.network else ""
    epochs = f"{count(budget.epochs, 'epoch')} here" if budget else ""
    samples = f"{count(budget.train_limit, 'training sample')} here" if budget and budget.train_limit else ""
    task = f"task {axes['task']} here" if _plain(axes["task"]) != _plain(figure.task) else ""
    return Here(
        figure=f"{with_interval(measured.convert(value.estimate), Scale(100.0, '%'))} %",
        what=one.label,
        differs="; ".join(part for part in (task, steps, network, epochs, samples, figure.note) if part),
    )
