"""Begins an entry: refuses a name that cannot be one, chooses where its file is found, writes it, says what comes next.

Nothing is ever overwritten. Must not import torch.
"""

from __future__ import annotations

import keyword
import re
from collections.abc import Mapping
from dataclasses import dataclass
from importlib.resources import files
from pathlib import Path
from string import Template
from typing import Literal, get_args

import reference_impls
from harness.catalogue.cards import Registry
from harness.errors import UserError
from reference_impls.card import Card
from reference_impls.discovery import ENTRY_POINT_GROUP, FOLDERS, LOOSE

__all__ = ["KINDS", "Draft", "DraftKind", "begin"]

DraftKind = Literal["neuron", "method", "task"]
KINDS: tuple[DraftKind, ...] = get_args(DraftKind)
SLUG = re.compile(r"[a-z][a-z0-9]*(-[a-z0-9]+)*")
LONGEST = 48
"""Characters of a name: it stands in tables, and in the names of files."""
RESERVED = ("base",)
"""Names of modules that are no entries; see `harness.catalogue.loading.card_files`."""
_IN_CLONE: Mapping[DraftKind, str] = {
    "neuron": f"reference_impls/{FOLDERS['neuron']}",
    "method": f"reference_impls/{FOLDERS['training']}",
    "task": "harness/tasks",
}
_MEASURE: Mapping[DraftKind, str] = {
    "neuron": "spikeboard run --preset new --neuron {name} --neuron lif",
    "method": "spikeboard run --preset new --neuron if --method {name} --method bptt",
    "task": (
        "spikeboard run --budget quick --suite accuracy --task {name} --neuron lif --neuron alif-lsnn --neuron psn "
        "--method bptt --topology mlp --backend eager"
    ),
}


@dataclass(frozen=True, slots=True)
class Draft:
    """A file that was written."""

    kind: DraftKind
    name: str
    path: Path
    found: str
    """How it is discovered."""

    @property
    def next_command(self) -> str:
        """Return the command that measures it beside rows that it can be compared with."""
        return _MEASURE[self.kind].format(name=self.name)

    @property
    def check_command(self) -> str:
        """Return the command that checks it whenever it is saved."""
        return f"spikeboard check {self.name} --watch"


def begin(kind: DraftKind, name: str, registry: Registry, here: Path) -> Draft:
    """Write the file of an entry called `name`, complete and ready to be run.

    Parameters
    ----------
    kind : of entry.
    name : of the row: lower-case words with dashes.
    registry : the names that exist.
    here : folder that the command is run in. Inside the clone whose packages are running, the file goes where the
        project's own lie; anywhere else into ``spikeboard_entries`` in this folder.

    Raises
    ------
    UserError
        If `name` cannot be one, exists, or its file does; nothing is written then.
    """
    _check(name, registry)
    module = name.replace("-", "_")
    root = Path(reference_impls.__file__).resolve().parents[1]
    if (root / "pyproject.toml").is_file() and here.resolve().is_relative_to(root):
        path = root / _IN_CLONE[kind] / f"{module}.py"
        found = f"it lies in {_IN_CLONE[kind]}, like the project's own"
    else:
        path = here / LOOSE / f"{module}.py"
        found = (
            f"it lies in {LOOSE}, which every command that is run in {here} looks at. From a package, it is found "
            f'anywhere by an entry point: [project.entry-points."{ENTRY_POINT_GROUP}"] {name} = "PACKAGE.{module}"'
        )
    if path.with_suffix("").exists():
        raise UserError(f"there is a package {path.with_suffix('')} already", "choose another name")
    path.parent.mkdir(parents=True, exist_ok=True)
    try:
        with path.open("x", encoding="utf-8") as file:
            file.write(_text(kind, name))
    except FileExistsError:
        raise UserError(f"{path} exists, and nothing is overwritten", "choose another name") from None
    return Draft(kind, name, path, found)


def _text(kind: DraftKind, name: str) -> str:
    """Return the draft with the entry's name, title and class."""
    text = (files("harness.drafts") / f"{kind}.txt").read_text(encoding="utf-8")
    first, *others = words = name.split("-")
    class_name = "".join(word.capitalize() for word in words)
    if re.search(rf"\b{class_name}\b", text):  # the draft means something else by it: State, Task
        class_name += kind.capitalize()
    return Template(text).substitute(name=name, title=" ".join((first.capitalize(), *others)), class_name=class_name)


def _check(name: str, registry: Registry) -> None:
    """Raise UserError unless `name` can be the name of a new row, of a module and of a class."""
    if SLUG.fullmatch(name) is None or len(name) > LONGEST:
        proposal = re.sub(r"[^a-z0-9]+", "-", re.sub(r"(?<=[a-z0-9])(?=[A-Z])", "-", name).lower()).strip("-")[:LONGEST]
        usable = SLUG.fullmatch(proposal.strip("-")) is not None
        raise UserError(
            f"{name!r} cannot be a name: lower-case words of letters and digits, with dashes between them, at most "
            f"{LONGEST} characters",
            f"for example {proposal.strip('-') if usable else 'my-lif'}",
        )
    if keyword.iskeyword(name.replace("-", "_")) or name in RESERVED:
        raise UserError(f"{name!r} has a meaning of its own, and cannot name a module", f"for example my-{name}")
    for what, rows in (
        ("neuron", registry.cell_neurons),
        ("training method", registry.methods),
        ("topology", registry.topologies),
        ("task", registry.tasks),
        ("suite", registry.suites),
    ):
        for row in rows.values():
            if name == row.name or (isinstance(row.card, Card) and name in row.card.aliases):
                raise UserError(f"there is a {what} called {name!r} already: {row.path}", "choose another name")
