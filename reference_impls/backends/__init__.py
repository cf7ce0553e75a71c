"""Backends: how a neuron's recursion over T is executed, never what it computes.

A backend is a module of this package with one function, ``attach(neuron)``, called once when the neuron is built.
It replaces the neuron's entry point (``sequence``, or ``forward`` of a parallel one) on the instance, by a method of it
(a function of the neuron, bound to this one: a replica binds it to itself), or refuses with an
:class:`UnsupportedError` that says why. Modules are imported when first asked for, so that a missing
compiler or GPU library costs nothing until then.

``fused`` is the fused backend of the device: ``fused-numba`` on a CPU, ``fused-cupy`` on a GPU.
"""

from __future__ import annotations

import importlib
from types import ModuleType

from reference_impls.names import check_name

__all__ = ["UnsupportedError", "get", "names"]

_MODULES = {
    "eager": "eager",
    "compiled": "compiled",
    "fused-numba": "fused_numba",
    "fused-cupy": "fused_cupy",
    "fused-triton": "fused_triton",
    "fused": "fused",
}


class UnsupportedError(RuntimeError):
    """A backend cannot run this neuron, or this machine lacks what it needs; the message says which."""


def names() -> tuple[str, ...]:
    """Return the names of all backends."""
    return tuple(_MODULES)


def get(name: str) -> ModuleType:
    """Import and return the backend `name`."""
    check_name("backend", name, _MODULES)
    return importlib.import_module(f"{__name__}.{_MODULES[name]}")
