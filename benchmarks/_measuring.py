"""Runs the tracked cells of a suite in our own pool, once per commit, and looks figures up for asv.

asv starts a process for every figure; all of them read what one ``setup_cache`` has measured. Light at the top: only
the process that measures imports more than names.
"""

from __future__ import annotations

import os
import sys
import tempfile
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar

from asv_runner.benchmarks.mark import SkipNotImplemented

from harness.asv.series import (
    PARAMETER,
    SELECTION_VARIABLE,
    SeriesSamples,
    current_version,
    reported,
    selected,
    tracked_cells,
)
from harness.defaults import DEVICE_VARIABLE

if TYPE_CHECKING:
    from harness.catalogue.cards import Registry
    from harness.catalogue.cell import Cell
    from harness.execute.where import Where
    from harness.results.record import Record

Figures = dict[str, float | SeriesSamples | None]
Measured = dict[str, Figures | str]
"""For each series that could be run its figures, or the reason of its failure. Plain, because asv pickles it."""


def unit(name: str) -> Callable[[Callable[..., Any]], Callable[..., Any]]:
    """Say in which unit a ``track_*`` method answers; asv scales only seconds and bytes."""

    def mark(function: Callable[..., Any]) -> Callable[..., Any]:
        function.unit = name  # type: ignore[attr-defined]
        return function

    return mark


class _Tracked:
    """Figures of one suite; a subclass names it, has a ``track_*`` for each figure, and its own ``setup_cache``.

    asv keys a cache by the line of the function that fills it: an inherited one would be shared between suites.
    """

    params: ClassVar[list[list[str]]]
    version: ClassVar[str]
    param_names = (PARAMETER,)
    timeout = 3600
    """Of a whole suite; each cell has its own limit, much shorter."""

    def __init_subclass__(cls, suite: str) -> None:
        cls.params = [list(tracked_cells(suite))]
        cls.version = current_version(suite)

    def figure(self, measured: Measured, label: str, metric: str) -> float | SeriesSamples | None:
        """Return a figure of a series, or None if it failed; skip one that the commit lacks or nobody asked for."""
        figures = measured.get(label, {})
        if isinstance(figures, str):
            print(f"{label}: {figures}", file=sys.stderr)
            return None
        if metric not in figures:
            raise SkipNotImplemented(f"{label}: no {metric} in this commit, or not selected")
        return figures[metric]


def measure(suite: str) -> Measured:
    """Run the tracked cells of `suite` with the implementations of the installed commit."""
    from harness.catalogue.loading import load_registry
    from harness.execute.jobs import jobs_of
    from harness.execute.where import Where
    from harness.planning.plan import plan_cells
    from harness.results.store import Store

    registry = load_registry()
    where = Where(os.environ.get(DEVICE_VARIABLE) or "cpu")
    cells = _present(suite, registry, where)
    with tempfile.TemporaryDirectory(prefix="spikeboard-asv-") as folder:
        store = Store(Path(folder))
        # By its own name: asv runs this file with older commits, too.
        with where.executor_for(store, registry=registry) as pool:
            pool.run(jobs_of(plan_cells(cells.values(), registry), registry))
        records = {record.cell: record for record in store.read().records}
    return {label: _figures(records.get(cell)) for label, cell in cells.items()}


def _present(suite: str, registry: Registry, where: Where) -> dict[str, Cell]:
    """Map the selected series of the device that this commit can run to their cells."""
    from harness.catalogue.compatibility import why_unsupported

    threads = where.cores() if registry.suite(suite).exclusive else 1
    tracked = {
        label: replace(cell, threads=threads)
        for label, cell in tracked_cells(suite).items()
        if cell.device == where.kind
    }
    patterns = os.environ.get(SELECTION_VARIABLE, "").split(",")
    return {
        label: cell
        for label in selected(tracked, [pattern for pattern in patterns if pattern])
        if (cell := tracked[label]).neuron in registry.neurons
        and cell.method in registry.methods
        and why_unsupported(cell, registry) is None
    }


def _figures(record: Record | None) -> Figures | str:
    if record is None:
        return "interrupted: the run ended without a record"
    if record.status not in ("ok", "noisy"):
        return f"{record.status}: {record.reason}"
    # What was timed too noisily is no alarm, nor a failure: asv takes it for not measured.
    metrics = {name: metric for name, metric in record.metrics.items() if record.status == "ok" or metric.exact}
    return {name: reported(metric.value, metric.samples) for name, metric in metrics.items()}
