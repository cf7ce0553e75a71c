"""The front doors: build a neuron, a network or a training method by name, and every contract in one import.

A contributor writes one file against the names exported here and nothing else; a user calls `build_neuron`,
`build_network` and `build_method`. Must not know how anything is measured, stored or shown.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable
from typing import Any, cast

from reference_impls import (
    backends,
    scripting,  # noqa: F401 - imported for what it does
)
from reference_impls.backends import UnsupportedError
from reference_impls.building import build
from reference_impls.card import Card, CardError
from reference_impls.discovery import discover
from reference_impls.granularity import LayerShape, parameter_shape
from reference_impls.method import (
    Epoch,
    OptimizerFactory,
    PretrainingReport,
    SpikeCounts,
    StageReport,
    TrainingMethod,
    UpdateReport,
)
from reference_impls.names import UnknownNameError, check_name
from reference_impls.network import Apply, FeedForward, Fire, Join, Network, NetworkOutput, Signal, Synapse, over_time
from reference_impls.neuron import (
    Neuron,
    NeuronFactory,
    NeuronOutput,
    ParallelNeuron,
    SequentialNeuron,
    State,
    detached,
)

__all__ = [
    "Apply",
    "Card",
    "CardError",
    "Epoch",
    "FeedForward",
    "Fire",
    "Join",
    "LayerShape",
    "Network",
    "NetworkOutput",
    "Neuron",
    "NeuronFactory",
    "NeuronOutput",
    "OptimizerFactory",
    "ParallelNeuron",
    "PretrainingReport",
    "SequentialNeuron",
    "Signal",
    "SpikeCounts",
    "StageReport",
    "State",
    "Synapse",
    "TrainingMethod",
    "UnknownNameError",
    "UnsupportedError",
    "UpdateReport",
    "build_method",
    "build_network",
    "build_neuron",
    "detached",
    "discover",
    "over_time",
    "parameter_shape",
]


def build_neuron(name: str, backend: str = "eager", shape: LayerShape | None = None, **params: Any) -> Neuron:
    """Build the neuron row `name`.

    Parameters
    ----------
    name : row or alias of a neuron card (``spikeboard list neurons`` shows them).
    backend : how the work over T is executed; see :mod:`reference_impls.backends`.
    shape : of the layer, ``(N,)`` or ``(C, H, W)``: one sample at one step. Needed where parameters are a channel's or
        a neuron's own, whatever the row's card says; others do not mind it.
    **params : keywords of the shared vocabulary (``tau``, ``v_threshold``, ``reset_mode``, ...), over the card's.

    Raises
    ------
    UnknownNameError
        If the neuron, the backend or a parameter is not known; the message suggests the nearest.
    UnsupportedError
        If the backend cannot run this neuron on this machine.
    ValueError
        If a parameter is out of its domain, or the neuron must know its layer's shape and `shape` is None.
    """
    check_name("backend", backend, backends.names())
    neuron: Neuron = build("neuron", name, Neuron, params, offered={"shape": shape})
    neuron.backend = backend
    backends.get(backend).attach(neuron)
    return neuron


def build_method(name: str, **params: Any) -> TrainingMethod:
    """Build the training method row `name`, with `params` over the card's; errors as in `build_neuron`."""
    method: TrainingMethod = build("training", name, TrainingMethod, params)
    return method


def build_network(
    name: str,
    sample_shape: tuple[int, ...],
    classes: int,
    neuron: NeuronFactory | Callable[[], Neuron],
    **params: Any,
) -> Network:
    """Build the topology row `name`.

    Parameters
    ----------
    name : row or alias of a topology card.
    sample_shape : shape of one sample at one time step, without time and batch.
    classes : number of read-out units.
    neuron : called once per layer with the layer's shape: ``neuron(shape=(128,))``. A factory that takes no shape is
        called without.
    **params : the topology's own keywords, over the card's; errors as in `build_neuron`.
    """
    given = {"sample_shape": tuple(sample_shape), "classes": classes, "neuron": _told_shapes(neuron)}
    network: Network = build("topology", name, Network, params, given)
    return network


def _told_shapes(neuron: NeuronFactory | Callable[[], Neuron]) -> NeuronFactory:
    """Return a factory that may be told the layer's shape, also of one that cannot be."""
    try:
        inspect.signature(neuron).bind(shape=(1,))
    except TypeError:
        unaware = cast("Callable[[], Neuron]", neuron)
        return lambda **_shape: unaware()
    return cast("NeuronFactory", neuron)
