"""What layers of gated units share: weights among the units of a layer, and the walk over time.

The equations of the gates stay in each unit's own file; this module must not know any of them.
"""

from __future__ import annotations

import math
from abc import abstractmethod
from typing import ClassVar

import torch
from torch import Tensor, nn
from torch.nn import functional

from reference_impls.api import LayerShape, ParallelNeuron

__all__ = ["GatedLayer"]


class GatedLayer(ParallelNeuron):
    """A layer of units that are connected among themselves.

    Parameters
    ----------
    shape : of the layer; its units are taken in one row, so n is their number.

    Weights ``weight_ih`` and ``weight_hh`` ``[gates n, n]`` and biases ``[gates n]`` have the names, the order and the
    initial distribution of PyTorch's own cells. State never survives a call.
    """

    gates: ClassVar[int]

    def __init__(self, shape: LayerShape | None = None) -> None:
        super().__init__()
        if shape is None:
            raise ValueError(f"{type(self).__name__} has weights among its units: give the layer's shape=(N,)")
        self.shape = self.parameter_shape = tuple(shape)
        self.units = math.prod(self.shape)
        rows = self.gates * self.units
        self.weight_ih = nn.Parameter(torch.empty(rows, self.units))
        self.weight_hh = nn.Parameter(torch.empty(rows, self.units))
        self.bias_ih = nn.Parameter(torch.empty(rows))
        self.bias_hh = nn.Parameter(torch.empty(rows))
        for parameter in self.parameters():
            nn.init.uniform_(parameter, -1 / math.sqrt(self.units), 1 / math.sqrt(self.units))

    def forward(self, x: Tensor) -> Tensor:
        """Map ``x[T, B, *shape]`` to the units' outputs, of the same shape, step after step.

        Raises
        ------
        ValueError
            If the input is of another layer's shape.
        """
        if x.shape[2:] != self.shape:
            raise ValueError(
                f"{type(self).__name__} was built for layers of shape {self.shape} and got features of shape "
                f"{tuple(x.shape[2:])}: build it with shape={tuple(x.shape[2:])}"
            )
        entered = functional.linear(x.reshape(*x.shape[:2], self.units), self.weight_ih, self.bias_ih)
        outputs, state = [], self.at_rest(entered.new_zeros(x.shape[1], self.units))
        for entered_t in entered.unbind(0):
            state = self.advanced(entered_t, functional.linear(state[0], self.weight_hh, self.bias_hh), state)
            outputs.append(state[0])
        return torch.stack(outputs).reshape(x.shape)

    def at_rest(self, zeros: Tensor) -> tuple[Tensor, ...]:
        """Return the state before the first step, the output first."""
        return (zeros,)

    @abstractmethod
    def advanced(self, entered: Tensor, fed_back: Tensor, state: tuple[Tensor, ...]) -> tuple[Tensor, ...]:
        """Return the next state, the output first, from what enters all gates ``[B, gates n]`` from either side."""
