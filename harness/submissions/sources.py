"""Which sources a submission has to bring: the files of new rows, and what of their own they rest on.

New is what lies in a package of one's own or in ``spikeboard_entries``, and in a clone what the project's branch has
not. Imports are followed in the text. Must not import an implementation.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from harness.catalogue.cards import Registry, Row
from harness.catalogue.cell import NOT_APPLICABLE
from harness.results.fingerprint import PACKAGES
from harness.results.parts import INSTALLED, Tree, tree_of
from harness.results.record import Record
from harness.submissions.checks.implementation import rows_by_kind
from harness.submissions.manifest import Implementation
from harness.submissions.overlay import PLACES, VECTORS, code_problems
from reference_impls.card import CardError
from reference_impls.discovery import module_path

__all__ = ["Sources", "new_sources"]

AXES = (("neuron", "neuron"), ("training", "method"), ("topology", "topology"), ("task", "task"))
"""(kind of card, axis of a cell)."""


@dataclass(frozen=True, slots=True)
class Sources:
    """What is new of the code that records were measured with."""

    implementations: tuple[Implementation, ...] = ()
    files: Mapping[str, Path] | None = None
    """By the path that they are imported by, with slashes."""
    refusals: tuple[str, ...] = ()
    """What is changed and is not a submission's to change."""


def new_sources(records: Iterable[Record], registry: Registry, changed: frozenset[str]) -> Sources:
    """Return the sources that a submission of `records` brings.

    Parameters
    ----------
    changed : files that differ from the project's, below the folder of the two packages; empty where nobody knows.
    """
    tree, by_kind = tree_of(INSTALLED), rows_by_kind(registry)
    used = {(kind, getattr(record.cell, axis)) for record in records for kind, axis in AXES}
    suites = {record.cell.suite for record in records}
    found: dict[str, tuple[str, Row, list[str]]] = {}
    files: dict[str, Path] = {}
    refusals: list[str] = []
    for kind, name in sorted(used - {(kind, NOT_APPLICABLE) for kind, _ in AXES}):
        row = by_kind[kind].get(name)
        if row is None:
            continue  # a peer, or it is said to be unknown
        rests_on = dict(_files(row, tree))
        new = {place: path for place, path in rests_on.items() if _is_new(place, changed)}
        if _place_of(row) in new:
            found.setdefault(row.module, (kind, row, []))[2].append(name)
        files |= new
    for suite in sorted(suites & registry.suites.keys()):
        rests_on = dict(_files(registry.suites[suite], tree))
        refusals += [
            f"the suite {suite} rests on {place}, which is not what the project has"
            for place in sorted(rests_on.keys() & changed)
            if not place.startswith(PLACES)
        ]
    files |= _vectors({name for _, row, names in found.values() for name in (*names, row.card.name)}, changed)
    refusals += [problem for problem in code_problems(files) if "is installed here" not in problem]
    implementations = tuple(
        Implementation(module=module, kind=kind, name=row.card.name, rows=tuple(names))
        for module, (kind, row, names) in sorted(found.items())
    )
    return Sources(implementations, files, tuple(dict.fromkeys(refusals)))


def _place_of(row: Row) -> str:
    """Return where a row's file is imported from, below a folder of the path."""
    stem = row.module.replace(".", "/")
    return f"{stem}/__init__.py" if row.path.name == "__init__.py" else f"{stem}.py"


def _is_new(place: str, changed: frozenset[str]) -> bool:
    return place in changed or place.partition("/")[0].removesuffix(".py") not in PACKAGES


def _files(row: Row, tree: Tree) -> Iterator[tuple[str, Path]]:
    """Yield where each module that `row` rests on is imported from, and its file; packages around them as well."""
    top, *below = row.module.split(".")
    if top not in PACKAGES:
        tree.code.packages[top] = row.path.parents[len(below) + (row.path.name == "__init__.py")]
    waiting, seen = {row.module}, set[str]()
    while waiting:
        module = waiting.pop()
        if module in seen:
            continue
        seen.add(module)
        path = _path_of(module, tree)
        if path is None:
            continue
        stem = module.replace(".", "/")
        yield (f"{stem}/__init__.py" if path.name == "__init__.py" else f"{stem}.py"), path
        if module == row.module or module.partition(".")[0] not in PACKAGES:
            waiting |= tree.part(module, None, frozenset()).modules
            parents = module.split(".")[:-1]
            waiting |= {".".join(parents[:n]) for n in range(1, len(parents) + 1)}


def _path_of(module: str, tree: Tree) -> Path | None:
    top = module.partition(".")[0]
    folder = tree.code.packages.get(top)
    if folder is not None:
        stem = folder.joinpath(*module.split("."))
        return next((path for path in (stem.with_suffix(".py"), stem / "__init__.py") if path.is_file()), None)
    try:
        return module_path(module)
    except CardError:
        return None


def _vectors(names: set[str], changed: frozenset[str]) -> dict[str, Path]:
    """Return changed golden files that new rows answer for."""
    import json

    found = {}
    for place in changed:
        path = INSTALLED / place
        if not place.startswith(VECTORS) or path.suffix != ".json" or not path.is_file():
            continue
        try:
            about = json.loads(path.read_text(encoding="utf-8"))
        except ValueError:
            continue  # the gate says what is wrong with it
        if {about.get("neuron"), about.get("slug")} & names:
            found[place] = path
    return found
