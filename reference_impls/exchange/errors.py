"""The one error of the exchange with NIR. Must not import torch: the command line names it."""

from __future__ import annotations

__all__ = ["NirError"]


class NirError(ValueError):
    """A graph, or a network, that cannot be translated; the message names the node and says why."""
