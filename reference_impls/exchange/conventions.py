"""What a NIR graph leaves open, and how each library fills it in: the step, the reset, ties, the scale of inputs.

NIR's equations are continuous in time and know one reset, to ``v_reset``. A library that exports a network takes a step
and a reset for granted which the file does not hold, so a reader must be told whose file it is. Must not import torch.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Literal

from reference_impls.names import check_name

__all__ = ["CONVENTIONS", "Convention", "convention_of"]

RESETS = ("hard", "soft")
TIMINGS = ("same_step", "next_step", "corrected")
FIRE_RULES = ("gt", "ge")


@dataclass(frozen=True, slots=True)
class Convention:
    """How a graph's equations are stepped.

    A leaky membrane becomes ``v[t] = v[t-1] + dt/tau (v_leak - v[t-1] + R I[t])``, a synaptic current
    ``i[t] = i[t-1] + dt/tau_syn (w_in I[t] - i[t-1])`` and acts on the membrane in its own step, an integrator
    ``v[t] = v[t-1] + dt R I[t]``.
    """

    name: str
    dt: float
    """Seconds of a step; a graph that says its own (metadata ``dt``) is believed before this."""
    reset: Literal["hard", "soft"] = "hard"
    """What a spike does: v becomes ``v_reset``, or loses ``v_threshold``."""
    reset_timing: Literal["same_step", "next_step", "corrected"] = "same_step"
    """Whether in the step of the spike, or at the beginning of the next one; ``corrected``: as snnTorch has it with
    ``reset_delay=False``, late, and what is missing at the end of the spike's own step."""
    fire_rule: Literal["gt", "ge"] = "gt"
    """Whether a membrane that equals the threshold fires (``ge``) or not."""
    integrator_scaled: bool = True
    """Whether an integrator's input is multiplied by dt."""
    current_scaled: bool = True
    """Whether the input of a synaptic current is multiplied by dt/tau_syn."""

    def __post_init__(self) -> None:
        if not self.dt > 0:
            raise ValueError(f"dt must be positive, got {self.dt} s")
        check_name("reset", self.reset, RESETS)
        check_name("reset_timing", self.reset_timing, TIMINGS)
        check_name("fire_rule", self.fire_rule, FIRE_RULES)


CONVENTIONS: Mapping[str, Convention] = {
    one.name: one
    for one in (
        Convention("nir", 1e-4),
        # SpikingJelly 2.0.0 exports hard resets only, and fires on a tie.
        Convention("spikingjelly", 1e-4, fire_rule="ge"),
        # snnTorch 1.0.0 subtracts the threshold one step late unless told otherwise, and its export does not say so.
        Convention("snntorch", 1e-4, reset="soft", reset_timing="next_step"),
        # Norse 1.1.0 writes tau = dt / tau_mem_inv with dt = 1 ms, so that dt^2 / tau is its leak; its IF and the
        # jump of its current know no dt.
        Convention("norse", 1e-6, integrator_scaled=False, current_scaled=False),
    )
}
"""The equations as NIR documents them, and how libraries step what they export."""


def convention_of(
    name: str | Convention,
    *,
    dt: float | None = None,
    reset: str | None = None,
    reset_timing: str | None = None,
    fire_rule: str | None = None,
) -> Convention:
    """Return the convention `name`, with what is given over it.

    Raises
    ------
    UnknownNameError
        If a name is not known; the message suggests the nearest.
    ValueError
        If dt is not positive.
    """
    chosen = name if isinstance(name, Convention) else CONVENTIONS[check_name("convention", name, CONVENTIONS)]
    given = {"dt": dt, "reset": reset, "reset_timing": reset_timing, "fire_rule": fire_rule}
    changes = {key: value for key, value in given.items() if value is not None}
    return replace(chosen, **changes)  # type: ignore[arg-type]  # checked by the class
