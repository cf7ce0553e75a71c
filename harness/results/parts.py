"""What a definition of a tree of sources rests on, sorted into the inputs of a figure, and kept between processes.

To follow the code takes a second; what was found in the tree that is installed is kept in the user's cache, under the
digest of every source of it, so that one changed file makes it anew. It may be deleted at any time. Must not know what
a cell is.
"""

from __future__ import annotations

import atexit
import functools
import hashlib
import json
import sys
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from harness._former_names import MOVED
from harness.results import settings
from harness.results.definitions import Code
from harness.results.essence import Node
from harness.writing import write_whole
from reference_impls.user_cache import cache_folders

__all__ = [
    "BASELINE",
    "INSTALLED",
    "NOTHING",
    "PACKAGES",
    "Part",
    "Tree",
    "code_inputs",
    "extended_tree",
    "short_digest",
    "tree_of",
]

INSTALLED = Path(__file__).resolve().parents[2]
PACKAGES = ("reference_impls", "harness")
LOOKUPS = (
    "harness._former_names",
    "harness.catalogue",
    "harness.data.base",
    "harness.errors",
    "harness.results.fingerprint",
    "harness.results.parts",
    "harness.results.record",
    "harness.tasks.common.cache",
    "reference_impls.backends",
    "reference_impls.backends.fused.cache",
    "reference_impls.card",
    "reference_impls.discovery",
    "reference_impls.names",
    "reference_impls.requirements",
    "reference_impls.user_cache",
)
"""Modules that carry data types, names and places: what they find is an input, how they find it is none."""

INPUT_OF = {
    "reference_impls.neurons": "neuron",
    "reference_impls.peers": "neuron",
    "reference_impls.systems": "neuron",
    "reference_impls.training": "method",
    "reference_impls.topologies": "topology",
    "reference_impls.backends": "backend",
    "reference_impls": "contracts",
    "harness.tasks": "task",
    "harness.data": "data",
    "harness.measure": "ruler",
    "harness.execute": "process",
    "harness": "suite",
}
"""Folder -> name of the input that its definitions belong to; the first that fits."""
OWN = ("neuron", "method", "topology")
"""Inputs that are the row's own; of any other row's, the same folders hold what it is compared with."""
BASELINE = "baseline"
DIGITS = 12


_Root = tuple[str, str | None, frozenset[str]]
"""Module, definition in it (None: all of it) and the modules that are not followed."""


@dataclass(frozen=True, slots=True)
class Part:
    """The definitions that one root rests on."""

    by_input: Mapping[str, frozenset[str]]
    """Input that a definition's folder belongs to -> digests."""
    asked: frozenset[str]
    """Keys of cards that are named."""
    modules: frozenset[str]


NOTHING = Part({}, frozenset(), frozenset())


@dataclass(slots=True)
class Tree:
    """A tree of sources, and what was found out about it."""

    folder: Path
    code: Code
    is_installed: bool = False
    """Whether the two packages are those that are installed, or a copy with nothing of them changed."""
    _parts: dict[_Root, Part] = field(default_factory=dict)
    _golden: Mapping[str, str] | None = None

    def part(self, module: str, name: str | None, without: frozenset[str]) -> Part:
        """Return what a module, or a definition in it, rests on; the same for every cell that uses it."""
        key = (module, name, without)
        if key not in self._parts and self.is_installed:
            self._parts = dict(_kept().parts) | self._parts
        if key not in self._parts:
            nodes = self.code.reached(module, name, without)
            by_input: dict[str, set[str]] = defaultdict(set)
            for node in nodes:
                by_input[_input_of(node)].add(self.code.digest(node))
            self._parts[key] = Part(
                {name: frozenset(digests) for name, digests in by_input.items()},
                frozenset().union(*(self.code.mentions(node) & settings.ASKABLE for node in nodes)),
                frozenset(node.module for node in nodes),
            )
            if self.folder == INSTALLED and module.partition(".")[0] in PACKAGES:
                _kept().add(key, self._parts[key])
        return self._parts[key]

    def golden(self) -> Mapping[str, str]:
        """Map every slug that golden files are about to the digest of these files."""
        if self._golden is None:
            texts: dict[str, list[bytes]] = defaultdict(list)
            for path in sorted((self.folder / "harness/golden/vectors").rglob("*.json")):
                content = path.read_bytes()
                about = json.loads(content)
                texts[about.get("neuron") or about.get("slug") or path.stem].append(content)
            self._golden = {slug: hashlib.sha256(b"\n".join(files)).hexdigest() for slug, files in texts.items()}
        return self._golden


@functools.lru_cache(maxsize=32)
def tree_of(folder: Path) -> Tree:
    """Return the tree of sources in `folder`; it is read once."""
    return Tree(folder, Code(dict.fromkeys(PACKAGES, folder), _is_lookup, MOVED), folder == INSTALLED)


def extended_tree(folder: Path) -> Tree:
    """Return the tree in `folder`, where files stand beside a copy of the installed ones that is changed in nothing.

    What the installed ones rest on is then known, and only the others are followed.
    """
    tree = tree_of(folder)
    tree.is_installed = True
    return tree


@functools.lru_cache(maxsize=4096)
def _is_lookup(module: str) -> bool:
    return module in LOOKUPS or module.startswith("harness.catalogue.")


def _input_of(node: Node) -> str:
    return next((name for folder, name in INPUT_OF.items() if f"{node.module}.".startswith(f"{folder}.")), "foreign")


def code_inputs(parts: Mapping[str, Part], others: Iterable[Part]) -> Iterator[tuple[str, str]]:
    """Sort the definitions that anything rests on into inputs; a definition that two rest on counts once."""
    everything: dict[str, frozenset[str]] = defaultdict(frozenset)
    own: dict[str, frozenset[str]] = defaultdict(frozenset)
    for axis, part in (*parts.items(), *(("", part) for part in others)):
        for name, digests in part.by_input.items():
            name = axis if name == "foreign" else name  # a package of one's own
            everything[name] |= digests
            if axis in OWN:
                own[name] |= digests
    for name in OWN:
        everything[BASELINE] |= everything[name] - own[name]
        everything[name] = own[name]
    yield from ((name, _digest_of(digests)) for name, digests in everything.items() if digests)


@functools.lru_cache(maxsize=65536)
def _digest_of(digests: frozenset[str]) -> str:
    return short_digest("\n".join(sorted(digests)))


def short_digest(text: str) -> str:
    """Return the digest by which an input is compared."""
    return hashlib.sha256(text.encode()).hexdigest()[:DIGITS]


class _Kept:
    """Parts of the installed tree that an earlier process found, and those that this one adds."""

    def __init__(self) -> None:
        self._of = _sources()
        self.parts: dict[_Root, Part] = {}
        for path in _places():
            with suppress(OSError, ValueError, KeyError, TypeError, IndexError):  # anything else is made anew
                content = json.loads(path.read_text(encoding="utf-8"))
                if content["of"] == self._of:
                    self.parts = _restored(content)
                    return

    def add(self, root: _Root, part: Part) -> None:
        """Remember a part to the end of this process, and then for others."""
        self.parts[root] = part
        atexit.unregister(self.write)
        atexit.register(self.write)

    def write(self) -> None:
        """Keep what is known, unless a source was changed while it was read."""
        if _sources() != self._of:
            return
        digests = sorted({digest for part in self.parts.values() for each in part.by_input.values() for digest in each})
        place = {digest: index for index, digest in enumerate(digests)}
        parts = [
            [
                [module, name, sorted(without)],
                {of: sorted(place[digest] for digest in each) for of, each in part.by_input.items()},
                sorted(part.asked),
                sorted(part.modules),
            ]
            for (module, name, without), part in self.parts.items()
        ]
        text = json.dumps({"of": self._of, "digests": digests, "parts": parts}, separators=(",", ":"))
        for path in _places():
            with suppress(OSError):
                write_whole(path, text)
                return


@functools.cache
def _kept() -> _Kept:
    return _Kept()


def _restored(content: Mapping[str, Any]) -> dict[_Root, Part]:
    digests = content["digests"]
    return {
        (module, name, frozenset(without)): Part(
            {of: frozenset(digests[index] for index in each) for of, each in by_input.items()},
            frozenset(asked),
            frozenset(modules),
        )
        for (module, name, without), by_input, asked, modules in content["parts"]
    }


def _places() -> Iterator[Path]:
    """Yield the files in which the parts of this checkout may be kept, best first."""
    name = hashlib.sha256(str(INSTALLED).encode()).hexdigest()[:16]
    yield from (folder / "parts" / f"{name}.json" for folder in cache_folders())


def _sources() -> str:
    """Return the digest of every source of the installed tree, and of the Python that parses it."""
    found = hashlib.sha256(sys.version.encode())
    for package in PACKAGES:
        for path in sorted((INSTALLED / package).rglob("*.py")):
            content = path.read_bytes()
            found.update(f"{path.relative_to(INSTALLED)} {len(content)}\n".encode())
            found.update(content)
    return found.hexdigest()
