"""Boards: the questions that tables answer, as data.

A board names the axis whose values are its rows, the figures that count and the one that orders them. How records
become a table is decided in ``tables``; how it looks, in ``report``.
"""

from __future__ import annotations

from harness.catalogue.boards.applications import CONTROL, DETECTION, FLOW, GRAPHS, VIDEO
from harness.catalogue.boards.learning import (
    CONVERSION,
    IMPORTED,
    METHODS,
    NEURONS,
    ROBUSTNESS,
    SIGNALS,
    SPIKE_TIMES,
    STREAMING,
    TASKS,
)
from harness.catalogue.boards.model import Board
from harness.catalogue.boards.speed import BACKENDS, CROSSOVER, LAYERS, LIBRARIES, TRAINING_STEPS
from harness.errors import UserError
from reference_impls.names import unknown_message

__all__ = ["BOARDS", "find_board"]

BOARDS: tuple[Board, ...] = (
    NEURONS,
    METHODS,
    LAYERS,
    BACKENDS,
    TASKS,
    SIGNALS,
    CONVERSION,
    SPIKE_TIMES,
    GRAPHS,
    CONTROL,
    VIDEO,
    FLOW,
    DETECTION,
    STREAMING,
    ROBUSTNESS,
    IMPORTED,
    LIBRARIES,
    TRAINING_STEPS,
    CROSSOVER,
)


def find_board(name: str) -> Board:
    """Return the board `name`; an unknown one is an error that suggests the nearest."""
    for board in BOARDS:
        if board.name == name:
            return board
    raise UserError(unknown_message("board", name, [board.name for board in BOARDS]))
