"""Gives records the fingerprint of their own commit, where that can be proved, when the way of taking it has changed.

A record that says which commit it was measured at, and that the tree had no changes, depends on what that commit's
sources say: they are read again, as today's are. If they say the same as today's, the record is current; if not, it
now names what changed. Nothing measured is touched, and nothing is guessed.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from harness.catalogue.cards import Registry
from harness.errors import UserError
from harness.results.fingerprint import Fingerprint, Fingerprints
from harness.results.freshness import Today
from harness.results.packing import line_of
from harness.results.reading import PACKED, Problem, files_below, scan
from harness.results.record import Record
from harness.results.store import Store
from harness.results.trees import Tree, checked_out
from harness.writing import write_whole

__all__ = ["Finding", "Migrated", "migrate", "restated"]

Finding = Literal[
    "current",
    "older",
    "had its inputs",
    "no figure",
    "no commit",
    "uncommitted changes",
    "commit not here",
    "row unknown",
]
"""What became of a record. The first two have a new fingerprint, today's or that of an older code; the others are left
as they are, because theirs is taken in today's way or because nothing can be proved of them."""


@dataclass(frozen=True, slots=True)
class Migrated:
    """A record, and the same with the fingerprint of its own commit."""

    before: Record
    after: Record | None
    """None: it is left as it is."""
    finding: Finding


def migrate(store: Store, registry: Registry) -> Counter[Finding]:
    """Rewrite the records of a store whose fingerprint can be proved, and count what became of all.

    Where two records of a cell come to share a fingerprint, the newer one takes the place; the older stays as it is.
    """
    held = {
        path: [entry.found for entry in scan(path, registry)]
        for path in map(store.root.joinpath, files_below(store.root))
    }
    files = {id(found): path for path, items in held.items() for found in items}
    records = [found for items in held.values() for found in items if isinstance(found, Record)]
    counts: Counter[Finding] = Counter()
    taken: set[tuple[str, str, str]] = set()
    anew: dict[Path, dict[int, Record]] = defaultdict(dict)
    for item in sorted(restated(records, registry), key=lambda item: item.before.provenance.moment, reverse=True):
        counts[item.finding] += 1
        if item.after is None:
            continue
        key = (item.after.cell_id, item.after.provenance.machine.name, item.after.provenance.code_hash)
        if key not in taken:
            taken.add(key)
            anew[files[id(item.before)]][id(item.before)] = item.after
    for path, changed in anew.items():
        _rewrite(store, path, held[path], changed)
    return counts


def _rewrite(store: Store, path: Path, items: Sequence[Record | Problem], changed: Mapping[int, Record]) -> None:
    """Write `changed` (by what it takes the place of) where it belongs; an interruption never leaves neither."""
    if path.suffix != PACKED:
        for after in changed.values():
            if store.write(after) != path:
                path.unlink()
        return
    broken = next((item for item in items if isinstance(item, Problem)), None)
    if broken:
        raise UserError(f"{broken}", "mend or delete that line: writing the file anew would lose it")
    lines = [line_of(changed.get(id(item), item)) for item in items if isinstance(item, Record)]
    write_whole(path, "".join(lines))


def restated(records: Iterable[Record], registry: Registry) -> Iterator[Migrated]:
    """Yield every record with the fingerprint of its own commit, commit by commit."""
    today = Today(registry)
    by_commit: dict[str, list[Record]] = defaultdict(list)
    for record in records:
        finding = _left_alone(record, today)
        if finding is not None:
            yield Migrated(record, None, finding)
        else:
            by_commit[str(record.provenance.commit)].append(record)
    for commit, of_commit in by_commit.items():
        try:
            with checked_out(commit, registry) as tree:
                yield from _at(tree, of_commit, today)
        except UserError:
            yield from (Migrated(record, None, "commit not here") for record in of_commit)


def _left_alone(record: Record, today: Today) -> Finding | None:
    if record.status == "unsupported" and record.provenance.inputs is None:
        return "no figure"
    if record.provenance.inputs is not None and today.is_current(record):
        return "had its inputs"
    if record.provenance.commit is None:
        return "no commit"
    return None if record.provenance.dirty is False else "uncommitted changes"


def _at(tree: Tree, records: Sequence[Record], today: Today) -> Iterator[Migrated]:
    """Restate the records of one commit; `tree` holds its sources."""
    known: dict[frozenset[tuple[str, str]], Fingerprints] = {}
    for record in records:
        installed = frozenset(record.provenance.packages.items())
        if installed not in known:
            known[installed] = Fingerprints(tree.registry, tree.root, _Versions(record.provenance.packages))
        if _unknown(record, tree.registry):
            yield Migrated(record, None, "row unknown")
            continue
        then = known[installed].of(record.cell)
        if record.provenance.inputs == then.inputs:
            yield Migrated(record, None, "had its inputs")
            continue
        after = _with(record, then)
        yield Migrated(record, after, "current" if today.is_current(after) else "older")


@dataclass(frozen=True, slots=True)
class _Versions:
    """The packages that a record names, without the local part of their versions."""

    packages: Mapping[str, str]

    def __call__(self, name: str) -> str | None:
        found = self.packages.get(name)
        return None if found is None else found.partition("+")[0]


def _unknown(record: Record, registry: Registry) -> bool:
    """Whether the tree has no card for a name of the cell: it came from elsewhere, or cannot be read any more."""
    cell = record.cell
    known = {
        cell.suite: registry.suites,
        cell.task: registry.tasks,
        cell.neuron: registry.cell_neurons,
        cell.method: registry.methods,
        cell.topology: registry.topologies,
    }
    return any(name != "-" and name not in names for name, names in known.items())


def _with(record: Record, found: Fingerprint) -> Record:
    update = {"code_hash": found.code_hash, "inputs": dict(found.inputs)}
    return record.model_copy(update={"provenance": record.provenance.model_copy(update=update)})
