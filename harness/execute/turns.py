"""Commits measured in turns on this machine: each in a clone of its own, by its own command.

What one commit changes in suites, clock or contracts then cannot disturb the other, and its records say which commit
they are of. Must not know what is measured, nor compare.
"""

from __future__ import annotations

import os
import subprocess
import sys
import time
from collections.abc import Sequence
from pathlib import Path

from harness.execute.interrupt import Interrupt
from harness.results.commits import git

__all__ = ["clone_of", "run_in"]

LOOKS_EVERY_SECONDS = 0.2
_RUN = "from harness.cli import main; main()"


def clone_of(root: Path, commit: str, folder: Path) -> Path:
    """Return a clone with `commit` checked out, made in `folder` unless it is there; its objects stay where they are.

    A clone and no worktree: the repository at `root` keeps no trace of it.
    """
    if not (folder / ".git").exists():
        folder.parent.mkdir(parents=True, exist_ok=True)
        git(root, "clone", "--quiet", "--shared", "--no-checkout", ".", str(folder.resolve()))
    git(folder, "checkout", "--quiet", "--detach", commit)
    return folder.resolve()


def run_in(clone: Path, words: Sequence[str]) -> int:
    """Run the command of the project in `clone` and return its exit code; a signal to end is passed on."""
    environment = {name: value for name, value in os.environ.items() if not name.startswith("GIT_")}
    environment["PYTHONPATH"] = os.pathsep.join(filter(None, (str(clone), os.environ.get("PYTHONPATH"))))
    # In a group of its own, so that a Ctrl-C reaches it once: from here.
    child = subprocess.Popen([sys.executable, "-c", _RUN, *words], cwd=clone, env=environment, process_group=0)
    with Interrupt() as interrupt:
        passed_on = False
        while child.poll() is None:
            if interrupt.signal is not None and not passed_on:
                child.send_signal(interrupt.signal)
                passed_on = True
            time.sleep(LOOKS_EVERY_SECONDS)
    return child.returncode if child.returncode >= 0 else 128 - child.returncode
