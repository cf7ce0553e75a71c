"""Event-driven linear maps: forward and weight gradient touch only the rows of a weight that a spike names.

``lists`` finds the events of an input and adds up along them (``_kernels``, compiled by Numba); ``linear`` makes a
differentiable map of it and decides, for each layer and batch, whether it is faster than a dense product; ``network``
puts it into a network. Nothing uses it unless asked to: a published figure is of dense products.
"""

from __future__ import annotations

from reference_impls.events.linear import LEAST_PRODUCTS, event_linear, paying_density
from reference_impls.events.network import event_driven

__all__ = ["LEAST_PRODUCTS", "event_driven", "event_linear", "paying_density"]
