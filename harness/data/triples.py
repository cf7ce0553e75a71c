"""Knowledge graphs as published: FB15k-237 and WN18RR, files of facts, a head, a relation and a tail a line.

Must not import torch.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from harness.data.base import DataSet, FileVerdict, Presence, naming
from harness.errors import UserError

__all__ = ["FB15K237", "PARTS", "WN18RR", "GraphFiles", "Triples", "read_triples"]

PARTS = ("train", "valid", "test")
LARGEST_BYTES = 1 << 30
"""No published graph of this form is as large."""
LONGEST_NAME = 10_000

Fact = tuple[str, str, str]


@dataclass(frozen=True, slots=True)
class Triples:
    """A graph's facts, ``[N, 3]`` each: numbers of head, relation and tail."""

    entities: tuple[str, ...]
    relations: tuple[str, ...]
    train: NDArray[np.int64]
    valid: NDArray[np.int64]
    test: NDArray[np.int64]

    @property
    def digest(self) -> str:
        """Return the SHA-256 of all parts, in order."""
        found = hashlib.sha256(f"{len(self.entities)} {len(self.relations)}".encode())
        for part in (self.train, self.valid, self.test):
            found.update(np.ascontiguousarray(part, dtype="<i8").tobytes() + b"|")
        return found.hexdigest()


@dataclass(frozen=True)
class GraphFiles(DataSet):
    """A folder with ``train.txt``, ``valid.txt`` and ``test.txt``.

    Parameters
    ----------
    folders : names that the folder may have.
    counts : facts of each part, as published.
    entities, relations : how many there are, as published.
    """

    folders: tuple[str, ...] = ()
    counts: Mapping[str, int] = field(default_factory=dict)
    entities: int = 0
    relations: int = 0

    def find(self, root: Path) -> Presence:
        """Look for the three files in each of the folders."""
        lacking = {
            root / folder: [
                root / folder / f"{part}.txt" for part in PARTS if not (root / folder / f"{part}.txt").is_file()
            ]
            for folder in self.folders
        }
        where = min(lacking, key=lambda folder: len(lacking[folder]))
        if lacking[where]:
            return Presence(self.name, False, missing=tuple(map(str, lacking[where])))
        return Presence(self.name, True, where, dict(self.counts))

    def verify(self, root: Path) -> tuple[FileVerdict, ...]:
        """Read all facts and compare the numbers of facts, entities and relations with the published ones."""
        where = self.require(root)
        try:
            found = read_triples(where)
        except UserError as error:
            return (FileVerdict(str(where), False, str(error.args[0])),)
        wanted = {**self.counts, "entities": self.entities, "relations": self.relations}
        numbers = {name: len(getattr(found, name)) for name in wanted}
        return tuple(
            FileVerdict(f"{where}: {name}", numbers[name] == count, f"{numbers[name]:,} of {count:,}")
            for name, count in wanted.items()
        )

    def read(self, root: Path) -> Triples:
        """Return the facts.

        Raises
        ------
        UserError
            If the set is missing, or a file is not what it should be; the message names file and line.
        """
        found = read_triples(self.require(root))
        for part, wanted in self.counts.items():
            facts = len(getattr(found, part))
            if facts != wanted:
                raise UserError(
                    f"{self.require(root) / part}.txt: {facts:,} facts; {self.title} has {wanted:,}", self.how_to_get
                )
        return found


def read_triples(folder: Path) -> Triples:
    """Read ``train.txt``, ``valid.txt`` and ``test.txt``: a head, a relation and a tail a line, between tabs.

    Entities and relations are numbered in the order of their names. One that no training fact has is kept: nothing can
    be known of it, and it counts as missed. (40,943 entities of WN18RR are of all its parts.)

    Raises
    ------
    UserError
        If a file is missing or too large, or a line is no fact, or stands there twice; the message names file and line.
    """
    parts = {part: _facts(folder / f"{part}.txt") for part in PARTS}
    every = [fact for facts in parts.values() for fact in facts]
    entities = sorted({name for head, _, tail in every for name in (head, tail)})
    relations = sorted({relation for _, relation, _ in every})
    number = {name: index for index, name in enumerate(entities)}
    kind = {name: index for index, name in enumerate(relations)}
    numbered = {part: _numbered(facts, number, kind) for part, facts in parts.items()}
    return Triples(tuple(entities), tuple(relations), **numbered)


def _numbered(facts: Iterable[Fact], number: Mapping[str, int], kind: Mapping[str, int]) -> NDArray[np.int64]:
    rows = [(number[head], kind[relation], number[tail]) for head, relation, tail in facts]
    return np.array(rows, dtype=np.int64).reshape(-1, 3)


def _facts(path: Path) -> list[Fact]:
    with naming(path, "facts of a graph", "get the file again"):
        if (size := path.stat().st_size) > LARGEST_BYTES:
            raise ValueError(f"{size:,} bytes are more than any such set has")
        text = path.read_text(encoding="utf-8")
    found: dict[Fact, int] = {}
    for line, written in enumerate(text.split("\n"), start=1):
        fields = tuple(name.strip() for name in written.rstrip("\r").split("\t"))
        if fields == ("",):
            if line <= text.count("\n"):
                raise _wrong(path, line, "is empty")
            continue
        if len(fields) != 3 or not all(fields):
            raise _wrong(
                path, line, f"has {sum(map(bool, fields))} names between tabs, not a head, a relation and a tail"
            )
        if max(map(len, fields)) > LONGEST_NAME:
            raise _wrong(path, line, f"has a name of more than {LONGEST_NAME:,} characters")
        if fields in found:
            raise _wrong(path, line, f"is the fact of line {found[fields]} again")
        found[fields] = line
    if not found:
        raise UserError(f"{path}: holds no fact", "get the file again")
    return list(found)


def _wrong(path: Path, line: int, what: str) -> UserError:
    return UserError(f"{path}:{line}: {what}", "get the file again: a head, a relation and a tail a line, between tabs")


FB15K237 = GraphFiles(
    name="fb15k-237",
    title="FB15k-237",
    licence="CC BY 4.0 (Freebase)",
    source="K. Toutanova, D. Chen, Observed versus latent features for knowledge base and text inference, CVSC 2015",
    how_to_get="Unpack train.txt, valid.txt and test.txt into FB15k-237/ below the folder of data sets.",
    layout="FB15k-237/ with train.txt, valid.txt and test.txt",
    folders=("FB15k-237", "fb15k-237"),
    counts={"train": 272_115, "valid": 17_535, "test": 20_466},
    entities=14_541,
    relations=237,
)
WN18RR = GraphFiles(
    name="wn18rr",
    title="WN18RR",
    licence="WordNet licence",
    source="T. Dettmers and others, Convolutional 2D knowledge graph embeddings, AAAI 2018, arXiv 1707.01476",
    how_to_get="Unpack train.txt, valid.txt and test.txt into WN18RR/ below the folder of data sets.",
    layout="WN18RR/ with train.txt, valid.txt and test.txt",
    folders=("WN18RR", "wn18rr"),
    counts={"train": 86_835, "valid": 3_034, "test": 3_134},
    entities=40_943,
    relations=11,
)
