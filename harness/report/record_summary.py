"""A record in ten lines: what was measured, what came out, how, where and whether it still holds.

Decides nothing, and must not read a store.
"""

from __future__ import annotations

from collections.abc import Iterator

from harness.catalogue.cards import Registry
from harness.catalogue.cell import NOT_APPLICABLE
from harness.report.units import pretty
from harness.results.freshness import Today
from harness.results.record import Metric, Record

__all__ = ["MOST_FIGURES", "summary"]

MOST_FIGURES = 6
"""Figures that the summary names."""


def summary(record: Record, registry: Registry, today: Today) -> str:
    """Return the record in at most ten lines, each with a word at its beginning."""
    lines = [(word, text) for word, text in _lines(record, registry, today) if text]
    width = max(len(word) for word, _ in lines)
    return "\n".join(f"{word:<{width}}  {text}" for word, text in lines)


def _lines(record: Record, registry: Registry, today: Today) -> Iterator[tuple[str, str]]:
    cell, origin = record.cell, record.provenance
    yield "cell", record.cell_id
    yield "asked", f"{cell.suite} of {cell.label}" + (f" on {cell.task}" if cell.task != NOT_APPLICABLE else "")
    yield "training", f"budget {cell.budget}, recipe {cell.recipe}" if cell.budget != NOT_APPLICABLE else ""
    yield "status", record.status + (f": {record.reason}" if record.reason else "")
    yield "figures", _figures(record, registry)
    age = today.of_record(record)
    yield "holds", "yes, today's code" if age.is_current else f"no: {age}"
    parts = (origin.machine.name, f"{origin.threads} threads", cell.device, cell.dtype)
    yield "machine", ", ".join(parts)
    commit = f"commit {origin.commit[:12]}{' with changes' if origin.dirty else ''}" if origin.commit else "no commit"
    yield "measured", f"{origin.started_at}, {pretty(origin.duration_seconds, 'seconds')}, {commit}"
    yield "again", origin.command
    yield "output", record.output_tail[-1] if record.output_tail else ""


def _figures(record: Record, registry: Registry) -> str:
    row = registry.suites.get(record.cell.suite)
    cards = registry.suite(record.cell.suite).metrics if row else {}
    order = [name for name in cards if name in record.metrics] or list(record.metrics)
    shown = [f"{_title(cards, name)} {_said(record.metrics[name])}" for name in order[:MOST_FIGURES]]
    more = len(record.metrics) - len(shown)
    return "; ".join([*shown, *([f"and {more} more"] if more > 0 else [])])


def _title(cards: object, name: str) -> str:
    card = cards.get(name) if isinstance(cards, dict) else None
    return card.title if card is not None else name


def _said(metric: Metric) -> str:
    text = pretty(metric.value, metric.unit)
    if metric.low is None or metric.high is None:
        return text
    return f"{text} ({pretty(metric.low, metric.unit)} to {pretty(metric.high, metric.unit)})"
