"""mean-boxes: the same boxes whatever is seen, from how often each place of the grid holds one in the training part."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import torch
from torch import Tensor

from reference_impls.api import State, Synapse
from reference_impls.dense_network import DenseAnswer, DenseBaseline, Windows

CARD = {
    "name": "mean-boxes",
    "kind": "system",
    "version": 1,
    "title": "Mean boxes",
    "summary": (
        "Says at every place of the grid that the mean box of the training part is there, of the most frequent class, "
        "with the share of windows in which one is: what is known without seeing an event."
    ),
    "equations": "logit = log(p / (1 - p)) of each place; box and class: the mean and the shares over all boxes",
    "citations": [],
    "capabilities": {"answers": "boxes", "spiking": False, "learns": False},
    "defaults": {"stride": 4},
}

LEAST = 1e-4
"""Share that stands for none, so that its logit is finite."""


class MeanBoxes(DenseBaseline):
    """A constant grid of boxes.

    Parameters
    ----------
    sample_shape : ``(channels, height, width)``.
    components : numbers for each place.
    stride : side of a place, in entries of a sample.
    """

    value: Tensor

    def __init__(self, sample_shape: tuple[int, ...], components: int, stride: int = 4) -> None:
        super().__init__()
        height, width = (-(-side // stride) for side in sample_shape[1:])
        self.register_buffer("value", torch.zeros(components, height, width))

    def fit(self, batches: Iterable[Windows]) -> None:
        """Count boxes place by place, and average what they are.

        Raises
        ------
        ValueError
            If the training part has no box.
        """
        there, boxes, count = torch.zeros(()), torch.zeros(()), 0
        for batch in batches:
            grids = batch.target.double().flatten(0, 1)
            there = there + grids[:, 0].sum(0)
            boxes = boxes + (grids[:, 1:] * grids[:, :1]).sum((0, 2, 3))
            count += grids.shape[0]
        if not count or float(there.sum()) == 0:
            raise ValueError("mean-boxes needs a training part with at least one box")
        self.value[0] = (there / count).clamp(LEAST, 1 - LEAST).logit()
        mean = boxes / there.sum()
        mean[4:] = mean[4:].clamp(min=LEAST).log()
        self.value[1:] = mean[:, None, None]

    def answer(self, x: Tensor, states: Sequence[State | None] | None = None) -> DenseAnswer:
        """Return the constant at every step."""
        return DenseAnswer(self.value.expand(*x.shape[:2], *self.value.shape), ())

    def synapses(self) -> tuple[Synapse, ...]:
        """It has none."""
        return ()
