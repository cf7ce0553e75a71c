"""Two sets of records side by side: what got worse beyond the noise, what better, what merely moved.

A set is a store, or a commit: then the records are those whose code hash is that of the commit's code, whenever they
were measured. Must not print, nor decide what a difference means (``stats`` does).
"""

from __future__ import annotations

import subprocess
import tarfile
import tempfile
from collections import defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from io import BytesIO
from pathlib import Path

from harness.catalogue.cards import Rows
from harness.catalogue.cell import Cell
from harness.errors import UserError
from harness.results.fingerprint import PACKAGES, code_hash
from harness.results.record import Metric, Record
from harness.results.stats import Change, Estimate, change
from harness.results.store import Contents, Store, read_stores
from harness.results.tables import combined_over_seeds

__all__ = ["Compared", "compare", "records_of"]

Key = tuple[str, Cell, str]
"""Machine, cell with its seed set to 0, metric."""


@dataclass(frozen=True, slots=True)
class Compared:
    """One figure in both sets."""

    machine: str
    cell: Cell
    """The cell; its seed is 0 where several were combined."""
    metric: str
    unit: str
    change: Change


def records_of(name: str, stores: Iterable[Path], rows: Rows) -> Contents:
    """Return the records that `name` stands for.

    Parameters
    ----------
    name : folder of a store, or anything git takes for a commit.
    stores : where the records of commits are looked for.
    rows : what the cells' names stand for.

    Raises
    ------
    UserError
        If it is neither.
    """
    if Path(name).is_dir():
        return Store(Path(name)).read()
    with tempfile.TemporaryDirectory() as folder:
        _checkout(name, Path(folder))
        contents = read_stores(stores)
        kept = tuple(
            record
            for record in contents.records
            if code_hash(record.cell, rows, Path(folder)) == record.provenance.code_hash
        )
    return Contents(kept, contents.problems)


def compare(before: Iterable[Record], after: Iterable[Record], threshold: float) -> list[Compared]:
    """Compare every figure that both sets have, on the same machine, for the same cell (seeds combined)."""
    first, second = _figures(before), _figures(after)
    found = []
    for key in sorted(first.keys() & second.keys(), key=str):
        (metric, earlier), (_, later) = first[key], second[key]
        judged = change(earlier, later, metric.direction, metric.exact, threshold)
        machine, cell, name = key
        found.append(Compared(machine, cell, name, metric.unit, judged))
    return found


def _checkout(commit: str, folder: Path) -> None:
    """Write the two packages as they were at `commit` into `folder`."""
    command = ["git", "archive", "--format=tar", commit, *PACKAGES]
    try:
        archive = subprocess.run(command, capture_output=True, check=True).stdout
    except (OSError, subprocess.CalledProcessError) as error:
        said = getattr(error, "stderr", b"").decode(errors="replace").strip()
        raise UserError(
            f"{commit!r} is neither a folder of records nor a commit of this repository{': ' + said if said else ''}",
            "spikeboard compare takes two stores or two commits, for example: spikeboard compare HEAD~1 HEAD",
        ) from error
    with tarfile.open(fileobj=BytesIO(archive)) as tar:
        tar.extractall(folder, filter="data")


def _figures(records: Iterable[Record]) -> Mapping[Key, tuple[Metric, Estimate]]:
    seeds: dict[Key, dict[int, Record]] = defaultdict(dict)
    for record in sorted(records, key=lambda record: record.provenance.started_at):
        if record.status != "ok":
            continue
        for name in record.metrics:
            cell = replace(record.cell, seed=0)
            seeds[(record.provenance.machine.name, cell, name)][record.cell.seed] = record
    found = {}
    for key, of in seeds.items():
        metrics = [record.metrics[key[2]] for _, record in sorted(of.items())]
        found[key] = (metrics[0], combined_over_seeds(metrics))
    return found
