"""Questions of those who look for a neuron or a method, and the form of an answer.

Must not decide: ``recommend`` does.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

from harness.results.overall.settings import Bundle, Setting
from harness.results.stats import Estimate

__all__ = [
    "COSTS",
    "PARAMETERS",
    "PROPERTIES",
    "RATIOS",
    "UNTRAINED",
    "Answer",
    "Choice",
    "Cost",
    "Limit",
    "Property",
    "Question",
    "has",
    "meaning",
    "spikes",
]

Choice = Literal["neuron", "method"]
Property = Literal["online", "causal", "binary", "deterministic"]
COSTS: Mapping[str, str] = {
    "energy": "spikes.energy_joules",
    "memory": "memory.peak_bytes",
    "step": "throughput.train_step_seconds",
    "inference": "throughput.inference_step_seconds",
}
"""What may be limited, and the column that has it; parameters are counted where errors are measured."""
RATIOS: Mapping[str, str] = {"step": "throughput.train_step_ratio", "inference": "throughput.inference_step_ratio"}
"""Columns that compare two rows better than the seconds do: each was timed beside LIF in one process."""
PARAMETERS = "parameters"
PROPERTIES: Mapping[Property, Mapping[Choice, str]] = {
    "online": {
        "neuron": "runs step by step, each on no later input",
        "method": "learns with memory that does not grow with the number of steps",
    },
    "causal": {"neuron": "sees no later input"},
    "binary": {"neuron": "emits nothing but 0 and 1"},
    "deterministic": {"neuron": "draws no random numbers"},
}
"""What a row may be asked to be, and what that means for a neuron and for a method."""
UNTRAINED = ("memory.", "throughput.")
"""Columns that no recipe moves: where a tuned table lacks them, that of the default has them."""


@dataclass(frozen=True, slots=True)
class Limit:
    """At most so much of a cost."""

    cost: str
    """Key of `COSTS`, or ``parameters``."""
    value: float
    """SI units, or a share of the baseline's."""
    of_baseline: bool = False


@dataclass(frozen=True, slots=True)
class Question:
    """What is looked for."""

    kind: str
    choose: Choice = "neuron"
    limits: tuple[Limit, ...] = ()
    properties: tuple[Property, ...] = ()


@dataclass(frozen=True, slots=True)
class Cost:
    """What the chosen row costs beside the baseline, geometric mean over settings."""

    cost: str
    ratio: float
    settings: int
    """How many of the settings it is known for."""


@dataclass(frozen=True, slots=True)
class Answer:
    """What is to be said."""

    question: Question
    bundle: Bundle | None
    """None where nothing current and comparable was measured."""
    settings: tuple[Setting, ...] = ()
    winner: str | None = None
    relative: Estimate | None = None
    """Of the winner's errors to the baseline's."""
    errors: Mapping[Setting, Estimate] = field(default_factory=dict)
    """Of the winner."""
    tied: tuple[str, ...] = ()
    """Rows that cannot be told from the winner, best estimate first."""
    cheapest: str | None = None
    """Of the winner and those tied with it, the one of least energy; None where that is not known of all, or of one."""
    costs: tuple[Cost, ...] = ()
    meeting: tuple[str, ...] = ()
    """Rows that meet every condition and were ranked."""
    failing: Mapping[str, str] = field(default_factory=dict)
    """Row -> the condition that it does not meet."""
    unknown: Mapping[str, str] = field(default_factory=dict)
    """Row -> what is not known of it."""
    without_spikes: tuple[str, float] | None = None
    """The best row that does not spike but keeps to the same limits, which is no answer, and its errors as a share of
    the winner's; None where there is none."""


def has(capabilities: Any, wanted: Property) -> bool:
    """Whether a row's card says that it is what is wanted; what a card says nothing of is no hindrance."""
    checks: Mapping[Property, Callable[[Any], bool]] = {
        "online": _online,
        "causal": lambda able: bool(getattr(able, "causal", True)),
        "binary": lambda able: getattr(able, "output", "binary") == "binary",
        "deterministic": lambda able: not getattr(able, "stochastic", False),
    }
    return checks[wanted](capabilities)


def spikes(capabilities: Any) -> bool:
    """Whether a row spikes, as far as its card says: what emits real numbers does not."""
    return bool(getattr(capabilities, "output", "binary") != "analog")


def _online(able: Any) -> bool:
    if hasattr(able, "memory_in_T"):
        return bool(able.memory_in_T == "O(1)")
    return bool(getattr(able, "causal", True) and getattr(able, "parallel", "sequential") == "sequential")


def meaning(wanted: Property, choose: Choice) -> str:
    """Return what a property means for a neuron or a method."""
    return PROPERTIES[wanted].get(choose, wanted)
