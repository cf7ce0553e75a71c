"""The sources of another commit, and the rows that they have: what records of its time are held against.

Cards are read with today's contract; one that no longer fits it is left out, as anywhere. Never imports what it reads.
"""

from __future__ import annotations

import subprocess
import tarfile
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from io import BytesIO
from pathlib import Path

from harness.catalogue.cards import Row, Rows, SuiteCard, rows_of
from harness.errors import UserError
from harness.results.fingerprint import PACKAGES
from reference_impls.discovery import discover_in

__all__ = ["Tree", "checked_out", "rows_at"]


@dataclass(frozen=True, slots=True)
class Tree:
    """A tree of sources."""

    root: Path
    """Folder that holds the two packages."""
    rows: Rows


@contextmanager
def checked_out(commit: str, today: Rows) -> Iterator[Tree]:
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


def rows_at(root: Path, today: Rows | None = None) -> Rows:
    """Return the rows of the packages in the folder `root`; see `checked_out` for `today`."""
    rows = rows_of(discover_in(root / "reference_impls"), root / "harness")
    if today is None:
        return rows
    return replace(rows, suites={name: _with_baseline(row, today) for name, row in rows.suites.items()})


def _with_baseline(row: Row, today: Rows) -> Row:
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
        archive = _git("-C", top, "archive", "--format=tar", commit, *PACKAGES)
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
