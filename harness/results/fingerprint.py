"""The hash of the code that decides a figure, so that a record is redone when, and only when, that code changed.

Modules are followed through their imports inside this project and hashed as syntax trees without docstrings and
without the prose of cards: a comment, a reformatting or a corrected citation costs nobody a re-run. Must not
import what it hashes.
"""

from __future__ import annotations

import ast
import functools
import hashlib
from collections.abc import Iterable, Iterator
from pathlib import Path

from harness.catalogue.cards import Rows
from harness.catalogue.cell import NOT_APPLICABLE, Cell
from reference_impls.requirements import installed_version

__all__ = ["code_hash"]

PACKAGES = ("reference_impls", "harness")
RULED_BY = ("torch", "numpy")
"""Packages whose version decides results; a new one starts a new record."""
COMPILERS = {
    "fused-numba": ("numba",),
    "fused-cupy": ("cupy-cuda12x", "cupy-cuda13x"),
    "fused": ("numba", "cupy-cuda12x", "cupy-cuda13x"),
}
"""Packages that turn a backend's text into machine code; "absent" is a version too."""
PROSE = {"title", "summary", "equations", "citations", "reported", "divergences", "notes", "judged"}
"""Keys of a card that are for readers and for comparisons."""
PLUMBING = {
    "harness.catalogue.cards",
    "harness.catalogue.cell",
    "harness.data.base",
    "harness.errors",
    "harness.results.record",
    "harness.tasks.common.cache",
    "reference_impls.api",
    "reference_impls.card",
    "reference_impls.discovery",
    "reference_impls.names",
    "reference_impls.requirements",
}
"""Modules that carry data types, names and lookups: followed, but they decide no figure themselves."""


def code_hash(cell: Cell, rows: Rows, root: Path | None = None) -> str:
    """Return the hash of everything that decides the figures of `cell`.

    Parameters
    ----------
    cell : what is measured.
    rows : the rows its names stand for.
    root : folder that holds the two packages (None: where they are installed), to hash another commit's code.
    """
    folder = (root or Path(__file__).parents[2]).resolve()
    used = [
        rows.suites.get(cell.suite),
        rows.tasks.get(cell.task),
        rows.cell_neurons.get(cell.neuron),
        rows.methods.get(cell.method),
        rows.topologies.get(cell.topology),
    ]
    peer = rows.peers.get(cell.neuron)
    installed = [(name, _version(name)) for name in (*RULED_BY, *COMPILERS.get(cell.backend, ()))]
    if peer is not None:  # installing its library makes a new record
        installed += [(name, installed_version(name)) for name in peer.capabilities.requires]
    modules = [row.module for row in used if row is not None]
    if cell.backend != NOT_APPLICABLE:
        modules.append(f"reference_impls.backends.{cell.backend.replace('-', '_')}")
    outside = tuple(row.path for row in used if row is not None and _file(row.module, folder) is None)
    return _hash(tuple(installed), tuple(modules), outside, folder)


_version = functools.lru_cache(maxsize=64)(installed_version)
"""Looking a version up reads a file, and a plan asks for every cell."""


@functools.lru_cache(maxsize=4096)
def _hash(
    installed: tuple[tuple[str, str | None], ...], modules: tuple[str, ...], outside: tuple[Path, ...], folder: Path
) -> str:
    """Hash versions and code; cells that differ in a seed or in what they are asked for share one."""
    digest = hashlib.sha256()
    for name, version in installed:
        digest.update(f"{name} {version}\n".encode())
    for module, text in sorted(_closure(modules, folder).items()):
        digest.update(f"{module} {text}\n".encode())
    for path in outside:
        digest.update(_essence(path).encode())
    return digest.hexdigest()


def _closure(modules: tuple[str, ...], folder: Path) -> dict[str, str]:
    """Map every module of this project that `modules` reach to the hash of its code."""
    found: dict[str, str] = {}
    waiting = list(modules)
    while waiting:
        module = waiting.pop()
        path = _file(module, folder)
        if module in found or path is None:
            continue
        found[module] = hashlib.sha256(_essence(path).encode()).hexdigest()
        waiting.extend(_imports(path))
    return {module: text for module, text in found.items() if module not in PLUMBING}


@functools.lru_cache(maxsize=4096)
def _file(module: str, folder: Path) -> Path | None:
    """Return the file of a module of this project, or None for anything else."""
    if module.partition(".")[0] not in PACKAGES:
        return None
    stem = folder.joinpath(*module.split("."))
    for path in (stem.with_suffix(".py"), stem / "__init__.py"):
        if path.is_file():
            return path
    return None


@functools.lru_cache(maxsize=4096)
def _imports(path: Path) -> tuple[str, ...]:
    tree = ast.parse(path.read_text(encoding="utf-8"))
    return tuple(_imported(ast.walk(tree)))


def _imported(nodes: Iterable[ast.AST]) -> Iterator[str]:
    for node in nodes:
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module and node.level == 0:
            yield node.module
            yield from (f"{node.module}.{alias.name}" for alias in node.names)


@functools.lru_cache(maxsize=4096)
def _essence(path: Path) -> str:
    """Return the syntax tree of a file without docstrings and without the prose of its card."""
    tree = ast.parse(path.read_text(encoding="utf-8"))
    for node in ast.walk(tree):
        if isinstance(node, ast.Module | ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef):
            node.body = [item for item in node.body if not _is_text(item)] or [ast.Pass()]
        elif isinstance(node, ast.Dict):
            kept = [
                (key, value)
                for key, value in zip(node.keys, node.values, strict=True)
                if not (isinstance(key, ast.Constant) and key.value in PROSE)
            ]
            node.keys, node.values = [key for key, _ in kept], [value for _, value in kept]
    return ast.dump(tree)


def _is_text(node: ast.stmt) -> bool:
    return isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant) and isinstance(node.value.value, str)
