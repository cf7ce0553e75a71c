"""What is published is packed: few files that a repository can hold and a person can compare, line by line.

One file of JSON Lines for each machine, suite and task, sorted by cell, so that a record that is measured again is one
line that changed. What says nothing stays out: interrupted runs, records that a newer one of the same cell and machine
supersedes, and combinations that the cards rule out, which the cards say again at any time. Records of the baseline,
`BASELINE`, lie beside them as a run writes them, one a file: to be read by eye, and as the example of the format. Must
not know what is published, or where.
"""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from harness.errors import UserError
from harness.results.freshness import Today
from harness.results.reading import Problem, files_below, scan
from harness.results.record import Record
from harness.results.selection import preferred
from harness.results.store import Contents, Store, merged
from harness.writing import write_whole

__all__ = ["BASELINE", "Packed", "line_of", "publish"]

BASELINE = "lif+bptt+mlp+eager+s0"
"""Label of the cells whose records stay single files."""


@dataclass(frozen=True, slots=True)
class Packed:
    """What a store holds after something was published to it."""

    records: int
    files: int
    left_out: int
    """Records that say nothing, of the store and of what was given."""
    older: int = 0
    """Records of older code that were let go; the history of the repository keeps them."""


def publish(given: Iterable[Record], target: Store, today: Today, *, only_current: bool = False) -> Packed:
    """Put records into `target`, with what it holds, and pack it all.

    Files that hold anything else than records are left as they are. With `only_current`, records whose figures today's
    code would not be asked for are let go: what is published is then comparable throughout.

    Raises
    ------
    UserError
        If a packed file that would have to be written anew holds a line that is not a record: it would be lost.
    """
    held: dict[Path, list[Record | Problem]] = {
        target.root / name: [entry.found for entry in scan(target.root / name)] for name in files_below(target.root)
    }
    known = [*(item for items in held.values() for item in items if isinstance(item, Record)), *given]
    runs = merged([Contents(tuple(record for record in known if not _says_nothing(record)), ())])
    told = preferred(runs.records, today)
    kept = [record for record in told if not only_current or today.is_current(record)]
    texts = _texts(kept, target)
    for path, items in held.items():
        broken = next((item for item in items if isinstance(item, Problem)), None)
        if broken and path in texts:
            raise UserError(f"{broken}", "mend or delete that line: packing the file anew would lose it")
    for path, text in texts.items():
        if not path.exists() or path.read_text(encoding="utf-8") != text:
            write_whole(path, text)
    for path, items in held.items():
        if path not in texts and all(isinstance(item, Record) for item in items):
            path.unlink(missing_ok=True)
            _remove_empty(path.parent, target.root)
    return Packed(len(kept), len(texts), len(known) - len(told), len(told) - len(kept))


def line_of(record: Record) -> str:
    """Return a record as a line: its cell whole, what is as usual of the rest left out."""
    data = json.loads(record.model_dump_json(exclude_defaults=True))
    whole = {"schema_version": record.schema_version, **data, "cell": record.cell.written()}
    return json.dumps(whole, ensure_ascii=False, separators=(",", ":")) + "\n"


def _texts(records: Iterable[Record], target: Store) -> dict[Path, str]:
    """Return what is to stand in each file."""
    packed: dict[Path, list[Record]] = defaultdict(list)
    texts: dict[Path, str] = {}
    for record in records:
        cell, machine = record.cell, record.provenance.machine.name
        if cell.label == BASELINE:
            texts[target.path_of(record)] = record.model_dump_json(indent=1) + "\n"
        else:
            packed[target.packed(machine, cell.suite, cell.task)].append(record)
    for path, several in packed.items():
        several.sort(key=lambda record: (record.cell.label, record.cell_id, record.provenance.machine.name))
        texts[path] = "".join(map(line_of, several))
    return texts


def _says_nothing(record: Record) -> bool:
    """Whether a record says no more than the cards do, or nothing about an implementation."""
    never_ran = record.status == "unsupported" and record.provenance.duration_seconds == 0
    return never_ran or record.status == "interrupted"


def _remove_empty(folder: Path, root: Path) -> None:
    while folder != root and not any(folder.iterdir()):
        folder.rmdir()
        folder = folder.parent
