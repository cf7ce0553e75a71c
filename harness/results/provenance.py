"""Where a record comes from: code, packages, machine, clocks and the command that reproduces it.

What is the same for all cells of a run is looked up once. Must not import torch: records are also made for cells
that never run.
"""

from __future__ import annotations

import functools
import os
import shlex
import subprocess
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

import psutil

from harness import __version__
from harness.catalogue.cell import NOT_APPLICABLE, Cell
from harness.results.gpu import gpu_clocks
from harness.results.machine import this_machine
from harness.results.record import Machine

__all__ = ["Origin", "clocks", "command", "this_origin", "why_no_commit"]

PACKAGES = (
    "torch",
    "triton",
    "numpy",
    "scipy",
    "numba",
    "cupy-cuda12x",
    "cupy-cuda13x",
    "scikit-learn",
    "tonic",
    "spikingjelly",
    "snntorch",
    "norse",
    "sinabs",
    "spyx",
    "jax",
    "flax",
)
"""Distributions that take part in a measurement."""
MEASURED = ("harness", "reference_impls")
"""Folders whose state decides whether a tree is dirty; a freshly written record does not."""


@dataclass(frozen=True, slots=True)
class Origin:
    """What all records of one run have in common."""

    spikeboard: str
    commit: str | None
    dirty: bool | None
    """With `commit`; None outside a repository."""
    packages: Mapping[str, str]
    machine: Machine


@functools.lru_cache(maxsize=1)
def this_origin() -> Origin:
    """Look up code, packages and machine of this process, once."""
    commit, dirty = _commit(Path(__file__).resolve().parents[2])
    return Origin(__version__, commit, dirty, dict(_installed()), this_machine())


def command(cell: Cell) -> str:
    """Return the command line that runs `cell` again on the same machine, whether it is done or not."""
    words = ["spikeboard", "run"]
    for axis, value in cell.written().items():
        # The number of threads is no choice of the user's: it follows from suite and machine.
        if value != NOT_APPLICABLE and axis != "threads":
            words += [f"--{axis}", str(value)]
    return shlex.join([*words, "--again"])


def clocks(gpu_uuid: str | None = None) -> dict[str, float] | None:
    """Return the clock rates of this moment, in hertz, and throttle flags; None where the system does not tell.

    Parameters
    ----------
    gpu_uuid : which GPU to ask too, as torch names it.
    """
    found: dict[str, float] = {}
    frequency = psutil.cpu_freq() if hasattr(psutil, "cpu_freq") else None
    if frequency is not None and frequency.current:
        found["cpu_hertz"] = frequency.current * 1e6
    if gpu_uuid is not None:
        found.update(gpu_clocks(gpu_uuid))
    return found or None


def _installed() -> Iterator[tuple[str, str]]:
    for name in PACKAGES:
        try:
            yield name, version(name)
        except PackageNotFoundError:
            continue


def _commit(folder: Path) -> tuple[str | None, bool | None]:
    """Return the commit that `folder` is tracked in and whether what is measured differs from it."""
    # An installed package may lie inside somebody else's repository, in a folder that it ignores.
    tracked = _git(folder, "ls-files", "--error-unmatch", "harness/__init__.py")
    commit = _git(folder, "rev-parse", "HEAD")
    if tracked is None or commit is None:
        return None, None
    changed = _git(folder, "status", "--porcelain", "--", *MEASURED)
    return commit, None if changed is None else bool(changed)


def why_no_commit() -> str | None:
    """Return why records of this checkout carry no commit, in git's words; None if they do, or there is no checkout."""
    folder = Path(__file__).resolve().parents[2]
    if this_origin().commit is not None or not (folder / ".git").exists():
        return None
    try:
        _ask_git(folder, "rev-parse", "HEAD")
    except subprocess.CalledProcessError as error:
        return f"git says: {' '.join(error.stderr.split())}"
    except (OSError, subprocess.SubprocessError) as error:
        return f"git cannot be asked: {error}"
    return None


def _git(folder: Path, *arguments: str) -> str | None:
    """Return what git says of `folder`, or None if it cannot."""
    try:
        return _ask_git(folder, *arguments)
    except (OSError, subprocess.SubprocessError):
        return None


def _ask_git(folder: Path, *arguments: str) -> str:
    # A hook or asv may point git elsewhere through its variables.
    environment = {name: value for name, value in os.environ.items() if not name.startswith("GIT_")}
    answer = subprocess.run(
        ["git", "--no-optional-locks", "-C", str(folder), *arguments],
        env=environment,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        encoding="utf-8",
        errors="replace",  # a path in it may be of any encoding
        timeout=10,
        check=True,
    )
    return answer.stdout.strip()
