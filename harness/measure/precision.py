"""Mean average precision of boxes, by COCO's own evaluation (pycocotools).

The only module that knows that library. Must not know networks or tasks.
"""

from __future__ import annotations

import contextlib
import io
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from harness.extras import require

__all__ = ["Boxes", "Precision", "average_precision"]

MOST = 100
"""Boxes of a view that count, those of the largest scores: COCO's limit."""


class Boxes(NamedTuple):
    """Boxes of one view."""

    edges: NDArray[np.float64]
    """Left, top, right and lower edge in pixels, ``[n, 4]``."""
    classes: NDArray[np.int64]
    scores: NDArray[np.float64]
    """Of those that are true, no matter."""


class Precision(NamedTuple):
    """Means over the classes of the area under precision against recall, in [0, 1]."""

    at_half: float
    """Where a box is right that overlaps the true one by half of what both cover (IoU 0.5)."""
    strict: float
    """Mean over demands of 0.5, 0.55, ..., 0.95."""


def average_precision(true: Sequence[Boxes], said: Sequence[Boxes], classes: int) -> Precision:
    """Return how precise boxes are, views in the same order.

    Raises
    ------
    MissingExtraError
        If pycocotools is not installed.
    ValueError
        If the views are not the same in number, or there is no true box.
    """
    require("pycocotools")
    from pycocotools.coco import COCO
    from pycocotools.cocoeval import COCOeval

    if len(true) != len(said):
        raise ValueError(f"{len(said)} views were answered, and {len(true)} have true boxes; give as many")
    if not any(len(one.classes) for one in true):
        raise ValueError("no view has a true box, so there is no precision: give views with boxes")
    with contextlib.redirect_stdout(io.StringIO()):  # it reports its progress
        known = COCO()
        known.dataset = {
            "info": {},
            "images": [{"id": view} for view in range(len(true))],
            "categories": [{"id": index} for index in range(classes)],
            "annotations": _entries(true, scored=False),
        }
        known.createIndex()
        found = _entries(said, scored=True)
        if not found:
            return Precision(0.0, 0.0)
        judge = COCOeval(known, known.loadRes(found), "bbox")
        judge.evaluate()
        judge.accumulate()
        judge.summarize()
    strict, at_half = (float(judge.stats[index]) for index in (0, 1))
    return Precision(at_half, strict)


def _entries(views: Sequence[Boxes], scored: bool) -> list[dict[str, object]]:
    entries: list[dict[str, object]] = []
    for view, boxes in enumerate(views):
        order = np.argsort(-boxes.scores, kind="stable")[:MOST] if scored else np.arange(len(boxes.classes))
        for index in order:
            left, top, right, low = (float(edge) for edge in boxes.edges[index])
            entry: dict[str, object] = {
                "id": len(entries) + 1,
                "image_id": view,
                "category_id": int(boxes.classes[index]),
                "bbox": [left, top, right - left, low - top],
                "area": (right - left) * (low - top),
                "iscrowd": 0,
            }
            entries.append(entry | {"score": float(boxes.scores[index])} if scored else entry)
    return entries
