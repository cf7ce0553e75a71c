"""Networks to and from NIR graphs (Neuromorphic Intermediate Representation), which other libraries read and write.

NIR states differential equations; a simulator steps through them. What is read here is stepped by forward Euler with a
stated ``dt``; what is written is such that this step gives back exactly the neuron's own. What NIR cannot say is
refused in words, never approximated. Needs the package ``nir``, and torch once a name is asked for;
must not know how anything is measured.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

from reference_impls.exchange.conventions import CONVENTIONS, Convention
from reference_impls.exchange.errors import NirError

if TYPE_CHECKING:
    from reference_impls.exchange.network import NirNetwork
    from reference_impls.exchange.reading import from_nir, read_nir
    from reference_impls.exchange.writing import to_nir, write_nir

__all__ = ["CONVENTIONS", "Convention", "NirError", "NirNetwork", "from_nir", "read_nir", "to_nir", "write_nir"]

_HOME = {
    "NirNetwork": "network",
    **dict.fromkeys(("from_nir", "read_nir"), "reading"),
    **dict.fromkeys(("to_nir", "write_nir"), "writing"),
}


def __getattr__(name: str) -> Any:
    if name not in _HOME:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(importlib.import_module(f"{__name__}.{_HOME[name]}"), name)
