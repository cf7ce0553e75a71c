"""What git says of a clone: where a commit is, what changed since the project's branch, what is not committed.

Git never runs a filter, a hook or a pager for these questions. Must not know what a submission is.
"""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

__all__ = ["BRANCHES", "changed_since", "knows_commit", "project_branch", "uncommitted"]

BRANCHES = (
    *("upstream/HEAD", "upstream/main", "upstream/master"),
    *("origin/HEAD", "origin/main", "origin/master"),
)
"""Where the project may be known to a clone, best first: a fork calls it upstream, a plain clone origin."""


def knows_commit(root: Path, commit: str) -> bool | None:
    """Whether the repository at `root` has `commit`; None where there is no repository."""
    if git(root, "rev-parse", "--git-dir") is None:
        return None
    return git(root, "cat-file", "-e", f"{commit}^{{commit}}") is not None


def project_branch(root: Path, named: str | None = None) -> str | None:
    """Return the commit at which `root` left the project's branch (`named`, else the first of `BRANCHES`), or None."""
    for branch in BRANCHES if named is None else (named,):
        found = git(root, "merge-base", "HEAD", branch)
        if found:
            return found.strip()
    return None


def changed_since(root: Path, commit: str) -> frozenset[str]:
    """Return the files of `root` that are not what they were at `commit`, relative to it, new ones among them."""
    listed = git(root, "-c", "core.quotePath=false", "diff", "--name-only", "--relative", "-z", commit, "--")
    return frozenset(filter(None, (listed or "").split("\0")))


def uncommitted(root: Path, *folders: str) -> list[str]:
    """Return the files of `folders` in `root` that are changed, or new and not ignored."""
    listed = git(root, "status", "--porcelain", "-z", "--untracked-files=all", "--", *folders)
    return sorted(entry[3:] for entry in (listed or "").split("\0") if len(entry) > 3 and entry[2] == " ")


def git(root: Path, *words: str) -> str | None:
    """Return what git answers of `root`; None if it cannot."""
    # A hook may point git elsewhere through its variables.
    environment = {name: value for name, value in os.environ.items() if not name.startswith("GIT_")}
    try:
        answer = subprocess.run(
            ["git", "--no-optional-locks", "-C", str(root), *words],
            env=environment,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            encoding="utf-8",
            errors="surrogateescape",
            timeout=60,
            check=True,
        )
    except (OSError, subprocess.SubprocessError):
        return None
    return answer.stdout
