"""Spikeboard as a library: build, run and trace what is measured, and read what was measured.

For scripts and notebooks. Everything here is a thin door to `reference_impls` (what is measured) and `harness` (what
measures); a name is imported when it is first asked for, so that ``import spikeboard`` costs no torch. Must not compute
anything itself.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

from harness import __version__

if TYPE_CHECKING:
    from harness.catalogue.cell import Cell
    from harness.errors import UserError
    from reference_impls.api import (
        Network,
        Neuron,
        TrainingMethod,
        UnknownNameError,
        UnsupportedError,
        build_method,
        build_neuron,
    )
    from reference_impls.events import event_driven
    from reference_impls.exchange import Convention, from_nir, read_nir, to_nir, write_nir
    from spikeboard.building import LoadedTask, build_network, load_task
    from spikeboard.records import Tables, load_records, table
    from spikeboard.running import CellsRun, run_cells
    from spikeboard.tracing import Run, run

__all__ = [
    "Cell",
    "CellsRun",
    "Convention",
    "LoadedTask",
    "Network",
    "Neuron",
    "Run",
    "Tables",
    "TrainingMethod",
    "UnknownNameError",
    "UnsupportedError",
    "UserError",
    "__version__",
    "build_method",
    "build_network",
    "build_neuron",
    "event_driven",
    "from_nir",
    "load_records",
    "load_task",
    "read_nir",
    "run",
    "run_cells",
    "table",
    "to_nir",
    "write_nir",
]

_HOME = {
    **dict.fromkeys(
        (
            *("Network", "Neuron", "TrainingMethod", "UnknownNameError", "UnsupportedError"),
            *("build_method", "build_neuron"),
        ),
        "reference_impls.api",
    ),
    **dict.fromkeys(("Convention", "from_nir", "read_nir", "to_nir", "write_nir"), "reference_impls.exchange"),
    "event_driven": "reference_impls.events",
    "Cell": "harness.catalogue.cell",
    "UserError": "harness.errors",
    **dict.fromkeys(("LoadedTask", "build_network", "load_task"), "spikeboard.building"),
    **dict.fromkeys(("Tables", "load_records", "table"), "spikeboard.records"),
    **dict.fromkeys(("CellsRun", "run_cells"), "spikeboard.running"),
    **dict.fromkeys(("Run", "run"), "spikeboard.tracing"),
}
"""Name -> module that it comes from."""


def __getattr__(name: str) -> Any:
    if name not in _HOME:
        raise AttributeError(f"module 'spikeboard' has no attribute {name!r}; it has {', '.join(__all__)}")
    value = getattr(importlib.import_module(_HOME[name]), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
