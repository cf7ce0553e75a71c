"""The contract of a network of dense targets: events in, an image out at every step, neurons and all.

Unlike a topology, which any neuron fills, such a network is a published whole: it mixes neurons that fire with
read-outs that keep a potential. So it is a system: it takes no neuron from outside, and its suite trains it. Must not
know how anything is measured.
"""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Iterable, Sequence
from typing import Any, NamedTuple

import torch
from torch import Tensor

from reference_impls.building import build
from reference_impls.network import Network, NetworkOutput
from reference_impls.neuron import Neuron, State

__all__ = ["DenseAnswer", "DenseBaseline", "DenseNetwork", "Windows", "build_dense"]


class DenseAnswer(NamedTuple):
    """What a network gives for a sequence."""

    image: Tensor
    """``[T, B, components, height, width]``: what it says after every step."""
    states: tuple[State | None, ...]
    """What a later call needs to go on from here."""
    coarse: tuple[Tensor, ...] = ()
    """The same at lower resolutions, for the loss: ``[T, B, components, h, w]`` each, in units of the full one."""


class Windows(NamedTuple):
    """A batch of sequences, each cut into W windows of steps, with what is to be answered at the end of each."""

    x: Tensor
    """``[T, B, channels, height, width]``; T is a multiple of W."""
    target: Tensor
    """``[W, B, components, height, width]``."""
    before: Tensor | None
    """The truth at the beginning of each window, as `target`; None where it has none (flow is of the window itself)."""


class DenseNetwork(Network):
    """A network of dense targets. Subclasses live in ``systems/`` and are built from `sample_shape` and `components`.

    It is a `Network`, so that what counts spikes and operations of others counts these. `neurons` are the layers that
    fire; read-outs that keep a potential are none.
    """

    @abstractmethod
    def answer(self, x: Tensor, states: Sequence[State | None] | None = None) -> DenseAnswer:
        """Process ``x[T, B, channels, height, width]``, at rest or from the `states` of an earlier answer."""

    def run(self, x: Tensor, states: tuple[State | None, ...] | None = None) -> NetworkOutput:
        """Return the image of every step in the place of logits."""
        answer = self.answer(x, states)
        return NetworkOutput(answer.image, answer.states)

    def at_windows(self, batch: Windows) -> Tensor:
        """Return what is said at the end of every window of a batch, ``[W, B, components, height, width]``."""
        return at_ends(self.answer(batch.x).image, len(batch.target))


class DenseBaseline(DenseNetwork):
    """A trivial answer, found in closed form: what a network must beat to have learned anything."""

    @abstractmethod
    def fit(self, batches: Iterable[Windows]) -> None:
        """Take from training data what the answer needs (a mean, a gain); called once."""

    def neurons(self) -> tuple[Neuron, ...]:
        """It has none."""
        return ()


def at_ends(image: Tensor, windows: int) -> Tensor:
    """Return ``image[T, B, ...]`` at the last step of each of `windows` windows of equal length.

    Raises
    ------
    ValueError
        If the steps are not so many windows.
    """
    steps = image.shape[0]
    if steps % windows:
        raise ValueError(f"{steps} steps are not {windows} windows of equal length")
    each = steps // windows
    return image[each - 1 :: each]


def build_dense(name: str, sample_shape: tuple[int, ...], components: int, **params: Any) -> DenseNetwork:
    """Build the row `name` of a system's card.

    Parameters
    ----------
    name : row of a card (``spikeboard list systems`` shows them).
    sample_shape : ``(channels, height, width)`` of one step.
    components : numbers that are answered for each pixel.
    **params : keywords of the network, over the card's.

    Raises
    ------
    UnknownNameError
        If the row or a parameter is not known; the message suggests the nearest.
    ValueError
        If the network cannot read samples of that shape.
    """
    shape = tuple(sample_shape)
    if len(shape) != 3:
        raise ValueError(f"{name} reads samples of shape (channels, height, width) at each step, got {shape}")
    given = {"sample_shape": shape, "components": components}
    network: DenseNetwork = build("system", name, DenseNetwork, params, given)
    return network


def mean_of(batches: Iterable[Windows]) -> Tensor:
    """Return the mean target of every component and pixel over all windows and samples, ``[components, H, W]``."""
    total, count = torch.zeros(()), 0
    for batch in batches:
        total = total + batch.target.double().sum((0, 1))
        count += batch.target.shape[0] * batch.target.shape[1]
    return total / count
