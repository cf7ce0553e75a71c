"""The contract of a neuron: what its author writes and what everything else may rely on.

State is explicit: nothing survives a call unless the caller passes it back, so there is no hidden reset that can
be forgotten. Tensors are time-first, ``[T, B, features...]``. Must not know of networks or training.
"""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Callable, Hashable, Iterator, Mapping
from contextlib import contextmanager
from types import MethodType
from typing import Any, ClassVar, NamedTuple, Protocol

import torch
from torch import Tensor, nn

from reference_impls import backends
from reference_impls.granularity import LayerShape, fits

__all__ = [
    "Neuron",
    "NeuronFactory",
    "NeuronOutput",
    "ParallelNeuron",
    "SequentialNeuron",
    "State",
    "detached",
    "plain_attributes",
    "refuse_other_state",
]

State = Any
"""A NamedTuple of tensors, one per state variable, each of the shape of one step ``[B, ...]``."""

SpikeObserver = Callable[[Tensor], None]


def detached(state: State) -> State:
    """Return `state` cut off from the graph (a tensor, a NamedTuple of tensors, a tuple of either, or None)."""
    if state is None or isinstance(state, Tensor):
        return None if state is None else state.detach()
    parts = map(detached, state)
    return type(state)(*parts) if hasattr(state, "_fields") else tuple(parts)


def plain_attributes(neuron: Neuron) -> dict[str, Any]:
    """Return what a trace of `neuron` takes as literals: every attribute that is neither a tensor nor a module."""
    # A replica of DataParallel holds its parameters as attributes; that it is one decides nothing.
    ignored = ("training", "_is_replica", neuron.entry_point)
    return {
        name: value
        for name, value in vars(neuron).items()
        if name not in ignored and isinstance(value, Hashable) and not isinstance(value, Tensor)
    }


def refuse_other_state(who: str, state: State | None, x: Tensor, shape: torch.Size) -> None:
    """Refuse a `state` that does not fit `x`, one step of which has `shape`.

    Another shape, torch would broadcast without a word; another dtype, eager promotes and a fused kernel casts, so two
    backends would differ. A state of float32 goes with an input of half precision, where parameters are float32.

    Raises
    ------
    ValueError
        If a tensor of it has another shape, dtype or device.
    """
    for part in state if isinstance(state, tuple) else ():
        if not isinstance(part, Tensor):
            continue
        if part.shape != shape:
            raise ValueError(
                f"{who}: the state is one of {tuple(part.shape)}, a step of this input has {tuple(shape)}; go on with "
                "sequences of the same batch and size, or from rest (state None)"
            )
        real_of_half = part.dtype == torch.float32 and x.dtype in (torch.float16, torch.bfloat16)
        both_real = part.is_floating_point() and x.is_floating_point()
        fits_dtype = part.dtype == x.dtype or not both_real or real_of_half
        if not fits_dtype or part.device != x.device:
            raise ValueError(
                f"{who}: the state is {part.dtype} on {part.device}, this input {x.dtype} on {x.device}; give both the "
                "same dtype and device (x.to(...), or each tensor of the state), or go on from rest (state None)"
            )


class NeuronOutput(NamedTuple):
    """What a neuron gives for a sequence."""

    spikes: Tensor
    """``[T, B, ...]``."""
    state: State | None = None
    """State after the last step (None for parallel neurons)."""
    auxiliary_loss: Tensor | None = None
    """A scalar that the neuron wants added to the task loss (None for most)."""


class Neuron(nn.Module):
    """A neuron model: maps input current ``x[T, B, ...]`` to spikes ``s[T, B, ...]``."""

    entry_point: ClassVar[str]
    """The method that does the work over the whole sequence: the one that a backend replaces."""

    backend: str = "eager"
    parameter_shape: LayerShape = ()
    """Shape that its parameters have over a layer's features; ``()``: one set serves a layer of any shape."""
    auxiliary_weight: float = 0.0
    """Share of the total loss that `auxiliary_loss` takes: ``(1 - w) task + w auxiliary``."""

    def __init__(self) -> None:
        super().__init__()
        self._observers: list[SpikeObserver] = []

    def run(self, x: Tensor, state: State | None = None) -> NeuronOutput:
        """Process the sequence `x` ``[T, B, ...]`` from `state` (None: at rest).

        Raises
        ------
        ValueError
            If the sequence is empty, a parallel neuron is given a state, the input is of another layer's shape than
            the parameters, or the state of another shape, dtype or device than the input.
        """
        if x.shape[0] == 0:
            raise ValueError(f"{type(self).__name__}: the sequence is empty (T = 0); give at least one time step")
        self.check_features(x.shape[2:])
        refuse_other_state(type(self).__name__, state, x, x.shape[1:])
        output = self._run(x, state)
        self._notify(output.spikes)
        return output

    def check_features(self, features: LayerShape) -> None:
        """Raise ValueError if the parameters are those of a layer whose samples have another shape at one step."""
        if not fits(self.parameter_shape, features):
            raise ValueError(
                f"{type(self).__name__} was built for a layer whose parameters have shape {self.parameter_shape} and "
                f"got features of shape {tuple(features)}: build it with shape={tuple(features)}"
            )

    @abstractmethod
    def _run(self, x: Tensor, state: State | None) -> NeuronOutput: ...

    def _notify(self, spikes: Tensor) -> None:
        for observer in self._observers:
            observer(spikes)

    @contextmanager
    def observed_by(self, observer: SpikeObserver) -> Iterator[None]:
        """Call `observer` with the spikes ``[T, B, ...]`` of every `run` inside the block (T is 1 for `advance`).

        Reduce them at once: a reference that is kept may be changed by later in-place operations.
        """
        self._observers.append(observer)
        try:
            yield
        finally:
            self._observers.remove(observer)

    def __getstate__(self) -> dict[str, Any]:
        # A backend replaces the entry point on the instance; a copy must get its own, bound to itself.
        return {key: value for key, value in self.__dict__.items() if key != self.entry_point}

    def __setstate__(self, state: dict[str, Any]) -> None:
        super().__setstate__(state)
        backends.get(self.backend).attach(self)

    def _replicate_for_data_parallel(self) -> Neuron:
        # DataParallel copies a module's dictionary at every call: what is compiled stays, but must work on the copy.
        replica: Neuron = super()._replicate_for_data_parallel()
        executed = vars(self).get(self.entry_point)
        if isinstance(executed, MethodType):
            setattr(replica, self.entry_point, MethodType(executed.__func__, replica))
        return replica


class SequentialNeuron(Neuron):
    """A neuron that is defined by its step; everything else comes from it.

    A subclass writes `init_state` and `step`, pure element-wise torch. The eager loop over T (the reference),
    the compiled and fused versions and the online form that OTTT-like methods use are all derived.
    """

    entry_point = "sequence"

    @abstractmethod
    def init_state(self, like: Tensor) -> State:
        """Return the state at rest for one step's input `like` ``[B, ...]``."""

    @abstractmethod
    def step(self, x: Tensor, state: State, params: Mapping[str, Tensor]) -> tuple[Tensor, State]:
        """Advance by one time step: input ``[B, ...]`` to (spikes ``[B, ...]``, next state)."""

    def step_params(self) -> dict[str, Tensor]:
        """Return the learnable parameters in their effective form, as `step` wants them."""
        return {}

    def advance(self, x: Tensor, state: State) -> tuple[Tensor, State]:
        """Take a single step outside a sequence (online learning, streaming); errors as in `run`."""
        self.check_features(x.shape[1:])
        refuse_other_state(type(self).__name__, state, x, x.shape)
        spikes, state = self.step(x, state, self.step_params())
        self._notify(spikes.unsqueeze(0))
        return spikes, state

    def sequence(self, x: Tensor, state: State | None = None) -> tuple[Tensor, State]:
        """Run the loop over T; a backend replaces how this is executed, never what it computes."""
        params = self.step_params()
        current = self.init_state(x[0]) if state is None else state
        spikes = []
        for x_t in x.unbind(0):
            s, current = self.step(x_t, current, params)
            spikes.append(s)
        return torch.stack(spikes), current

    def forward(self, x: Tensor) -> Tensor:
        """Map ``x[T, B, ...]`` to spikes ``[T, B, ...]``, starting at rest."""
        return self.run(x).spikes

    def _run(self, x: Tensor, state: State | None) -> NeuronOutput:
        return NeuronOutput(*self.sequence(x, state))


class ParallelNeuron(Neuron):
    """A neuron that computes the whole sequence at once; a subclass writes `forward`.

    If its parameters depend on the number of time steps, its constructor takes `T`.
    """

    entry_point = "forward"

    def _run(self, x: Tensor, state: State | None) -> NeuronOutput:
        self._refuse_state(state)
        return NeuronOutput(self(x))

    def _refuse_state(self, state: State | None) -> None:
        if state is not None:
            raise ValueError(f"{type(self).__name__} is a parallel neuron: it has no state to start from")


class NeuronFactory(Protocol):
    """Builds one layer's neuron; a topology calls it once per layer and says which shape the layer has."""

    def __call__(self, *, shape: LayerShape) -> Neuron:
        """Return the neuron for a layer whose samples have `shape` at one step, without time and batch."""
