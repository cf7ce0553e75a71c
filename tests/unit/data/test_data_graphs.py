"""Graphs: what the generated one holds, and what readers of published ones say of files that are not right."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from harness.data import data_root
from harness.data.kinship import GIVEN, RELATIONS, kinship
from harness.data.triples import FB15K237, WN18RR, GraphFiles, Triples, read_triples
from harness.errors import UserError

DIGESTS = {
    (12, 0.0): "3bb4a12db554a7358dd64d75dc69feaa211624d71e31960af0a6f127f34c7756",
    (20, 0.1): "c8b1188823f7c9e225d870aa0f7c109530e9453c52faa12aefaacd6cd53f4afc",
}
PARTS = {"train": "a\tr\tb\nb\tr\tc\n", "valid": "a\ts\tc\n", "test": "c\tr\tnew\n"}


def follow(facts: set[tuple[int, str, int]]) -> set[tuple[int, str, int]]:
    """Say again, from who is whose father, mother and husband, who else is related how."""
    parents: dict[int, dict[str, int]] = {}
    for head, name, tail in facts:
        if name in ("father", "mother"):
            parents.setdefault(tail, {})[name] = head
    found = set()
    for child, of in parents.items():
        for parent in of.values():
            for name, elder in parents.get(parent, {}).items():
                found.add((elder, f"grand{name}", child))
            found |= {
                (other, "aunt-or-uncle", child)
                for other in parents
                if other != parent and parent in parents and parents[other] == parents[parent]
            }
    for husband, name, wife in facts:
        if name == "husband":
            for one, other in ((husband, wife), (wife, husband)):
                found |= {(elder, f"{kind}-in-law", one) for kind, elder in parents.get(other, {}).items()}
    return found


def named(graph: Triples, *parts: str) -> set[tuple[int, str, int]]:
    every = np.concatenate([getattr(graph, part) for part in parts])
    return {(head, graph.relations[relation], tail) for head, relation, tail in every.tolist()}


@pytest.mark.parametrize(("couples", "gaps"), DIGESTS)
def test_a_generated_graph_is_the_same_everywhere(couples: int, gaps: float) -> None:
    assert kinship(couples, given_held_back=gaps).digest == DIGESTS[couples, gaps]


def test_what_is_held_back_follows_from_what_is_given() -> None:
    graph = kinship(12)
    given = {fact for fact in named(graph, "train") if fact[1] in GIVEN}
    assert named(graph, "valid", "test") <= follow(given)
    assert named(graph, *PARTS) == given | follow(given)
    assert {relation for _, relation, _ in named(graph, "test")} == set(RELATIONS) - set(GIVEN)


def test_parts_share_no_fact() -> None:
    graph = kinship(20, given_held_back=0.1)
    parts = [named(graph, part) for part in PARTS]
    assert sum(map(len, parts)) == len(set.union(*parts)) == sum(len(getattr(graph, part)) for part in PARTS)


@pytest.mark.parametrize("shares", [(0, 0.3, 0.0), (3, 0.0, 0.0), (3, 1.0, 0.0), (3, 0.3, 1.0)])
def test_families_that_cannot_be(shares: tuple[int, float, float]) -> None:
    with pytest.raises(ValueError, match="couples and shares"):
        kinship(*shares)


def folder_of(path: Path, parts: dict[str, str]) -> Path:
    path.mkdir(parents=True, exist_ok=True)
    for part, text in parts.items():
        (path / f"{part}.txt").write_bytes(text.encode())
    return path


def test_facts_are_read_and_numbered_by_name(tmp_path: Path) -> None:
    found = read_triples(folder_of(tmp_path, PARTS))
    assert found.entities == ("a", "b", "c", "new")
    assert found.relations == ("r", "s")
    assert found.train.tolist() == [[0, 0, 1], [1, 0, 2]]
    assert found.valid.tolist() == [[0, 1, 2]]
    assert found.test.tolist() == [[2, 0, 3]]


def test_lines_may_end_as_on_windows_and_the_last_without_an_end(tmp_path: Path) -> None:
    plain = read_triples(folder_of(tmp_path / "a", PARTS))
    other = read_triples(
        folder_of(tmp_path / "b", {name: text.replace("\n", "\r\n").rstrip() for name, text in PARTS.items()})
    )
    assert plain.digest == other.digest


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("a\tr\tb\na\tr\n", "train.txt:2: has 2 names between tabs"),
        ("a\tr\tb\tc\n", "train.txt:1: has 4 names between tabs"),
        ("a r b\n", "train.txt:1: has 1 names between tabs"),
        ("a\t\tb\n", "train.txt:1: has 2 names between tabs"),
        ("a\tr\tb\n\nb\tr\tc\n", "train.txt:2: is empty"),
        ("a\tr\tb\nb\tr\tc\na\tr\tb\n", "train.txt:3: is the fact of line 1 again"),
        (f"a\tr\t{'b' * 10_001}\n", "train.txt:1: has a name of more than 10,000 characters"),
        ("", "train.txt: holds no fact"),
    ],
)
def test_what_is_no_fact_is_named_with_its_line(tmp_path: Path, text: str, said: str) -> None:
    with pytest.raises(UserError, match=said.replace(".", r"\.")):
        read_triples(folder_of(tmp_path, PARTS | {"train": text}))


def test_a_file_of_no_text_is_named(tmp_path: Path) -> None:
    folder_of(tmp_path, PARTS)
    (tmp_path / "valid.txt").write_bytes(b"\xff\xfe\x00a")
    with pytest.raises(UserError, match=r"valid\.txt: not facts of a graph"):
        read_triples(tmp_path)


SMALL = GraphFiles(
    "small",
    "Small",
    "",
    "",
    "Make it.",
    folders=("Small",),
    counts={"train": 2, "valid": 1, "test": 1},
    entities=4,
    relations=2,
)


def test_a_set_is_found_read_and_verified(tmp_path: Path) -> None:
    assert SMALL.find(tmp_path).missing[0].endswith("Small/train.txt")
    with pytest.raises(UserError, match="is not in"):
        SMALL.read(tmp_path)
    folder_of(tmp_path / "Small", PARTS)
    assert SMALL.find(tmp_path).present
    assert len(SMALL.read(tmp_path).test) == 1
    assert all(verdict.intact for verdict in SMALL.verify(tmp_path))


def test_a_set_of_another_size_is_refused(tmp_path: Path) -> None:
    folder_of(tmp_path / "Small", PARTS | {"train": "a\tr\tb\n"})
    with pytest.raises(UserError, match=r"train\.txt: 1 facts; Small has 2"):
        SMALL.read(tmp_path)
    assert not SMALL.verify(tmp_path)[0].intact


@pytest.mark.parametrize("published", [FB15K237, WN18RR], ids=lambda known: known.name)
def test_the_published_files_are_what_they_should_be(published: GraphFiles) -> None:
    root = data_root()
    if not published.find(root).present:
        pytest.skip(f"{published.name} is not at hand: {published.how_to_get}")
    assert all(verdict.intact for verdict in published.verify(root))
