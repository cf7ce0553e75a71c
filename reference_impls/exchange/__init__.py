"""Networks to and from NIR graphs (Neuromorphic Intermediate Representation), so that other libraries can read and give them.

NIR states differential equations; a simulator steps through them. What is read here is stepped by forward Euler with a
stated ``dt``; what is written is such that this step gives back exactly the neuron's own. What NIR cannot say is refused
in words, never approximated. Needs the package ``nir``; must not know how anything is measured.
"""

from __future__ import annotations

from reference_impls.exchange.conventions import CONVENTIONS, Convention
from reference_impls.exchange.graph import NirError
from reference_impls.exchange.network import NirNetwork
from reference_impls.exchange.reading import from_nir, read_nir
from reference_impls.exchange.writing import to_nir, write_nir

__all__ = ["CONVENTIONS", "Convention", "NirError", "NirNetwork", "from_nir", "read_nir", "to_nir", "write_nir"]
