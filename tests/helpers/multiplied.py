"""Stores as large as one likes: real records, multiplied over machines, tasks and seeds, and packed.

The figures are those that were measured, moved a little, so that tables have as many different rows, ties and columns
as real ones; nobody measured them, and no page of the project shows them.
"""

from __future__ import annotations

import itertools
import json
import random
from collections import defaultdict
from collections.abc import Iterator
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

from harness.catalogue.cards import Registry
from harness.catalogue.cell import NOT_APPLICABLE, Cell
from harness.catalogue.loading import load_registry
from harness.results.fingerprint import Fingerprint, fingerprint
from harness.results.selection import newest
from harness.results.store import Store, read_stores

SEEDS = 5
TASKS = 4
"""On how many tasks a record is copied, its own included: those with a network of the same topology."""


MOVED = ("fraction", "seconds", "seconds per time step", "ratio", "joules")


def multiply(source: Path, target: Path, count: int) -> int:
    """Write `count` records to the store `target`, made from those in `source`; return how many files that takes."""
    registry = load_registry()
    base = [record for record in newest(read_stores([source]).records) if record.status == "ok"]
    plain = [(record, json.loads(record.model_dump_json(exclude_defaults=True))) for record in base]
    left, files = count, 0
    numbers = itertools.count()
    while left:
        machine = f"made-up-{next(numbers)}"
        lines: dict[Path, list[str]] = defaultdict(list)
        made: set[Cell] = set()
        for record, data in plain:
            cells = [cell for cell in _cells(record.cell, registry) if cell not in made][:left]
            made.update(cells)
            for cell in cells:
                line = _line(data, cell, machine, fingerprint(cell, registry))
                lines[Store(target).packed(machine, cell.suite, cell.task)].append(line)
                left -= 1
        for path, several in lines.items():
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text("".join(several))
        files += len(lines)
    return files


def _cells(cell: Cell, registry: Registry) -> Iterator[Cell]:
    trained = NOT_APPLICABLE not in (cell.task, cell.topology) and cell.suite != "libraries"
    target = registry.task(cell.task).target if trained else None
    tasks = [
        task
        for task in (registry.tasks if trained else ())
        if registry.network(task, cell.topology) is not None and registry.task(task).target == target
    ]
    others = [task for task in tasks if task != cell.task]
    for task in (cell.task, *random.Random(cell.id).sample(others, min(TASKS - 1, len(others)))):
        for seed in range(SEEDS) if trained else (cell.seed,):
            yield replace(cell, task=task, seed=cell.seed * SEEDS + seed)


def _line(data: dict[str, Any], cell: Cell, machine: str, today: Fingerprint) -> str:
    luck = random.Random(f"{cell.id} {machine}")
    factor = luck.uniform(0.97, 1.03)
    metrics = {name: _moved(metric, factor) for name, metric in data.get("metrics", {}).items()}
    provenance = data["provenance"] | {"machine": data["provenance"]["machine"] | {"name": machine}}
    provenance |= {"code_hash": today.code_hash, "inputs": dict(today.inputs)}  # current, so that they are ranked
    made = data | {"schema_version": 1, "cell": asdict(cell), "cell_id": cell.id, "metrics": metrics}
    return json.dumps(made | {"provenance": provenance}, separators=(",", ":")) + "\n"


def _moved(metric: dict[str, Any], factor: float) -> dict[str, Any]:
    """Return a figure that is `factor` times as large, with all it rests on; a count and a share of one stay."""
    if metric.get("exact") or metric["unit"] not in MOVED or not 0 < metric["value"] < 0.9:
        return metric
    moved = {key: metric[key] * factor for key in ("value", "low", "high") if metric.get(key) is not None}
    return metric | moved | {"samples": [sample * factor for sample in metric.get("samples", ())]}
