"""The unit of work: one suite asked of one combination of everything, under a stable id.

A cell is pure data. Two cells are the same when all fields are; anything that changes what is measured must be
a field. Must not know how a cell is run or where its record lies.
"""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass

__all__ = ["NOT_APPLICABLE", "Cell"]

NOT_APPLICABLE = "-"
"""Value of an axis that a suite does not vary (a neuron's conformance has no training method)."""


@dataclass(frozen=True, slots=True, order=True)
class Cell:
    """suite x task x neuron x training method x topology x backend x device x dtype x seed, under a budget."""

    suite: str
    task: str = NOT_APPLICABLE
    neuron: str = NOT_APPLICABLE
    method: str = NOT_APPLICABLE
    topology: str = NOT_APPLICABLE
    backend: str = "eager"
    device: str = "cpu"
    dtype: str = "float32"
    budget: str = NOT_APPLICABLE
    """Name of the task's training budget (``smoke``, ``quick``, ...)."""
    seed: int = 0
    threads: int = 1
    """CPU threads that torch may use."""

    @property
    def id(self) -> str:
        """Return the stable id: 12 hexadecimal digits of the hash of all fields."""
        axes = {name: getattr(self, name) for name in self.__slots__}
        canonical = json.dumps(axes, sort_keys=True, separators=(",", ":"))
        return hashlib.sha256(canonical.encode()).hexdigest()[:12]

    @property
    def label(self) -> str:
        """Return a readable name, for progress and file names; the id makes it unique."""
        parts = [self.neuron, self.method, self.topology, self.backend, f"s{self.seed}"]
        return "+".join(part for part in parts if part not in (NOT_APPLICABLE, ""))
