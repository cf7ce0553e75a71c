"""Runs a stranger's code where it can do little: no network, a read-only file system, one folder to write to.

On Linux by bubblewrap, else by util-linux's unshare with `confine` inside; which of them works is found by trying.
Where neither does, that is said, and nothing runs unless its user takes the risk. Homes are hidden but for what is
needed.
Must not import what it runs.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from harness.submissions import confine

__all__ = ["UNPROTECTED", "Sandbox", "find_sandbox"]

TRIAL_SECONDS = 20.0
LARGEST_FILE_BYTES = 4 << 30
"""That a stranger's code may write."""
KEPT = ("LANG", "LC_ALL", "LD_LIBRARY_PATH", "PATH", "TZ")
"""Variables that go in; nothing that may hold a secret."""


@dataclass(frozen=True, slots=True)
class Sandbox:
    """A way to run a command, cut off from the rest."""

    name: str
    """bwrap, unshare; empty: none."""
    why: str
    """What it does; or why there is none."""
    wrap: Callable[[Sequence[str], Path, Sequence[Path]], list[str]]
    """Makes of a command, the folder it may write to and the paths it needs, the command to start."""

    @property
    def protects(self) -> bool:
        """Whether network and file system are cut off."""
        return bool(self.name)

    def run(
        self, command: Sequence[str], folder: Path, needed: Sequence[Path], timeout: float, environment: dict[str, str]
    ) -> subprocess.CompletedProcess[str]:
        """Run `command` in `folder`, the only place where it can write.

        Parameters
        ----------
        needed : paths that must be seen, should they lie in a home.
        timeout : seconds after which all of it is killed; then `subprocess.TimeoutExpired` is raised.
        environment : variables beside the few that every command needs.
        """
        for name in ("tmp", "home"):
            (folder / name).mkdir(exist_ok=True)
        inside = {name: os.environ[name] for name in KEPT if name in os.environ}
        inside |= {"HOME": str(folder / "home"), "TMPDIR": str(folder / "tmp"), "XDG_CACHE_HOME": str(folder / "home")}
        return subprocess.run(
            self.wrap(command, folder, needed),
            cwd=folder,
            env={**inside, **environment},
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            errors="replace",
            timeout=timeout,
            check=False,
        )


def find_sandbox() -> Sandbox:
    """Return the best sandbox that works here, or `UNPROTECTED` with the reason why none does."""
    reasons = []
    for name, wrap in (("bwrap", _bwrap), ("unshare", _unshare)):
        if shutil.which(name) is None:
            reasons.append(f"{name} is not installed")
            continue
        problem = _problem(wrap)
        if problem is None:
            return Sandbox(name, f"{name}: no network, and everything read-only but one folder", wrap)
        reasons.append(f"{name} does not work here ({problem})")
    return Sandbox("", "; ".join(reasons), UNPROTECTED.wrap)


def _problem(wrap: Callable[[Sequence[str], Path, Sequence[Path]], list[str]]) -> str | None:
    """Try whether a sandbox does what it says: it must write in its folder, and nowhere else, and reach nothing."""
    import tempfile

    with tempfile.TemporaryDirectory(prefix="spikeboard-trial-") as inside, tempfile.TemporaryDirectory() as outside:
        trial = Sandbox("trial", "", wrap)
        script = Path(confine.__file__)
        command = [sys.executable, "-I", str(script), "--try", str(Path(outside) / "written")]
        try:
            done = trial.run(command, Path(inside), [script, Path(outside)], TRIAL_SECONDS, {})
        except (OSError, subprocess.TimeoutExpired) as error:
            return str(error)
        if done.returncode == 0 and done.stdout.strip().endswith(confine.CONFINED):
            return None
        return " ".join(done.stdout.split())[-200:] or f"it ended with code {done.returncode}"


def _seen(needed: Sequence[Path]) -> list[str]:
    """Return what must be seen inside a home: the interpreter, its packages, and what is asked for."""
    own: list[str | Path] = [sys.prefix, sys.base_prefix, sys.executable, *filter(None, sys.path)]
    paths = [os.path.realpath(path) for path in (*own, *needed)] + [os.path.abspath(path) for path in (*own, *needed)]
    return sorted({path for path in paths if os.path.exists(path)}, key=lambda path: (path.count("/"), path))


def _homes() -> list[str]:
    return sorted({os.path.realpath(os.path.expanduser("~")), *(["/home"] if os.path.isdir("/home") else [])})


def _bwrap(command: Sequence[str], folder: Path, needed: Sequence[Path]) -> list[str]:
    words = ["bwrap", "--unshare-all", "--die-with-parent", "--new-session", "--ro-bind", "/", "/"]
    words += ["--dev", "/dev", "--proc", "/proc", "--tmpfs", "/dev/shm"]
    homes = _homes()
    for home in homes:
        words += ["--tmpfs", home]
    for path in _seen(needed):
        if any(_below(path, home) for home in homes):
            words += ["--ro-bind", path, path]
    return [*words, "--bind", str(folder), str(folder), "--chdir", str(folder), "--", *command]


def _unshare(command: Sequence[str], folder: Path, needed: Sequence[Path]) -> list[str]:
    homes = _homes()
    seen = [path for path in _seen(needed) if any(_below(path, home) for home in homes)]
    plan = json.dumps({"folder": str(folder), "homes": homes, "seen": seen, "command": list(command)})
    spaces = ["--user", "--map-root-user", "--mount", "--net", "--ipc", "--uts", "--pid"]
    script = [sys.executable, "-I", confine.__file__, "--plan", plan]
    return ["unshare", *spaces, "--fork", "--kill-child", "--mount-proc", *script]


def _below(path: str, folder: str) -> bool:
    return path != folder and os.path.commonpath([path, folder]) == folder


UNPROTECTED = Sandbox("", "nothing is cut off", lambda command, _folder, _needed: list(command))
