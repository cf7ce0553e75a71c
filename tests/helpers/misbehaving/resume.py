"""A program that runs cells of the misbehaving package and skips what is done, for tests that stop it on the way.

    python resume.py STORE NEURON...

It prints a line for each event, and at the end how the run went. With `ADDRESS` set it runs on the Ray cluster there.
As a main module of its own it must never be imported by a child: `MARK` tells.
"""

from __future__ import annotations

import os
import sys
from pathlib import Path

from harness.execute.job import Job, Listener
from harness.execute.where import LOCAL, RAY, Where
from harness.results.record import Record
from harness.results.store import Store
from misbehaving import job, registry_with_suites

with Path(os.environ["MARK"]).open("a") as mark:
    mark.write(f"{__name__}\n")


class Printer(Listener):
    """Prints events for the test that reads them."""

    def started(self, job: Job) -> None:
        print("started", job.cell.neuron, flush=True)

    def progressed(self, job: Job, fraction: float, note: str) -> None:
        print("progressed", job.cell.neuron, fraction, note, flush=True)

    def finished(self, job: Job, record: Record) -> None:
        print("finished", job.cell.neuron, record.status, flush=True)


def main(root: str, *neurons: str) -> None:
    store = Store(Path(root))
    jobs = [job(name, seed=seed) for seed, name in enumerate(neurons)]
    address = os.environ.get("ADDRESS")
    where = Where(executor=RAY if address else LOCAL, address=address)
    missing = [item for item in jobs if not store.has(item.cell, where.machine().name, item.code_hash)]
    with where.executor_for(store, slots=2, registry=registry_with_suites()) as executor:
        summary = executor.run(missing, Printer())
    print("summary", summary.interrupted, summary.not_started, sorted(summary.counts.items()), flush=True)


if __name__ == "__main__":
    main(*sys.argv[1:])
