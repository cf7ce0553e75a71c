"""What every executor is given and gives back: jobs, a listener, a summary.

Must not know how or where a job is run.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from harness.catalogue.cell import Cell
from harness.measure.neighbours import Load
from harness.results.record import Record, Status

__all__ = ["Job", "Listener", "Summary"]


@dataclass(frozen=True, slots=True)
class Job:
    """A cell to run, and within which limits."""

    cell: Cell
    code_hash: str
    exclusive: bool
    """Whether nothing else may run meanwhile, because it measures time or memory."""
    timeout_seconds: float
    """Hard: the process group is killed."""
    memory_bytes: int
    """Host memory that the cell's processes may hold, the imported libraries (some 0.3 GiB) included."""
    expected_seconds: float = 1.0
    """Guess, for the display's time left."""


class Listener:
    """Told what happens, in the thread of the executor; a subclass overrides what it cares for."""

    def started(self, job: Job) -> None:
        """`job` has its process."""

    def progressed(self, job: Job, fraction: float, note: str) -> None:
        """`job` has come so far (0 to 1) and does what `note` says."""

    def finished(self, job: Job, record: Record) -> None:
        """`job` has ended and its record is in the store."""

    def again(self, job: Job) -> None:
        """`job` was timed too noisily and will be run once more, after all others."""

    def disturbed(self, load: Load) -> None:
        """The machine is not quiet, and timing is about to begin."""

    def noticed(self, what: str) -> None:
        """`what` should be known: a sentence that says why nothing happens, or what there is less of."""


@dataclass(frozen=True, slots=True)
class Summary:
    """How a run went."""

    counts: Mapping[Status, int]
    """Jobs that ended, by the status of their last record."""
    not_started: int = 0
    """Jobs that were still waiting when the run was interrupted."""
    interrupted_by: int | None = None
    """Signal that ended the run: Ctrl-C, or one that a batch system sends; the same command resumes it."""

    @property
    def interrupted(self) -> bool:
        """Whether a signal ended the run."""
        return self.interrupted_by is not None

    @property
    def exit_code(self) -> int:
        """Return what a shell expects of a program that a signal has ended; 0 if none has."""
        return 0 if self.interrupted_by is None else 128 + self.interrupted_by
