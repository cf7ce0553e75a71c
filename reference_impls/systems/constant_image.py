"""The same answer whatever is seen: the mean image of the training part, its mean flow, or no flow at all."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import torch
from torch import Tensor

from reference_impls.api import State, Synapse
from reference_impls.dense_network import DenseAnswer, DenseBaseline, Windows, mean_of
from reference_impls.names import check_name

CARD = {
    "name": "mean-image",
    "kind": "system",
    "version": 1,
    "title": "Mean image",
    "summary": "Always the mean of the training part's frames, pixel by pixel: what is known without seeing an event.",
    "equations": "answer = mean of the training targets",
    "citations": [],
    "capabilities": {"answers": "frames", "learns": False, "spiking": False},
    "defaults": {"constant": "pixels"},
    "variants": {
        "mean-flow": {
            "title": "Mean flow",
            "summary": "Always the mean of the training part's flow, one vector for all pixels.",
            "params": {"constant": "components"},
            "capabilities": {"answers": "flow"},
        },
        "zero-flow": {
            "title": "No flow",
            "summary": "Always says that nothing moves: its end-point error is the mean length of the true flow.",
            "params": {"constant": "zero"},
            "capabilities": {"answers": "flow"},
        },
    },
}

CONSTANTS = ("pixels", "components", "zero")


class ConstantImage(DenseBaseline):
    """A constant.

    Parameters
    ----------
    sample_shape : ``(channels, height, width)``.
    components : of the answer.
    constant : the mean of every pixel's target, that of every component's over all pixels, or zero.
    """

    value: Tensor

    def __init__(self, sample_shape: tuple[int, ...], components: int, constant: str = "pixels") -> None:
        super().__init__()
        self.constant = check_name("constant", constant, CONSTANTS)
        self.register_buffer("value", torch.zeros(components, *sample_shape[1:]))

    def fit(self, batches: Iterable[Windows]) -> None:
        """Take the mean of the targets."""
        if self.constant == "zero":
            return
        mean = mean_of(batches)
        self.value.copy_(mean if self.constant == "pixels" else mean.mean((-1, -2), keepdim=True).expand_as(mean))

    def answer(self, x: Tensor, states: Sequence[State | None] | None = None) -> DenseAnswer:
        """Return the constant at every step."""
        return DenseAnswer(self.value.expand(*x.shape[:2], *self.value.shape), ())

    def synapses(self) -> tuple[Synapse, ...]:
        """It has none."""
        return ()
