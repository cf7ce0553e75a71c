"""What a search of skip connections may choose from: wirings of a network's blocks, within constraints.

A candidate is the adjacency matrix of every block; the genes that optuna stores are one way to write it. Must not
import torch or optuna.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from harness.errors import UserError
from reference_impls.names import check_name
from reference_impls.topologies._wiring import ASC, DSC, NONE, Matrix, filled, pairs

__all__ = ["FORMS", "TYPES", "Candidate", "Gene", "Space", "candidate_from_code", "code_of", "symbols_of"]

Candidate = tuple[Matrix, ...]
"""An adjacency matrix for each block."""
FORMS = ("free", "one-type", "counts")
TYPES = {"dsc": DSC, "asc": ASC}


@dataclass(frozen=True, slots=True)
class Gene:
    """One choice that makes up a candidate."""

    name: str
    choices: tuple[int, ...]


@dataclass(frozen=True)
class Space:
    """All wirings of some blocks that the constraints admit.

    Parameters
    ----------
    depths : layers of each block.
    form : ``free``: any symbol at every pair. ``one-type``: in a block all skips are of one type. ``counts``: as that,
        and a layer's skips come from the nearest layers, so that only their number is chosen.
    types : symbols of the skips that are admitted.
    max_skips : most skips that may arrive at a layer; None: no limit.
    admits : further constraint, such as a budget of parameters; it must admit the wiring without skips.

    Raises
    ------
    UserError
        If nothing is left to choose.
    """

    depths: tuple[int, ...]
    form: str = "free"
    types: tuple[int, ...] = (DSC, ASC)
    max_skips: int | None = None
    admits: Callable[[Candidate], bool] | None = None

    def __post_init__(self) -> None:
        check_name("form of a search space", self.form, FORMS)
        if not any(pairs(depth) for depth in self.depths):
            raise UserError(
                f"blocks of {list(self.depths)} layers have no place for a skip",
                "a skip passes over a layer: give a block at least 2 layers (networks on the task's card)",
            )
        if not self.types or (self.max_skips is not None and self.max_skips < 1):
            raise UserError("a search needs at least one type of skip, and at least one skip a layer")
        if not self.allowed(self.plain):
            raise UserError("the constraints exclude even the network without skips", "raise the budget of parameters")

    @property
    def plain(self) -> Candidate:
        """Return the wiring without skips."""
        return tuple(filled(depth, [NONE] * len(pairs(depth))) for depth in self.depths)

    @property
    def genes(self) -> tuple[Gene, ...]:
        """Return the choices, block after block."""
        found = []
        for block, depth in enumerate(self.depths):
            if self.form != "free":
                found.append(Gene(f"block{block}.type", self.types))
            if self.form == "counts":
                most = depth if self.max_skips is None else self.max_skips
                found += [Gene(f"block{block}.n{j}", tuple(range(min(j - 1, most) + 1))) for j in range(2, depth + 1)]
            else:
                symbols = (NONE, *self.types) if self.form == "free" else (0, 1)
                found += [Gene(f"block{block}.{i}-{j}", symbols) for i, j in pairs(depth)]
        return tuple(found)

    def read(self, values: Sequence[int]) -> Candidate:
        """Return the candidate that the `genes` with these values make up."""
        left = iter(values)
        return tuple(self._block(depth, left) for depth in self.depths)

    def _block(self, depth: int, left: Iterator[int]) -> Matrix:
        kind = 1 if self.form == "free" else next(left)
        if self.form != "counts":
            return filled(depth, [kind * next(left) for _ in pairs(depth)])
        counts = {j: next(left) for j in range(2, depth + 1)}
        return filled(depth, [kind if i >= j - 1 - counts[j] else NONE for i, j in pairs(depth)])

    def allowed(self, candidate: Candidate) -> bool:
        """Whether the constraints admit `candidate`."""
        if self.max_skips is not None:
            for matrix in candidate:
                arriving = (sum(row[j] != NONE for row in matrix) for j in range(len(matrix)))
                if max(arriving) > self.max_skips:
                    return False
        return self.admits is None or self.admits(candidate)

    def draw(self, rng: np.random.Generator) -> tuple[int, ...]:
        """Return the genes of a random candidate; where constraints refuse it, skips are taken away at random."""
        return self._mended([int(rng.choice(gene.choices)) for gene in self.genes], rng)

    def mutated(self, values: Sequence[int], rng: np.random.Generator) -> tuple[int, ...]:
        """Return `values` with one or two genes changed."""
        genes, changed = self.genes, list(values)
        for at in rng.choice(len(genes), size=min(len(genes), int(rng.integers(1, 3))), replace=False):
            changed[at] = int(rng.choice(genes[at].choices))
        return self._mended(changed, rng)

    def _mended(self, values: list[int], rng: np.random.Generator) -> tuple[int, ...]:
        removable = [at for at, gene in enumerate(self.genes) if 0 in gene.choices]
        while not self.allowed(self.read(values)):
            at = int(rng.choice([at for at in removable if values[at]]))
            values[at] = 0 if self.form != "counts" else values[at] - 1
        return tuple(values)

    def pool(
        self, rng: np.random.Generator, parents: Sequence[Sequence[int]], size: int, seen: set[Candidate]
    ) -> dict[Candidate, tuple[int, ...]]:
        """Return candidates that are not in `seen`, with their genes: all there are, if that is no more than `size`.

        Else `size` are drawn, and a tenth as many again are mutations of each of the `parents`.
        """
        genes = self.genes
        if math.prod(len(gene.choices) for gene in genes) <= size:
            offered: Any = itertools.product(*(gene.choices for gene in genes))
        else:
            drawn = (self.draw(rng) for _ in range(size))
            near = (self.mutated(parent, rng) for parent in parents for _ in range(size // 10))
            offered = itertools.chain(drawn, near)
        found: dict[Candidate, tuple[int, ...]] = {}
        for values in offered:
            candidate = self.read(values)
            if candidate not in seen and candidate not in found and self.allowed(candidate):
                found[candidate] = tuple(values)
        return found


def symbols_of(candidate: Candidate) -> tuple[int, ...]:
    """Return the symbols at all pairs, block after block: what two candidates are compared by."""
    return tuple(matrix[i][j] for matrix in candidate for i, j in pairs(len(matrix) - 1))


def code_of(candidate: Candidate) -> str:
    """Return the symbols as a short text, blocks parted by a dash: the name of a candidate."""
    return "-".join("".join(map(str, symbols_of((matrix,)))) for matrix in candidate)


def candidate_from_code(code: str) -> Candidate:
    """Return the candidate whose `code_of` is `code`.

    Raises
    ------
    ValueError
        If a symbol is none, or no block has so many pairs.
    """
    return tuple(_block_of(symbols) for symbols in code.split("-"))


def _block_of(symbols: str) -> Matrix:
    depth = (1 + math.isqrt(1 + 8 * len(symbols))) // 2
    known = {str(symbol) for symbol in (NONE, *TYPES.values())}
    if len(pairs(depth)) != len(symbols) or not known.issuperset(symbols):
        raise ValueError(
            f"{symbols!r} is no block: write {', '.join(sorted(known))} for each of the 1, 3, 6, 10.. pairs of layers"
        )
    return filled(depth, [int(symbol) for symbol in symbols])
