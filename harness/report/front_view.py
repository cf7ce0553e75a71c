"""The first screen: every question that can be chosen there, with its answer, its plot, and the maps of all tasks.

All answers are worked out when the pages are made, by the same function that the terminal asks; the page only shows the
one that was chosen. Must not decide, and must not know HTML.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace

from harness.catalogue.cards import Registry
from harness.catalogue.kinds import KINDS
from harness.report.heatmap import Heatmap, heatmap
from harness.report.links import Sitemap
from harness.report.plots import ParetoPlot, RowMark, pareto_plots
from harness.report.recommend_view import command_of, not_known, sentence
from harness.report.table_rows import row_labels
from harness.report.traits import Traits
from harness.results.overall.board import OverallTable
from harness.results.overall.settings import Setting
from harness.results.questions import COSTS, PARAMETERS, PROPERTIES, RATIOS, Choice, Limit, Question
from harness.results.recommend import Chooser

__all__ = ["AnswerView", "Front", "Option", "PlotChoice", "view_front"]

CHOICES: Mapping[Choice, str] = {"neuron": "a neuron", "method": "a training method"}
LIMITS: Mapping[str, tuple[str, Limit | None]] = {
    "any": ("no limit", None),
    "energy": ("no more energy than the baseline", Limit("energy", 1.0, of_baseline=True)),
    "half-energy": ("half of the baseline's energy", Limit("energy", 0.5, of_baseline=True)),
    "memory": ("no more memory than the baseline", Limit("memory", 1.0, of_baseline=True)),
    "half-memory": ("half of the baseline's memory", Limit("memory", 0.5, of_baseline=True)),
    "step": ("training steps no longer than the baseline's", Limit("step", 1.0, of_baseline=True)),
    "inference": ("inference no longer than the baseline's", Limit("inference", 1.0, of_baseline=True)),
    "parameters": ("no more parameters than the baseline", Limit(PARAMETERS, 1.0, of_baseline=True)),
}
"""What may be spent, as the page offers it; any amount can be given in the terminal."""
ANY = "any"
_DRAWN: Mapping[str, str] = {"memory": "memory", "step": "step", "inference": "step"}
"""The cost that a plot is drawn against, by the cost that is limited; energy for all others."""


@dataclass(frozen=True, slots=True)
class Option:
    """An option of a field."""

    value: str
    label: str
    hint: str = ""
    only: str = ""
    """The choice (neuron or method) that it belongs to; empty for both."""


@dataclass(frozen=True, slots=True)
class AnswerView:
    """An answer, ready to be shown."""

    key: str
    """The values of the fields, joined by dots."""
    sentence: str
    unknown: str
    command: str
    plot: str
    """Id of the plot beside it; empty where there is none."""


@dataclass(frozen=True, slots=True)
class PlotChoice:
    """A plot that some answer shows."""

    key: str
    plot: ParetoPlot


@dataclass(frozen=True, slots=True)
class Front:
    """The first screen."""

    kinds: tuple[Option, ...]
    choices: tuple[Option, ...]
    limits: tuple[Option, ...]
    properties: tuple[Option, ...]
    answers: tuple[AnswerView, ...]
    plots: tuple[PlotChoice, ...]
    maps: tuple[Heatmap, ...]
    """One for neurons and one for methods, as far as there is anything to show."""

    @property
    def first(self) -> AnswerView:
        """Return the answer that stands there before anything is chosen."""
        return self.answers[0]


def view_front(chooser: Chooser, overall: Mapping[Choice, OverallTable], registry: Registry, sitemap: Sitemap) -> Front:
    """Return the first screen; kinds of data of which most is known come first.

    Parameters
    ----------
    overall : the table over all tasks of neurons and of methods that the maps show.
    """
    order = sorted(KINDS, key=lambda kind: -_known(chooser, kind))
    plots = {one.key: one for choose in CHOICES for kind in order for one in _plots(chooser, kind, choose, sitemap)}
    answers = [
        _answer(chooser, registry, Question(kind, choose, (), ()), limit, wanted, plots)
        for kind in order
        for choose in CHOICES
        for limit in LIMITS
        for wanted in (ANY, *(name for name, meant in PROPERTIES.items() if choose in meant))
    ]
    return Front(
        kinds=tuple(Option(kind, kind, KINDS[kind]) for kind in order),
        choices=tuple(Option(choose, label) for choose, label in CHOICES.items()),
        limits=tuple(Option(name, label) for name, (label, _) in LIMITS.items()),
        properties=(Option(ANY, "any"), *_properties()),
        answers=tuple(answers),
        plots=tuple(plots.values()),
        maps=tuple(heatmap(overall[choose], Traits(registry), sitemap) for choose in CHOICES if choose in overall),
    )


def _properties() -> Iterable[Option]:
    for name, meant in PROPERTIES.items():
        only = "" if len(meant) == len(CHOICES) else next(iter(meant))
        yield Option(name, name, "; ".join(f"a {choose} that {text}" for choose, text in meant.items()), only)


def _known(chooser: Chooser, kind: str) -> int:
    bundle, settings = chooser.bundle(kind, "neuron")
    return sum(len(bundle.values[setting]) for setting in settings) if bundle else 0


def _answer(
    chooser: Chooser,
    registry: Registry,
    base: Question,
    limit: str,
    wanted: str,
    plots: Mapping[str, PlotChoice],
) -> AnswerView:
    asked = LIMITS[limit][1]
    question = replace(
        base,
        limits=(asked,) if asked else (),
        properties=tuple(name for name in PROPERTIES if name == wanted),
    )
    answer = chooser.answer(question)
    drawn = _DRAWN.get(asked.cost if asked else "", "energy")
    fitting = [f"{base.kind}.{base.choose}.{cost}" for cost in (drawn, "energy", "step", "memory")]
    return AnswerView(
        key=".".join((base.kind, base.choose, limit, wanted)),
        sentence=sentence(answer),
        unknown=not_known(answer, registry),
        command=command_of(question),
        plot=next((key for key in fitting if key in plots), ""),
    )


def _plots(chooser: Chooser, kind: str, choose: Choice, sitemap: Sitemap) -> Iterable[PlotChoice]:
    """Yield the plots of the task of a kind that most rows were measured on, one for each cost."""
    bundle, settings = chooser.bundle(kind, choose)
    if bundle is None:
        return
    most: Setting = max(sorted(settings), key=lambda setting: len(bundle.values[setting]))
    table = bundle.tables[most]
    labels = row_labels(table)
    marks = {key: RowMark(label, sitemap.of_axis(choose, key[0]) or "") for key, label in labels.items()}
    found = {plot.id.rpartition("--")[2]: plot for plot in pareto_plots(table, marks)}
    for cost in ("energy", "step", "memory"):
        plot = found.get(RATIOS.get(cost, COSTS[cost]))
        if plot is not None:
            key = f"{kind}.{choose}.{cost}"
            yield PlotChoice(key, replace(plot, id=f"front-{key}", title=f"{plot.title} on {most.label}"))
