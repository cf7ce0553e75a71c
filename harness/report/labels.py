"""Where labels stand beside the points of a plot, so that none covers another, a point or the frontier."""

from __future__ import annotations

import itertools
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

from harness.report.axes import Axis

__all__ = ["SIZES", "Label", "Side", "label_box", "label_sides"]

Side = Literal["top right", "bottom right", "top left", "bottom left"]
_SIDES: tuple[Side, ...] = ("top right", "bottom right", "top left", "bottom left")
"""Places beside a point that keep off its error bars."""
_FRONTIER_SIDES: tuple[Side, ...] = ("bottom left", "bottom right", "top right", "top left")
"""The same for a point on the frontier: below it there are neither points nor its line."""
SIZES: Mapping[str, tuple[float, float]] = {"narrow": (236.0, 190.0), "wide": (400.0, 240.0)}
"""Sizes in CSS pixels that labels are laid out for; what fits one fits every larger plot."""
_CHARACTER, _LINE, _MARKER = 6.6, 14.0, 4.0

Box = tuple[float, float, float, float]
"""left, bottom, right, top in pixels."""


@dataclass(frozen=True, slots=True)
class Label:
    """A text beside a point."""

    text: str
    x: float
    y: float
    on_frontier: bool


def label_sides(labels: Sequence[Label], x: Axis, y: Axis, size: tuple[float, float]) -> list[Side | None]:
    """Place labels beside their points, first come first served, so that none covers another or a point.

    Parameters
    ----------
    labels : most important first. Those on the frontier keep off its line where they can.
    size : width and height of the plot in pixels.
    """
    centres = [(x.position(label.x) * size[0], y.position(label.y) * size[1]) for label in labels]
    taken: list[Box] = [(a - _MARKER, b - _MARKER, a + _MARKER, b + _MARKER) for a, b in centres]
    line = _line([centre for label, centre in zip(labels, centres, strict=True) if label.on_frontier])
    sides: list[Side | None] = []
    for label, centre in zip(labels, centres, strict=True):
        boxes = {
            side: label_box(label.text, centre, side) for side in (_FRONTIER_SIDES if label.on_frontier else _SIDES)
        }
        free = [side for side, box in boxes.items() if _inside(box, size) and not _covers(box, taken)]
        clear = [side for side in free if not _covers(boxes[side], line)]
        chosen = next(iter(clear or (free if label.on_frontier else [])), None)
        sides.append(chosen)
        if chosen:
            taken.append(boxes[chosen])
    return sides


def _line(corners: Iterable[tuple[float, float]]) -> list[Box]:
    """Return the strokes of the frontier's steps."""
    pairs = itertools.pairwise(sorted(corners))
    return [
        stroke
        for (left, top), (right, bottom) in pairs
        for stroke in ((left, top - 1, right, top + 1), (right - 1, bottom, right + 1, top))
    ]


def label_box(text: str, centre: tuple[float, float], side: Side) -> Box:
    """Return where `text` lies; it starts a hair outside the point's marker."""
    width, gap = len(text) * _CHARACTER, _MARKER + 0.5
    left = centre[0] + gap if side.endswith("right") else centre[0] - gap - width
    bottom = centre[1] + gap if side.startswith("top") else centre[1] - gap - _LINE
    return left, bottom, left + width, bottom + _LINE


def _inside(box: Box, size: tuple[float, float]) -> bool:
    return box[0] >= 0 and box[1] >= 0 and box[2] <= size[0] and box[3] <= size[1]


def _covers(box: Box, others: Iterable[Box]) -> bool:
    return any(box[0] < other[2] and other[0] < box[2] and box[1] < other[3] and other[1] < box[3] for other in others)
