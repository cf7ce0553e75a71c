"""Defaults of one's own, from an optional ``spikeboard.toml``: where records go, where data lie, which device.

The nearest such file counts, from the current folder upward to the top of the clone. The command line comes before the
environment, the environment before the file, the file before what is built in. Must not know what a default is for.
"""

from __future__ import annotations

import functools
import os
import tomllib
from dataclasses import dataclass, fields
from pathlib import Path

from harness.errors import UserError
from reference_impls.names import unknown_message

__all__ = ["DEVICE_VARIABLE", "FILE", "STORE_VARIABLE", "Defaults", "defaults"]

FILE = "spikeboard.toml"
STORE_VARIABLE = "SPIKEBOARD_STORE"
"""Environment variable with the folder that records go to."""
DEVICE_VARIABLE = "SPIKEBOARD_DEVICE"
"""Environment variable with the device: cpu, cuda, ..."""


@dataclass(frozen=True, slots=True)
class Defaults:
    """What the file says; None for what it does not."""

    store: Path | None = None
    """Where records go, and which are read beside the published ones. As `data_root`, relative to the file's folder."""
    data_root: Path | None = None
    machine: str | None = None
    """Name of this machine in records."""
    device: str | None = None
    """cpu, cuda, ...: as ``--device``."""
    path: Path | None = None
    """The file; None where there is none."""


def defaults() -> Defaults:
    """Return the defaults that hold in the current folder.

    Raises
    ------
    UserError
        If the file cannot be read, or has an unknown key or a value that is no text.
    """
    try:
        here = Path.cwd()
    except OSError:  # the folder is gone: whoever needs it says so
        return Defaults()
    path = _nearest(here)
    return Defaults() if path is None else _read(path, path.stat().st_mtime_ns, here)


def _nearest(here: Path) -> Path | None:
    for folder in (here, *here.parents):
        if (folder / FILE).is_file():
            return folder / FILE
        if (folder / ".git").exists():
            break
    return None


@functools.lru_cache(maxsize=8)
def _read(path: Path, _changed: int, here: Path) -> Defaults:
    try:
        content = tomllib.loads(path.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
        raise UserError(f"{path}: cannot be read: {error}", 'it holds lines such as device = "cuda"') from error
    known = [item.name for item in fields(Defaults) if item.name != "path"]
    for key, value in content.items():
        if key not in known:
            raise UserError(f"{path}: {unknown_message('key', key, known)}")
        if not isinstance(value, str) or not value:
            raise UserError(f"{path}: {key} must be a text, not {value!r}", f'{key} = "..."')
    return Defaults(
        store=_folder(path, content.get("store"), here),
        data_root=_folder(path, content.get("data_root"), here),
        machine=content.get("machine"),
        device=content.get("device"),
        path=path,
    )


def _folder(path: Path, value: str | None, here: Path) -> Path | None:
    """Return a folder as the file at `path` means it; one that is below the folder `here` as seen from there."""
    if value is None:
        return None
    folder = path.parent / Path(value).expanduser()
    return Path(os.path.relpath(folder)) if folder.is_relative_to(here) else folder
