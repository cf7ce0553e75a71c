"""Asking git about the commits of a repository. Must not know what is measured of them."""

from __future__ import annotations

import subprocess
from pathlib import Path

from harness.errors import UserError

__all__ = ["commit_of", "git"]


def commit_of(root: Path, name: str) -> str:
    """Return the hash of the commit that git knows by `name` in the repository at `root`.

    Raises
    ------
    UserError
        If there is none.
    """
    try:
        # A name may come from a file, and look like an option.
        return git(root, "rev-parse", "--verify", "--quiet", "--end-of-options", f"{name}^{{commit}}").strip()
    except (OSError, subprocess.CalledProcessError) as error:
        raise UserError(
            f"{name!r} is no commit of this repository",
            "git log --oneline shows them; in a shallow clone, git fetch --unshallow",
        ) from error


def git(root: Path, *words: str) -> str:
    """Return what git says in `root`; CalledProcessError if it refuses."""
    return subprocess.run(["git", "-C", str(root), *words], capture_output=True, text=True, check=True).stdout
