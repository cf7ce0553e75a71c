"""The front doors: build a neuron, a network or a training method by name, and every contract in one import.

A contributor writes one file against the names exported here and nothing else; a user calls `build_neuron`,
`build_network` and `build_method`. Must not know how anything is measured, stored or shown.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping
from typing import Any, cast

from reference_impls import backends
from reference_impls.backends import UnsupportedError
from reference_impls.card import Card, CardError, Kind
from reference_impls.discovery import discover, load_class, resolve
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
from reference_impls.peer import Peer, lif_of_ours
from reference_impls.requirements import why_missing

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
    "Peer",
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
    "build_peer",
    "build_reference",
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
    neuron: Neuron = _build("neuron", name, Neuron, params, offered={"shape": shape})
    neuron.backend = backend
    backends.get(backend).attach(neuron)
    return neuron


def build_method(name: str, **params: Any) -> TrainingMethod:
    """Build the training method row `name`, with `params` over the card's; errors as in `build_neuron`."""
    method: TrainingMethod = _build("training", name, TrainingMethod, params)
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
    network: Network = _build("topology", name, Network, params, given)
    return network


def build_peer(name: str, **params: Any) -> Peer:
    """Build the peer row `name`: the LIF of another library, in the convention that its card states.

    Raises
    ------
    UnknownNameError
        If the peer or a parameter is not known; the message suggests the nearest.
    UnsupportedError
        If the library is missing or has another version than the card pins; the message says how to install it.
    """
    source, _ = resolve("peer", name)
    missing = why_missing(name, source.capabilities(name)["requires"])
    if missing is not None:
        raise UnsupportedError(missing)
    peer: Peer = _build("peer", name, Peer, params)
    return peer


def build_reference(name: str) -> SequentialNeuron:
    """Build our own neuron in the convention of the peer row `name`; the library need not be installed."""
    source, _ = resolve("peer", name)
    params = source.capabilities(name).get("reference")
    if params is not None:
        return lif_of_ours(params)
    peer: type[Peer] = load_class(source.module, Peer)
    return peer.restated()


def _told_shapes(neuron: NeuronFactory | Callable[[], Neuron]) -> NeuronFactory:
    """Return a factory that may be told the layer's shape, also of one that cannot be."""
    try:
        inspect.signature(neuron).bind(shape=(1,))
    except TypeError:
        unaware = cast("Callable[[], Neuron]", neuron)
        return lambda **_shape: unaware()
    return cast("NeuronFactory", neuron)


def _build(
    kind: Kind,
    name: str,
    base: type,
    params: Mapping[str, Any],
    given: Mapping[str, Any] | None = None,
    offered: Mapping[str, Any] | None = None,
) -> Any:
    """Build a row's class of the card's values, `params` over them, what is `given` and what it takes of `offered`."""
    given, offered = given or {}, offered or {}
    source, card_params = resolve(kind, name)
    cls = load_class(source.module, base)
    accepted = inspect.signature(cls).parameters
    for key in params:
        check_name(f"parameter of {kind} {name!r}:", key, set(accepted) - set(given))
    taken = {key: value for key, value in offered.items() if key in accepted}
    values = card_params | dict(params) | dict(given) | taken
    missing = [key for key, value in accepted.items() if value.default is inspect.Parameter.empty and key not in values]
    if missing:
        raise TypeError(f"{kind} {name!r} needs {', '.join(missing)}: give it as a keyword")
    return cls(**values)
