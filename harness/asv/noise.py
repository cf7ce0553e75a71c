"""How far runs of the same code are apart, for each series and machine: made of records, kept as a file in git.

One line for each figure, in the order of names, so that a difference of two versions reads well. A spread holds for one
version of suite and clock, as points of a series do. Must not know how runs are made, nor what becomes of a series.
"""

from __future__ import annotations

import json
import statistics
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from harness.asv.points import SeriesPoint, Value, points_of
from harness.asv.series import current_version, series_label
from harness.catalogue.cards import MetricCard, Registry
from harness.catalogue.cell import Cell
from harness.errors import UserError
from harness.results.files import read_regular
from harness.results.record import Record
from harness.results.steps import Noise, StepRule, noise_of
from harness.text import inside, slug
from harness.writing import write_whole

__all__ = [
    "Spread",
    "SpreadKey",
    "is_current",
    "is_noisy",
    "merge",
    "noise_lookup",
    "read_noise",
    "spreads_of",
    "write_noise",
]

NOISY_UNITS = frozenset(
    {
        *("seconds", "seconds per time step", "ratio", "bytes"),
        *("neuron-steps per second", "samples per second", "bytes per second"),
    }
)
"""Units of figures that differ from run to run although seed and code are the same."""
LARGEST_BYTES = 64 << 20
HALF_WIDTHS_OF_95 = 1.959964
"""Standard deviations in half of a 95 % interval."""

SpreadKey = tuple[str, str, str, str]
"""Machine, suite, metric, label."""


class Spread(BaseModel):
    """The noise of one figure of one series on one machine."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    suite: str
    metric: str
    label: str
    """Of the series, as on asv's graphs."""
    machine: str
    """Its name as asv has it."""
    version: str
    """Of suite and clock: a spread of another version says nothing of this one."""
    between: float = Field(ge=0, allow_inf_nan=False)
    """Standard deviation between runs, as a fraction: of the logarithms of their figures."""
    within: float | None = Field(default=None, ge=0, allow_inf_nan=False)
    """What the runs' own intervals say of one of them, as a fraction: median of their standard errors; None without."""
    runs: int = Field(ge=2)
    value: float = Field(gt=0, allow_inf_nan=False)
    """Geometric mean of the figures."""
    lowest: float = Field(gt=0, allow_inf_nan=False)
    highest: float = Field(gt=0, allow_inf_nan=False)
    commit: str
    """That was run."""
    judged_from: str
    """The commit of the first calibration: what changed before it was never judged by a measured spread."""
    first: str
    """When the first and the last of the runs began."""
    last: str
    python: str
    packages: Mapping[str, str]
    """Those that start a new line on a graph."""

    @property
    def key(self) -> SpreadKey:
        """Return what it is the noise of."""
        return self.machine, self.suite, self.metric, self.label

    @property
    def noise(self) -> Noise:
        """Return it as the rule of steps wants it."""
        return Noise(self.between, self.runs)

    @property
    def rule(self) -> StepRule:
        """Return the rule that follows from it."""
        return StepRule(self.noise)


def is_noisy(card: MetricCard) -> bool:
    """Whether a figure is one that runs of the same code disagree about; exact ones need no calibration."""
    return card.judged and not card.exact and card.unit in NOISY_UNITS


@dataclass(slots=True)
class _Runs:
    """The runs of one figure."""

    point: SeriesPoint
    values: list[float]
    widths: list[float]
    moments: list[str]


def spreads_of(runs: Sequence[Iterable[Record]], registry: Registry) -> list[Spread]:
    """Return the spread of every figure that enough of `runs` have for one, in the order of names.

    Parameters
    ----------
    runs : the records of each run of the same commit; noisy ones and failures do not count, as on graphs.
    registry : says which figures are noisy.
    """
    found: dict[SeriesPoint, _Runs] = {}
    for records in runs:
        known = list(records)
        widths, moments = _half_widths(known), [record.provenance.started_at for record in known]
        for point, value in points_of(known, registry, lambda _: 0).values.items():
            figure = _figure(value)
            if figure is not None and is_noisy(registry.suite(point.suite).metrics[point.metric]):
                one = found.setdefault(point, _Runs(point, [], [], []))
                one.values.append(figure)
                one.widths += widths[point.suite, point.metric, point.label]
                one.moments.append(min(moments))
    made = (_spread(one) for one in found.values())
    return sorted((spread for spread in made if spread is not None), key=lambda one: one.key)


def _figure(value: Value) -> float | None:
    """Return what asv would show of a value; None for what has no logarithm."""
    figure = statistics.median(value["samples"]) if isinstance(value, dict) else value
    return figure if figure is not None and figure > 0 else None


def _half_widths(records: Iterable[Record]) -> Mapping[tuple[str, str, str], list[float]]:
    """Return the relative standard error of every figure that has an interval, by suite, metric and label."""
    found: dict[tuple[str, str, str], list[float]] = defaultdict(list)
    for record in records:
        label = series_label(record.cell, record.provenance.task_version or 1)
        for name, metric in record.metrics.items():
            if metric.low is not None and metric.high is not None and metric.value > 0 and record.status == "ok":
                width = (metric.high - metric.low) / 2 / HALF_WIDTHS_OF_95 / metric.value
                found[record.cell.suite, name, label].append(width)
    return found


def _spread(runs: _Runs) -> Spread | None:
    noise = noise_of(runs.values)
    if noise is None:
        return None
    point, line = runs.point, runs.point.line
    return Spread(
        suite=point.suite,
        metric=point.metric,
        label=point.label,
        machine=line.machine,
        version=current_version(point.suite),
        between=_short(noise.between),
        within=_short(statistics.median(runs.widths)) if runs.widths else None,
        runs=noise.runs,
        value=_short(float(np.exp(np.log(runs.values).mean()))),
        lowest=_short(min(runs.values)),
        highest=_short(max(runs.values)),
        commit=point.commit,
        judged_from=point.commit,
        first=min(runs.moments),
        last=max(runs.moments),
        python=line.python,
        packages=dict(line.packages),
    )


def _short(value: float) -> float:
    """Return `value` as far as anybody needs it, so that a file reads well."""
    return float(f"{value:.6g}")


def merge(known: Iterable[Spread], measured: Iterable[Spread]) -> list[Spread]:
    """Return `known` with what was `measured` in place of what it replaces, judged from the same commit as ever."""
    merged = {spread.key: spread for spread in known}
    for spread in measured:
        before = merged.get(spread.key)
        keeps = before is not None and before.version == spread.version
        merged[spread.key] = (
            spread.model_copy(update={"judged_from": before.judged_from}) if before and keeps else spread
        )
    return [merged[key] for key in sorted(merged)]


def noise_file(folder: Path, machine: str) -> Path:
    """Return where the noise of a machine lies below `folder`."""
    return inside(folder, f"{slug(machine)}.jsonl")


def write_noise(folder: Path, spreads: Sequence[Spread]) -> list[Path]:
    """Write `spreads` as the files of their machines, a line for each figure; return the files."""
    by_machine: dict[str, list[Spread]] = defaultdict(list)
    for spread in sorted(spreads, key=lambda one: one.key):
        by_machine[spread.machine].append(spread)
    written = {noise_file(folder, machine): "".join(map(_line, some)) for machine, some in by_machine.items()}
    for path, text in written.items():
        write_whole(path, text)
    return list(written)


def _line(spread: Spread) -> str:
    return json.dumps(spread.model_dump()) + "\n"


def read_noise(folder: Path) -> list[Spread]:
    """Return every spread in the files of `folder`; none if there is no such folder.

    Raises
    ------
    UserError
        If a file cannot be read, or has a line that is none: a threshold must not depend on a file that is half there.
    """
    return [spread for path in sorted(folder.glob("*.jsonl")) for spread in _read(path)]


def _read(path: Path) -> Iterator[Spread]:
    try:
        lines = read_regular(path, LARGEST_BYTES).decode("utf-8").splitlines()
    except (OSError, ValueError) as error:
        raise UserError(f"{path} cannot be read: {error}", "restore it with git, or delete it") from error
    for number, line in enumerate(lines, start=1):
        try:
            yield Spread.model_validate_json(line)
        except ValidationError as error:
            first = error.errors()[0]
            where = ".".join(map(str, first["loc"])) or "the line"
            raise UserError(
                f"{path}, line {number}: {where}: {first['msg']}",
                "restore it with git, or delete the line and calibrate again: spikeboard calibrate",
            ) from error


def noise_lookup(spreads: Iterable[Spread]) -> Callable[[str, Cell, int, str], Noise | None]:
    """Return what tells the noise of a figure of one run: asked with machine, cell, version of the task and metric.

    A spread of another version of suite or clock is not told.
    """
    known = {spread.key: spread for spread in spreads if is_current(spread)}

    def look_up(machine: str, cell: Cell, task_version: int, metric: str) -> Noise | None:
        spread = known.get((slug(machine), cell.suite, metric, series_label(cell, task_version)))
        return None if spread is None else spread.noise

    return look_up


def is_current(spread: Spread) -> bool:
    """Whether a spread is of today's suite and clock."""
    try:
        return spread.version == current_version(spread.suite)
    except OSError:  # a suite that is gone, or of another package
        return False
