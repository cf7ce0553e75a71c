"""Shows a run while it happens: a bar for everything, a line for each running cell, a line for each that ended.

Where the output is no terminal, only the lines of ended cells are printed, with the time that is left. A listener: it
decides nothing.
"""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Mapping, Sequence
from types import TracebackType
from typing import Self, TextIO, cast

from rich.progress import BarColumn, Progress, ProgressColumn, Task, TaskID, TextColumn, TimeElapsedColumn
from rich.table import Column
from rich.text import Text

from harness.catalogue.cell import NOT_APPLICABLE, Cell
from harness.execute.job import Job, Listener
from harness.measure.neighbours import Load
from harness.results.record import DONE, MEASURED, Record, Status
from harness.streams import Lasting
from harness.terminal import Console, is_quiet

__all__ = ["Display", "is_failure"]

STYLES: Mapping[Status, str] = {
    "ok": "green",
    "noisy": "yellow",
    "unsupported": "dim",
    "diverged": "magenta",
    "interrupted": "yellow",
    "timeout": "red",
    "oom": "red",
    "crashed": "bold red",
    "error": "red",
}
BROKEN = "broken"
"""Said of a contract that is not kept: the cell ran, and that is its answer."""
REFRESHES_PER_SECOND = 2
"""Drawing takes processor time from what is being measured beside it."""


class Display(Listener):
    """Progress of `jobs`, inside a ``with`` block.

    Parameters
    ----------
    jobs : all that will run; their expected durations weigh the time left.
    console : where to draw; None: standard output.
    worth_a_line : whether a cell that ended gets a line of its own; None: all of them, or those that failed if the
        command is to be quiet.
    """

    def __init__(
        self,
        jobs: Sequence[Job],
        console: Console | None = None,
        worth_a_line: Callable[[Record], bool] | None = None,
    ) -> None:
        self._worth_a_line = worth_a_line or (is_failure if is_quiet() else lambda _record: True)
        # Nobody need listen: what is being measured goes on.
        self._console = console or Console(file=cast("TextIO", Lasting(sys.stdout)))
        self._total = len(jobs)
        self._done = 0
        self._expected_seconds = sum(job.expected_seconds for job in jobs)
        self._finished_seconds = 0.0
        self._fractions: dict[Job, float] = {}
        self._lines: dict[Job, TaskID] = {}
        self._progress = Progress(
            TextColumn("{task.description}", markup=False, table_column=Column(no_wrap=True)),
            BarColumn(bar_width=24),
            TextColumn("{task.percentage:>3.0f}%"),
            TimeElapsedColumn(),
            _Note(table_column=Column(no_wrap=True, ratio=1)),
            console=self._console,
            refresh_per_second=REFRESHES_PER_SECOND,
            expand=True,
            transient=True,
            disable=not self._console.is_terminal or is_quiet(),
        )
        self._expected_end: float | None = None
        self._overall = self._progress.add_task("all cells", total=1.0, note=self._overall_note)

    def __enter__(self) -> Self:
        self._progress.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._progress.stop()

    def started(self, job: Job) -> None:
        """Show a line for the cell."""
        self._fractions[job] = 0.0
        self._lines[job] = self._progress.add_task(_title(job.cell), total=1.0, note="starting")

    def progressed(self, job: Job, fraction: float, note: str) -> None:
        """Move the cell's bar."""
        self._fractions[job] = fraction
        self._progress.update(self._lines[job], completed=fraction, note=note)
        self._update_overall()

    def finished(self, job: Job, record: Record) -> None:
        """Replace the cell's line by how it ended."""
        self._done += 1
        self._finished_seconds += job.expected_seconds
        self._fractions.pop(job, None)
        if job in self._lines:
            self._progress.remove_task(self._lines.pop(job))
        self._update_overall()
        if self._worth_a_line(record):
            self._console.print(self._line(job, record), soft_wrap=True)

    def again(self, job: Job) -> None:
        """Count a cell that is run once more."""
        self._total += 1
        self._expected_seconds += job.expected_seconds
        self._update_overall()

    def disturbed(self, load: Load) -> None:
        """Say that timings will suffer."""
        said = f"The machine is not quiet: {load}. What is timed meanwhile is noisy and not ranked."
        self._console.print(Text(said, "yellow"), soft_wrap=True)

    def noticed(self, what: str) -> None:
        """Say it."""
        self._console.print(Text(what, "yellow"), soft_wrap=True)

    def _line(self, job: Job, record: Record) -> Text:
        width = len(str(self._total))
        line = Text(f"[{self._done:>{width}}/{self._total}] ")
        status, style = (BROKEN, STYLES["error"]) if _is_broken(record) else (record.status, STYLES[record.status])
        line.append(f"{status:<11} ", style)
        line.append(f"{_title(job.cell)}  {record.provenance.duration_seconds:.1f} s")
        if record.reason is not None:
            line.append(f"  {record.reason}", "dim")
        if not self._console.is_terminal and (left := self._time_left()):
            line.append(f"  ({left})")
        return line

    def _update_overall(self) -> None:
        """Guess the end, taking it that what is to come is as much off its estimate as what was."""
        overall, *_ = self._progress.tasks
        fraction, elapsed = self.fraction, overall.elapsed
        if fraction > 0 and elapsed is not None:
            self._expected_end = time.monotonic() + elapsed * (1 - fraction) / fraction
        self._progress.update(self._overall, completed=fraction)

    @property
    def fraction(self) -> float:
        """How much of the expected work is done."""
        running = sum(job.expected_seconds * fraction for job, fraction in self._fractions.items())
        return (self._finished_seconds + running) / self._expected_seconds if self._expected_seconds else 1.0

    def _overall_note(self) -> str:
        return ", ".join(filter(None, (f"{self._done} of {self._total} cells", self._time_left())))

    def _time_left(self) -> str:
        """Say when the end is expected; nothing where that is not known, or now."""
        left = 0 if self._expected_end is None else round(self._expected_end - time.monotonic())
        return f"about {_duration(left)} left" if left > 0 else ""


class _Note(ProgressColumn):
    """What a line says at its end; a callable is asked at each refresh, in the display's thread."""

    def render(self, task: Task) -> Text:
        note = task.fields["note"]
        return Text(note() if callable(note) else note, style="dim")


def is_failure(record: Record) -> bool:
    """Whether a cell gave no figure for a reason of its own, or answers that something is broken."""
    return record.status not in DONE | MEASURED or _is_broken(record)


def _is_broken(record: Record) -> bool:
    """Whether it answers, as a cell of the gate does, that a contract is broken."""
    broken = record.metrics.get("failed_checks")
    return broken is not None and broken.value > 0


def _title(cell: Cell) -> str:
    return " ".join(part for part in (cell.suite, cell.task, cell.label) if part != NOT_APPLICABLE)


def _duration(seconds: int) -> str:
    minutes, rest = divmod(seconds, 60)
    hours, minutes = divmod(minutes, 60)
    if hours:
        return f"{hours} h {minutes:02} min"
    return f"{minutes} min {rest:02} s" if minutes else f"{rest} s"
