"""The commits of this checkout, as asv dates them. Must not know what was measured at one."""

from __future__ import annotations

import subprocess
from pathlib import Path

from harness.asv.points import CommitDate
from harness.errors import UserError

__all__ = ["commit_dates"]


def commit_dates(root: Path) -> CommitDate:
    """Return what tells the date of each commit in the history of what is checked out in `root`.

    Raises
    ------
    UserError
        If `root` is not in a repository with a commit.
    """
    try:
        # The author's date, because asv takes that one.
        listed = subprocess.run(
            ["git", "-C", str(root), "log", "--first-parent", "--format=%H %at", "HEAD"],
            capture_output=True,
            text=True,
            check=True,
        )
    except (OSError, subprocess.CalledProcessError) as error:
        raise UserError(
            f"{root.resolve()} has no history of commits", "asv compares commits: run it in a clone of the repository"
        ) from error
    dated = (line.split() for line in listed.stdout.splitlines())
    return {commit: 1000 * int(seconds) for commit, seconds in dated}.get
