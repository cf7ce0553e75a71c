"""Counters of a single layer's spikes and a single synapse's operations, in int64 on the device of the data.

Each reduces what it is shown at once and keeps no tensor of it, so later in-place changes cannot reach it. Must not
know networks; :mod:`harness.measure.activity` puts them in place.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, NamedTuple

import torch
from torch import Tensor, nn

from harness.errors import UserError
from harness.measure.fanout import FanOut, LinearMap
from reference_impls.names import check_name

__all__ = [
    "Feed",
    "LayerActivity",
    "LayerCounter",
    "Operations",
    "SynapseActivity",
    "SynapseCounter",
    "feed_of",
    "quanta",
]

Feed = Literal["events", "analog", "mixed"]
"""What a synapse receives: spikes, values to be multiplied, or whatever each entry turns out to be."""
SOURCES = ("input", "spikes", "rates", "mixed")
FEEDS = ("events", "analog", "mixed")
LARGEST_COUNT = 2.0**31
"""Beyond this every float is a whole number, and no neuron fires so often in a step."""
PIECE_ENTRIES = 2**19
LARGE_PIECE_ENTRIES = 2**24


def feed_of(source: str, input_kind: Feed) -> Feed:
    """Return what a synapse with this `source` is declared to receive."""
    check_name("source of a synapse", source, SOURCES)
    check_name("kind of input", input_kind, FEEDS)
    return {"spikes": "events", "rates": "analog", "mixed": "mixed"}.get(source, input_kind)  # type: ignore[return-value]


def quanta(x: Tensor, amplitude: float = 1.0) -> tuple[Tensor, Tensor]:
    """Split the entries of `x` into spikes and the rest.

    Returns
    -------
    How many spikes each entry is, int64 (n where it equals ``+-n * amplitude`` to the last bit, else 0), and where it
    is none but not zero either, bool.
    """
    x = x if x.is_floating_point() else x.double()
    count = (x if amplitude == 1 else x / amplitude).round()
    whole = (count if amplitude == 1 else count * amplitude) == x
    whole &= count.abs_() < LARGEST_COUNT
    return torch.where(whole, count, 0).to(torch.int64), ~whole


def _pieces(x: Tensor) -> tuple[Tensor, ...]:
    """Split ``x[rows, ...]`` so that the copies which counting makes of a piece stay in the processor's cache."""
    size = PIECE_ENTRIES if x.device.type == "cpu" else LARGE_PIECE_ENTRIES
    return x.split(max(1, size // max(1, x[0].numel())))


@dataclass(frozen=True, slots=True)
class LayerActivity:
    """What the neurons of one layer did, summed over samples and steps."""

    neurons: int
    sample_steps: int
    """Time steps, summed over samples."""
    events: int
    """Spikes; an output of n quanta counts n, a -1 counts 1."""
    negative_entries: int
    """Outputs below 0."""
    active_entries: int
    """Outputs that are not 0: as many as events for binary neurons."""
    graded_entries: int
    """Outputs that are no whole number of spikes; they are in no other count of events."""
    dead_neurons: int
    """Neurons that never fired."""
    saturated_neurons: int
    """Neurons that fired at every step of every sample."""

    @property
    def rate(self) -> float:
        """Return the mean firing rate: events per neuron and step."""
        return self.events / (self.neurons * self.sample_steps)

    @property
    def updates(self) -> int:
        """Return neuron updates: neurons times steps."""
        return self.neurons * self.sample_steps


class LayerCounter:
    """Counts what one layer emits."""

    def __init__(self, layer: int) -> None:
        self.layer = layer
        self._fired: Tensor | None = None
        self._sums: Tensor | None = None
        self._sample_steps = 0

    def add(self, spikes: Tensor) -> None:
        """Count ``spikes[T, B, ...]``."""
        if self._fired is not None and self._fired.shape != spikes.shape[2:]:
            raise UserError(
                f"layer {self.layer} emitted {tuple(spikes.shape[2:])} after {tuple(self._fired.shape)} neurons",
                "give every layer of the network a neuron module of its own",
            )
        for piece in _pieces(spikes.flatten(0, 1)):
            count, graded = quanta(piece)
            fired = (piece != 0).sum(0)
            sums = torch.stack([count.sum(), (piece < 0).sum(), graded.sum()])
            self._fired = fired if self._fired is None else self._fired + fired
            self._sums = sums if self._sums is None else self._sums + sums
        self._sample_steps += spikes.shape[0] * spikes.shape[1]

    def closed(self) -> LayerActivity:
        """Return the counts.

        Raises
        ------
        UserError
            If the layer emitted nothing, not even zeros: it never ran.
        """
        if self._fired is None or self._sums is None:
            raise UserError(
                f"layer {self.layer} of the network never ran",
                "Network.neurons() must list the neurons that Network.run really uses",
            )
        events, negative, graded = (int(n) for n in self._sums)
        return LayerActivity(
            neurons=self._fired.numel(),
            sample_steps=self._sample_steps,
            events=events,
            negative_entries=negative,
            active_entries=int(self._fired.sum()),
            graded_entries=graded,
            dead_neurons=int((self._fired == 0).sum()),
            saturated_neurons=int((self._fired == self._sample_steps).sum()),
        )


class Operations(NamedTuple):
    """Work of synapses, summed over samples and steps."""

    events: int = 0
    """Spikes that arrived, each counted as often as it is worth."""
    accumulates: int = 0
    """(spike, synapse) pairs with a weight that is not 0: one addition each."""
    multiply_accumulates: int = 0
    """(analog value, synapse) pairs with neither of them 0: one multiplication and one addition each."""
    dense: int = 0
    """All (input, synapse) pairs, zeros or not: what a dense machine multiplies."""


@dataclass(frozen=True, slots=True)
class SynapseActivity:
    """What one linear map had to do."""

    name: str
    source: str
    feed: Feed
    """What was declared."""
    cached: Operations
    """An input that is the same at every step enters once and its product is kept."""
    recomputed: Operations
    """The same input enters at every step. Equal to `cached` unless the map is fed by a constant input."""
    violations: int
    """Entries declared to be spikes that are no whole number of them (counted as analog)."""
    bias_additions: int
    """Additions of a bias, as computed; in no other count."""
    synapses: int
    """Weights in use in one pass over one sample, zeros and borders excluded (a kernel's weight: at every place)."""
    connections: int
    """The same with the zeros: multiplications of one dense pass."""

    def operations(self, convention: Literal["cached", "recomputed"]) -> Operations:
        """Return the counts under one convention for constant inputs."""
        return self.cached if convention == "cached" else self.recomputed


class SynapseCounter:
    """Counts what one synapse's module is fed with; `before` and `after` are its forward hooks."""

    def __init__(self, name: str, module: nn.Module, source: str, amplitude: float, input_kind: Feed) -> None:
        self.name = name
        self.source = source
        self.amplitude = amplitude
        self.feed = feed_of(source, input_kind)
        self.map = LinearMap(name, module)
        self._waiting: tuple[Tensor, Tensor, int] | None = None
        self._fan_out: FanOut | None = None
        self._batch: Tensor | None = None
        self._rows = 0
        self._cached: Tensor | int = 0
        self._recomputed: Tensor | int = 0
        self._violations: Tensor | int = 0
        self._bias_additions = 0

    def before(self, x: Tensor) -> None:
        """Reduce the input ``x[rows, ...]`` over its rows, before anything can change it."""
        events = torch.zeros(x.shape[1:], dtype=torch.int64, device=x.device)
        analog = torch.zeros_like(events)
        for piece in _pieces(x):
            if self.feed == "analog":
                analog += (piece != 0).sum(0)
            else:
                count, other = quanta(piece, self.amplitude)
                events += count.sum(0)
                analog += other.sum(0)
        self._waiting = events, analog, x.shape[0]

    @property
    def is_waiting(self) -> bool:
        """Whether an input has come in that is not counted yet."""
        return self._waiting is not None

    def after(self) -> None:
        """Multiply what came in with the fan-out of the weights that were used (hooks may set them late)."""
        assert self._waiting is not None
        events, analog, rows = self._waiting
        self._waiting = None
        self._rows += rows
        fan_out = self._fan_out = self.map.fan_out(events.shape)
        counts = torch.stack(
            [
                events.sum(),
                (events * fan_out.per_position).sum(),
                (analog * fan_out.per_position).sum(),
                events.new_tensor(rows * fan_out.connections),
            ]
        )
        self._batch = counts if self._batch is None else self._batch + counts
        if self.feed == "events":
            self._violations = self._violations + analog.sum()
        if self.map.has_bias:
            self._bias_additions += rows * fan_out.outputs

    def end_batch(self, steps: int, samples: int, constant: bool) -> None:
        """Add the batch to the totals, under both conventions for an input that is constant over `steps`.

        Raises
        ------
        UserError
            If a constant input entered neither once nor at every step.
        """
        rows, counts = self._rows, self._batch
        self._rows, self._batch = 0, None
        if counts is None:
            return
        once = every = counts
        if self.source == "input" and constant and steps > 1:
            if rows == samples:
                every = counts * steps
            elif rows == samples * steps:
                once = counts // steps
            else:
                raise UserError(
                    f"synapse {self.name!r} was fed {rows} rows for {samples} samples of {steps} equal steps",
                    "feed a constant input to the input map once a sample, or once a step",
                )
        self._cached = self._cached + once
        self._recomputed = self._recomputed + every

    def closed(self) -> SynapseActivity:
        """Return the counts.

        Raises
        ------
        UserError
            If the module never ran.
        """
        if not (isinstance(self._cached, Tensor) and isinstance(self._recomputed, Tensor) and self._fan_out):
            raise UserError(
                f"synapse {self.name!r} was never called",
                "Network.synapses() must list the modules that are really called (a feedback map needs T > 1)",
            )
        return SynapseActivity(
            name=self.name,
            source=self.source,
            feed=self.feed,
            cached=Operations(*self._cached.tolist()),
            recomputed=Operations(*self._recomputed.tolist()),
            violations=int(self._violations),
            bias_additions=self._bias_additions,
            synapses=self._fan_out.synapses,
            connections=self._fan_out.connections,
        )
