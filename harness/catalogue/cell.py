"""The unit of work: one suite asked of one combination of everything, under a stable id.

A cell is pure data. Two cells are the same when all fields are; anything that changes what is measured must be
a field. Must not know how a cell is run or where its record lies.
"""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass
from typing import Any

__all__ = ["DEFAULT_RECIPE", "NOT_APPLICABLE", "Cell"]

NOT_APPLICABLE = "-"
"""Value of an axis that a suite does not vary (a neuron's conformance has no training method)."""
DEFAULT_RECIPE = "default"
"""Recipe of a cell whose hyper-parameters are what the cards say."""
_encode = json.JSONEncoder(sort_keys=True, separators=(",", ":")).encode
_set = object.__setattr__


@dataclass(frozen=True, slots=True, order=True)
class Cell:
    """suite x task x neuron x training method x topology x backend x device x dtype x seed; budget and recipe."""

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
    recipe: str = DEFAULT_RECIPE
    """Where the hyper-parameters come from: the cards, or a recipe of that name (``tuned``) over them."""

    @property
    def id(self) -> str:
        """Return the stable id: 12 hexadecimal digits of the hash of what is written of the cell."""
        return hashlib.sha256(_encode(self.written()).encode()).hexdigest()[:12]

    def but(self, **changes: Any) -> Cell:
        """Return the cell with other values on some axes: `dataclasses.replace`, quick enough for a million cells."""
        made = object.__new__(Cell)
        for name in self.__slots__:
            _set(made, name, getattr(self, name))
        for name, value in changes.items():
            _set(made, name, value)
        return made

    def written(self) -> dict[str, Any]:
        """Return the fields as a record and the id have them.

        The recipe came last and is left out where it is the default, so that ids and files of before it still hold.
        """
        fields = {name: getattr(self, name) for name in self.__slots__}
        if self.recipe == DEFAULT_RECIPE:
            del fields["recipe"]
        return fields

    @property
    def label(self) -> str:
        """Return a readable name, for progress and file names; the id makes it unique."""
        recipe = "" if self.recipe == DEFAULT_RECIPE else self.recipe
        parts = [self.neuron, self.method, self.topology, self.backend, recipe, f"s{self.seed}"]
        return "+".join(part for part in parts if part not in (NOT_APPLICABLE, ""))
