"""Which neuron or method to take, for a kind of data and what may be spent: the one place that decides it.

The best estimate among the rows that meet every condition, with those that cannot be told from it, over all tasks of
that kind that half of the rows have, by the rules of the overall boards. Only current figures of one machine, budget
and recipe are put together; tuned ones before others. A row of which a condition is not known is not taken, and is
named as unknown. The terminal and the pages ask here. Must not print.
"""

from __future__ import annotations

import math
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import replace
from typing import Any

from harness.catalogue.boards import BOARDS
from harness.catalogue.cards import Registry
from harness.catalogue.cell import DEFAULT_RECIPE
from harness.catalogue.kinds import kind_of
from harness.results.overall.board import ranked_over, relative_to_baseline
from harness.results.overall.settings import Bundle, Setting, bundles
from harness.results.questions import (
    COSTS,
    PARAMETERS,
    RATIOS,
    UNTRAINED,
    Answer,
    Choice,
    Cost,
    Question,
    has,
    meaning,
    spikes,
)
from harness.results.ranking import Rank
from harness.results.stats import Estimate
from harness.results.table import Table, TableRow

__all__ = ["Chooser"]


class Chooser:
    """Answers questions about a set of tables.

    Parameters
    ----------
    tables : all tables, of every board that is asked.
    registry : what rows and tasks are.
    """

    def __init__(self, tables: Iterable[Table], registry: Registry) -> None:
        self._tables = list(tables)
        self._registry = registry
        self._bundles = {board.axis: bundles(self._tables, board) for board in BOARDS if board.name in _BOARDS.values()}
        self._ranked: dict[tuple[int, tuple[Setting, ...], frozenset[str]], dict[str, Rank]] = {}
        self._shares: dict[tuple[int, tuple[Setting, ...], str], Estimate] = {}
        self._costs_of: dict[tuple[int, Setting, str, str], Estimate | None] = {}

    def bundle(self, kind: str, choose: Choice) -> tuple[Bundle | None, tuple[Setting, ...]]:
        """Return what a question of that kind is answered from: tuned before untuned, then what has most figures."""
        found = []
        for bundle in self._bundles[choose]:
            settings = self._settings(bundle, kind)
            if settings:
                figures = sum(len(bundle.values[setting]) for setting in settings)
                found.append((bundle.recipe != DEFAULT_RECIPE, figures, bundle, settings))
        if not found:
            return None, ()
        _, _, bundle, settings = max(found, key=lambda one: one[:2])
        return bundle, settings

    def widest(self, choose: Choice) -> Bundle | None:
        """Return the bundle that says most over all kinds: tuned before untuned, then what has most figures."""
        found = self._bundles[choose]
        return max(
            found, key=lambda one: (one.recipe != DEFAULT_RECIPE, sum(map(len, one.values.values()))), default=None
        )

    def answer(self, question: Question) -> Answer:
        """Decide."""
        bundle, settings = self.bundle(question.kind, question.choose)
        if bundle is None:
            return Answer(question, None)
        meeting: list[str] = []
        failing: dict[str, str] = {}
        unknown: dict[str, str] = {}
        for name in self._candidates(bundle, settings):
            if not self._spikes(question.choose, name):
                continue
            known, why = self._judged(question, bundle, settings, name)
            if why is None:
                meeting.append(name)
            else:
                (failing if known else unknown)[name] = why
        bare = Answer(question, bundle, settings, failing=failing, unknown=unknown)
        if not meeting:
            return bare
        ranks = self._ranks(bundle, settings, meeting)
        shares = {name: self._share(bundle, settings, name) for name in meeting}
        order = sorted(meeting, key=lambda name: (not ranks[name].tied_with_best, shares[name].value, name))
        winner = order[0]
        tied = tuple(name for name in order[1:] if ranks[name].tied_with_best)
        return replace(
            bare,
            winner=winner,
            relative=shares[winner],
            errors={setting: bundle.values[setting][winner].estimate for setting in settings},
            tied=tied,
            cheapest=self._cheapest(bundle, settings, (winner, *tied)),
            without_spikes=self._without_spikes(question, bundle, settings, shares[winner].value),
            costs=tuple(self._costs(bundle, settings, winner)),
            meeting=tuple(order),
        )

    def cost(self, bundle: Bundle, setting: Setting, name: str, cost: str) -> Estimate | None:
        """Return what a row costs in a setting; None where no current, verified figure says it.

        `cost` is a key of `COSTS`, the parameters, or the key of a column.
        """
        key = (id(bundle), setting, name, cost)
        if key not in self._costs_of:
            self._costs_of[key] = self._read_cost(bundle, setting, name, cost)
        return self._costs_of[key]

    def _read_cost(self, bundle: Bundle, setting: Setting, name: str, cost: str) -> Estimate | None:
        if cost == PARAMETERS:
            value = bundle.values[setting].get(name)
            figure = value.record.metrics.get(PARAMETERS) if value else None
            return None if figure is None else Estimate(figure.value)
        key = COSTS.get(cost, cost)
        for table in self._with_costs(bundle, setting, key):
            for row in table.rows:
                if row.name == name and row.topology == setting.network and (found := _figure(row, key)):
                    return found
        return None

    def _with_costs(self, bundle: Bundle, setting: Setting, key: str) -> Iterable[Table]:
        own = bundle.tables[setting]
        yield own
        if key.startswith(UNTRAINED):
            mine = {axis: value for axis, value in own.group.axes if axis != "recipe"}
            for table in self._tables:
                same = table.board is own.board and table.stands_for(bundle.timed_on) and table is not own
                if same and {axis: value for axis, value in table.group.axes if axis != "recipe"} == mine:
                    yield table

    def _settings(self, bundle: Bundle, kind: str) -> tuple[Setting, ...]:
        tasks = self._registry.tasks
        of_kind = [
            setting
            for setting in bundle.values
            if setting.task in tasks and kind_of(self._registry.task(setting.task)) == kind
        ]
        if not of_kind:
            return ()
        if bundle.board.axis == "method":  # methods are told apart with one neuron and one network at a time
            of_kind = _fullest_of(bundle, of_kind)
        rows = {name for setting in of_kind for name in bundle.values[setting]}
        return tuple(setting for setting in of_kind if 2 * len(bundle.values[setting]) >= len(rows))

    def _candidates(self, bundle: Bundle, settings: Sequence[Setting]) -> list[str]:
        """Return the rows that were tried in any of the settings."""
        had = {name for setting in settings for name in (*bundle.values[setting], *bundle.missing[setting])}
        return sorted(had)

    def _judged(
        self, question: Question, bundle: Bundle, settings: Sequence[Setting], name: str
    ) -> tuple[bool, str | None]:
        """Return whether it is known that a row meets all conditions, and which it does not, or what is not known."""
        row = self._row(question.choose, name)
        for wanted in question.properties:
            if row is None:
                return False, f"whether it {meaning(wanted, question.choose)}"
            if not has(row.capabilities, wanted):
                return True, wanted
        for setting in settings:
            if name not in bundle.values[setting]:
                return False, f"{setting.label}: {bundle.missing[setting].get(name, 'not measured')}"
        for limit in question.limits:
            for setting in settings:
                if limit.of_baseline:
                    spent = self._share_of_baseline(bundle, setting, name, limit.cost)
                else:
                    cost = self.cost(bundle, setting, name, limit.cost)
                    spent = None if cost is None else cost.value
                if spent is None:
                    return False, f"{limit.cost} on {setting.label}"
                if spent > limit.value * (1 + 1e-12):
                    return True, limit.cost
        return True, None

    def _spikes(self, choose: Choice, name: str) -> bool:
        row = self._row(choose, name)
        return row is None or spikes(row.capabilities)

    def _without_spikes(
        self, question: Question, bundle: Bundle, settings: tuple[Setting, ...], best: float
    ) -> tuple[str, float] | None:
        asked = replace(question, properties=tuple(one for one in question.properties if one != "binary"))
        shares = {
            name: self._share(bundle, settings, name).value / best
            for name in self._candidates(bundle, settings)
            if not self._spikes(question.choose, name) and self._judged(asked, bundle, settings, name) == (True, None)
        }
        return min(shares.items(), key=lambda one: one[1], default=None)

    def _row(self, choose: Choice, name: str) -> Any:
        known = self._registry.cell_neurons if choose == "neuron" else self._registry.methods
        return known.get(name)

    def _ranks(self, bundle: Bundle, settings: tuple[Setting, ...], names: Collection[str]) -> dict[str, Rank]:
        key = (id(bundle), settings, frozenset(names))
        if key not in self._ranked:
            self._ranked[key] = ranked_over(bundle, settings, names)
        return self._ranked[key]

    def _share(self, bundle: Bundle, settings: tuple[Setting, ...], name: str) -> Estimate:
        key = (id(bundle), settings, name)
        if key not in self._shares:
            self._shares[key] = relative_to_baseline(bundle, settings, name)
        return self._shares[key]

    def _cheapest(self, bundle: Bundle, settings: Sequence[Setting], names: Sequence[str]) -> str | None:
        energies = {name: self._mean(bundle, settings, name, "energy") for name in names}
        if len(names) < 2 or any(energy is None for energy in energies.values()):
            return None
        return min(names, key=lambda name: energies[name] or math.inf)

    def _mean(self, bundle: Bundle, settings: Sequence[Setting], name: str, cost: str) -> float | None:
        found = [self.cost(bundle, setting, name, cost) for setting in settings]
        values = [one.value for one in found if one is not None and one.value > 0]
        return math.exp(sum(map(math.log, values)) / len(values)) if values and len(values) == len(found) else None

    def _share_of_baseline(self, bundle: Bundle, setting: Setting, name: str, cost: str) -> float | None:
        """Return a row's cost as a share of the baseline's, by the column that tells it best; None if unknown."""
        for column in (RATIOS.get(cost, cost), cost):
            mine, base = (self.cost(bundle, setting, row, column) for row in (name, bundle.board.baseline))
            if mine is not None and base is not None and base.value > 0:
                return mine.value / base.value
        return None

    def _costs(self, bundle: Bundle, settings: Sequence[Setting], name: str) -> Iterable[Cost]:
        for cost in (*COSTS, PARAMETERS):
            found = (self._share_of_baseline(bundle, setting, name, cost) for setting in settings)
            ratios = [ratio for ratio in found if ratio is not None and ratio > 0]
            if ratios:
                yield Cost(cost, math.exp(sum(map(math.log, ratios)) / len(ratios)), len(ratios))


_BOARDS: Mapping[Choice, str] = {"neuron": "neurons", "method": "methods"}


def _figure(row: TableRow, key: str) -> Estimate | None:
    value = row.values.get(key)
    if value is None or not value.standing.ranked or not math.isfinite(value.estimate.value):
        return None
    return value.estimate if row.verified or key.startswith("spikes.") else None


def _fullest_of(bundle: Bundle, settings: Sequence[Setting]) -> list[Setting]:
    """Return the settings of the neuron and network with the most figures."""
    counts: dict[tuple[str, str], int] = {}
    for setting in settings:
        key = (setting.neuron, setting.network)
        counts[key] = counts.get(key, 0) + len(bundle.values[setting])
    most = max(counts, key=lambda key: (counts[key], key))
    return [setting for setting in settings if (setting.neuron, setting.network) == most]
