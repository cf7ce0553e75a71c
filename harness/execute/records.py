"""Makes records of outcomes, whoever ran the cells.

The one place where an outcome meets its provenance. What a cell says of itself is checked here: impossible figures make
it a failure, homes and names of users stay out. Must not know how a cell was run, or where its record goes.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from harness.catalogue.cards import Registry
from harness.catalogue.cell import NOT_APPLICABLE, Cell
from harness.execute.messages import CellOutcome, Setting
from harness.results import provenance
from harness.results.fingerprint import fingerprint
from harness.results.provenance import Origin, this_origin
from harness.results.record import DONE, MEASURED, Provenance, Record, RunnerState
from harness.results.validity import problems_of_metric
from harness.text import redacted

__all__ = ["CellRun", "Recorder"]

IMPOSSIBLE = "impossible_figures"
"""Key of the details that keeps what cannot be a figure."""


@dataclass(frozen=True, slots=True)
class CellRun:
    """When and under which rules a cell ran."""

    started_at: datetime
    duration_seconds: float
    """Start of the process included."""
    setting: Setting | None = None
    """None if the process died before its worker began."""
    runner: RunnerState | None = None
    """The machine right before, where time is measured."""


@dataclass(frozen=True, slots=True)
class Recorder:
    """Makes records from the rows that the plan was made from."""

    registry: Registry
    origin: Origin = field(default_factory=this_origin)

    def record(
        self, cell: Cell, code_hash: str, outcome: CellOutcome, run: CellRun, output_tail: tuple[str, ...] = ()
    ) -> Record:
        """Return the record of `cell`, measured with the code of `code_hash`.

        `output_tail` is what the cell printed last; it is kept for failures.
        """
        outcome = self._possible(cell, outcome)
        failed = outcome.status not in MEASURED | DONE
        return Record(
            cell=cell,
            cell_id=cell.id,
            status=outcome.status,
            metrics=outcome.metrics,
            series=outcome.series,
            predictions=outcome.predictions,
            details=_anonymous(outcome.details),
            reason=outcome.reason and redacted(outcome.reason),
            output_tail=tuple(map(redacted, output_tail)) if failed else (),
            provenance=self._provenance(cell, code_hash, outcome, run),
        )

    def _inputs(self, cell: Cell, code_hash: str) -> Mapping[str, str] | None:
        """Return the inputs that `code_hash` stands for; None if it is not the code of these rows."""
        found = fingerprint(cell, self.registry)
        return dict(found.inputs) if found.code_hash == code_hash else None

    def _possible(self, cell: Cell, outcome: CellOutcome) -> CellOutcome:
        """Return `outcome`, or a failure in its place if one of its figures cannot be true.

        Such figures move, with the reason, to the details: what was measured is not lost, and stands in no table.
        """
        cards = self.registry.suite(cell.suite).metrics
        reasons = {
            name: reason
            for name, metric in outcome.metrics.items()
            for reason in list(problems_of_metric(metric, cards.get(name)))[:1]
        }
        if not reasons:
            return outcome
        figures = {name: f"{outcome.metrics[name].value!r} {reason}" for name, reason in reasons.items()}
        named = "; ".join(f"{name} {reason}" for name, reason in reasons.items())
        changes: dict[str, Any] = {
            "metrics": {name: metric for name, metric in outcome.metrics.items() if name not in reasons},
            "details": {**outcome.details, IMPOSSIBLE: figures},
        }
        if outcome.status in MEASURED:
            changes |= {"status": "error", "reason": f"The suite gave figures that cannot be: {named}."}
        return outcome.model_copy(update=changes)

    def _provenance(self, cell: Cell, code_hash: str, outcome: CellOutcome, run: CellRun) -> Provenance:
        return Provenance(
            spikeboard=self.origin.spikeboard,
            commit=self.origin.commit,
            dirty=self.origin.dirty,
            code_hash=code_hash,
            inputs=self._inputs(cell, code_hash),
            suite_version=self.registry.suite(cell.suite).version,
            task_version=None if cell.task == NOT_APPLICABLE else self.registry.task(cell.task).version,
            clock_version=run.setting and run.setting.clock_version,
            packages=self.origin.packages,
            machine=self.origin.machine,
            threads=cell.threads,
            allocator=run.setting and run.setting.allocator,
            clocks=outcome.clocks,
            gpu=outcome.gpu,
            busy_fraction=outcome.busy_fraction,
            runner=run.runner,
            command=provenance.command(cell),
            started_at=run.started_at.isoformat(timespec="seconds"),
            duration_seconds=run.duration_seconds,
        )


def _anonymous(details: Mapping[str, Any]) -> dict[str, Any]:
    """Return `details` with every text in them redacted."""

    def of(value: Any) -> Any:
        if isinstance(value, str):
            return redacted(value)
        if isinstance(value, Mapping):
            return {key: of(one) for key, one in value.items()}
        return [of(one) for one in value] if isinstance(value, list | tuple) else value

    return {key: of(value) for key, value in details.items()}
