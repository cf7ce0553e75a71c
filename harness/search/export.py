"""Writes a wiring as a topology's file, so that it is listed, run and ranked like any other row.

Must not import torch or optuna.
"""

from __future__ import annotations

import ast
import keyword
import re
from pathlib import Path

import reference_impls
from harness.catalogue.cards import Registry, Row
from harness.errors import UserError
from harness.search.space import Candidate, code_of

__all__ = ["TOPOLOGIES", "check_exportable", "export"]

TOPOLOGIES = Path(reference_impls.__file__).parent / "topologies"

TEMPLATE = '''"""{name}: the skips that a search of {base} found on {task}."""

from reference_impls.topologies.{module} import {parent}

CARD = {{
    "name": "{name}",
    "kind": "topology",
    "version": 1,
    "title": "{title}",
    "summary": (
        "{base} with the skips that `spikeboard search` found: {found}."
    ),
    "equations": "those of {base} with the matrices below",
    "citations": [],
    "capabilities": {{"structure": "skip", "sample_dims": {dims}, "sized_as": "{base}"}},
    "defaults": {{
        "skips": [
{matrices}
        ],
    }},
}}


class {cls}({parent}):
    """{base} with the skips of the card."""
'''


def check_exportable(name: str, registry: Registry, folder: Path = TOPOLOGIES) -> Path:
    """Return the file that a topology of this name would be.

    Raises
    ------
    UserError
        If the name is no name of a row, or taken.
    """
    if not re.fullmatch(r"[a-z][a-z0-9]*(-[a-z0-9]+)*", name) or keyword.iskeyword(name):
        raise UserError(f"{name!r} cannot be a topology's name", "use small letters, digits and single dashes")
    path = folder / f"{name.replace('-', '_')}.py"
    if name in registry.topologies or path.exists():
        raise UserError(f"there is a topology {name!r} already", "give --export another name, or delete its file")
    return path


def export(name: str, base: Row, candidate: Candidate, task: str, found: str, path: Path) -> None:
    """Write the topology `name`: `base` with the skips of `candidate`.

    Parameters
    ----------
    name, path : from `check_exportable`.
    base : what was searched.
    candidate : the wiring.
    task : where it was found.
    found : what stands in the summary: how it was found, and what it gave.
    """
    camel = "".join(part.capitalize() for part in name.split("-"))
    path.write_text(
        TEMPLATE.format(
            name=name,
            base=base.name,
            task=task,
            module=base.module.rpartition(".")[2],
            parent=_class_of(base.path),
            title=f"{base.name} {code_of(candidate)}, found on {task}",
            found=found,
            dims=list(base.capabilities.sample_dims),
            matrices="\n".join(f"            {[list(row) for row in matrix]}," for matrix in candidate),
            cls=camel,
        ),
        encoding="utf-8",
    )


def _class_of(path: Path) -> str:
    tree = ast.parse(path.read_text(encoding="utf-8"))
    return next(node.name for node in tree.body if isinstance(node, ast.ClassDef) and not node.name.startswith("_"))
