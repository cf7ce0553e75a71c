"""One topology of every structure: what a test of a method builds to have that structure."""

from __future__ import annotations

__all__ = ["TOPOLOGY_OF"]

TOPOLOGY_OF = {
    "chain": "mlp",
    "delayed": "delayed",
    "residual": "nf-resnet",
    "skip": "skip-mlp",
    "feedback": "feedback",
    "recurrent": "recurrent",
    "lateral": "lateral",
    "gated": "gated",
    "pool": "reservoir",
    "reversible": "reversible",
}
