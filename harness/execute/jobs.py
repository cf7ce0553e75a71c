"""A plan becomes jobs for a pool: the one place that says within which limits a cell runs, whoever planned it.

Must not know how or where a job is run.
"""

from __future__ import annotations

from collections.abc import Iterable

from harness.catalogue.cards import Registry
from harness.execute.job import Job
from harness.planning.plan import PlannedCell
from harness.results.fingerprint import code_hash
from harness.results.machine import this_machine
from harness.results.record import Machine

__all__ = ["jobs_of"]

MEMORY_FRACTION = 0.8
"""Part of the machine's memory that a cell may take, unless it is told otherwise."""


def jobs_of(
    planned: Iterable[PlannedCell],
    registry: Registry,
    *,
    machine: Machine | None = None,
    memory_bytes: int | None = None,
    timeout_factor: float = 1.0,
) -> list[Job]:
    """Return a job for each of `planned`, in their order, with the limits that the card of its suite gives.

    Parameters
    ----------
    registry : what the names in the cells stand for.
    machine : that runs them. [default: this one]
    memory_bytes : host memory that a cell may take. [default: 80 % of the machine's]
    timeout_factor : multiplies every suite's time limit.
    """
    limit = int(MEMORY_FRACTION * (machine or this_machine()).memory_bytes) if memory_bytes is None else memory_bytes
    return [
        Job(
            cell=one.cell,
            code_hash=code_hash(one.cell, registry),
            exclusive=registry.suite(one.cell.suite).exclusive,
            timeout_seconds=registry.suite(one.cell.suite).timeout_seconds * timeout_factor,
            memory_bytes=limit,
            expected_seconds=one.estimated_seconds,
        )
        for one in planned
    ]
