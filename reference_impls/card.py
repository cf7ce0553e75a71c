"""The card: the literal at the top of an implementation's file, as typed data.

A card says what an implementation is, where its equations come from, what it can do and which figures
its authors report. It is read from the syntax tree, so nothing here imports torch or the implementation.
Which combinations of cards make sense is decided by the harness, not here.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

from reference_impls.granularity import Granularity
from reference_impls.structures import StructureName

__all__ = [
    "REPORTED",
    "Card",
    "CardError",
    "Citation",
    "Dimension",
    "Evidence",
    "Kind",
    "NeuronCapabilities",
    "PeerCapabilities",
    "Reported",
    "SystemCapabilities",
    "TopologyCapabilities",
    "TrainingCapabilities",
    "Variant",
]

Kind = Literal["neuron", "training", "topology", "peer", "system"]


class CardError(ValueError):
    """A card that cannot be read or does not fit the contract; the message names file and key."""


@dataclass(frozen=True, slots=True)
class Citation:
    """Where an implementation comes from."""

    authors: str
    title: str
    venue: str
    year: int
    arxiv: str | None = None
    doi: str | None = None
    code: str | None = None


Evidence = Literal[
    "paper-text",
    "official-log",
    "official-readme",
    "official-repo",
    "official-web",
    "official-figure",
    "abstract",
    "quoted-in-paper",
    "third-party-log",
    "third-party-readme",
    "third-party-paper",
    "results-index",
    "third-party-note",
]
"""Where a reported figure was seen, the most trustworthy place first. A quotation is good for the digit, not for the
setting; a third party's log, README or paper is a measurement of its own; a note is weak."""
REPORTED = ".reported.json"
"""Ending of the file of reported figures, in place of ``.py``: a list of objects with the keys of `Reported`."""


@dataclass(frozen=True, slots=True)
class Reported:
    """One figure that the authors (or a named third party) report.

    `value` is in the unit that `metric` names (``accuracy_percent``, ``speedup_ratio``); `where` says in
    which table, log or README it was seen, `evidence` what kind of place that is, and `note` what a reader must
    know before comparing. Figures stand in a file beside the implementation's, see `REPORTED`.
    """

    task: str
    metric: str
    value: float
    where: str
    evidence: Evidence
    system: str = ""
    """What was measured, in the place's words: a variant, or a baseline that stands beside it."""
    network: str = ""
    T: int | None = None
    note: str = ""


@dataclass(frozen=True, slots=True)
class NeuronCapabilities:
    """What a neuron is able to do, as training methods and suites ask it."""

    parallel: Literal[
        "sequential", "matmul", "fft", "conv", "scan", "fixed_point", "closed_form", "layer_by_step", "memoryless"
    ]
    """How T is evaluated. ``layer_by_step``: step by step, all units of a layer together; ``memoryless``: every step by
    itself."""
    causal: bool
    """Whether step t depends on no later input."""
    stochastic: bool
    """Whether it draws random numbers (and so accepts an injected ``noise``)."""
    needs_T: bool
    """Whether its parameters depend on the number of time steps."""
    output: Literal["binary", "ternary", "graded", "analog"]
    membrane: str
    """``linear``: h = decay v + x, what trace- and equilibrium-based methods assume. Else a word that says why not."""
    reset: str
    """``hard``, ``soft``, ``none`` or a word of its own."""
    learnable: tuple[str, ...] = ()
    granularity: Granularity = "layer"
    """Whose what it learns is: one set a ``layer``, a ``channel``, or a ``neuron``."""
    leak: bool = True
    """Whether the membrane forgets; False: it adds its input up, so that a count of spikes stands for a sum."""
    connected: bool = False
    """Whether it has weights among the units of a layer. They count as parameters: its layers are made narrower, so
    that the network has about as many as with ``lif``."""


@dataclass(frozen=True, slots=True)
class TrainingCapabilities:
    """What a training method does and what it can be combined with."""

    updates: Literal["per_batch", "per_step", "per_window"]
    structures: tuple[StructureName, ...]
    """Structures of network that it can train; see :mod:`reference_impls.structures`."""
    memory_in_T: str
    spiking_backward: bool
    neuron: Mapping[str, tuple[str | bool, ...]] = field(default_factory=dict)
    """For a neuron capability, the values that the method can work with."""
    keeps_neuron: bool = True
    """Whether the neurons' plain attributes stay as they are while it trains, so that compiled kernels hold."""
    hidden_layers: int | None = None
    """Most layers of neurons that a network may have (None: any number)."""
    convolutions: bool = True
    """Whether it trains maps that share their weights over positions."""
    pretraining: bool = False
    """Whether it takes part of the budget for something that it trains first."""
    targets: tuple[Literal["classes", "signal"], ...] = ("classes",)
    """What it can learn: a class for each sample, or a signal that goes on at every step."""
    gradient: bool = True
    """Whether it forms the gradient of a loss, which `gradients` returns."""
    anytime: bool = False
    """Whether its network is meant to be read after any number of steps of a sample, which `read_outs` does."""
    converts: bool = False
    """Whether its network was made of an ANN, which `predict_ann` asks; such a method is read at any step, too."""
    passes_times: bool = False
    """Whether what travels between its layers is the time of a spike, which `spike_times` returns."""


@dataclass(frozen=True, slots=True)
class TopologyCapabilities:
    """What a topology can be fed with."""

    structure: StructureName
    """See :mod:`reference_impls.structures`."""
    sample_dims: tuple[int, ...]
    """Numbers of dimensions that one sample at one step may have."""
    sized_as: str | None = None
    """Topology whose parameters in a task's card are this one's too, where the task does not name this one."""


@dataclass(frozen=True, slots=True)
class PeerCapabilities:
    """Which library a peer comes from, and the convention of its LIF: two that differ in one of these fire differently.

    Pages show every field; `reference` and the two bounds are what its parity is judged by.
    """

    library: str
    """The library's name, as its authors write it."""
    framework: Literal["torch", "jax"]
    requires: Mapping[str, str]
    """Distribution -> the version that the card speaks of; another one is refused, for conventions change."""
    devices: tuple[str, ...]
    dtypes: tuple[str, ...]
    decay: float
    """Factor on the previous membrane."""
    input_gain: Literal["one", "one_minus_decay"]
    fire_rule: Literal["ge", "gt"]
    reset: Literal["soft", "hard"]
    reset_timing: Literal["same_step", "next_step"]
    """Whether the membrane is reset where it fired, or one step later."""
    spike_timing: Literal["same_step", "next_step"]
    """Whether a step's spike already depends on that step's input."""
    detach_reset: bool
    surrogate: Mapping[str, Any]
    """Name and params in the vocabulary of :mod:`reference_impls.surrogate`."""
    reference: Mapping[str, Any] | None = None
    """Keywords that give our ``lif`` the same convention; None: the file restates it, as our ``lif`` cannot."""
    spike_mismatch_max: float = 0.0
    """Share of spikes that may differ from the reference's."""
    gradient_cosine_min: float = 0.999999
    """Least cosine of the input gradient with the reference's."""


@dataclass(frozen=True, slots=True)
class SystemCapabilities:
    """What a whole system answers: a network with its own training, for a question that no chain of layers is asked."""

    answers: Literal["links", "control", "frames", "flow", "boxes"]
    """``links``: which entity completes a fact of a knowledge graph; ``control``: what to do next in an environment;
    ``frames``: the intensity of every pixel of a video; ``flow``: the way that every pixel goes; ``boxes``: which box
    has its centre at each place of a grid."""
    spiking: bool
    """Whether what travels between its units are spikes."""
    learns: bool
    """Whether it is trained by gradient; a trivial baseline is not."""
    input_channels: int | None = None
    """Of what answers with an image: channels of a step that it reads, 1 (signed bins) or 2 (OFF and ON); None: any."""
    divides: int = 1
    """Of what answers with an image: height and width of a sample must be a multiple of this."""
    sees_truth: bool = False
    """Whether it is shown the true frame before each window, which no other is: not a rival but a yardstick."""


@dataclass(frozen=True, slots=True)
class Variant:
    """A further row of the same implementation: the parameters that make it so.

    `capabilities` overrides those of the card where the variant differs (a hard reset, say); `overrides` gives any
    other key of the card another value (a task's data set, number of classes or encoding, say). With `of`, another
    variant of the file, it goes on from that one instead of from the card.
    """

    title: str
    params: Mapping[str, Any] = field(default_factory=dict)
    summary: str = ""
    capabilities: Mapping[str, Any] = field(default_factory=dict)
    overrides: Mapping[str, Any] = field(default_factory=dict)
    of: str = ""
    changes: str = ""
    """What it changes relative to `lif`, in place of the card's word for it; empty: the card's."""


@dataclass(frozen=True, slots=True)
class Dimension:
    """What tuning may choose a parameter from: a range with its scale, or a list.

    A range has `low` and `high`; where both are whole numbers, so is what is chosen.
    """

    low: int | float | None = None
    high: int | float | None = None
    scale: Literal["linear", "log"] = "linear"
    choices: tuple[bool | int | float | str, ...] = ()

    def __post_init__(self) -> None:
        if self.choices:
            if self.low is not None or self.high is not None:
                raise ValueError("give either 'choices' or 'low' and 'high'")
            if len(self.choices) < 2:
                raise ValueError("one choice is none")
        elif self.low is None or self.high is None or not self.low < self.high:
            raise ValueError(f"a range needs low < high, not {self.low} and {self.high}")
        elif self.scale == "log" and self.low <= 0:
            raise ValueError(f"a range on a log scale begins above 0, not at {self.low}")

    @property
    def said(self) -> str:
        """What can be chosen, in words."""
        return f"one of {', '.join(map(repr, self.choices))}" if self.choices else f"{self.low} to {self.high}"

    def holds(self, value: object) -> bool:
        """Whether `value` can be chosen."""
        if self.choices:
            return value in self.choices
        assert self.low is not None
        assert self.high is not None
        return isinstance(value, int | float) and self.low <= value <= self.high


@dataclass(frozen=True, slots=True)
class Card:
    """What an implementation is, in data.

    `defaults` are the parameters that decide accuracy (they are passed to the constructor, so the card
    cannot drift from the code). `variants` maps further row names to their parameters; `aliases` are
    names that resolve to this card without being rows of their own. `capabilities` has the keys of
    NeuronCapabilities, TrainingCapabilities, TopologyCapabilities, PeerCapabilities or SystemCapabilities, by kind.
    `recipe` is what a training method's authors set elsewhere: parameters of the ``neuron``, the ``topology`` or the
    ``optimizer``.
    `space` says from where tuning takes at most four of a row's own parameters, and `optimizer_space` which settings of
    the optimizer it searches for a training method: those that act on it.
    """

    name: str
    kind: Kind
    title: str
    summary: str
    version: int
    capabilities: Mapping[str, Any]
    citations: tuple[Citation, ...] = ()
    equations: str = ""
    defaults: Mapping[str, Any] = field(default_factory=dict)
    variants: Mapping[str, Variant] = field(default_factory=dict)
    aliases: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    recipe: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    space: Mapping[str, Dimension] = field(default_factory=dict)
    optimizer_space: tuple[Literal["learning_rate", "weight_decay", "schedule", "clip_norm"], ...] = (
        "learning_rate",
        "weight_decay",
        "schedule",
    )
    changes: str = ""
    """Of a neuron, what it changes relative to `lif`, in a phrase that stands beside its name ("learned decay")."""
    reported: tuple[Reported, ...] = ()
    """Read from the file beside the implementation's; a card has no such key."""
    divergences: tuple[str, ...] = ()
