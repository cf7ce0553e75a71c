"""Runs a neuron or a network and keeps its neurons' states of every step. Must not change what is computed."""

from __future__ import annotations

import functools
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from reference_impls.api import Network, Neuron, SequentialNeuron, State, UnsupportedError
from reference_impls.names import check_name

__all__ = ["Run", "run"]


@dataclass(frozen=True)
class Run:
    """What `run` saw. Layers are in the order of `Network.neurons`; a neuron by itself is the one layer there is."""

    output: Tensor
    """Spikes ``[T, B, ...]`` of a neuron, read-out ``[T, B, classes]`` of a network."""
    spikes: tuple[Tensor, ...]
    """What each layer emitted, ``[T, B, ...]``."""
    traces: Mapping[str, tuple[Tensor, ...]]
    """Name of a state variable -> its value after every step, ``[T, B, ...]``, of each layer."""
    state: State
    """After the last step; give it to the next `run` to go on from there."""

    def trace(self, name: str, layer: int = 0) -> Tensor:
        """Return the values of the state `name` after every step, ``[T, B, ...]``, of one layer."""
        return self.traces[check_name("recorded state", name, self.traces)][layer]


def run(module: Neuron | Network, x: Tensor, record: Sequence[str] = (), state: State = None) -> Run:
    """Run a neuron or a network on a sequence and keep its spikes, and the states that `record` names.

    Parameters
    ----------
    module : what ``build_neuron`` or ``build_network`` gave.
    x : ``[T, B, ...]``: the input current of a neuron, the encoded samples of a network.
    record : names of state variables, ``("v",)`` for the membrane; what there is depends on the neuron
        (``v`` and ``i`` of a CUBA-LIF). A membrane is what it is after the reset, if there was one.
    state : where to start, of an earlier `Run`; None: at rest.

    Returns
    -------
    Output, spikes and traces; all of them are part of the graph, so gradients flow through a trace as well.

    Raises
    ------
    UnknownNameError
        If a neuron has no such state; the message names what it has.
    UnsupportedError
        If states are recorded of a neuron that has none (a parallel one), or that a compiled backend keeps to itself,
        or of a network that does not take its neurons step by step.
    ValueError
        If the input or the state does not fit.

    Examples
    --------
    >>> import torch, spikeboard
    >>> neuron = spikeboard.build_neuron("lif", tau=2.0)
    >>> seen = spikeboard.run(neuron, torch.full((3, 1, 1), 0.6), record=("v",))
    >>> [round(float(v), 2) for v in seen.trace("v").flatten()]
    [0.6, 0.9, 0.05]
    """
    names = (record,) if isinstance(record, str) else tuple(record)
    layers = [module] if isinstance(module, Neuron) else list(module.neurons())
    kept: list[list[State]] = [[] for _ in layers]
    spikes: list[list[Tensor]] = [[] for _ in layers]
    with ExitStack() as stack:
        if names:
            for layer, states in zip(layers, kept, strict=True):
                _check(layer, names, x)
                stack.enter_context(_watched(layer, states))
        for layer, emitted in zip(layers, spikes, strict=True):
            stack.enter_context(layer.observed_by(functools.partial(_keep, emitted)))
        result, after = _output(module, x, state)
    traces = {
        name: tuple(_over_time(layer, states, name, x.shape[0]) for layer, states in zip(layers, kept, strict=True))
        for name in names
    }
    return Run(result, tuple(torch.cat(emitted) for emitted in spikes), traces, after)


def _output(module: Neuron | Network, x: Tensor, state: State) -> tuple[Tensor, State]:
    if isinstance(module, Neuron):
        spiked = module.run(x, state)
        return spiked.spikes, spiked.state
    read_out = module.run(x, state)
    return read_out.logits, read_out.states


def _keep(emitted: list[Tensor], spikes: Tensor) -> None:
    emitted.append(spikes.clone())  # what is observed may be changed in place later


def _check(neuron: Neuron, names: Sequence[str], x: Tensor) -> None:
    """Refuse what has no state that could be seen, and names that it does not have."""
    who = type(neuron).__name__
    if not isinstance(neuron, SequentialNeuron):
        raise UnsupportedError(
            f"{who} computes all steps at once and has no state to record; leave out record=, or take a sequential one"
        )
    if neuron.backend != "eager":
        raise UnsupportedError(
            f"{who} runs on the backend {neuron.backend!r}, which keeps the states between steps to itself; build it "
            "with backend='eager': it computes the same"
        )
    fields: Sequence[str] = getattr(neuron.init_state(x.new_zeros(1)), "_fields", ())
    for name in names:
        check_name(f"state of {who}:", name, fields)


@contextmanager
def _watched(neuron: Neuron, states: list[State]) -> Iterator[None]:
    """Keep the state that every step of `neuron` inside the block ends with."""
    assert isinstance(neuron, SequentialNeuron)
    step = neuron.step

    def watched(*args: Any, **kwargs: Any) -> tuple[Tensor, State]:
        s, after = step(*args, **kwargs)
        states.append(after)
        return s, after

    neuron.step = watched  # type: ignore[method-assign]
    try:
        yield
    finally:
        del neuron.step


def _over_time(neuron: Neuron, states: Sequence[State], name: str, steps: int) -> Tensor:
    if len(states) != steps:
        raise UnsupportedError(
            f"the network took {len(states)} steps of its {type(neuron).__name__} for {steps} of the input: its states "
            "cannot be recorded; leave out record="
        )
    return torch.stack([getattr(state, name) for state in states])
