"""What the end of a process means, for a cell that could not say so itself.

Pure: exit codes and limits in, outcomes out, each with a reason of one plain sentence. Must not know how the
process was started or watched.
"""

from __future__ import annotations

import signal
from collections.abc import Sequence

from harness.execute.messages import CellOutcome

__all__ = [
    "died",
    "gibibytes",
    "interrupted",
    "node_lost",
    "not_importable",
    "not_started",
    "orphaned",
    "over_memory",
    "timed_out",
    "with_escaped",
]

NO_MEMORY = ("std::bad_alloc", "Cannot allocate memory", "MemoryError")
"""What C++ and Python runtimes print last when they abort for want of memory."""


def timed_out(limit_seconds: float) -> CellOutcome:
    """Return the outcome of a cell that was killed at its time limit."""
    return CellOutcome(status="timeout", reason=f"The cell was still running after its limit of {limit_seconds:g} s.")


def over_memory(used_bytes: int, limit_bytes: int) -> CellOutcome:
    """Return the outcome of a cell that was killed because its processes held too much memory."""
    return CellOutcome(
        status="oom",
        reason=f"The cell held {gibibytes(used_bytes)} of memory; its limit is {gibibytes(limit_bytes)}.",
    )


def interrupted() -> CellOutcome:
    """Return the outcome of a cell that was running when the user stopped the run."""
    return CellOutcome(status="interrupted", reason="The run was interrupted while the cell was running.")


def not_importable(module: str, why: str) -> CellOutcome:
    """Return the outcome of a cell whose suite or task cannot be imported without harm to the importing process."""
    return CellOutcome(status="error", reason=f"The module {module} cannot be imported: {why}.")


def orphaned() -> CellOutcome:
    """Return the outcome of a cell whose fork server died."""
    return CellOutcome(status="crashed", reason="The fork server that the cell came from died.")


def node_lost(node: str, times: int) -> CellOutcome:
    """Return the outcome of a cell that has lost the node it ran on, so often that it is not run again."""
    return CellOutcome(
        status="crashed",
        reason=f"The node {node} was lost while the cell ran there, and so were {times - 1} others before it.",
    )


def with_escaped(outcome: CellOutcome, count: int) -> CellOutcome:
    """Return `outcome` with a word of the processes that had got away from all supervision, and were found and killed.

    Cells that end with one server are settled one after the other, so they may be another's: the word blames nobody. A
    result that the cell has given stays what it is.
    """
    if not count or outcome.status == "ok":
        return outcome
    said = f"{outcome.reason or ''} {count} processes that had escaped their supervisor were ended.".strip()
    return outcome.model_copy(update={"reason": said})


def not_started(error: Exception) -> CellOutcome:
    """Return the outcome of a cell for which no process could be made."""
    return CellOutcome(status="crashed", reason=f"No process could be started for the cell: {error!r}.")


def died(exit_code: int, tail: Sequence[str], short_of_memory: bool = False) -> CellOutcome:
    """Return the outcome of a process that ended without giving one.

    Parameters
    ----------
    exit_code : as of :mod:`multiprocessing`: negative for a signal.
    tail : last lines that it printed.
    short_of_memory : whether the system has killed some process meanwhile because memory ran out.
    """
    if exit_code == -signal.SIGKILL and short_of_memory:
        return CellOutcome(status="oom", reason="The system killed the process because memory ran out.")
    if exit_code == -signal.SIGABRT and any(mark in line for line in tail[-5:] for mark in NO_MEMORY):
        return CellOutcome(status="oom", reason="The process aborted because it could not allocate memory.")
    if exit_code >= 0:
        reason = f"The process ended with exit code {exit_code} before it gave a result."
    else:
        reason = f"The process was killed by {_signal_name(-exit_code)}"
        # Nobody here sends a signal without having said why.
        reason += ", as the system does when memory runs out." if exit_code == -signal.SIGKILL else "."
    return CellOutcome(status="crashed", reason=reason)


def gibibytes(count: int) -> str:
    """Return a number of bytes as people read it."""
    return f"{count / 2**30:.2f} GiB"


def _signal_name(number: int) -> str:
    try:
        name = signal.Signals(number).name
    except ValueError:
        return f"signal {number}"
    return f"{name} ({signal.strsignal(number)})"
