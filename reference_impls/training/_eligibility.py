"""Eligibility traces: what a layer's past contributes to its present spikes, carried forward in time.

Every trace follows from the neuron's own step, which is elementwise, so its Jacobian is a diagonal that autograd reads
off: no neuron is known by name. Must not know where the learning signal comes from.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import torch
from torch import Tensor

from reference_impls.api import Neuron, SequentialNeuron, State

__all__ = ["LayerTraces", "Traces", "product", "require_one_step"]


class Slopes(NamedTuple):
    """The diagonal derivatives of one output of a neuron's step.

    Each is None (zero), a scalar (the same for every sample and neuron) or ``[B, n]``.
    """

    input: Tensor | None
    state: tuple[Tensor | None, ...]
    params: tuple[Tensor | None, ...]


def require_one_step(neuron: Neuron, method: str) -> None:
    """Refuse, in the name of `method`, a neuron whose ``step`` is not all that a time step does.

    Raises
    ------
    ValueError
        If the neuron is not sequential, or does more than its step (GLIF weights the input by the number of the step).
    """
    if not isinstance(neuron, SequentialNeuron):
        raise ValueError(f"{method} goes step by step: {type(neuron).__name__} is not sequential")
    if type(neuron).advance is not SequentialNeuron.advance:
        raise ValueError(
            f"{method} reads its traces off a neuron's step, and {type(neuron).__name__} does more in a time step; "
            "choose a neuron that does not override advance()"
        )


def step_with_slopes(
    neuron: SequentialNeuron, current: Tensor, state: State
) -> tuple[Tensor, State, tuple[Slopes, ...]]:
    """Take one step and differentiate it.

    Parameters
    ----------
    neuron : its step must be elementwise, as the contract says.
    current : ``[B, ...]``; n neurons.
    state : before the step.

    Returns
    -------
    Spikes ``[B, ...]``, the state after the step, and the slopes of the spikes and of every part of that state by
    input, parts of the state before, and learnable parameters (in the order of ``step_params``). No graph is kept.
    """
    with torch.enable_grad():
        # One entry per neuron and sample, so that a parameter shared by a layer has a diagonal, too.
        params = {
            name: value.detach().expand_as(current).clone().requires_grad_(value.requires_grad)
            for name, value in neuron.step_params().items()
        }
        before = [part.detach().requires_grad_() for part in state]
        learned = [value for value in params.values() if value.requires_grad]
        given = [current.detach().requires_grad_(), *before, *learned]
        spikes, after = neuron.step(given[0], type(state)(*before), params)
        slopes = tuple(_slopes(output, given, len(before)) for output in (spikes, *after))
    neuron._notify(spikes.detach().unsqueeze(0))
    return spikes.detach(), type(after)(*(part.detach() for part in after)), slopes


def _slopes(output: Tensor, given: Sequence[Tensor], states: int) -> Slopes:
    if not output.requires_grad:
        return Slopes(None, (None,) * states, (None,) * (len(given) - 1 - states))
    found = torch.autograd.grad(output.sum(), list(given), retain_graph=True, allow_unused=True)
    direct, *rest = [None if slope is None else _collapsed(slope) for slope in found]
    return Slopes(direct, tuple(rest[:states]), tuple(rest[states:]))


def _collapsed(slope: Tensor) -> Tensor | None:
    """Return a slope that is the same everywhere as a scalar, or None if it is 0."""
    first = slope.flatten()[0]
    if not bool((slope == first).all()):
        return slope.flatten(1)
    return first if bool(first) else None


Drive = tuple[Sequence[Tensor | None], Tensor]
"""Something that feeds a layer: the slopes of each output by it, and its activity ``[B, p, n]`` or ``[B, p, 1]``."""


class Traces:
    """The derivative of the spikes by `p` weights of each neuron, and its products with learning signals.

    Parts of the state whose recursion is the same for all neurons (the membrane of a LIF) have one trace for all of
    them, ``[B, p, 1]``; the products along the sum of the terms are then those of matrices.
    """

    def __init__(self, decay: float, formed: bool) -> None:
        self.decay = decay
        self.formed = formed or decay > 0
        self.eligibility: Tensor | None = None
        """e ``[B, p, n]`` of the last step, if it is `formed`."""
        self.filtered: Tensor | None = None
        """ebar ``[B, p, n]``, if there is a low-pass."""
        self._rows: list[list[tuple[Tensor, Tensor]]] = []
        self.terms: list[tuple[Tensor, Tensor]] = []
        """Slopes ``[B, n]`` or scalar, and parts ``[B, p, n]`` or ``[B, p, 1]``, whose products sum to e."""

    def advance(self, slopes: Sequence[Slopes], drives: Sequence[Drive]) -> None:
        """Take one step; `slopes` are those of the spikes and of every part of the state."""
        # What no output depends on (the last spikes, where the reset is cut) is never formed.
        states = range(len(slopes) - 1)
        read = [bool(self._rows) and any(row.state[index] is not None for row in slopes) for index in states]
        before = [self.part(index) if read[index] else None for index in states]
        rows = []
        for index, row in enumerate(slopes):
            pairs = [(by[index], source) for by, source in drives] + list(zip(row.state, before, strict=True))
            rows.append([(slope, part) for slope, part in pairs if slope is not None and part is not None])
        self.terms, self._rows = rows[0], rows[1:]
        if self.formed:
            self.eligibility = _summed(self.terms)
        if self.decay and self.eligibility is not None:
            fresh = (1 - self.decay) * self.eligibility
            self.filtered = fresh if self.filtered is None else self.decay * self.filtered + fresh
        elif self.filtered is not None:
            self.filtered = self.decay * self.filtered

    def part(self, index: int) -> Tensor | None:
        """Return the derivative of a part of the state, ``[B, p, n]`` or ``[B, p, 1]``; None: zero."""
        return _summed(self._rows[index])

    def times(self, signal: Tensor, filtered: bool) -> Tensor | None:
        """Return the sum over the batch of ``signal[B, n]`` times ebar (or e), ``[p, n]``; None: zero."""
        if filtered and self.decay:
            return None if self.filtered is None else product(signal, self.filtered)
        products = [product(signal * slope, part) for slope, part in self.terms]
        return sum(products[1:], products[0]) if products else None


def _summed(terms: Sequence[tuple[Tensor, Tensor]]) -> Tensor | None:
    products = [(slope.unsqueeze(1) if slope.dim() else slope) * part for slope, part in terms]
    return sum(products[1:], products[0]) if products else None


def product(post: Tensor, part: Tensor) -> Tensor:
    """Return ``sum_b post[b, n] part[b, p, n]``; a part that all neurons or all samples share has a 1 there."""
    if part.shape[2] == 1:
        return part.squeeze(2).expand(post.shape[0], -1).t() @ post
    return (part * post.unsqueeze(1)).sum(0)


class LayerTraces:
    """The eligibility of all synapses into one layer, and of its neurons' own parameters.

    Parameters
    ----------
    neuron : of the layer.
    decay : of the low-pass ``ebar[t] = decay ebar[t-1] + (1 - decay) e[t]`` that a leaky read-out puts on e; 0: none.
    self_weights : ``[n]``, of connections from each neuron to itself, which belong to the diagonal; None: none.

    Memory does not grow with T. With one recursion for all neurons and no low-pass it is a vector per sample, and e is
    never formed; else it is a number per synapse and sample.
    """

    @torch.enable_grad()  # whether a parameter is learned shows in a graph only
    def __init__(self, neuron: SequentialNeuron, decay: float = 0.0, self_weights: Tensor | None = None) -> None:
        self.neuron = neuron
        self.learned = [name for name, value in neuron.step_params().items() if value.requires_grad]
        formed = self_weights is not None
        self.synapses = Traces(decay, formed)
        self.params = [Traces(decay, formed) for _ in self.learned]
        self.state: State | None = None
        self._self_weights = self_weights

    def step(self, sources: Tensor, current: Tensor) -> Tensor:
        """Take one step of the layer.

        Parameters
        ----------
        sources : ``[B, p]``, the activity of everything that has weights into the layer.
        current : ``[B, ...]``, what these make of it.

        Returns
        -------
        Spikes ``[B, ...]``.
        """
        before = self.neuron.init_state(current) if self.state is None else self.state
        spikes, self.state, slopes = step_with_slopes(self.neuron, current, before)
        by_input = [row.input for row in slopes]
        everything = [(self.synapses, (by_input, sources.unsqueeze(2)))]
        for index, traces in enumerate(self.params):
            everything.append((traces, ([row.params[index] for row in slopes], current.new_ones(1, 1, 1))))
        for traces, drive in everything:
            drives = [drive]
            if self._self_weights is not None and traces.eligibility is not None:
                drives.append((by_input, self._self_weights * traces.eligibility))
            traces.advance(slopes, drives)
        return spikes
