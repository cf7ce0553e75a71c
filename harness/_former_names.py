"""Names that modules had before they moved into folders, so that scripts written against them go on working.

An import of a former name gives the very module of today, with a DeprecationWarning. Nothing in this project uses one.
"""

from __future__ import annotations

import importlib
import importlib.abc
import importlib.machinery
import importlib.util
import sys
import warnings
from collections.abc import Sequence
from types import ModuleType

__all__ = ["MOVED", "install"]

_FOLDERS = {
    "harness.catalogue": ("boards", "cards", "cell", "compatibility", "presets"),
    "harness.results": ("comparison", "machine", "provenance", "record", "stats", "store", "tables"),
    "harness.planning": ("checking", "durations", "plan"),
}
MOVED = {
    **{f"harness.{name}": f"{folder}.{name}" for folder, names in _FOLDERS.items() for name in names},
    "harness.codehash": "harness.results.fingerprint",
    "harness.data._base": "harness.data.base",
    "harness.suites._base": "harness.suites.common.base",
    **{
        f"harness.tasks._{name}": f"harness.tasks.common.{name}"
        for name in ("base", "cache", "encoding", "signals", "split")
    },
}
"""Former name to today's."""
_PRESETS = "harness.catalogue.presets"
MEMBERS = {
    "harness.catalogue.cards": {
        "load_rows": "harness.catalogue.loading.load_registry",
        "match": "harness.catalogue.loading.match",
        "Rows": "harness.catalogue.cards.Registry",
    },
    _PRESETS: {
        "ALL_CELLS": f"{_PRESETS}.everything.ALL_CELLS",
        **{name: f"{_PRESETS}.model.{name}" for name in ("BASES", "FASTEST", "Preset", "Selection")},
    },
}
"""What a module's members were called, and which they are today; a module imported under its former name has both."""


class _Former(importlib.abc.MetaPathFinder, importlib.abc.Loader):
    """Finds the module of today under its former name."""

    def find_spec(  # the import system's signature
        self,
        fullname: str,
        path: Sequence[str] | None = None,  # noqa: ARG002
        target: ModuleType | None = None,  # noqa: ARG002
    ) -> importlib.machinery.ModuleSpec | None:
        return importlib.util.spec_from_loader(fullname, self) if fullname in MOVED else None

    def create_module(self, spec: importlib.machinery.ModuleSpec) -> ModuleType:
        warnings.warn(f"{spec.name} is now {MOVED[spec.name]}", DeprecationWarning, stacklevel=2)
        module = importlib.import_module(MOVED[spec.name])
        for former, today in MEMBERS.get(module.__name__, {}).items():
            home, _, name = today.rpartition(".")
            setattr(module, former, getattr(importlib.import_module(home), name))
        self._own = module.__spec__
        return module

    def exec_module(self, module: ModuleType) -> None:
        """Undo what the import system wrote on today's module; it has run under its own name."""
        module.__spec__ = self._own


def install() -> None:
    """Let former names be imported; done once, when the package is."""
    if not any(isinstance(finder, _Former) for finder in sys.meta_path):
        sys.meta_path.append(_Former())
