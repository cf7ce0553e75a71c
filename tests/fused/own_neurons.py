"""Sequential neurons that no card has, for what the cards' neurons do not show."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import NamedTuple

import torch
from torch import Tensor, nn

from reference_impls.neuron import SequentialNeuron
from reference_impls.surrogate import make_surrogate


class Pair(NamedTuple):
    """Membrane and threshold."""

    v: Tensor
    b: Tensor


class Adaptive(SequentialNeuron):
    """Two states and two learnable parameters of any shape that broadcasts to a step's."""

    def __init__(self, decay: Tensor, rise: Tensor) -> None:
        super().__init__()
        self.raw_decay, self.rise = nn.Parameter(decay), nn.Parameter(rise)
        self.surrogate = make_surrogate("triangle")

    def init_state(self, like: Tensor) -> Pair:
        return Pair(torch.zeros_like(like), torch.full_like(like, 0.1))

    def step_params(self) -> dict[str, Tensor]:
        return {"decay": torch.sigmoid(self.raw_decay), "rise": self.rise}

    def step(self, x: Tensor, state: Pair, params: Mapping[str, Tensor]) -> tuple[Tensor, Pair]:
        h = params["decay"] * state.v + torch.tanh(x)
        s = self.surrogate(h - 0.4 - state.b)
        b = torch.where(s > 0.5, state.b + params["rise"], 0.9 * state.b).clamp(-1.0, 2.0)
        return s, Pair(h - s * 0.4, b)


class Stateless(SequentialNeuron):
    """No state at all, and a step that is clipped."""

    class State(NamedTuple):
        """Nothing."""

    def init_state(self, like: Tensor) -> State:
        return self.State()

    def step(self, x: Tensor, state: State, params: Mapping[str, Tensor]) -> tuple[Tensor, State]:
        return torch.relu(x.clamp(-2, 1)) * 0.5, state


class Charge(NamedTuple):
    """A membrane."""

    v: Tensor


class Warm(SequentialNeuron):
    """Starts from its first input, so that a gradient goes through the state at the start."""

    def init_state(self, like: Tensor) -> Charge:
        return Charge(0.5 * like)

    def step(self, x: Tensor, state: Charge, params: Mapping[str, Tensor]) -> tuple[Tensor, Charge]:
        v = 0.5 * state.v + x
        return v / (1 + v.abs()), Charge(v.clamp(-2, 1) * x)


class Offset(Warm):
    """Starts from a number that is not zero."""

    def init_state(self, like: Tensor) -> Charge:
        return Charge(torch.full_like(like, -1.25))


class Extreme(SequentialNeuron):
    """Infinity and negative zero as constants: the reciprocal tells which zero it was."""

    def init_state(self, like: Tensor) -> Charge:
        return Charge(torch.zeros_like(like))

    def step(self, x: Tensor, state: Charge, params: Mapping[str, Tensor]) -> tuple[Tensor, Charge]:
        v = torch.minimum(0.5 * state.v + x, torch.full_like(x, math.inf))
        return torch.where(v > 0, v, torch.full_like(v, -0.0)).reciprocal().clamp(-5.0, 5.0), Charge(v)


class Graded(SequentialNeuron):
    """Spikes between learnable bounds: the gradients of ``minimum`` and ``maximum`` write in place."""

    def __init__(self, bound: Tensor) -> None:
        super().__init__()
        self.bound = nn.Parameter(bound)

    def init_state(self, like: Tensor) -> Charge:
        return Charge(torch.zeros_like(like))

    def step_params(self) -> dict[str, Tensor]:
        return {"bound": self.bound}

    def step(self, x: Tensor, state: Charge, params: Mapping[str, Tensor]) -> tuple[Tensor, Charge]:
        v = state.v + x
        s = torch.minimum(torch.maximum(v, -params["bound"]), params["bound"])
        return s, Charge(v - 0.5 * s)


class Mixing(Adaptive):
    """Not element-wise: no kernel can be printed."""

    def step(self, x: Tensor, state: Pair, params: Mapping[str, Tensor]) -> tuple[Tensor, Pair]:
        return torch.cumsum(x, -1), state


class Special(Adaptive):
    """An operation without a printed form."""

    def step(self, x: Tensor, state: Pair, params: Mapping[str, Tensor]) -> tuple[Tensor, Pair]:
        return torch.special.bessel_j0(x), state
