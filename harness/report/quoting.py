"""Measured values in prose: a Markdown file says where each comes from, and this fills them in.

``<!-- let sounds = table("neurons", task="fsdd") -->`` names a table; in ``<!--= sounds["lif"].error_fraction -->13.4 %
<!--/-->`` what stands between the marks is replaced. Expressions are jinja2's, in its sandbox: attributes, items,
calls, arithmetic. Must not rank or combine.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from jinja2 import StrictUndefined, Undefined
from jinja2.exceptions import TemplateError
from jinja2.sandbox import SandboxedEnvironment

from harness.errors import UserError
from harness.report.formats import mark_of
from harness.report.units import scale_for, with_interval
from harness.report.words import joined
from harness.results.record import Record
from harness.results.stats import Estimate
from harness.results.table import Table, TableRow, Value
from harness.results.tables import combined_over_seeds
from reference_impls.names import unknown_message

__all__ = ["Quoted", "QuotedTable", "fill_values", "quoted_cell"]

_MARK = re.compile(
    r"<!-- let (?P<name>\w+) = (?P<named>.+?) -->|<!--= (?P<quoted>.+?) -->(?P<shown>.*?)<!--/-->", re.DOTALL
)


@dataclass(frozen=True, slots=True)
class Quoted:
    """A value as prose has it: "13.4 ± 4.3 %"; a quotient of two is a bare number."""

    estimate: Estimate
    unit: str
    mark: str = ""
    """What stands behind a value that may not be ranked: " (noisy)"."""

    def __str__(self) -> str:
        return f"{self.bare} {self._label}".strip() + self.mark

    def __truediv__(self, other: Quoted) -> Quoted:
        return Quoted(Estimate(self.estimate.value / other.estimate.value), "", self.mark or other.mark)

    @property
    def bare(self) -> str:
        """Return it without the unit."""
        return with_interval(self.estimate, scale_for(self.unit, self.estimate.value))

    @property
    def alone(self) -> str:
        """Return it without the interval."""
        return str(Quoted(Estimate(self.estimate.value), self.unit, self.mark))

    @property
    def share(self) -> str:
        """Return a ratio in per cent."""
        return str(Quoted(self.estimate, "fraction", self.mark))

    @property
    def _label(self) -> str:
        label = scale_for(self.unit, self.estimate.value).label
        return "" if label == "x" else label


class QuotedRow:
    """A row of a table, or a cell: its attributes are its metrics."""

    def __init__(self, name: str, values: Mapping[str, Quoted]) -> None:
        self._name, self._values = name, values

    def __getattr__(self, metric: str) -> Quoted:
        if metric.startswith("_"):
            raise AttributeError(metric)
        known = {key.rpartition(".")[2]: value for key, value in self._values.items()}
        if metric not in known:
            raise UserError(unknown_message(f"value of {self._name}", metric, list(known)))
        return known[metric]


class QuotedTable:
    """A ranked table: its items are its rows, by name, or by name and network where several share a name."""

    def __init__(self, table: Table) -> None:
        self._table = table

    def __getitem__(self, name: str) -> QuotedRow:
        named = self._by_name()
        full = {f"{row.name} ({row.topology})": row for row in named.values()}
        known = {**named, **full}
        if name not in known:
            raise UserError(unknown_message(f"row of {self._table.group.label!r}", name, list(known)))
        values = {
            key: Quoted(value.estimate, value.card.unit, mark_of(value)) for key, value in known[name].values.items()
        }
        return QuotedRow(name, values)

    def best(self, metric: str) -> str:
        """Return the names of the rows that are tied with the best in `metric`."""
        return joined(name for name, row in self._by_name().items() if self._of(row, metric, _tied))

    def ties(self, metric: str) -> int:
        """Return how many rows are tied with the best in `metric`."""
        return sum(self._of(row, metric, _tied) for row in self._table.rows)

    def count(self, metric: str) -> int:
        """Return how many rows have a value of `metric`."""
        return sum(self._of(row, metric, lambda _: True) for row in self._table.rows)

    def above(self, metric: str, bound: float) -> int:
        """Return how many rows lie above `bound` with all of their interval."""

        def holds(value: Value) -> bool:
            estimate = value.estimate
            return (estimate.value if estimate.low is None else estimate.low) > bound

        return sum(self._of(row, metric, holds) for row in self._table.rows)

    def least(self, metric: str) -> str:
        """Return value and name of the row with the least `metric`: "9.85 ± 2.37 % (masked-psn)"."""
        return self._in_order(metric)[0]

    def largest(self, metric: str) -> str:
        """Return value and name of the row with the largest `metric`."""
        return self._in_order(metric)[-1]

    def _in_order(self, metric: str) -> list[str]:
        having = {name: self[name] for name, row in self._by_name().items() if self._of(row, metric, lambda _: True)}
        values: dict[str, Quoted] = {name: getattr(row, metric) for name, row in having.items()}
        ordered = sorted(values, key=lambda name: values[name].estimate.value)
        return [f"{values[name]} ({name})" for name in ordered]

    @staticmethod
    def _of(row: TableRow, metric: str, holds: Callable[[Value], bool]) -> bool:
        return any(key.rpartition(".")[2] == metric and holds(value) for key, value in row.values.items())

    def _by_name(self) -> dict[str, TableRow]:
        names = [row.name for row in self._table.rows]
        return {
            row.name if names.count(row.name) == 1 else f"{row.name} ({row.topology})": row
            for row in self._table.rows
            if row.values
        }


def _tied(value: Value) -> bool:
    return value.rank is not None and value.rank.tied_with_best


def quoted_cell(records: Iterable[Record], axes: Mapping[str, str]) -> QuotedRow:
    """Return what was measured of the cells on these axes, seeds combined.

    Raises
    ------
    UserError
        If the axes leave none, or several that differ in more than the seed.
    """
    found = [
        record
        for record in records
        if record.status == "ok" and all(str(record.axes()[axis]) == value for axis, value in axes.items())
    ]
    said = ", ".join(f"{axis} {value}" for axis, value in axes.items())
    kinds = {tuple((axis, value) for axis, value in record.axes().items() if axis != "seed") for record in found}
    if len(kinds) != 1:
        raise UserError(
            f"{len(kinds)} kinds of cell have {said}", "name one: spikeboard run --dry-run shows their axes"
        )
    names = set.intersection(*(set(record.metrics) for record in found))
    values = {
        name: Quoted(combined_over_seeds([record.metrics[name] for record in found]), found[0].metrics[name].unit)
        for name in names
    }
    return QuotedRow(said, values)


def fill_values(text: str, functions: Mapping[str, Any]) -> str:
    """Return `text` with every quoted value computed anew.

    Parameters
    ----------
    text : Markdown.
    functions : what expressions may call: ``table``, ``cell``.

    Raises
    ------
    UserError
        If an expression cannot be evaluated; it is shown.
    """
    environment = SandboxedEnvironment(undefined=StrictUndefined)
    environment.globals.update({**functions, "span": _span})
    parts: list[str] = []
    end = 0
    for mark in _MARK.finditer(text):
        parts.append(text[end : mark.start()])
        end = mark.end()
        if mark["name"]:
            environment.globals[mark["name"]] = _evaluated(environment, mark["named"])
            parts.append(mark[0])
        else:
            value = str(_evaluated(environment, mark["quoted"]))
            parts.append(f"<!--= {mark['quoted']} -->{_folded(value, mark['shown'])}<!--/-->")
    return "".join([*parts, text[end:]])


def _folded(value: str, shown: str) -> str:
    """Return what was shown where only its line breaks differ."""
    return shown if shown.split() == value.split() else value


def _evaluated(environment: SandboxedEnvironment, expression: str) -> Any:
    try:
        value = environment.compile_expression(expression, undefined_to_none=False)()
        if isinstance(value, Undefined):
            str(value)  # raises, and says what is unknown
        return value
    except (TemplateError, TypeError, ZeroDivisionError, IndexError) as error:
        raise UserError(
            f"cannot quote {expression!r}: {error}", "spikeboard fill --help shows what can be quoted"
        ) from error


def _span(*values: Quoted) -> str:
    """Return "0.06 to 0.27 MiB" of the least and the largest of some values of one unit."""
    ordered = sorted(values, key=lambda value: value.estimate.value)
    low, high = Quoted(Estimate(ordered[0].estimate.value), ordered[0].unit), ordered[-1]
    return f"{low} to {high.alone}"
