"""A neuron as a node of NIR, or the sentence that says why it is none. Must not know networks.

NIR's neurons start at 0, leak linearly, fire above a threshold and are set to ``v_reset``. A neuron whose step is
forward Euler of that, for some time constant, is written; the time constant is whatever gives its decay.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
import torch
from torch import nn

from reference_impls.exchange.errors import NirError
from reference_impls.neurons._membrane import MembraneNeuron
from reference_impls.neurons.cuba_lif import CubaLIF
from reference_impls.neurons.cuba_lif_norse import CubaLIFNorse
from reference_impls.neurons.integrate_and_fire import IF
from reference_impls.neurons.lif import LIF
from reference_impls.neurons.lif_norse import LIFNorse
from reference_impls.neurons.plif import PLIF

__all__ = ["nir_neuron"]


def nir_neuron(neuron: nn.Module, shape: tuple[int, ...], dt: float, dtype: torch.dtype = torch.float32) -> Any:
    """Return the node of a layer of `shape` neurons, whose membranes are numbers of `dtype`.

    Raises
    ------
    NirError
        If NIR's equations cannot give this neuron's; the message says which of them, and what could be trained instead.
    """
    express = _EXPRESSED.get(type(neuron))
    if express is None or not isinstance(neuron, MembraneNeuron):
        raise NirError(
            f"{type(neuron).__name__} cannot be written to NIR: its equations are none of NIR's (IF, LIF, CubaLIF); "
            "rows that can are if, lif, plif, lif-box-norse, cuba-lif and cuba-lif-norse, with a hard reset"
        )
    why = _why_not(neuron)
    if why is not None:
        raise NirError(f"{type(neuron).__name__} cannot be written to NIR: {why}")
    return express(neuron, _Filled(shape, dt, dtype))


def _why_not(neuron: MembraneNeuron) -> str | None:
    if neuron.reset_mode == "soft":
        return (
            "a spike subtracts from its membrane, and NIR knows a reset to v_reset only; build it with "
            "reset_mode='hard' (the row lif-hard, for one)"
        )
    if neuron.reset_mode != "hard":
        return f"its reset is {neuron.reset_mode!r}, and NIR's neurons are always set to v_reset"
    if neuron.v_init != 0:
        return f"its membrane starts at {neuron.v_init:g}, and NIR knows no initial value: libraries start at 0"
    if getattr(neuron, "current_init", 0.0) != 0:
        return "its current does not start at 0, and NIR knows no initial value"
    return None


class _Filled:
    """Makes the arrays of a layer, one value for each neuron, as every reader takes them."""

    def __init__(self, shape: tuple[int, ...], dt: float, dtype: torch.dtype) -> None:
        self.shape, self.dt, self.dtype = shape, dt, dtype

    def __call__(self, value: float) -> Any:
        return np.full(self.shape, value, dtype=np.float64)

    def tau(self, decay: float, what: str) -> Any:
        """Return the time constant in s whose step of forward Euler multiplies by `decay`."""
        if not decay < 1:
            raise NirError(f"a {what} that forgets nothing (decay {decay:g}) has no time constant; use 'if'")
        return self(self.dt / (1 - decay))

    def firing(self, neuron: MembraneNeuron) -> dict[str, Any]:
        """Return threshold and reset; a tie that fires lies above the next smaller threshold."""
        threshold = neuron.v_threshold
        if neuron.fire_rule == "ge":
            below = torch.nextafter(torch.tensor(threshold, dtype=self.dtype), torch.tensor(0.0, dtype=self.dtype))
            threshold = float(below)
        return {"v_threshold": self(threshold), "v_reset": self(neuron.v_reset)}


def _if(neuron: Any, fill: _Filled) -> Any:
    import nir

    return nir.IF(r=fill(1 / fill.dt), **fill.firing(neuron))


def _lif(neuron: Any, fill: _Filled) -> Any:
    if neuron.decay == 1 and neuron.gain == 1:
        return _if(neuron, fill)
    return _leaky(neuron, fill, neuron.decay, neuron.gain, neuron.v_rest)


def _plif(neuron: Any, fill: _Filled) -> Any:
    decay = neuron.decay
    return _leaky(neuron, fill, decay, 1.0 if neuron.input_gain == "one" else 1 - decay, neuron.v_rest)


def _lif_norse(neuron: Any, fill: _Filled) -> Any:
    return _leaky(neuron, fill, neuron.decay, neuron.leak, neuron.v_rest)


def _leaky(neuron: Any, fill: _Filled, decay: float, gain: float, v_rest: float) -> Any:
    import nir

    tau = fill.tau(decay, "membrane")
    return nir.LIF(tau=tau, r=fill(gain / (1 - decay)), v_leak=fill(v_rest), **fill.firing(neuron))


def _cuba_lif(neuron: Any, fill: _Filled) -> Any:
    return _current_based(neuron, fill, neuron.decay, neuron.gain, 0.0, neuron.current_gain)


def _cuba_lif_norse(neuron: Any, fill: _Filled) -> Any:
    """Write its current as it acts: it jumps, acts and then decays, so what acts is the decayed one plus the input."""
    return _current_based(neuron, fill, neuron.decay, neuron.leak, neuron.v_rest, 1.0)


def _current_based(neuron: Any, fill: _Filled, decay: float, gain: float, v_rest: float, current_gain: float) -> Any:
    import nir

    return nir.CubaLIF(
        tau_syn=fill.tau(neuron.current_decay, "current"),
        tau_mem=fill.tau(decay, "membrane"),
        r=fill(gain / (1 - decay)),
        v_leak=fill(v_rest),
        w_in=fill(current_gain / (1 - neuron.current_decay)),
        **fill.firing(neuron),
    )


_EXPRESSED: Mapping[type[nn.Module], Callable[[Any, _Filled], Any]] = {
    IF: _if,
    LIF: _lif,
    PLIF: _plif,
    LIFNorse: _lif_norse,
    CubaLIF: _cuba_lif,
    CubaLIFNorse: _cuba_lif_norse,
}
"""Class of a neuron -> what writes it; a subclass may have other equations and is not one."""
