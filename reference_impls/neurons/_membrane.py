"""What integrate-and-fire neurons share: the checks of their parameters, firing and resetting.

The equations of charging stay in each neuron's own file; this module must not know any of them.
"""

from __future__ import annotations

import math
from abc import abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass, fields, replace
from inspect import Parameter, Signature, signature
from typing import Any, ClassVar, NamedTuple

import torch
from torch import Tensor

from reference_impls.api import SequentialNeuron
from reference_impls.names import check_name
from reference_impls.surrogate import FIRE_RULES, Surrogate, make_surrogate

__all__ = ["Membrane", "MembraneNeuron", "MembraneState", "resolve_decay", "resolve_input_gain"]

RESET_MODES = ("hard", "soft", "none")
DECAY_RULES = ("euler", "exp")
INPUT_GAINS = ("one", "one_minus_decay")


class MembraneState(NamedTuple):
    """The state of a one-variable neuron."""

    v: Tensor
    """Membrane potential after reset, ``[B, ...]``."""


def resolve_decay(tau: float, decay: float | None, decay_rule: str) -> float:
    """Return the factor on the previous membrane: `decay` if given, else from `tau` (in time steps).

    ``euler``: 1 - 1/tau. ``exp``: exp(-1/tau).

    Raises
    ------
    ValueError
        If `decay` is outside [0, 1] or `tau` is too small for the rule.
    """
    check_name("decay_rule", decay_rule, DECAY_RULES)
    if decay is not None:
        if not 0 <= decay <= 1:
            raise ValueError(f"decay must lie in [0, 1], got {decay}; it multiplies the previous membrane")
        return decay
    if decay_rule == "exp":
        if tau <= 0:
            raise ValueError(f"tau must be positive for decay_rule 'exp', got {tau} time steps")
        return math.exp(-1 / tau)
    if tau < 1:
        raise ValueError(f"tau must be at least 1 time step for decay_rule 'euler' (decay = 1 - 1/tau), got {tau}")
    return 1 - 1 / tau


def resolve_input_gain(input_gain: str, decay_input: bool | None) -> str:
    """Return the input gain; `decay_input`, SpikingJelly's name for the same choice, wins if given."""
    check_name("input_gain", input_gain, INPUT_GAINS)
    if decay_input is None:
        return input_gain
    return "one_minus_decay" if decay_input else "one"


@dataclass(frozen=True, slots=True)
class Membrane:
    """How a membrane with a fixed threshold fires and is reset in the same step.

    Parameters
    ----------
    v_threshold : firing threshold, > 0.
    fire_rule : ``ge`` fires on a tie, ``gt`` does not.
    reset_mode : ``hard`` sets the membrane to `v_reset`, ``soft`` subtracts `reset_amount`, ``none`` keeps it.
    v_reset : value after a hard reset; None or unused for the others.
    v_init : membrane before the first step; None: `v_reset` for a hard reset, else 0.
    reset_amount : what a soft reset subtracts; None: `v_threshold` (SPIDE uses twice that).
    detach_reset : whether the spike inside the reset carries no gradient.
    surrogate : name, ``{"name", "params"}`` or Surrogate of the spike's derivative.

    Raises
    ------
    ValueError
        If a value is out of its domain or a word not known.
    """

    v_threshold: float = 1.0
    fire_rule: str = "ge"
    reset_mode: str = "soft"
    v_reset: float | None = None
    v_init: float | None = None
    reset_amount: float | None = None
    detach_reset: bool = True
    surrogate: str | Mapping[str, Any] | Surrogate = "atan"

    def __post_init__(self) -> None:
        if not self.v_threshold > 0:
            raise ValueError(f"v_threshold must be positive, got {self.v_threshold}")
        if self.reset_mode == "hard" and self.v_reset is not None and self.v_reset >= self.v_threshold:
            raise ValueError(
                f"v_reset {self.v_reset} must lie below v_threshold {self.v_threshold}, or firing never ends"
            )
        check_name("fire_rule", self.fire_rule, FIRE_RULES)
        check_name("reset_mode", self.reset_mode, RESET_MODES)


class MembraneNeuron(SequentialNeuron):
    """A neuron with a membrane, a fixed threshold and a reset in the same step.

    Parameters
    ----------
    **membrane : fields of :class:`Membrane`, over the neuron's `defaults`. A subclass takes its own parameters and
        hands these on; its signature names them all.
    """

    defaults: ClassVar[Membrane] = Membrane()
    """What the neuron's authors, or the library that it follows, take."""
    settled: ClassVar[tuple[str, ...]] = ()
    """Fields that its equations leave no choice of."""

    def __init_subclass__(cls, **options: Any) -> None:
        super().__init_subclass__(**options)
        own = [one for one in signature(cls.__init__).parameters.values() if one.kind is not Parameter.VAR_KEYWORD][1:]
        shared = [
            Parameter(one.name, Parameter.KEYWORD_ONLY, default=getattr(cls.defaults, one.name), annotation=one.type)
            for one in fields(Membrane)
            if one.name not in cls.settled and one.name not in {parameter.name for parameter in own}
        ]
        cls.__signature__ = Signature([*own, *shared])  # type: ignore[attr-defined]  # what inspect.signature asks for

    def __init__(self, **membrane: Any) -> None:
        super().__init__()
        for name in membrane:
            if name in self.settled:
                raise TypeError(f"{type(self).__name__} takes no {name}: its equations leave no choice of it")
        given = replace(self.defaults, **membrane)
        self.v_threshold = float(given.v_threshold)
        self.fire_rule, self.reset_mode = given.fire_rule, given.reset_mode
        self.v_reset = float(given.v_reset or 0.0) if given.reset_mode == "hard" else 0.0
        self.v_init = self.v_reset if given.v_init is None else float(given.v_init)
        self.reset_amount = self.v_threshold if given.reset_amount is None else float(given.reset_amount)
        self.detach_reset = given.detach_reset
        self.surrogate = make_surrogate(given.surrogate)

    @property
    @abstractmethod
    def decay(self) -> float:
        """Factor on the previous membrane, dh[t+1]/dv[t]."""

    def init_state(self, like: Tensor) -> MembraneState:
        """Return ``v = v_init`` everywhere."""
        return MembraneState(torch.full_like(like, self.v_init))

    def fire(self, h: Tensor) -> Tensor:
        """Return the spikes of the pre-fire membrane `h`."""
        return self.surrogate(h - self.v_threshold, self.fire_rule)

    def reset(self, h: Tensor, s: Tensor) -> MembraneState:
        """Return the membrane after the spikes `s` have reset `h`."""
        if self.reset_mode == "none":
            return MembraneState(h)
        if self.detach_reset:
            s = s.detach()
        if self.reset_mode == "soft":
            return MembraneState(h - s * self.reset_amount)
        v = (1 - s) * h
        return MembraneState(v + s * self.v_reset if self.v_reset else v)

    def extra_repr(self) -> str:
        """Show what decides the behaviour."""
        return (
            f"decay={self.decay:g}, v_threshold={self.v_threshold:g}, fire_rule={self.fire_rule}, "
            f"reset_mode={self.reset_mode}, detach_reset={self.detach_reset}, surrogate={self.surrogate.describe()}"
        )
