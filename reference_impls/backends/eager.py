"""The reference backend: a Python loop over T, one torch operation at a time, as the neuron is written."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from reference_impls.api import Neuron

__all__ = ["attach"]


def attach(neuron: Neuron) -> None:
    """Accept every neuron and change nothing: eager is what all others are compared with."""
