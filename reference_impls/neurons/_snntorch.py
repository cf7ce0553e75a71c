"""What snnTorch's neurons share: a reset one step late, and decays and thresholds that may be learned.

The reset of a step looks at the membrane that the step before left, unreset; that is what makes these neurons others
than their namesakes elsewhere. The equations of charging stay in each neuron's own file.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor, nn

from reference_impls.api import SequentialNeuron
from reference_impls.names import check_name
from reference_impls.surrogate import FIRE_RULES, Surrogate, make_surrogate

__all__ = ["SnntorchNeuron"]

RESET_MODES = ("hard", "soft", "none")
RESET_TIMINGS = ("next_step", "same_step")


class SnntorchNeuron(SequentialNeuron):
    """A neuron in the conventions of snnTorch.

    Parameters
    ----------
    v_threshold : firing threshold, > 0.
    fire_rule : ``gt`` in snnTorch.
    reset_mode : ``soft`` (its "subtract"), ``hard`` (its "zero") or ``none``.
    v_reset : 0; snnTorch knows no other value.
    v_init : membrane before the first step.
    reset_timing : ``next_step``, or ``same_step`` (``reset_delay=False``): corrected once more after firing.
    detach_reset : whether the spike in the late reset carries no gradient (always so in snnTorch; what
        ``same_step`` adds carries it either way).
    surrogate : name, ``{"name", "params"}`` or Surrogate of the spike's derivative.
    learn_threshold : whether the threshold is learned.
    """

    v_threshold: Tensor

    def __init__(
        self,
        v_threshold: float,
        fire_rule: str,
        reset_mode: str,
        v_reset: float | None,
        v_init: float,
        reset_timing: str,
        detach_reset: bool,
        surrogate: str | Mapping[str, Any] | Surrogate,
        learn_threshold: bool,
    ) -> None:
        super().__init__()
        if not v_threshold > 0:
            raise ValueError(f"v_threshold must be positive, got {v_threshold}")
        if v_reset:
            raise ValueError(f"a hard reset in snnTorch's conventions goes to 0, not to v_reset {v_reset}; use 'lif'")
        self.fire_rule = check_name("fire_rule", fire_rule, FIRE_RULES)
        self.reset_mode = check_name("reset_mode", reset_mode, RESET_MODES)
        self.reset_timing = check_name("reset_timing", reset_timing, RESET_TIMINGS)
        self.v_init = float(v_init)
        self.detach_reset = detach_reset
        self.surrogate = make_surrogate(surrogate)
        self._hold("v_threshold", v_threshold, learn_threshold)

    def _hold(self, name: str, value: float, learned: bool) -> None:
        """Keep a scalar under `name`: a parameter if it is learned, else a buffer."""
        if learned:
            self.register_parameter(name, nn.Parameter(torch.tensor(float(value))))
        else:
            self.register_buffer(name, torch.tensor(float(value)))

    def _hold_decay(self, name: str, value: float, learned: bool) -> None:
        """Keep a decay; learned ones are stored as they are and clamped to [0, 1] at use, as in snnTorch."""
        if not 0 <= value <= 1:
            raise ValueError(f"{name} must lie in [0, 1], got {value}")
        self._hold(f"raw_{name}", value, learned)

    def late_reset(self, v: Tensor, v_threshold: Tensor) -> Tensor:
        """Return where the membrane `v` of the step before asks for a reset, 0 or 1."""
        r = self.surrogate(v - v_threshold, self.fire_rule)
        return r.detach() if self.detach_reset else r

    def fire(self, h: Tensor, r: Tensor, v_threshold: Tensor) -> tuple[Tensor, Tensor]:
        """Return spikes and membrane; with ``same_step`` the reset that `r` has not made yet is made now."""
        s = self.surrogate(h - v_threshold, self.fire_rule)
        if self.reset_timing == "next_step" or self.reset_mode == "none":
            return s, h
        missing = s - r
        return s, h - missing * (v_threshold if self.reset_mode == "soft" else h)

    def extra_repr(self) -> str:
        """Show what decides the behaviour."""
        return (
            f"v_threshold={float(self.v_threshold.detach()):g}, fire_rule={self.fire_rule}, "
            f"reset_mode={self.reset_mode}, reset_timing={self.reset_timing}, surrogate={self.surrogate.describe()}"
        )
