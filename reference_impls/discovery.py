"""Finds implementations: files of this package and of installed packages, without importing them.

A file is an implementation when it lies in ``neurons/``, ``training/``, ``topologies/``, ``peers/`` or ``systems/``
and its name does not begin with an underscore; a third-party package offers its modules through the entry
point group ``spikeboard.implementations``; and so is every such file in a folder ``spikeboard_entries`` on Python's
path, for who has no package yet. Nothing is registered by hand. Must not import torch or an implementation until
:func:`load_class` is asked to.
"""

from __future__ import annotations

import functools
import importlib
import importlib.util
import inspect
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from importlib.metadata import entry_points
from pathlib import Path
from typing import Any

from reference_impls.card import CardError, Kind
from reference_impls.card_files import line_of, read_literal, variant_literal
from reference_impls.names import MOST_NAMED, UnknownNameError, nearest, unknown_message

__all__ = [
    "ENTRY_POINT_GROUP",
    "FOLDERS",
    "LOOSE",
    "Catalogue",
    "Source",
    "discover",
    "discover_in",
    "installed_modules",
    "load_class",
    "module_path",
    "resolve",
    "unusable_cards",
]

ENTRY_POINT_GROUP = "spikeboard.implementations"
LOOSE = "spikeboard_entries"
"""Folder of entries without a package, on Python's path; the command puts the folder there that it is run in."""
ELSEWHERE = ("task",)
"""Kinds that an entry point may offer and that are none of this package's: whoever knows them asks for them."""
FOLDERS: Mapping[Kind, str] = {
    "neuron": "neurons",
    "training": "training",
    "topology": "topologies",
    "peer": "peers",
    "system": "systems",
}


@dataclass(frozen=True, slots=True)
class Source:
    """An implementation's file: where it is, how to import it, and its card as written."""

    kind: Kind
    name: str
    path: Path
    module: str
    literal: Mapping[str, Any]

    def entries(self) -> dict[str, dict[str, Any]]:
        """Map every row name of the file to the parameters that the card gives it."""
        defaults = dict(self.literal.get("defaults", {}))
        rows = {self.name: defaults}
        for row in self.literal.get("variants", {}):
            rows[row] = defaults | dict(variant_literal(self.literal, row).get("params", {}))
        return rows

    def capabilities(self, row: str) -> dict[str, Any]:
        """Return what the card declares for one of its rows: its own, overridden by the variant's."""
        own = dict(self.literal.get("capabilities", {}))
        if row not in self.literal.get("variants", {}):
            return own
        return own | dict(variant_literal(self.literal, row).get("capabilities", {}))

    def aliases(self) -> dict[str, dict[str, Any]]:
        """Map every alias to its parameters; an alias can be built but is not a row."""
        defaults = dict(self.literal.get("defaults", {}))
        return {name: defaults | dict(params) for name, params in self.literal.get("aliases", {}).items()}


@dataclass(frozen=True, slots=True, eq=False)
class Catalogue:
    """All implementations found, by kind and file name, and what could not be read."""

    sources: tuple[Source, ...]
    problems: tuple[CardError, ...] = field(default=())
    named: Mapping[tuple[Kind, str], tuple[Source, Mapping[str, Any]]] = field(default_factory=dict)
    """The file and the parameters of every row and alias: asked for with every layer that is built."""

    def of_kind(self, kind: Kind) -> dict[str, Source]:
        """Map every row name of `kind` to the file that holds it."""
        return {row: source for source in self.sources if source.kind == kind for row in source.entries()}


def _candidates(root: Path) -> Iterator[tuple[Kind, str, Path]]:
    """Yield (kind expected, module name, file) of every file of the package at `root` that should hold a card."""
    for kind, folder in FOLDERS.items():
        for path in sorted((root / folder).glob("[!_]*.py")):
            yield kind, f"{__package__}.{folder}.{path.stem}", path


def installed_modules() -> Iterator[str]:
    """Yield the module name of everything that installed packages offer, tasks as well, and of loose files."""
    for entry in sorted(entry_points(group=ENTRY_POINT_GROUP), key=lambda entry: entry.name):
        yield entry.module
    spec = importlib.util.find_spec(LOOSE)
    for folder in (spec and spec.submodule_search_locations) or ():
        for path in sorted(Path(folder).glob("[!_]*.py")):
            yield f"{LOOSE}.{path.stem}"


def module_path(module: str) -> Path:
    """Locate a module's file without importing its parent packages.

    Raises
    ------
    CardError
        If its package is not installed.
    """
    top, *rest = module.split(".")
    spec = importlib.util.find_spec(top)
    if spec is not None and not rest and spec.origin is not None:
        return Path(spec.origin)
    # A package without ``__init__.py`` may lie in several folders.
    folders = [Path(folder) for folder in (spec and spec.submodule_search_locations) or () if rest]
    stems = [folder.joinpath(*rest) for folder in folders]
    paths = [stem / "__init__.py" if stem.is_dir() else stem.with_suffix(".py") for stem in stems]
    if not paths:
        raise CardError(f"entry point group {ENTRY_POINT_GROUP!r}: module {module!r} is not installed")
    return next((path for path in paths if path.is_file()), paths[0])


def _read(kind: Kind | None, path: Path, module: str) -> Source:
    literal = read_literal(path)
    found: Any = literal.get("kind", kind)
    if found not in tuple(FOLDERS) or (kind is not None and found != kind):
        allowed = (kind,) if kind else tuple(FOLDERS)
        guess = nearest(found, allowed) if isinstance(found, str) else None
        hint = f": did you mean {guess!r}?" if guess else ""
        expected = " or ".join(map(repr, allowed))
        raise CardError(f"{path}:{line_of(path, ['kind'])}: CARD['kind'] is {found!r}, expected {expected}{hint}")
    if not isinstance(literal.get("name"), str):
        raise CardError(f"{path}:{line_of(path, ['name'])}: CARD['name'] is missing or not a string")
    return Source(kind=found, name=literal["name"], path=path, module=module, literal=literal)


@functools.lru_cache(maxsize=1)
def discover() -> Catalogue:
    """Find every implementation; files that cannot be read are listed as problems, never raised.

    A row name that two files of one kind claim is a problem of the second file, which is left out.
    """
    own = list(_candidates(Path(__file__).parent))
    return _catalogue([*own, *((None, module, None) for module in installed_modules())])


def discover_in(root: Path) -> Catalogue:
    """Find the implementations of another copy of this package, at `root`; installed packages have no say in it."""
    return _catalogue(_candidates(root))


def _catalogue(candidates: Iterable[tuple[Kind | None, str, Path | None]]) -> Catalogue:
    sources: list[Source] = []
    problems: list[CardError] = []
    taken: dict[tuple[Kind, str], tuple[Source, Mapping[str, Any]]] = {}
    for kind, module, known in candidates:
        try:
            path = known or module_path(module)
            if known is None and read_literal(path).get("kind") in ELSEWHERE:
                continue
            source = _read(kind, path, module)
            named = {
                (source.kind, name): (source, given) for name, given in (source.entries() | source.aliases()).items()
            }
            for _, name in named:
                holder, _ = taken.get((source.kind, name), (source, {}))
                if holder.path != path:
                    line = line_of(path, _where_named(source, name))
                    raise CardError(f"{path}:{line}: the name {name!r} is already taken by {holder.path}")
        except CardError as error:
            problems.append(error)
        else:
            sources.append(source)
            taken |= named
    return Catalogue(tuple(sources), tuple(problems), taken)


def _where_named(source: Source, row: str) -> tuple[str, ...]:
    """Return the keys that lead to a name of a row or alias in its card."""
    if row == source.name:
        return ("name",)
    return ("variants" if row in source.literal.get("variants", {}) else "aliases", row)


def resolve(kind: Kind, name: str) -> tuple[Source, dict[str, Any]]:
    """Return the file that implements the row or alias `name`, and the parameters its card gives.

    Raises
    ------
    UnknownNameError
        If no file of `kind` has that row or alias; the message suggests the nearest.
    """
    catalogue = discover()
    found = catalogue.named.get((kind, name))
    if found is None:
        raise UnknownNameError(_unknown(catalogue, kind, name))
    source, params = found
    return source, dict(params)


@functools.lru_cache
def _unknown(catalogue: Catalogue, kind: Kind, name: str) -> str:
    """Say that there is no `name`: remembered, for golden files ask which kind of file theirs is."""
    return unusable_cards(catalogue.problems) + unknown_message(kind, name, sorted(catalogue.of_kind(kind)))


def unusable_cards(problems: Sequence[CardError]) -> str:
    """Return what to say before an unknown name: it may be that of a card that cannot be used. Empty if all can."""
    if not problems:
        return ""
    lines = [f"  {line}" for problem in problems for line in str(problem).splitlines()]
    number = "1 card" if len(problems) == 1 else f"{len(problems)} cards"
    more = [f"  and {len(lines) - MOST_NAMED} more lines: spikeboard list"] if len(lines) > MOST_NAMED else []
    return "\n".join([f"{number} cannot be used:", *lines[:MOST_NAMED], *more, ""])


def load_class(module_name: str, base: type) -> Any:
    """Import a module and return its one public class that derives from `base`.

    Raises
    ------
    CardError
        If the module does not define exactly one such class.
    """
    module = importlib.import_module(module_name)
    found = [
        value
        for name, value in vars(module).items()
        if inspect.isclass(value)
        and issubclass(value, base)
        and value.__module__ == module.__name__
        and not name.startswith("_")
    ]
    if len(found) != 1:
        names = ", ".join(cls.__name__ for cls in found) or "none"
        advice = "name what only helps with a leading underscore" if found else f"derive yours from {base.__name__}"
        raise CardError(
            f"{module.__file__}: expected exactly one public {base.__name__} class, found: {names}; {advice}"
        )
    return found[0]
