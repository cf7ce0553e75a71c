"""What became of cells, as lines of text, CSV or JSON: one headline a cell, its worst change first.

CSV and JSON carry raw SI values with bounds, one line or object for each metric, for further work. Must not judge.
"""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

from harness.catalogue.cell import NOT_APPLICABLE, Cell
from harness.report.escapes import csv_field
from harness.report.units import scale_for, with_interval
from harness.results.comparison import CellChange, MetricChange
from harness.results.stats import Estimate
from harness.results.unreached import NOT_REACHED, is_cost_of_target
from harness.text import printable

if TYPE_CHECKING:
    import pandas as pd

__all__ = ["BY_NOISE", "CHANGE_FORMATS", "HEADINGS", "changes_to_text", "headline", "name_of"]

HEADINGS = ("verdict", "cell", "what", "before", "after", "change", "also")
QUIET = ("same", "noise")
"""Verdicts of metrics that a headline does not mention."""
BY_NOISE = "†"
"""Stands behind a change that was judged by measured noise."""


def headline(item: CellChange) -> tuple[str, ...]:
    """Return one line for a cell, under `HEADINGS`: a status or a version that decided, else its worst metric."""
    moved = [metric for metric in item.metrics if metric.verdict not in QUIET]
    if item.reason or not item.metrics:
        what, others = (item.reason, item.before, item.after or "no record", ""), moved
    else:
        worst = moved[0] if moved else item.metrics[0]
        what, others = _described(worst), moved[1:]
    also = ", ".join(_short(metric) for metric in others)
    return item.verdict, name_of(item.cell), *what, also


def name_of(cell: Cell) -> str:
    """Return what tells a cell from the others of a store."""
    unusual = [part for part in (cell.device, cell.dtype) if part not in (NOT_APPLICABLE, "cpu", "float32")]
    return " ".join([cell.suite, *([cell.task] if cell.task != NOT_APPLICABLE else []), cell.label, *unusual])


def changes_to_text(items: Sequence[CellChange], name: str) -> str:
    """Return `items` in the format `name`, one of `CHANGE_FORMATS`."""
    return CHANGE_FORMATS[name](items)


def _described(metric: MetricChange) -> tuple[str, str, str, str]:
    scale = scale_for(metric.card.unit, (metric.after or metric.before).value)
    title = metric.card.short or metric.card.title
    after = _lack(metric) if metric.after is None else with_interval(metric.after, scale)
    return (
        f"{title} [{scale.label}]" if scale.label else title,
        with_interval(metric.before, scale),
        after,
        _relative(metric),
    )


def _short(metric: MetricChange) -> str:
    title = metric.card.short or metric.card.title
    return f"{title} {_relative(metric) or _lack(metric)}"


def _lack(metric: MetricChange) -> str:
    """Say what it is to have no value where there was one."""
    return NOT_REACHED if is_cost_of_target(metric.metric) else "missing"


def _relative(metric: MetricChange) -> str:
    if metric.relative is None:
        return ""
    said = f"{metric.relative:+.1%}" if math.isfinite(metric.relative) else "from 0"
    return said if metric.allowed is None else f"{said}{BY_NOISE}"


def _csv(items: Sequence[CellChange]) -> str:
    import pandas as pd

    frame: pd.DataFrame = pd.json_normalize([line for item in items for line in _lines(item)])
    return frame.to_csv(index=False, lineterminator="\n") if items else ""


def _lines(item: CellChange) -> list[dict[str, Any]]:
    """Return one flat object for each metric of a cell, or one without where a status decided."""
    one = _object(item)
    metrics: list[dict[str, Any]] = one.pop("metrics")
    return [{key: csv_field(value) for key, value in (one | metric).items()} for metric in metrics or [{}]]


def _json(items: Sequence[CellChange]) -> str:
    return printable(json.dumps([_object(item) for item in items], indent=1, ensure_ascii=False)) + "\n"


def _object(item: CellChange) -> dict[str, Any]:
    return {
        "verdict": item.verdict,
        "machine": item.machine,
        **asdict(item.cell),
        "status_before": item.before,
        "status_after": item.after,
        "reason": item.reason,
        "metrics": [_metric_object(metric) for metric in item.metrics],
    }


def _metric_object(metric: MetricChange) -> dict[str, Any]:
    finite = metric.relative is not None and math.isfinite(metric.relative)
    return {
        "metric": metric.metric,
        "unit": metric.card.unit,
        "metric_verdict": metric.verdict,
        "before": _estimate_object(metric.before),
        "after": _estimate_object(metric.after),
        "relative_change": metric.relative if finite else None,
        "allowed_by_noise": metric.allowed,
    }


def _estimate_object(estimate: Estimate | None) -> dict[str, Any] | None:
    if estimate is None:
        return None
    return {"value": estimate.value, "low": estimate.low, "high": estimate.high, "n": estimate.n}


CHANGE_FORMATS: Mapping[str, Callable[[Sequence[CellChange]], str]] = {"csv": _csv, "json": _json}
