"""What a figure depends on: named inputs, each with a short digest, so that a record is redone when one changed.

An input is code (followed definition by definition, see `definitions`) or values (what of the cards reaches it, see
`settings`), or versions of packages. Two fingerprints that agree in every input are of the same measurement; where
they differ, the names say why. Must not import what it reads.
"""

from __future__ import annotations

import functools
import hashlib
import json
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from types import MappingProxyType
from typing import Any

from harness.catalogue.cards import Registry, Row
from harness.catalogue.cell import NOT_APPLICABLE, Cell
from harness.results import settings
from harness.results.parts import BASELINE, NOTHING, PACKAGES, Part, Tree, code_inputs, short_digest, tree_of
from reference_impls.card import Card
from reference_impls.requirements import installed_version

__all__ = ["PACKAGES", "Fingerprint", "Fingerprints", "code_hash", "combined", "fingerprint"]

RULED_BY = ("torch", "numpy")
"""Packages whose version decides results; a new one starts a new record."""
COMPILERS = {
    "fused-numba": ("numba",),
    "fused-cupy": ("cupy-cuda12x", "cupy-cuda13x"),
    "fused-triton": ("triton",),
    "fused": ("numba", "cupy-cuda12x", "cupy-cuda13x"),
}
"""Packages that turn a backend's text into machine code; "absent" is a version too."""
SETTLED = frozenset({*RULED_BY, *(name for names in COMPILERS.values() for name in names)})
SIMULATORS = {"gymnasium": ("gymnasium", "stable-baselines3"), "mujoco": ("gymnasium", "mujoco", "stable-baselines3")}
"""Packages that simulate a task's environment and train in it."""
_FUSED = "reference_impls.backends.fused"
PRINTERS = {
    "cpu": frozenset({f"{_FUSED}_numba", f"{_FUSED}.kernels_numba", f"{_FUSED}.numba_source"}),
    "cuda": frozenset(
        {
            f"{_FUSED}_cupy",
            *(f"{_FUSED}.cuda_{part}" for part in ("arithmetic", "multistep", "prelude", "source")),
            *(f"{_FUSED}.kernels_{part}" for part in ("cuda", "cupy")),
            f"{_FUSED}.nvrtc",
            *(f"{_FUSED}{part}" for part in ("_triton", ".kernels_triton", ".triton_source")),
        }
    ),
}
"""Modules that print kernels for one device; a figure of another does not depend on them."""
ALWAYS = (
    ("harness.workload", None),
    ("harness.execute.worker", "_prepare"),
    ("harness.execute.allocator", "pin"),
)
"""(module, definition) that every cell goes through before its suite."""
PLAIN = ("budget", "packages", "recipe", "vectors")
"""Inputs that are values only; others are code, and of the same name with ``settings`` what the cards say."""


def combined(inputs: Mapping[str, str]) -> str:
    """Return the one hash that stands for all inputs: the same if, and only if, each of them is."""
    return hashlib.sha256(_canonical(dict(inputs)).encode()).hexdigest()


@dataclass(frozen=True, slots=True)
class Fingerprint:
    """What a cell's figures depend on."""

    inputs: Mapping[str, str]
    """Name of an input -> its digest."""
    code_hash: str
    """The hash of them all."""


@dataclass(slots=True)
class Fingerprints:
    """The fingerprints of cells on one tree of sources.

    Parameters
    ----------
    registry : what the cells' names stand for, on that tree.
    root : folder that holds the two packages; None: where they are installed.
    version_of : version of an installed package, or None.
    """

    registry: Registry
    root: Path | None = None
    version_of: Callable[[str], str | None] = field(default=installed_version)
    _tree: Tree = field(init=False, repr=False)
    _known: dict[tuple[object, ...], tuple[Fingerprint, object]] = field(default_factory=dict)
    """With the rows that a key identifies, so that they live as long as it."""

    def __post_init__(self) -> None:
        self._tree = tree_of((self.root or Path(__file__).parents[2]).resolve())

    def of(self, cell: Cell) -> Fingerprint:
        """Return what the figures of `cell` depend on; cells that differ in seed, threads or dtype share it."""
        used = self._used(cell)
        names = (cell.suite, cell.task, cell.neuron, cell.method, cell.topology)
        versions = tuple(self.version_of(name) for name in _required(used))
        recipe = self.registry.recipe(cell)
        key = (
            *(*names, cell.backend, cell.device, cell.budget, cell.recipe, id(recipe)),
            *(*(id(row) for row in used.values()), *versions),
        )
        if key not in self._known:
            inputs = MappingProxyType(dict(sorted(self._inputs(cell, used))))
            self._known[key] = Fingerprint(inputs, combined(inputs)), (used, recipe)
        return self._known[key][0]

    def _used(self, cell: Cell) -> dict[str, Row | None]:
        """Return the rows that a cell names, by axis; None for a name that nothing has."""
        rows = self.registry
        neuron = rows.neurons.get(cell.neuron) or rows.peers.get(cell.neuron) or rows.systems.get(cell.neuron)
        found = {
            "suite": (cell.suite, rows.suites.get(cell.suite)),
            "task": (cell.task, rows.tasks.get(cell.task)),
            "neuron": (cell.neuron, neuron),
            "method": (cell.method, rows.methods.get(cell.method)),
            "topology": (cell.topology, rows.topologies.get(cell.topology)),
        }
        return {axis: row for axis, (name, row) in found.items() if name != NOT_APPLICABLE}

    def _inputs(self, cell: Cell, used: Mapping[str, Row | None]) -> Iterator[tuple[str, str]]:
        without = _other_printers(cell.device)
        tree = self._tree
        parts = {axis: tree.part(self._module(row), None, without) for axis, row in used.items() if row is not None}
        baseline = self._baseline(cell, used)
        others = [tree.part(*place, without) for place in (*ALWAYS, *self._further(cell, used, parts))]
        compared = [tree.part(row.module, None, without) for row in baseline.values()]
        yield from code_inputs(parts, [*others, *compared])
        asked = frozenset().union(*(part.asked for part in (*parts.values(), *others, *compared)))
        values = dict(self._settings(cell, used, asked))
        values[BASELINE] = {axis: settings.row_settings(row, asked) for axis, row in baseline.items()}
        values["packages"] = self._versions(cell, used)
        values["recipe"] = settings.recipe_settings(cell, self.registry)
        reads_vectors = any("harness.golden" in part.modules for part in parts.values())
        values["vectors"] = self._vectors(cell, used) if reads_vectors else {}
        for name, value in values.items():
            if value:
                yield name if name in PLAIN else f"{name} settings", short_digest(_canonical(value))

    def _module(self, row: Row) -> str:
        """Return the module of a row; one outside of the two packages is read from where it lies."""
        top, *below = row.module.split(".")
        if top not in PACKAGES:
            up = len(below) + (row.path.name == "__init__.py")
            self._tree.code.packages[top] = row.path.parents[up]
        return row.module

    def _baseline(self, cell: Cell, used: Mapping[str, Row | None]) -> dict[str, Row]:
        """Return the rows that the suite measures beside the cell's own."""
        if cell.suite not in self.registry.suites:
            return {}
        of_axis = {"neuron": self.registry.neurons, "method": self.registry.methods}
        named = self.registry.suite(cell.suite).baseline
        return {axis: of_axis[axis][name] for axis, name in named.items() if axis in used and name in of_axis[axis]}

    def _further(
        self, cell: Cell, used: Mapping[str, Row | None], parts: Mapping[str, Part]
    ) -> Iterator[tuple[str, str | None]]:
        """Yield what is imported by a name that is made up as it runs: backends, readers of golden vectors."""
        if cell.backend != NOT_APPLICABLE:
            yield f"reference_impls.backends.{cell.backend.replace('-', '_')}", None
        if "harness.golden" in parts.get("suite", NOTHING).modules:
            readers = {"neurons"} if cell.method == NOT_APPLICABLE else _slugs(used, "method")
            yield from ((f"harness.golden.{reader.replace('-', '_')}", None) for reader in sorted(readers))

    def _settings(
        self, cell: Cell, used: Mapping[str, Row | None], asked: frozenset[str]
    ) -> Iterator[tuple[str, Mapping[str, Any]]]:
        for axis, row in used.items():
            if row is None:  # it has no such name; no other tree's value is that
                yield axis, {"unknown": getattr(cell, axis)}
            elif axis == "suite":
                yield axis, settings.suite_settings(row)
            elif axis == "task":
                yield axis, settings.task_settings(row, asked)
                yield "budget", settings.budget_settings(cell, row, asked)
            elif axis == "topology" or row.kind == "system":
                yield axis, settings.sized_settings(cell, row, self.registry, asked)
            else:
                yield axis, settings.row_settings(row, asked)

    def _versions(self, cell: Cell, used: Mapping[str, Row | None]) -> dict[str, str | None]:
        compilers, required = COMPILERS.get(cell.backend, ()), _required(used)
        return {name: self.version_of(name) for name in (*RULED_BY, *compilers, *required)}

    def _vectors(self, cell: Cell, used: Mapping[str, Row | None]) -> dict[str, str]:
        """Return the golden vectors that the rows of a cell answer for."""
        slugs = _slugs(used, *(("neuron",) if cell.method == NOT_APPLICABLE else ("method", "topology")))
        return {slug: digest for slug, digest in self._tree.golden().items() if slug in slugs}


def fingerprint(cell: Cell, registry: Registry, root: Path | None = None) -> Fingerprint:
    """Return what the figures of `cell` depend on.

    Parameters
    ----------
    cell : what is measured.
    registry : the rows its names stand for, on the tree at `root`.
    root : folder that holds the two packages (None: where they are installed), for another commit's code.
    """
    return _fingerprints(_ById(registry), root).of(cell)


def code_hash(cell: Cell, registry: Registry, root: Path | None = None) -> str:
    """Return the one hash of everything that decides the figures of `cell`; see `fingerprint`."""
    return fingerprint(cell, registry, root).code_hash


@dataclass(frozen=True, slots=True, eq=False)
class _ById:
    """Rows as a key: they hold dictionaries, which have no hash."""

    registry: Registry

    def __hash__(self) -> int:
        return id(self.registry)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, _ById) and other.registry is self.registry


@functools.lru_cache(maxsize=8)
def _fingerprints(key: _ById, root: Path | None) -> Fingerprints:
    return Fingerprints(key.registry, root, _version)


_settled = functools.lru_cache(maxsize=64)(installed_version)
"""Looking a version up reads a file, and a plan asks for every cell."""


def _version(name: str) -> str | None:
    """Return an installed version; a peer's library may be installed later in the life of a process."""
    return _settled(name) if name in SETTLED else installed_version(name)


def _required(used: Mapping[str, Row | None]) -> tuple[str, ...]:
    """Return the libraries that a peer needs, or an environment."""
    neuron, task = used.get("neuron"), used.get("task")
    of_peer: Iterable[str] = neuron.capabilities.requires if neuron is not None and neuron.kind == "peer" else ()
    return *of_peer, *(SIMULATORS.get(getattr(task.card, "data", None) or "", ()) if task is not None else ())


def _slugs(used: Mapping[str, Row | None], *axes: str) -> set[str]:
    """Return every name that the files of a cell's rows answer to."""
    cards = [row.card for axis in axes if (row := used.get(axis)) is not None]
    return {name for card in cards if isinstance(card, Card) for name in (card.name, *card.variants, *card.aliases)}


@functools.lru_cache(maxsize=64)
def _other_printers(device: str) -> frozenset[str]:
    kind = device.partition(":")[0]
    return frozenset().union(*(modules for known, modules in PRINTERS.items() if known != kind))


def _canonical(value: Any) -> str:
    return json.dumps(value, sort_keys=True, separators=(",", ":"), default=list)
