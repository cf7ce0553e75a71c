"""In which order cells are given to many machines, and how long that takes: the simulation that the order rests on.

Must not know how a cell is run.
"""

from __future__ import annotations

import heapq
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from harness.planning.plan import GATE

__all__ = ["Piece", "best_order", "lower_bound", "makespan"]


@dataclass(frozen=True, slots=True)
class Piece:
    """A cell, as far as a schedule goes."""

    suite: str
    seconds: float
    exclusive: bool = False
    """Whether it needs a machine to itself."""
    actual_seconds: float | None = None
    """How long it will take in truth; None: as expected."""

    @property
    def takes_seconds(self) -> float:
        """How long a machine is busy with it."""
        return self.seconds if self.actual_seconds is None else self.actual_seconds


def best_order(pieces: Sequence[Piece], machines: int, slots: int = 1) -> list[int]:
    """Return the order in which to give out `pieces`, as their numbers: of those known, the one that ends first.

    The gate comes first in all of them, because it says whether the rest means anything; then as planned, which shows
    something of every row early, or the longest first, with what needs a machine to itself among the others, before or
    after them. Which is best depends on how many machines there are, and what for; the simulation tells.
    """
    numbers = range(len(pieces))
    keys: tuple[Callable[[Piece], tuple[float, ...]], ...] = (
        lambda _: (),
        lambda piece: (-piece.seconds,),
        lambda piece: (piece.exclusive, -piece.seconds),
        lambda piece: (not piece.exclusive, -piece.seconds),
    )
    orders = [sorted(numbers, key=lambda number: (pieces[number].suite != GATE, *key(pieces[number]))) for key in keys]
    expected = [Piece(piece.suite, piece.seconds, piece.exclusive) for piece in pieces]
    return min(orders, key=lambda order: makespan([expected[number] for number in order], machines, slots))


def lower_bound(pieces: Sequence[Piece], machines: int, slots: int = 1) -> float:
    """Return the seconds that no schedule on so many `machines`, each with `slots`, can be below."""
    work = sum(piece.takes_seconds * (slots if piece.exclusive else 1) for piece in pieces)
    return max(work / (machines * slots), max((piece.takes_seconds for piece in pieces), default=0.0))


def makespan(pieces: Sequence[Piece], machines: int, slots: int = 1) -> float:
    """Return after how many seconds the last of `pieces` ends, given out in their order as machines have room.

    As executors do it: none overtakes another, each goes to the machine that has least to do, and what is exclusive
    waits for one that is idle.
    """
    now = 0.0
    ends: list[tuple[float, int]] = []
    running, alone = [0] * machines, [False] * machines
    for piece in pieces:
        while (place := _place(piece, running, alone, slots)) is None:
            now, machine = heapq.heappop(ends)
            running[machine] -= 1
            alone[machine] = False
        running[place] += 1
        alone[place] = piece.exclusive
        heapq.heappush(ends, (now + piece.takes_seconds, place))
    return max((end for end, _ in ends), default=now)


def _place(piece: Piece, running: Sequence[int], alone: Sequence[bool], slots: int) -> int | None:
    emptiest = min(range(len(running)), key=lambda machine: running[machine] if not alone[machine] else slots)
    if piece.exclusive:
        return emptiest if running[emptiest] == 0 else None
    return emptiest if running[emptiest] < slots and not alone[emptiest] else None
