"""NIR's primitives, one by one: what each becomes, in torch or as a stepped neuron. Must not know a graph's edges."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from reference_impls.exchange.conventions import Convention
from reference_impls.exchange.errors import NirError
from reference_impls.exchange.graph import kind_of
from reference_impls.exchange.network import ScaleMap
from reference_impls.exchange.neurons import NirNeuron

__all__ = ["KNOWN", "fires", "is_map", "is_neuron", "is_shaping", "linear_map", "neuron", "shaping"]

MAPS = ("Affine", "Linear", "Conv1d", "Conv2d", "Scale")
SHAPING = ("Flatten", "SumPool2d", "AvgPool2d")
FIRING = ("IF", "LIF", "CubaLIF", "Threshold")
SMOOTH = ("I", "LI", "CubaLI")
KNOWN = ("Input", "Output", *MAPS, *SHAPING, *FIRING, *SMOOTH, "NIRGraph")

Floats = NDArray[np.float64]


def is_map(node: Any) -> bool:
    """Whether a node is a linear map."""
    return kind_of(node) in MAPS


def is_shaping(node: Any) -> bool:
    """Whether a node reshapes or pools, and becomes part of the map behind it."""
    return kind_of(node) in SHAPING


def is_neuron(node: Any) -> bool:
    """Whether a node has a membrane or fires."""
    return kind_of(node) in (*FIRING, *SMOOTH)


def fires(node: Any) -> bool:
    """Whether a node emits spikes."""
    return kind_of(node) in FIRING


def linear_map(name: str, node: Any) -> nn.Module:
    """Return the module of a linear map, with its weights."""
    kind = kind_of(node)
    if kind == "Scale":
        return ScaleMap(_tensor(node.scale))
    weight = _tensor(node.weight)
    bias = None if kind == "Linear" else _tensor(node.bias)
    if kind in ("Affine", "Linear"):
        if weight.dim() != 2:
            raise NirError(f"the {kind} {name!r} has a weight of shape {tuple(weight.shape)}; one of two axes is read")
        module: nn.Module = nn.Linear(weight.shape[1], weight.shape[0], bias is not None)
    else:
        make: Callable[..., nn.Module] = nn.Conv2d if kind == "Conv2d" else nn.Conv1d
        groups = int(np.asarray(node.groups))
        options = {key: _size(getattr(node, key)) for key in ("stride", "padding", "dilation")}
        module = make(weight.shape[1] * groups, weight.shape[0], tuple(weight.shape[2:]), groups=groups, **options)
    with torch.no_grad():
        for parameter, value in ((module.weight, weight), (module.bias, bias)):
            if isinstance(parameter, Tensor) and value is not None:
                if parameter.shape != value.shape:
                    raise NirError(
                        f"the {kind} {name!r} has values of shape {tuple(value.shape)} for {parameter.shape}"
                    )
                parameter.copy_(value)
    return module


def shaping(name: str, node: Any) -> nn.Module:
    """Return the module of what reshapes or pools."""
    kind = kind_of(node)
    if kind == "Flatten":
        start, end = int(np.asarray(node.start_dim)), int(np.asarray(node.end_dim))
        return nn.Flatten(*(dim + 1 if dim >= 0 else dim for dim in (start, end)))  # NIR counts without the batch
    kernel, stride, padding = (_size(getattr(node, key)) for key in ("kernel_size", "stride", "padding"))
    if isinstance(padding, str):
        raise NirError(f"the {kind} {name!r} is padded {padding!r}; a number is read")
    return nn.AvgPool2d(kernel, stride, padding, divisor_override=1 if kind == "SumPool2d" else None)


def neuron(name: str, node: Any, convention: Convention) -> NirNeuron:
    """Return the neurons of a node, stepped as the convention says.

    Raises
    ------
    NirError
        If a step is longer than a time constant: forward Euler would swing, and no library means that.
    """
    kind = kind_of(node)
    if kind == "Threshold":  # remembers nothing, so there is nothing to reset
        convention = replace(convention, reset="hard", reset_timing="same_step")
    made = NirNeuron(kind, convention, **_STEPPED[kind](name, node, convention))
    if (
        kind in ("IF", "LIF", "CubaLIF")
        and convention.reset == "hard"
        and bool((made.v_reset >= made.v_threshold).any())
    ):
        raise NirError(f"the {kind} {name!r} is reset to its threshold or above: it would fire for ever")
    return made


def _leak(name: str, what: str, tau: Any, dt: float) -> Floats:
    """Return dt/tau, the share that a state loses in a step."""
    leak = dt / _array(tau)
    if not (np.all(leak > 0) and np.all(leak <= 1 + 1e-9)):
        raise NirError(
            f"{name!r}: a step of {dt:g} s is {leak.max():g} times the {what}; give the dt that the network was made "
            "for (dt=, or --dt), or the convention of the library that wrote it"
        )
    return np.minimum(leak, 1.0)


def _membrane(name: str, node: Any, convention: Convention, tau: Any) -> dict[str, Any]:
    leak = _leak(name, "membrane's time constant", tau, convention.dt)
    return {"decay": 1 - leak, "gain": _array(node.r) * leak, "pull": _array(node.v_leak) * leak}


def _current(name: str, node: Any, convention: Convention) -> dict[str, Any]:
    leak = _leak(name, "current's time constant", node.tau_syn, convention.dt)
    gain = _array(node.w_in) * (leak if convention.current_scaled else 1.0)
    return {"current_decay": 1 - leak, "current_gain": gain}


def _firing(node: Any) -> dict[str, Any]:
    reset = getattr(node, "v_reset", None)
    return {"v_threshold": _array(node.v_threshold), "v_reset": 0.0 if reset is None else _array(reset)}


def _integrator(_name: str, node: Any, convention: Convention) -> dict[str, Any]:
    return {"decay": 1.0, "gain": _array(node.r) * (convention.dt if convention.integrator_scaled else 1.0)}


_STEPPED: Mapping[str, Callable[[str, Any, Convention], dict[str, Any]]] = {
    "I": _integrator,
    "IF": lambda name, node, how: _integrator(name, node, how) | _firing(node),
    "LI": lambda name, node, how: _membrane(name, node, how, node.tau),
    "LIF": lambda name, node, how: _membrane(name, node, how, node.tau) | _firing(node),
    "CubaLI": lambda name, node, how: _membrane(name, node, how, node.tau_mem) | _current(name, node, how),
    "CubaLIF": lambda name, node, how: (
        _membrane(name, node, how, node.tau_mem) | _current(name, node, how) | _firing(node)
    ),
    "Threshold": lambda _name, node, _how: {
        "decay": 0.0,
        "gain": 1.0,
        "v_threshold": _array(node.threshold),
    },
}
"""Primitive -> keywords of its `NirNeuron`."""


def _array(value: Any) -> Floats:
    """Return numbers as an array; one that stands for a whole layer as a scalar."""
    array = np.asarray(value.detach().cpu() if isinstance(value, Tensor) else value, dtype=np.float64)
    return array.reshape(()) if array.shape == (1,) else array


def _tensor(value: Any) -> Tensor:
    array = np.asarray(value.detach().cpu() if isinstance(value, Tensor) else value)
    return torch.as_tensor(array, dtype=torch.get_default_dtype()).clone()


def _size(value: Any) -> Any:
    """Return a size as torch takes it: a word, a number or a tuple."""
    if isinstance(value, str | bytes):
        return value.decode() if isinstance(value, bytes) else value
    array = np.asarray(value).astype(int)
    return int(array) if array.ndim == 0 else tuple(array.tolist())
