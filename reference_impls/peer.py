"""The contract of a peer: another library's neuron, made ready to be compared with ours and timed beside it.

A peer goes over the whole sequence in its library's own way and on that library's own tensors; converting to and from
them happens in `prepare` and `answer`, outside of what is timed. Must not know how anything is timed or judged.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable
from typing import ClassVar, NamedTuple

import torch
from torch import Tensor

from reference_impls.neuron import SequentialNeuron

__all__ = ["Answered", "Layer", "Peer", "PeerRun", "TorchPeer"]

Layer = Callable[[Tensor], Tensor]
"""Maps a sequence of currents to spikes, starting at rest every time."""


class Answered(NamedTuple):
    """What a peer answers to one input, as ours would be compared with it."""

    spikes: Tensor
    """``[T, B, N]``."""
    gradient: Tensor
    """Of ``sum(spikes * upstream)`` with respect to the input, ``[T, B, N]``."""


class PeerRun(ABC):
    """A peer with one input on its own device and in its own layout."""

    @abstractmethod
    def forward(self) -> object:
        """Compute the spikes, and nothing for a backward pass; done when it returns."""

    @abstractmethod
    def train(self) -> object:
        """Compute the spikes and the gradient with respect to the input; done when it returns (on a GPU: queued)."""

    @abstractmethod
    def answer(self) -> Answered:
        """Return what `train` computes."""


class Peer(ABC):
    """A LIF layer out of another library, in the convention that its card states."""

    @abstractmethod
    def prepare(self, x: Tensor, upstream: Tensor) -> PeerRun:
        """Take the input current and the gradient of the spikes, both ``[T, B, N]``, into the library's own form."""

    @staticmethod
    def restated() -> SequentialNeuron:
        """Return the library's equations as a step of ours, for a card whose `reference` is None."""
        raise NotImplementedError("the card names no reference: restate the library's step in its file")


class TorchPeer(Peer):
    """A peer whose library works on torch tensors: a subclass builds its layer."""

    time_axis: ClassVar[int] = 0
    """Where the library wants time: 0, or 1 for ``[B, T, N]``."""

    @abstractmethod
    def layer(self, like: Tensor) -> Layer:
        """Return the layer, on the device and in the dtype of `like`; no state may survive a call of it."""

    def prepare(self, x: Tensor, upstream: Tensor) -> PeerRun:
        """Bring both tensors into the library's layout."""
        own, gradient = (tensor.transpose(0, self.time_axis).contiguous() for tensor in (x, upstream))
        return _TorchRun(self.layer(own), own, gradient, self.time_axis)


class _TorchRun(PeerRun):
    def __init__(self, layer: Layer, x: Tensor, upstream: Tensor, time_axis: int) -> None:
        self.layer = layer
        self.x = x
        self.leaf = x.clone().requires_grad_()
        self.upstream = upstream
        self.time_axis = time_axis

    def forward(self) -> Tensor:
        with torch.no_grad():
            return self.layer(self.x)

    def train(self) -> tuple[Tensor, Tensor]:
        spikes = self.layer(self.leaf)
        (gradient,) = torch.autograd.grad(spikes, self.leaf, self.upstream)
        return spikes.detach(), gradient

    def answer(self) -> Answered:
        return Answered(*(tensor.transpose(0, self.time_axis) for tensor in self.train()))
