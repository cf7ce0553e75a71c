"""The commits of this checkout: as asv dates them, and those that a gate judges. Must not know what was measured."""

from __future__ import annotations

import subprocess
from collections.abc import Sequence
from pathlib import Path

from harness.asv.points import CommitDate
from harness.errors import UserError
from harness.results.commits import git

__all__ = ["commit_dates", "commits_since", "history_of", "last_change"]


def commit_dates(root: Path) -> CommitDate:
    """Return what tells the date of each commit in the history of what is checked out in `root`.

    Raises
    ------
    UserError
        If `root` is not in a repository with a commit.
    """
    # The author's date, because asv takes that one.
    listed = _log(root, "--first-parent", "--format=%H %at", "HEAD")
    dated = (line.split() for line in listed.splitlines())
    return {commit: 1000 * int(seconds) for commit, seconds in dated}.get


def history_of(root: Path) -> list[str]:
    """Return the commits of what is checked out in `root`, the oldest first: of merges the first parents, as asv does.

    Raises
    ------
    UserError
        If `root` is not in a repository with a commit.
    """
    return _log(root, "--first-parent", "--reverse", "--format=%H", "HEAD").split()


def last_change(root: Path, paths: Sequence[Path]) -> str | None:
    """Return the newest commit of the history of `root` that changed one of `paths`; None if none has.

    Raises
    ------
    UserError
        If `root` is not in a repository with a commit.
    """
    return _log(root, "-1", "--format=%H", "HEAD", "--", *map(str, paths)).strip() or None


def commits_since(root: Path, commit: str | None) -> list[str]:
    """Return the commits after `commit` (None: all of them), the newest first, by their full hashes.

    Raises
    ------
    UserError
        If there is no such commit.
    """
    chosen = ["HEAD"] if commit is None else ["HEAD", f"^{commit}"]
    try:
        return git(root, "rev-list", *chosen).split()
    except subprocess.CalledProcessError as error:
        raise UserError(
            f"--since {commit!r} is no commit of this repository",
            "git log --oneline shows them; in a shallow clone, git fetch --unshallow",
        ) from error


def _log(root: Path, *words: str) -> str:
    try:
        return git(root, "log", *words)
    except (OSError, subprocess.CalledProcessError) as error:
        raise UserError(
            f"{root.resolve()} has no history of commits", "asv compares commits: run it in a clone of the repository"
        ) from error
