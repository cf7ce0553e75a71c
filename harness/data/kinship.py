"""A knowledge graph made by code: families over four generations, some of whose facts follow from others.

Who is whose father, mother and husband is given; grandparents, parents' siblings and parents-in-law follow from chains
of two or three such facts, and a part of them is held back. The stream of NumPy's ``RandomState`` is frozen, so the
graph is the same everywhere. Must not import torch.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from harness.data.triples import Triples

__all__ = ["GIVEN", "RELATIONS", "kinship"]

GIVEN = ("father", "mother", "husband")
"""Relations from which the others follow. "a father b": a is the father of b."""
RELATIONS = (*GIVEN, "grandfather", "grandmother", "aunt-or-uncle", "father-in-law", "mother-in-law")
GENERATIONS = 4
MOST_CHILDREN = 4

Fact = tuple[int, str, int]


@dataclass
class _People:
    """Who there is: a person is a number."""

    male: list[bool] = field(default_factory=list)
    parents: dict[int, tuple[int, int]] = field(default_factory=dict)
    """Child -> father and mother; none for the first generation."""
    couples: list[tuple[int, int]] = field(default_factory=list)
    """Husband and wife."""

    def born(self, male: bool) -> int:
        self.male.append(male)
        return len(self.male) - 1

    def siblings(self, person: int) -> Iterator[int]:
        parents = self.parents.get(person)
        return (other for other, of in self.parents.items() if of == parents and other != person)


def kinship(couples: int, held_back: float = 0.3, given_held_back: float = 0.0) -> Triples:
    """Make families that begin with so many `couples`, and hold back a part of the facts that follow.

    Every couple has one to four children, every woman of a generation marries a man who is not her brother while there
    are any. Of each relation that follows from others a share of `held_back` is held back, of the others a share of
    `given_held_back`; a third of that validates, the rest tests.

    Returns
    -------
    The facts; names of entities are ``person-0`` and so on.

    Raises
    ------
    ValueError
        If there is no couple, or a share is none.
    """
    if couples < 1 or not (0 < held_back < 1 and 0 <= given_held_back < 1):
        raise ValueError(f"need couples and shares between 0 and 1, got {couples}, {held_back} and {given_held_back}")
    random = np.random.RandomState(0)
    people = _families(couples, random)
    facts = sorted({*_given(people), *_following(people)}, key=lambda fact: (RELATIONS.index(fact[1]), *fact))
    parts: dict[str, list[Fact]] = {"train": [], "valid": [], "test": []}
    for relation in RELATIONS:
        of_relation = [fact for fact in facts if fact[1] == relation]
        order = random.permutation(len(of_relation))
        held = round((given_held_back if relation in GIVEN else held_back) * len(of_relation))
        for place, index in enumerate(order):
            part = "train" if place >= held else "valid" if place < held // 3 else "test"
            parts[part].append(of_relation[index])
    entities = tuple(f"person-{number}" for number in range(len(people.male)))
    return Triples(entities, RELATIONS, **{name: _array(facts) for name, facts in parts.items()})


def _families(couples: int, random: np.random.RandomState) -> _People:
    people = _People()
    for _ in range(couples):
        people.couples.append((people.born(male=True), people.born(male=False)))
    wed = list(people.couples)
    for generation in range(1, GENERATIONS):
        children = []
        for father, mother in wed:
            for _ in range(random.randint(1, MOST_CHILDREN + 1)):
                child = people.born(male=bool(random.randint(2)))
                people.parents[child] = (father, mother)
                children.append(child)
        wed = _weddings(people, children, random) if generation < GENERATIONS - 1 else []
        people.couples += wed
    return people


def _weddings(people: _People, generation: list[int], random: np.random.RandomState) -> list[tuple[int, int]]:
    men = [generation[i] for i in random.permutation(len(generation)) if people.male[generation[i]]]
    wed = []
    for woman in (person for person in generation if not people.male[person]):
        man = next((one for one in men if people.parents[one] != people.parents[woman]), None)
        if man is not None:
            men.remove(man)
            wed.append((man, woman))
    return wed


def _given(people: _People) -> Iterator[Fact]:
    for child, (father, mother) in people.parents.items():
        yield father, "father", child
        yield mother, "mother", child
    for husband, wife in people.couples:
        yield husband, "husband", wife


def _following(people: _People) -> Iterator[Fact]:
    for child, parents in people.parents.items():
        for parent in parents:
            for grandparent in people.parents.get(parent, ()):
                yield grandparent, "grandfather" if people.male[grandparent] else "grandmother", child
            for other in people.siblings(parent) if parent in people.parents else ():
                yield other, "aunt-or-uncle", child
    for husband, wife in people.couples:
        for one, other in ((husband, wife), (wife, husband)):
            for parent in people.parents.get(other, ()):
                yield parent, "father-in-law" if people.male[parent] else "mother-in-law", one


def _array(facts: list[Fact]) -> NDArray[np.int64]:
    return np.array([(head, RELATIONS.index(name), tail) for head, name, tail in facts], dtype=np.int64).reshape(-1, 3)
