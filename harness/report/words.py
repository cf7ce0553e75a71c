"""What cards, cells and provenance say, in a reader's words.

Keeps phrasing out of the templates. Must not know where a sentence will stand.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING, Any

from harness.catalogue.cards import Registry, TaskCard
from harness.catalogue.cell import DEFAULT_RECIPE, NOT_APPLICABLE, Cell
from harness.report.units import pretty
from harness.results.record import Machine, Provenance
from reference_impls.card import (
    Citation,
    NeuronCapabilities,
    PeerCapabilities,
    SystemCapabilities,
    TopologyCapabilities,
    TrainingCapabilities,
)

if TYPE_CHECKING:
    from harness.results.table import Table, TableRow

__all__ = [
    "AXIS_TITLES",
    "Fact",
    "Reference",
    "combination",
    "commit_of",
    "count",
    "day",
    "facts_of",
    "joined",
    "machine_of",
    "metric_titles",
    "references",
    "shown",
    "where",
]

MOST_MACHINES = 3
"""Machines that are called by their names."""

AXIS_TITLES: Mapping[str, str] = {
    "task": "task",
    "neuron": "neuron",
    "method": "training method",
    "topology": "network",
    "backend": "backend",
    "device": "device",
    "dtype": "number format",
    "budget": "training budget",
    "recipe": "hyper-parameters",
    "machine": "machine",
}
_EVALUATION: Mapping[str, str] = {
    "sequential": "step by step",
    "matmul": "whole sequence at once, by matrix products",
    "fft": "whole sequence at once, by Fourier transforms",
    "conv": "whole sequence at once, by a convolution over time",
    "scan": "whole sequence at once, by a parallel scan",
    "fixed_point": "whole sequence at once, by iterating to a fixed point",
    "closed_form": "whole sequence at once, in closed form",
    "memoryless": "every step by itself: it has no memory",
    "layer_by_step": "step by step, all units of a layer together",
}
_EMITS: Mapping[str, str] = {
    "binary": "spikes, 0 or 1",
    "ternary": "spikes, -1, 0 or 1",
    "analog": "real numbers, no spikes",
}
_UPDATES: Mapping[str, str] = {
    "per_batch": "one optimizer step for each batch",
    "per_step": "one optimizer step at each time step",
    "per_window": "one optimizer step for each window of time steps",
}
_TARGETS: Mapping[str, str] = {
    "classes": "classes",
    "signal": "signals",
    "frames": "frames of a video",
    "flow": "optical flow",
    "boxes": "boxes",
}
"""Kind of target -> what is asked for."""
_URL = re.compile(r"https?://[^\s()<>\"']+")


@dataclass(frozen=True, slots=True)
class Fact:
    """A term and what there is to say about it."""

    term: str
    text: str


@dataclass(frozen=True, slots=True)
class Reference:
    """A citation with the addresses it names."""

    text: str
    links: tuple[tuple[str, str], ...]
    """(label, address); addresses are http or https."""


_COUNTED: Mapping[str, str] = {
    "classes": "classes",
    "signal": "signals",
    "frames": "frames of a video",
    "flow": "optical flow",
    "boxes": "numbers for each place of a grid of boxes",
    "links": "entities",
    "control": "components of an action",
}
"""What the number on a task's card counts, by its target."""


def facts_of(capabilities: Any) -> tuple[Fact, ...]:
    """Say what an implementation is able to do."""
    if isinstance(capabilities, NeuronCapabilities):
        return _neuron(capabilities)
    if isinstance(capabilities, TrainingCapabilities):
        return _training(capabilities)
    if isinstance(capabilities, PeerCapabilities):
        return _peer(capabilities)
    if isinstance(capabilities, SystemCapabilities):
        return _system(capabilities)
    if isinstance(capabilities, TopologyCapabilities):
        return (
            Fact("structure", f"{capabilities.structure} network"),
            Fact("takes", f"samples of {joined(map(str, capabilities.sample_dims), 'or')} dimensions at each step"),
        )
    return _task(capabilities) if isinstance(capabilities, TaskCard) else ()


def _neuron(able: NeuronCapabilities) -> tuple[Fact, ...]:
    return (
        Fact("evaluates time", _EVALUATION.get(able.parallel, able.parallel)),
        Fact("causal", "yes: a step depends on no later input" if able.causal else "no: a step sees later inputs"),
        Fact("random", "draws random numbers (noise can be injected)" if able.stochastic else "deterministic"),
        Fact("number of steps", "part of its parameters" if able.needs_T else "any; its parameters do not depend on T"),
        Fact("emits", _EMITS.get(able.output, able.output)),
        Fact("membrane", able.membrane),
        Fact("reset", able.reset),
        *([] if able.leak else [Fact("leak", "none: it adds its input up")]),
        Fact("learns", _learned(able)),
    )


def _learned(able: NeuronCapabilities) -> str:
    if able.connected:
        return f"{joined(able.learnable)}; weights among the units of a layer"
    return f"{joined(able.learnable)}; one set a {able.granularity}" if able.learnable else "nothing of its own"


def _training(able: TrainingCapabilities) -> tuple[Fact, ...]:
    needs = "; ".join(f"{name}: {joined(map(str, values), 'or')}" for name, values in able.neuron.items())
    return (
        Fact("updates", _UPDATES.get(able.updates, able.updates)),
        Fact("trains", f"{joined(able.structures)} networks"),
        Fact("needs a neuron with", needs or "no particular property"),
        Fact("learns", joined(_TARGETS[target] for target in able.targets)),
        Fact("gradient", "that of a loss" if able.gradient else "none: it has a rule of its own"),
        *([Fact("begins with", "something it trains first, out of the same budget")] if able.pretraining else []),
        *([Fact("makes its network of", "an ANN, whose error stands beside its own")] if able.converts else []),
        *([Fact("may be read", "after any number of steps")] if able.anytime else []),
        Fact("memory over time", able.memory_in_T),
        Fact("backward pass", "spikes" if able.spiking_backward else "real numbers"),
    )


def _peer(able: PeerCapabilities) -> tuple[Fact, ...]:
    pinned = joined(f"{name} {version}" for name, version in able.requires.items())
    timing = {"same_step": "in the same step", "next_step": "one step later"}
    reference = "our lif" if able.reference is not None else "the library's step, restated"
    return (
        Fact("library", f"{able.library} ({pinned or 'this project'}), on {able.framework}"),
        Fact("decay", f"{able.decay:g} a step"),
        Fact("input", "as it is" if able.input_gain == "one" else "decayed"),
        Fact("fires", "at the threshold" if able.fire_rule == "ge" else "above the threshold"),
        Fact("input shows in spikes", timing[able.spike_timing]),
        Fact("reset", f"{able.reset}, {timing[able.reset_timing]}, gradient {'cut' if able.detach_reset else 'kept'}"),
        Fact("surrogate", f"{able.surrogate['name']} {shown(able.surrogate.get('params', {}))}".rstrip()),
        Fact("compared with", reference),
        Fact(
            "parity means",
            f"at most {able.spike_mismatch_max:g} of the spikes differ, gradient cosine at least "
            f"{able.gradient_cosine_min:g}",
        ),
    )


_ANSWERED: Mapping[str, str] = {
    "links": "which entity completes a fact of a graph",
    "control": "what to do next in an environment",
    "frames": "the frames of a video",
    "flow": "where every pixel moves",
    "boxes": "where the boxes of moving objects are",
}
"""What a system says, by what it answers with."""


def _system(able: SystemCapabilities) -> tuple[Fact, ...]:
    return (
        Fact("answers", _ANSWERED[able.answers]),
        Fact("its units send", "spikes" if able.spiking else "numbers"),
        Fact("learns", "by gradient, with a training of its own" if able.learns else "nothing: a trivial baseline"),
        *([Fact("channels", f"{able.input_channels} a step")] if able.input_channels is not None else []),
        *([Fact("height and width", f"a multiple of {able.divides}")] if able.divides > 1 else []),
        *([Fact("is shown", "the true frame before each window, which no other is")] if able.sees_truth else []),
    )


def _task(card: TaskCard) -> tuple[Fact, ...]:
    return (
        Fact("time steps", str(card.T)),
        Fact("sample at one step", " x ".join(map(str, card.sample_shape))),
        Fact(_COUNTED[card.target], str(card.classes)),
        Fact("encoding", card.encoding),
        Fact("split", card.split),
        Fact("data set", card.data or "of its own"),
    )


def references(citations: Iterable[Citation]) -> tuple[Reference, ...]:
    """Write citations out, with links to what they name."""
    return tuple(Reference(f"{c.authors} ({c.year}). {c.title}. {c.venue}.", tuple(_addresses(c))) for c in citations)


def _addresses(citation: Citation) -> Iterable[tuple[str, str]]:
    if citation.arxiv:
        yield f"arXiv {citation.arxiv}", f"https://arxiv.org/abs/{citation.arxiv}"
    if citation.doi:
        yield f"doi {citation.doi}", f"https://doi.org/{citation.doi}"
    for address in _URL.findall(citation.code or ""):
        yield f"code: {citation.code}", address


def combination(cell: Cell, without: Sequence[str] = ()) -> str:
    """Name the axes of a cell that say something, such as "digits, lif, bptt, mlp, quick, seed 1"."""
    implied = (NOT_APPLICABLE, "eager", "cpu", "float32", DEFAULT_RECIPE)
    axes = ("task", "neuron", "method", "topology", "backend", "device", "dtype", "budget", "recipe")
    parts = [getattr(cell, axis) for axis in axes if axis not in without]
    return ", ".join([*(part for part in parts if part not in implied), f"seed {cell.seed}"])


def day(timestamp: str) -> str:
    """Return the date of an ISO time stamp; what is none is returned as it is."""
    try:
        return datetime.fromisoformat(timestamp).date().isoformat()
    except ValueError:
        return timestamp


def commit_of(provenance: Provenance) -> str:
    """Return the commit of a record, short, and whether the tree differed from it."""
    if provenance.commit is None:
        return "no commit"
    return provenance.commit[:10] + (", with changes" if provenance.dirty else "")


def machine_of(machine: Machine) -> str:
    """Describe a machine in one line."""
    gpu = f"{machine.gpu} (driver {machine.gpu_driver}); " if machine.gpu else ""
    cores = f"{count(machine.physical_cores, 'core')}, {count(machine.logical_cores, 'thread')}"
    return f"{gpu}{machine.cpu}, {cores}, {pretty(machine.memory_bytes, 'bytes')}, {machine.os}"


def where(measured: Table | TableRow, machine: str) -> str:
    """Return the machines that figures are of, `machine` first: a few by name, more by number."""
    names = measured.machines(machine) or (machine,)
    return joined(names) if len(names) <= MOST_MACHINES else f"{names[0]} and {len(names) - 1} others"


def metric_titles(registry: Registry) -> dict[str, str]:
    """Return what each metric of every suite is called."""
    return {name: metric.title for suite in registry.suites for name, metric in registry.suite(suite).metrics.items()}


def count(number: int, noun: str, plural: str = "") -> str:
    """Return "1 record", "2,000 records"."""
    return f"{number:,} {noun if number == 1 else plural or noun + 's'}"


def joined(items: Iterable[str], word: str = "and") -> str:
    """Return "a, b and c"."""
    *first, last = [*items] or [""]
    return f"{', '.join(first)} {word} {last}" if first else last


def shown(value: Any) -> str:
    """Return a parameter's value as a reader writes it."""
    if isinstance(value, Mapping):
        return ", ".join(f"{key} = {shown(item)}" for key, item in value.items())
    if isinstance(value, list | tuple):
        return "[" + ", ".join(map(shown, value)) + "]"
    return f"{value:g}" if isinstance(value, float) else str(value)
