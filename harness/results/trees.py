"""The sources of another commit, and the rows that they have: what records of its time are held against.

Cards of another time are read for what today's contract knows: keys that it does not have, and papers' figures, are
passed over. Never imports what it reads.
"""

from __future__ import annotations

import subprocess
import tarfile
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, fields, replace
from io import BytesIO
from pathlib import Path
from typing import Any

from harness.catalogue.cards import CAPABILITIES, Budget, MetricCard, Registry, Row, SuiteCard, TaskCard
from harness.catalogue.loading import CardFile, card_files, rows_of, with_recipes, with_targets
from harness.catalogue.recipes import FOLDER
from harness.catalogue.targets import TARGETS
from harness.errors import UserError
from harness.results.fingerprint import PACKAGES
from reference_impls.card import Card, Variant
from reference_impls.discovery import discover_in

__all__ = ["Tree", "checked_out", "rows_at"]


@dataclass(frozen=True, slots=True)
class Tree:
    """A tree of sources."""

    root: Path
    """Folder that holds the two packages."""
    registry: Registry


@contextmanager
def checked_out(commit: str, today: Registry) -> Iterator[Tree]:
    """Give the two packages as they were at `commit`, in a folder that is gone at the end.

    Parameters
    ----------
    commit : anything git takes for one.
    today : what the cards of suites say that older ones could not say yet.

    Raises
    ------
    UserError
        If it is no commit of this repository.
    """
    with tempfile.TemporaryDirectory() as folder:
        root = Path(folder).resolve()
        _extract(commit, root)
        yield Tree(root, rows_at(root, today))


def rows_at(root: Path, today: Registry | None = None) -> Registry:
    """Return the rows of the packages in the folder `root`; see `checked_out` for `today`."""
    files, problems = card_files(discover_in(root / "reference_impls"), root / "harness")
    rows = rows_of([replace(file, literal=_known(file)) for file in files], problems, papers=False)
    here = Path(__file__).parents[2]
    rows = with_targets(with_recipes(rows, root / FOLDER.relative_to(here)), root / TARGETS.relative_to(here))
    if today is None:
        return rows
    return replace(rows, suites={name: _with_baseline(row, today) for name, row in rows.suites.items()})


def _known(file: CardFile) -> dict[str, Any]:
    """Return what today's contract knows of a card."""
    able = CAPABILITIES.get(file.kind)
    parts = {"metrics": MetricCard, "budgets": Budget, "variants": Variant, **({"capabilities": able} if able else {})}
    card = _fitting({"task": TaskCard, "suite": SuiteCard}.get(file.kind, Card), file.literal)
    card.pop("reported", None)
    for name in parts.keys() & card.keys():
        if name == "capabilities":
            card[name] = _fitting(parts[name], card[name])
        else:
            card[name] = {key: _fitting(parts[name], value) for key, value in card[name].items()}
    for variant in card.get("variants", {}).values():
        if able and "capabilities" in variant:
            variant["capabilities"] = _fitting(able, variant["capabilities"])
    return card


def _fitting(of: type, literal: Mapping[str, Any]) -> dict[str, Any]:
    names = {item.name for item in fields(of)}
    return {key: value for key, value in literal.items() if key in names}


def _with_baseline(row: Row, today: Registry) -> Row:
    """Give a suite that does not say what it measures beside a cell what today's card says."""
    card = row.card
    assert isinstance(card, SuiteCard)
    if card.baseline or row.name not in today.suites:
        return row
    return replace(row, card=replace(card, baseline=today.suite(row.name).baseline))


def _extract(commit: str, folder: Path) -> None:
    try:
        # From the top: in a subfolder, git archive would look for the packages there.
        top = _git("rev-parse", "--show-toplevel").decode().rstrip("\n")
        # By its hash: a record may say that an option of git is its commit.
        known = _git("-C", top, "rev-parse", "--verify", "--quiet", "--end-of-options", f"{commit}^{{commit}}")
        archive = _git("-C", top, "archive", "--format=tar", known.decode().strip(), "--", *PACKAGES)
    except (OSError, subprocess.CalledProcessError) as error:
        said = getattr(error, "stderr", b"").decode(errors="replace").strip()
        raise UserError(
            f"{commit!r} is neither a folder of records nor a commit of this repository{': ' + said if said else ''}",
            "spikeboard compare takes two stores or two commits, for example: spikeboard compare HEAD~1 HEAD",
        ) from error
    with tarfile.open(fileobj=BytesIO(archive)) as tar:
        tar.extractall(folder, filter="data")


def _git(*words: str) -> bytes:
    return subprocess.run(["git", *words], capture_output=True, check=True).stdout
