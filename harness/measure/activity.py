"""Activity: spikes, synaptic operations and neuron updates of a network on data, as exact integers.

What a synapse is fed with is declared by the network and checked entry by entry on the data; what no declaration
covers is listed. Errors end the count: zero is never a fallback. Must not know energies or training methods.
"""

from __future__ import annotations

import functools
import math
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from typing import Any, Literal

import torch
from torch import Tensor, nn

from harness.errors import UserError
from harness.measure.counters import (
    Feed,
    LayerActivity,
    LayerCounter,
    Operations,
    SynapseActivity,
    SynapseCounter,
    quanta,
)
from harness.measure.coverage import Uncovered, Watch, watching
from reference_impls.api import Network, Synapse

__all__ = ["Activity", "Convention", "count_activity"]

Convention = Literal["cached", "recomputed"]
"""For an input that is the same at every step: its product is kept, or computed anew at each."""


@dataclass(frozen=True, slots=True)
class Activity:
    """What a network did on some samples. Totals are integers; divide by `samples` for figures per sample.

    Shares of neurons are nan for a network that has none.
    """

    samples: int
    sample_steps: int
    """Time steps, summed over samples."""
    layers: tuple[LayerActivity, ...]
    synapses: tuple[SynapseActivity, ...]
    uncovered: tuple[Uncovered, ...]
    """Matrix products outside the declared synapses; those inside a neuron are its own work, and charged as that."""
    input_events: int
    """Spikes of the encoded samples, over all steps; in no count of the layers."""
    input_analog_entries: int
    """Entries of the encoded samples that are neither 0 nor spikes, over all steps."""

    @property
    def neurons(self) -> int:
        """Return the neurons of all layers."""
        return sum(layer.neurons for layer in self.layers)

    @property
    def events(self) -> int:
        """Return the spikes of all layers."""
        return sum(layer.events for layer in self.layers)

    @property
    def spikes_per_sample(self) -> float:
        """Return spikes per sample, over all layers and steps."""
        return self.events / self.samples

    @property
    def spikes_per_neuron(self) -> float:
        """Return spikes per neuron and sample."""
        return _ratio(self.events, self.samples * self.neurons)

    @property
    def firing_rate(self) -> float:
        """Return spikes per neuron and step; every neuron weighs the same, not every layer."""
        return _ratio(self.events, self.neuron_updates)

    @property
    def neuron_updates(self) -> int:
        """Return neurons times steps, over all samples."""
        return sum(layer.updates for layer in self.layers)

    @property
    def dead_fraction(self) -> float:
        """Return the share of neurons that never fired on these samples."""
        return _ratio(sum(layer.dead_neurons for layer in self.layers), self.neurons)

    @property
    def saturated_fraction(self) -> float:
        """Return the share of neurons that fired at every step of every sample."""
        return _ratio(sum(layer.saturated_neurons for layer in self.layers), self.neurons)

    def operations(self, convention: Convention = "cached") -> Operations:
        """Return the work of all synapses."""
        return _total(synapse.operations(convention) for synapse in self.synapses)

    @property
    def outside_neurons(self) -> int:
        """Return the dense multiply-accumulates that belong to no synapse and no neuron."""
        return sum(item.multiply_accumulates for item in self.uncovered if not item.in_neuron)

    @property
    def coverage(self) -> float:
        """Return the share of dense multiplications outside neurons that the declared synapses account for."""
        counted = self.operations("cached").dense
        return counted / (counted + self.outside_neurons)

    def problems(self) -> tuple[str, ...]:
        """Return a sentence for everything that a reader of the figures must know."""
        found = [
            f"synapse {synapse.name!r} is declared to receive spikes, but {synapse.violations} entries are no whole "
            "number of them; they are counted as analog"
            for synapse in self.synapses
            if synapse.violations
        ]
        found += [
            f"layer {index} emitted {layer.graded_entries} values that are no whole number of spikes"
            for index, layer in enumerate(self.layers)
            if layer.graded_entries
        ]
        found += [
            f"{item.where}: {item.multiply_accumulates} dense multiply-accumulates of {item.operator} are in no synapse"
            for item in self.uncovered
            if not item.in_neuron
        ]
        return tuple(found)


def _ratio(part: int, whole: int) -> float:
    return part / whole if whole else math.nan


def _total(operations: Iterable[Operations]) -> Operations:
    return Operations(*map(sum, zip(*operations, strict=True)))


def count_activity(
    network: Network,
    batches: Iterable[Tensor],
    forward: Callable[[Tensor], object] | None = None,
    synapses: Sequence[Synapse] | None = None,
    input_kind: Feed = "mixed",
) -> Activity:
    """Run `network` on data in evaluation mode, without gradients, and count what it does.

    Parameters
    ----------
    network : its `synapses` and `neurons` say what is counted.
    batches : encoded, ``[T, B, ...]``, on the network's device; the last one may be smaller.
    forward : what to run on a batch (a training method's `predict`); None: the network.
    synapses : None: the network's; else what they are under `forward` (a read-out fed with rates, say).
    input_kind : what the encoded samples are. ``events``: spikes or counts of them. ``analog``: values to be
        multiplied, though some be 0 or 1. ``mixed``: each entry is what it turns out to be.

    Raises
    ------
    UserError
        If a synapse's module is not one linear map, or a declared synapse or layer never ran.
    """
    counters = _synapse_counters(network.synapses() if synapses is None else synapses, input_kind)
    layers = _layer_counters(network)
    run = network if forward is None else forward
    samples = sample_steps = input_events = input_analog = 0
    # Compiled neurons run eagerly here: the same spikes, and their operators can be seen.
    eager = torch.compiler.set_stance("force_eager")
    with eager, _evaluating(network), torch.no_grad(), _counting(network, counters, layers) as watch:
        for x in batches:
            constant = x.shape[0] == 1 or x.stride(0) == 0
            run(x)
            for counter in counters.values():
                counter.end_batch(x.shape[0], x.shape[1], constant)
            events, analog = _input_entries(x, constant, input_kind)
            samples, sample_steps = samples + x.shape[1], sample_steps + x.shape[0] * x.shape[1]
            input_events, input_analog = input_events + events, input_analog + analog
    if samples == 0:
        raise UserError("no sample was given to count the activity on", "give at least one batch [T, B, ...]")
    return Activity(
        samples=samples,
        sample_steps=sample_steps,
        layers=tuple(counter.closed() for counter in layers),
        synapses=tuple(counter.closed() for counter in counters.values()),
        uncovered=watch.uncovered(),
        input_events=input_events,
        input_analog_entries=input_analog,
    )


def _synapse_counters(synapses: Sequence[Synapse], input_kind: Feed) -> dict[nn.Module, SynapseCounter]:
    """Make one counter for each distinct module; synapses that share one are one entry."""
    if not synapses:
        raise UserError("the network declares no synapse", "list its linear maps in Network.synapses()")
    by_module: dict[nn.Module, Synapse] = {}
    for synapse in synapses:
        first = by_module.setdefault(synapse.module, synapse)
        if first[1:] != synapse[1:]:
            raise UserError(
                f"synapses {first.name!r} and {synapse.name!r} share a module but not source and amplitude",
                "give them a module each (the weight may be shared), so that their inputs can be told apart",
            )
    return {module: SynapseCounter(*synapse, input_kind) for module, synapse in by_module.items()}


def _layer_counters(network: Network) -> list[LayerCounter]:
    neurons = network.neurons()
    if len(set(neurons)) != len(neurons):
        raise UserError(
            "two layers of the network share one neuron module, so their spikes cannot be told apart",
            "give every layer a neuron module of its own",
        )
    return [LayerCounter(layer) for layer in range(len(neurons))]


@contextmanager
def _counting(
    network: Network, counters: Mapping[nn.Module, SynapseCounter], layers: Sequence[LayerCounter]
) -> Iterator[Watch]:
    """Put hooks, observers and the watch on the network."""
    with (
        watching(network, {module: counter.name for module, counter in counters.items()}, network.neurons()) as watch,
        ExitStack() as stack,
    ):
        for module, counter in counters.items():
            before = functools.partial(_before, counter, watch)
            after = functools.partial(_after, counter, watch)
            stack.callback(module.register_forward_pre_hook(before, with_kwargs=True).remove)
            stack.callback(module.register_forward_hook(after).remove)
        stack.enter_context(network.observed_by(lambda layer, spikes: layers[layer].add(spikes)))
        yield watch


def _before(counter: SynapseCounter, watch: Watch, _module: nn.Module, args: Any, kwargs: Any) -> None:
    # A synapse inside another one is a part of it; the outermost counts.
    if watch.depth() == 1:
        counter.before(args[0] if args else next(iter(kwargs.values())))


def _after(counter: SynapseCounter, watch: Watch, *_hook_arguments: object) -> None:
    if counter.is_waiting:
        with watch.own_work():
            counter.after()


@contextmanager
def _evaluating(network: nn.Module) -> Iterator[None]:
    """Set evaluation mode; afterwards every module is as it was."""
    before = {module: module.training for module in network.modules()}
    network.eval()
    try:
        yield
    finally:
        for module, training in before.items():
            module.training = training


def _input_entries(x: Tensor, constant: bool, input_kind: Feed) -> tuple[int, int]:
    """Return spikes, and entries that are neither spikes nor 0, of a batch over all its steps."""
    once, steps = (x[0], x.shape[0]) if constant else (x, 1)
    if input_kind == "analog":
        return 0, int(once.count_nonzero()) * steps
    count, analog = quanta(once)
    return int(count.sum()) * steps, int(analog.sum()) * steps
