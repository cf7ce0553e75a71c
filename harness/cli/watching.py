"""``spikeboard check --watch``: the same check again whenever a file is saved, until Ctrl-C.

Each check is a process of its own: one that was started before a file changed would go on with what it has imported.
"""

from __future__ import annotations

import signal
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from datetime import datetime
from pathlib import Path

from harness.terminal import say

__all__ = ["OPTION", "again_and_again", "folders_of"]

OPTION = "--watch"
POLL_SECONDS = 0.25
SETTLE_SECONDS = 0.1
"""An editor writes a file in more than one step."""
PATIENCE_SECONDS = 20.0
"""For an interrupted check to clear up."""

Stamps = Mapping[Path, int]


def folders_of(names: Sequence[str]) -> list[Path]:
    """Return the folders that hold the entries `names`, or all that hold any, where one of them cannot be read yet."""
    from harness.catalogue.loading import load_registry

    registry = load_registry()
    rows = {**registry.tasks, **registry.methods, **registry.cell_neurons}
    known = [rows[name] for name in names if name in rows]
    folders = {row.path.parent for row in (known if len(known) == len(set(names)) else rows.values())}
    return sorted(folders)


def again_and_again(further: Sequence[str], folders: Sequence[Path]) -> None:
    """Run this command without its ``--watch``, with `further` arguments, now and when a file in `folders` changes."""
    command = [sys.executable, "-m", "harness", *(word for word in sys.argv[1:] if word != OPTION), *further]
    names = ", ".join(str(folder) for folder in folders) if len(folders) < 4 else f"{len(folders)} folders"
    say(f"watching {names}; Ctrl-C ends it", dim=True)
    while True:
        before = _stamps(folders)
        child = subprocess.Popen(command)
        try:
            while (now := _stamps(folders)) == before:
                time.sleep(POLL_SECONDS)
        except KeyboardInterrupt:
            _end(child)
            return
        _end(child)
        time.sleep(SETTLE_SECONDS)
        changed = sorted({path.name for path, _ in {*before.items()} ^ {*now.items()}})
        say(f"\n{datetime.now():%H:%M:%S} {', '.join(changed)} changed", fg="cyan")


def _stamps(folders: Sequence[Path]) -> Stamps:
    stamps = {}
    for folder in folders:
        for path in folder.glob("*.py"):
            try:
                stamps[path] = path.stat().st_mtime_ns
            except FileNotFoundError:  # an editor that replaces it
                continue
    return stamps


def _end(child: subprocess.Popen[bytes]) -> None:
    """Interrupt a check that still runs; it stops what it has started."""
    try:
        if child.poll() is None:
            child.send_signal(signal.SIGINT)
        child.wait(PATIENCE_SECONDS)
    except (subprocess.TimeoutExpired, KeyboardInterrupt):
        child.kill()
        child.wait()
