"""Measures cells from a script as ``spikeboard run`` does: in processes of their own, with records. Must not rank."""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from harness.catalogue.cards import Registry
from harness.catalogue.cell import Cell
from harness.catalogue.loading import load_registry
from harness.catalogue.presets import find_preset
from harness.data import data_root as resolve_root
from harness.data import data_set
from harness.execute.job import Job, Listener, Summary
from harness.execute.jobs import jobs_of
from harness.execute.where import Where
from harness.paths import RUNS, SCRATCH, by_default
from harness.planning.plan import Filters, Plan, make_plan, plan_cells
from harness.results.index import history_in, select
from harness.results.record import Record
from harness.results.selection import newest
from harness.results.store import Store
from spikeboard.records import frame_of

if TYPE_CHECKING:
    import pandas as pd

__all__ = ["CellsRun", "run_cells"]

Names = str | Sequence[str]


@dataclass(frozen=True)
class CellsRun:
    """What came of a call of `run_cells`."""

    records: tuple[Record, ...]
    """The newest of every cell that was asked for: measured now, or before."""
    summary: Summary
    """How many cells ended in which way now."""
    impossible: tuple[str, ...] = ()
    """Sentences that say which combinations there cannot be."""
    missing_data: dict[str, int] = field(default_factory=dict)
    """Data set -> number of cells that wait for it."""

    def to_pandas(self) -> pd.DataFrame:
        """Return the records as `load_records` does."""
        return frame_of(self.records)


def run_cells(
    cells: Iterable[Cell] | None = None,
    *,
    preset: str | None = None,
    suite: Names = (),
    task: Names = (),
    neuron: Names = (),
    method: Names = (),
    topology: Names = (),
    backend: Names = (),
    seed: int | Sequence[int] = (),
    budget: str | None = None,
    recipe: Names = (),
    device: str = "cpu",
    executor: str = "local",
    address: str | None = None,
    store: str | Path | None = None,
    data_root: str | Path | None = None,
    slots: int | None = None,
    memory_bytes: int | None = None,
    timeout_factor: float = 1.0,
    again: bool = False,
    progress: Callable[[str], None] | None = None,
) -> CellsRun:
    """Measure cells that have not been measured yet, and return their records.

    Every cell runs in a process of its own within hard limits; a failure is a record with its reason.

    Parameters
    ----------
    cells : exactly these; None: those of `preset` (or every combination) that the names below choose.
    preset : ``smoke``, ``quick``, ...; None: every combination, with the `budget`.
    suite, task, neuron, method, topology, backend, seed : names or patterns, one or several; empty: all.
    budget : training budget; None: the preset's, or ``quick``.
    recipe : hyper-parameters, ``default`` or ``tuned``; empty: the preset's.
    device : ``cpu``, ``cuda`` (the first GPU), ``cuda:0,cuda:3`` or ``cuda:all``.
    executor, address : ``local``: this machine; ``ray``: the nodes of the Ray cluster at that address.
    store : folder that records go to; None: ``reports/runs``.
    data_root : folder of data sets; None: the default places.
    slots : cells side by side; None: physical cores.
    memory_bytes : that a cell may take; None: 80 % of the machine's.
    timeout_factor : multiplies every suite's time limit.
    again : measure what is done already once more.
    progress : called with a line for each cell that has ended; None: silence.

    Raises
    ------
    UserError
        If a name is not known, or nothing is left to measure by these names.

    Notes
    -----
    What is planned is what ``spikeboard run`` plans: work on a row brings its contract's cell along, which verifies the
    row. Cells given as such are measured as they are.
    """
    where = Where(device, executor, address)
    registry, machine = load_registry(), where.machine()
    target, root = Store(Path(store) if store is not None else by_default(RUNS)), resolve_root(_path(data_root))
    if cells is not None:
        chosen = tuple(cells)
        plan = Plan(tuple(plan_cells(chosen, registry)), (), (), {})
    else:
        names = {
            "suite": suite,
            "task": task,
            "neuron": neuron,
            "method": method,
            "topology": topology,
            "recipe": recipe,
        }
        filters = Filters(
            **{axis: _several(value) for axis, value in names.items()},
            backend=_several(backend),
            seed=(seed,) if isinstance(seed, int) else tuple(seed),
        )
        plan = make_plan(
            registry,
            target,
            machine.name,
            preset=find_preset(preset) if preset is not None else None,
            budget=budget,
            filters=filters,
            device=where.kind,
            cores=where.cores(),
            data_present=functools.cache(lambda data: data_set(data).find(root).present),
            history=history_in([target.root]),
            again=again,
        )
    jobs = jobs_of(plan.todo, registry, machine=machine, memory_bytes=memory_bytes, timeout_factor=timeout_factor)
    where = where.for_cells(job.cell for job in jobs)
    summary = _measured(where, jobs, registry, target, root, slots, progress)
    wanted = {one.cell.id for one in plan.todo} | {cell.id for cell in plan.done}
    found = (record for record in select([target.root]).records if record.cell_id in wanted)
    records = newest(record for record in found if record.provenance.machine.name == machine.name)
    sentences = tuple(dict.fromkeys(one.reason for one in plan.impossible))
    return CellsRun(tuple(records), summary, sentences, dict(plan.missing))


def _measured(
    where: Where,
    jobs: list[Job],
    registry: Registry,
    store: Store,
    root: Path,
    slots: int | None,
    progress: Callable[[str], None] | None,
) -> Summary:
    if not jobs:
        return Summary({})
    backends = [job.cell.backend for job in jobs]
    with where.executor_for(store, root, by_default(SCRATCH), slots, registry, backends=backends) as run_by:
        return run_by.run(jobs, _Told(progress))


class _Told(Listener):
    """Says which cell has ended, and how."""

    def __init__(self, progress: Callable[[str], None] | None) -> None:
        self._progress = progress

    def finished(self, job: Job, record: Record) -> None:
        """Say so."""
        if self._progress is not None:
            cell = job.cell
            reason = f": {record.reason}" if record.reason else ""
            self._progress(f"{record.status} {cell.suite} {cell.task} {cell.label} ({cell.id}){reason}")


def _several(names: Names) -> tuple[str, ...]:
    return (names,) if isinstance(names, str) else tuple(names)


def _path(path: str | Path | None) -> Path | None:
    return None if path is None else Path(path)
