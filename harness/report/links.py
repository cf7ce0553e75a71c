"""Names of pages, anchors and files of the site: pure functions of what is shown, so that a link outlives a rebuild.

Names come from cards and records, which anybody may write; what is not a plain slug already is made one and told
apart by a digest. Must not know what stands on a page.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Mapping
from dataclasses import dataclass, field

from harness.asv.series import Published, graph_link
from harness.catalogue.cell import NOT_APPLICABLE
from harness.results.record import Record
from harness.results.tables import Group, TableRow
from harness.text import slug as any_slug

__all__ = [
    "ABOUT",
    "ASV",
    "AXIS_OF_KIND",
    "IMPLEMENTATIONS",
    "INDEX",
    "KIND_OF_AXIS",
    "Sitemap",
    "board_page",
    "group_id",
    "implementation_page",
    "record_file",
    "row_id",
    "slug",
    "table_file",
]

INDEX = "index.html"
IMPLEMENTATIONS = "implementations.html"
ABOUT = "about.html"
ASV = "asv"
"""Folder of asv's own pages below the site's; never touched."""

KIND_OF_AXIS: Mapping[str, str] = {"neuron": "neuron", "method": "training", "topology": "topology", "task": "task"}
"""The kind of card that the values of an axis have; a backend has none."""
AXIS_OF_KIND: Mapping[str, str] = {**{kind: axis for axis, kind in KIND_OF_AXIS.items()}, "peer": "neuron"}
"""The axis on which the rows of a kind stand."""
_PREFIX: Mapping[str, str] = {
    "neuron": "neuron",
    "training": "method",
    "topology": "topology",
    "task": "task",
    "peer": "peer",
}
_IMPLIED = (NOT_APPLICABLE, "cpu", "float32", "eager")
"""Values that an anchor leaves out, as `Group.label` does."""
_SLUG = re.compile(r"[a-z0-9]+(-[a-z0-9]+)*")


@dataclass(frozen=True, slots=True)
class Sitemap:
    """Which pages there will be, so that nothing is linked that is not there."""

    implementations: Mapping[tuple[str, str], str]
    """Page of each (kind, name)."""
    tables: Mapping[tuple[str, Group], str] = field(default_factory=dict)
    """Page and anchor of the table of each (board, group)."""
    has_asv: bool = False
    """Whether asv's own pages lie beside these."""
    asv_series: frozenset[Published] = frozenset()
    """What has a graph there."""

    def of_axis(self, axis: str, name: str) -> str | None:
        """Return the page of the implementation `name` on `axis`, or None if it has none."""
        page = self.implementations.get((KIND_OF_AXIS.get(axis, axis), name))
        return self.implementations.get(("peer", name)) if page is None and axis == "neuron" else page

    def over_commits(self, series: Published) -> str | None:
        """Return the address of the graph of `series`, or None if there is none."""
        if series not in self.asv_series:
            return None
        return f"{ASV}/{graph_link(series.suite, series.metric, series.label, series.machine)}"


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


def record_file(record: Record) -> str:
    """Return the file of a record below the site's root."""
    return f"data/records/{slug(record.provenance.machine.name)}/{slug(record.cell_id)}.json"


def table_file(board: str, group: Group, suffix: str) -> str:
    """Return the file of a table below the site's root; `suffix` is ``csv``, ``json``, ``tex`` or ``md``."""
    digest = hashlib.sha256(group_id(group).encode()).hexdigest()[:12]
    label = "-".join(slug(value) for _, value in group.axes if value not in _IMPLIED)[:80]
    return f"data/tables/{slug(board)}-{label}-{digest}.{suffix}"
