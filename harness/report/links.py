"""Names of pages, anchors and files of the site: pure functions of what is shown, so that a link outlives a rebuild.

Names come from cards and records, which anybody may write; what is not a plain slug already is made one and told
apart by a digest. Must not know what stands on a page.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

from harness.catalogue.cell import DEFAULT_RECIPE, NOT_APPLICABLE, Cell
from harness.results.grouping import Group
from harness.results.record import Record
from harness.results.table import TableRow
from harness.text import slug as any_slug

__all__ = [
    "ABOUT",
    "ASV",
    "AXIS_OF_KIND",
    "CLAIMS",
    "IMPLEMENTATIONS",
    "INDEX",
    "KIND_OF_AXIS",
    "OVERALL",
    "RECORDS_A_FILE",
    "OverCommits",
    "Sitemap",
    "board_file",
    "board_page",
    "figures_file",
    "figures_files",
    "group_id",
    "implementation_page",
    "record_anchor",
    "record_link",
    "record_page",
    "row_id",
    "slug",
]

INDEX = "index.html"
IMPLEMENTATIONS = "implementations.html"
ABOUT = "about.html"
OVERALL = "overall.html"
CLAIMS = "claims.html"
ASV = "asv"
"""Folder of asv's own pages below the site's; never touched."""

KIND_OF_AXIS: Mapping[str, str] = {"neuron": "neuron", "method": "training", "topology": "topology", "task": "task"}
"""The kind of card that the values of an axis have; a backend has none."""
AXIS_OF_KIND: Mapping[str, str] = {
    **{kind: axis for axis, kind in KIND_OF_AXIS.items()},
    "peer": "neuron",
    "system": "neuron",
}
"""The axis on which the rows of a kind stand."""
_PREFIX: Mapping[str, str] = {
    "neuron": "neuron",
    "training": "method",
    "topology": "topology",
    "task": "task",
    "peer": "peer",
    "system": "system",
}
_ALSO_ON: Mapping[str, tuple[str, ...]] = {"neuron": ("peer", "system")}
"""The other kinds of card whose rows stand on an axis."""
_IMPLIED = (NOT_APPLICABLE, "cpu", "float32", "eager", DEFAULT_RECIPE)
"""Values that an anchor leaves out, as `Group.label` does."""
RECORDS_A_FILE = 200_000
"""A file of figures holds so many records, and is then some 30 MB."""
_SLUG = re.compile(r"[a-z0-9]+(-[a-z0-9]+)*")


OverCommits = Callable[[str, str, Cell, int, int], str | None]
"""Address of a graph below asv's pages, of (machine, metric, cell, version of the task, number of seeds); None if there
is none. Whoever asks for a site hands it over."""


@dataclass(frozen=True, slots=True)
class Sitemap:
    """Which pages there will be, so that nothing is linked that is not there."""

    implementations: Mapping[tuple[str, str], str]
    """Page of each (kind, name)."""
    tables: Mapping[tuple[str, Group], str] = field(default_factory=dict)
    """Page and anchor of the table of each (board, group)."""
    over_commits: OverCommits | None = None
    """Where the graphs of asv's pages are; None if those do not lie beside these."""

    def of_axis(self, axis: str, name: str) -> str | None:
        """Return the page of the implementation `name` on `axis`, or None if it has none."""
        kinds = (KIND_OF_AXIS.get(axis, axis), *_ALSO_ON.get(axis, ()))
        return next((page for kind in kinds if (page := self.implementations.get((kind, name)))), None)

    def graph(self, machine: str, metric: str, cell: Cell, task_version: int, seeds: int) -> str | None:
        """Return the address of the graph of a figure over commits, or None if there is none."""
        address = self.over_commits and self.over_commits(machine, metric, cell, task_version, seeds)
        return f"{ASV}/{address}" if address else None


def slug(text: str) -> str:
    """Make `text` safe in a file name and an anchor; different texts stay different."""
    return any_slug(text, _SLUG)


def board_page(board: str, number: int = 1) -> str:
    """Return the file of a board's page; a board with very many tables has several, numbered from 1."""
    return f"board-{slug(board)}{'' if number == 1 else f'-{number}'}.html"


def implementation_page(kind: str, name: str) -> str:
    """Return the file of the page of the implementation `name`."""
    return f"{_PREFIX[kind]}-{slug(name)}.html"


def group_id(group: Group) -> str:
    """Return the anchor of a group of rows, unique within a board."""
    parts = [slug(value) for _, value in group.axes if value not in _IMPLIED]
    return ".".join([*parts, slug(group.machine)])


def row_id(group: Group, row: TableRow) -> str:
    """Return the anchor of a row of a table."""
    return f"{group_id(group)}~{slug(row.name)}.{slug(row.topology)}"


def record_page(record: Record) -> str:
    """Return the page that a record is on, with others: there may be a hundred thousand."""
    return f"records/{slug(record.cell_id[:2])}.html"


def record_anchor(record: Record) -> str:
    """Return the anchor of a record on its page."""
    return f"{slug(record.cell_id)}.{slug(record.provenance.machine.name)}"


def record_link(record: Record) -> str:
    """Return where a record is below the site's root."""
    return f"{record_page(record)}#{record_anchor(record)}"


def board_file(board: str) -> str:
    """Return the CSV of all tables of a board below the site's root."""
    return f"data/{slug(board)}.csv"


def figures_files(records: int) -> tuple[str, ...]:
    """Return the files of the figures of so many records."""
    return tuple(figures_file(number) for number in range(1, 2 + max(0, records - 1) // RECORDS_A_FILE))


def figures_file(number: int = 1) -> str:
    """Return a file of all figures in columns; a site of very many records has several, numbered from 1."""
    return f"data/figures{'' if number == 1 else f'-{number}'}.npz"
