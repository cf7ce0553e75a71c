"""How a candidate is tried: its cells run like any others, in processes of their own, and are kept as records.

A candidate that was trained before, by any search, is not trained again while the code is the same. Must not know how
candidates are chosen; must not import torch.
"""

from __future__ import annotations

import statistics
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace

from harness.catalogue.cards import Registry, Row
from harness.catalogue.cell import Cell
from harness.errors import UserError
from harness.execute.executor import Executor
from harness.execute.job import Job, Listener
from harness.execute.jobs import jobs_of
from harness.planning.plan import plan_cells
from harness.results.fingerprint import code_hash
from harness.results.machine import Machine
from harness.results.record import Record
from harness.results.store import Store, read_record
from harness.search.space import Candidate, candidate_from_code, code_of

__all__ = ["Evaluation", "Evaluator", "candidate_row", "details", "with_candidates", "with_named"]


@dataclass(frozen=True, slots=True)
class Evaluation:
    """What the cells of a candidate gave, one a seed."""

    records: tuple[Record, ...]
    interrupted: bool = False

    @property
    def failure(self) -> Record | None:
        """Return the first record without figures, or None if there is none."""
        return next((record for record in self.records if record.status != "ok"), None)

    def figures(self, metric: str) -> tuple[float, ...]:
        """Return a figure of every seed."""
        return tuple(record.metrics[metric].value for record in self.records)

    def mean(self, metric: str) -> float:
        """Return the mean of a figure over the seeds."""
        return statistics.fmean(self.figures(metric))


def candidate_row(base: Row, candidate: Candidate) -> Row:
    """Return the row of a topology with the skips of `candidate`."""
    code = code_of(candidate)
    return replace(
        base, name=f"{base.name}[{code}]", title=f"{base.title}: {code}", params={**base.params, "skips": candidate}
    )


def with_candidates(registry: Registry) -> Registry:
    """Return `rows` whose topologies are a dict of their own, which an `Evaluator` adds candidates to."""
    return replace(registry, topologies=dict(registry.topologies))


def with_named(registry: Registry, names: Iterable[str]) -> Registry:
    """Return `rows` with a row for each candidate among the topologies `names`, such as ``skip-mlp[1-2]``.

    Raises
    ------
    UserError
        If the brackets hold no wiring.
    """
    named: dict[str, Row] = {}
    for name in names:
        stem, bracket, code = name.removesuffix("]").partition("[")
        base = registry.topologies.get(stem)
        if base is not None and "skips" in base.params and bracket and name.endswith("]"):
            try:
                named[name] = candidate_row(base, candidate_from_code(code))
            except ValueError as error:
                raise UserError(f"topology {name!r}: {error}", "blocks are parted by a dash: skip-mlp[1-2]") from error
    return replace(registry, topologies={**registry.topologies, **named})


class Evaluator(Listener):
    """Runs candidates on an executor.

    Parameters
    ----------
    executor : open; its rows are those of `with_candidates`.
    cell : what is run, but for topology and seed.
    machine : that runs them.
    progress : told what is being trained, and how far that is.
    """

    def __init__(self, executor: Executor, cell: Cell, machine: Machine, progress: Callable[[str], None]) -> None:
        self._executor = executor
        self._registry = executor.recorder.registry
        self._cell = cell
        self._machine = machine
        self._progress = progress
        self._finished: dict[Cell, Record] = {}

    def run(self, candidate: Candidate, budget: str, seeds: Sequence[int]) -> Evaluation:
        """Train the candidate from each seed, or read what an earlier training of it gave."""
        row = candidate_row(self._registry.topologies[self._cell.topology], candidate)
        assert isinstance(self._registry.topologies, dict)
        self._registry.topologies[row.name] = row
        cells = [replace(self._cell, topology=row.name, budget=budget, seed=seed) for seed in seeds]
        code = code_hash(cells[0], self._registry)
        records: dict[Cell, Record] = {}
        for cell in cells:
            known = self._known(self._executor.store, cell, code)
            if known is not None:
                records[cell] = known
        self._finished.clear()
        planned = plan_cells((cell for cell in cells if cell not in records), self._registry)
        summary = self._executor.run(jobs_of(planned, self._registry, machine=self._machine), self)
        records |= self._finished
        return Evaluation(tuple(records[cell] for cell in cells if cell in records), summary.interrupted)

    def progressed(self, job: Job, fraction: float, note: str) -> None:  # noqa: ARG002
        """Pass on what is being done."""
        self._progress(f"{job.cell.label}: {note}")

    def finished(self, job: Job, record: Record) -> None:
        """Keep the record of a cell that has ended."""
        self._finished[job.cell] = record

    def _known(self, store: Store, cell: Cell, code: str) -> Record | None:
        path = store.path(cell, self._machine.name, code)
        found = read_record(path) if path.exists() else None
        return found if isinstance(found, Record) else None


def details(evaluation: Evaluation) -> Mapping[str, float]:
    """Return what is told of an evaluation beside its value."""
    return {
        "parameters": evaluation.mean("parameters"),
        "seconds": sum(record.provenance.duration_seconds for record in evaluation.records),
    }
