"""Boxes on a grid: each is told by the place of the grid that holds its centre, and read from there again.

A place holds, in this order, whether there is a box, how far its centre is from the place's left and upper edge (in
sides of a place), the logarithms of width and height (in the same unit), and a number for each class. What a network
answers has the same layout, with logits for the first and for the classes. Must not know who answers.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn import functional

__all__ = ["BOX", "CLASSES_FROM", "Found", "on_grid", "read_boxes", "read_truth"]

THERE, BOX, CLASSES_FROM = 0, slice(1, 5), 5
"""Where a place holds what."""
LARGEST = 3.0
"""Logarithm of a side beyond which no box is read: 20 places."""


class Found(NamedTuple):
    """Boxes of one view, ``[n]`` or ``[n, 4]``."""

    boxes: Tensor
    """Left, top, right and lower edge in pixels."""
    classes: Tensor
    scores: Tensor


def on_grid(
    boxes: NDArray[np.float32], forms: NDArray[np.int64], side: int, place: int, classes: int
) -> NDArray[np.float32]:
    """Return what a grid of `side` x `side` places holds.

    Parameters
    ----------
    boxes : ``[N, windows, most, 4]`` in pixels, nan where there is none.
    forms : class of each object, ``[N, most]``; -1 where there is none.
    side, place : places in a row, and pixels of a place's side.
    classes : how many there are.

    Returns
    -------
    ``[N, windows, 5 + classes, side, side]``.

    Raises
    ------
    ValueError
        If two centres lie in one place: one of them would be lost.
    """
    count, windows, most, _ = boxes.shape
    grid = np.zeros((count, windows, CLASSES_FROM + classes, side, side), dtype=np.float32)
    n, window, index = np.nonzero(~np.isnan(boxes[..., 0]))
    left, top, right, low = boxes[n, window, index].T / place
    x, y = (left + right) / 2, (top + low) / 2
    column, row = (np.minimum(value.astype(np.int64), side - 1) for value in (x, y))
    if len(np.unique(np.stack([n, window, row, column]), axis=1).T) != len(n):
        raise ValueError(f"two of {most} objects have their centres in one place of {place} pixels")
    values = np.stack([np.ones_like(x), x - column, y - row, np.log(right - left), np.log(low - top)], axis=1)
    grid[n, window, :CLASSES_FROM, row, column] = values
    grid[n, window, CLASSES_FROM + forms[n, index], row, column] = 1
    return grid


def read_truth(grid: Tensor, place: int) -> list[Found]:
    """Return the true boxes of ``grid[B, 5 + classes, side, side]``, view by view."""
    return [_read(one, one[THERE] == 1, torch.ones_like(one[THERE]), place) for one in grid]


def read_boxes(answer: Tensor, place: int) -> list[Found]:
    """Return the boxes that a network's ``answer[B, 5 + classes, side, side]`` tells, view by view.

    A box is read wherever the first logit is not below that of any of the eight places around; its score is the
    probability that it is there, times that of its class.
    """
    there = answer[:, THERE].sigmoid()
    peaks = functional.max_pool2d(there[:, None], 3, 1, 1)[:, 0] == there
    scores = there * answer[:, CLASSES_FROM:].softmax(1).amax(1)
    return [_read(*each, place) for each in zip(answer, peaks, scores, strict=True)]


def _read(values: Tensor, chosen: Tensor, scores: Tensor, place: int) -> Found:
    """Read the places that are `chosen` ``[side, side]`` of ``values[5 + classes, side, side]``."""
    row, column = chosen.nonzero(as_tuple=True)
    at = values[:, row, column]
    dx, dy, width, height = at[BOX]
    half_width, half_height = (length.clamp(max=LARGEST).exp() / 2 for length in (width, height))
    x, y = column + dx, row + dy
    boxes = torch.stack([x - half_width, y - half_height, x + half_width, y + half_height], dim=1) * place
    return Found(boxes, at[CLASSES_FROM:].argmax(0), scores[row, column])
