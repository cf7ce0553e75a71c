"""Builds the LIF of other libraries, and ours in the same convention, by the name of a peer's row.

Apart from :mod:`reference_impls.api`: whoever builds a neuron of ours rests on no library's.
"""

from __future__ import annotations

from typing import Any

from reference_impls.backends import UnsupportedError
from reference_impls.building import build
from reference_impls.discovery import load_class, resolve
from reference_impls.neuron import SequentialNeuron
from reference_impls.neurons.lif import LIF
from reference_impls.peer import Peer
from reference_impls.requirements import why_missing

__all__ = ["build_peer", "build_reference"]


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
    peer: Peer = build("peer", name, Peer, params)
    return peer


def build_reference(name: str) -> SequentialNeuron:
    """Build our own neuron in the convention of the peer row `name`; the library need not be installed."""
    source, _ = resolve("peer", name)
    params = source.capabilities(name).get("reference")
    if params is not None:
        return LIF(**params)
    peer: type[Peer] = load_class(source.module, Peer)
    return peer.restated()
