"""The machine as asv knows it: a fixed name and fixed strings, the same for its own results and for exported records.

Everything in the description becomes part of a graph's identity, so the one that stands in the results already is
kept: a new kernel, or a few bytes of memory more, must not split a history. No host name, no path.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path

from harness.errors import UserError
from harness.results.record import Machine
from harness.text import inside, printable, slug

__all__ = ["describe", "register"]

FILE = "machine.json"
NO_GPU = "none"
GIBIBYTE = 2**30
LONGEST = 100
"""Characters of a description."""


def describe(machine: Machine, results: Path) -> dict[str, str]:
    """Return the description of `machine` that stands in the tree `results`, or the one to put there."""
    path = inside(results, slug(machine.name), FILE)
    try:
        known: Mapping[str, object] = json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        return _described(machine)
    except (OSError, ValueError) as error:
        raise UserError(f"{path} cannot be read: {error}", "restore it with git, or delete it") from error
    return {key: str(known[key]) for key in sorted(known) if key != "version"}


def register(machine: Machine, results: Path) -> None:
    """Tell asv, in its file in the user's home, of `machine`.

    Raises
    ------
    UserError
        If that file cannot be read or written.
    """
    from asv.machine import MachineCollection
    from asv.util import UserError as AsvError

    try:
        MachineCollection.save(slug(machine.name), describe(machine, results))
    except (AsvError, OSError) as error:
        path = MachineCollection.get_machine_file_path()
        raise UserError(f"asv's file of machines cannot be changed: {error}", f"mend or delete {path}") from error


def _described(machine: Machine) -> dict[str, str]:
    system, _, architecture = machine.os.partition(" ")
    # In the order of names, as it will be read again: the same description makes the same file.
    described = {
        "arch": architecture,
        "cpu": machine.cpu,
        "gpu": machine.gpu or NO_GPU,
        "machine": slug(machine.name),
        "num_cpu": str(machine.physical_cores),
        "os": system,
        "ram": f"{round(machine.memory_bytes / GIBIBYTE)} GiB",
    }
    # Each becomes part of the name of a graph's folder.
    return {key: printable(text, lines=False)[:LONGEST] for key, text in described.items()}
