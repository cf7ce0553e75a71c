"""Where printed kernels lie on disk: one file a text, named by its content. Must not know what is printed."""

from __future__ import annotations

import hashlib
import os
import tempfile
from pathlib import Path

from reference_impls.backends import UnsupportedError
from reference_impls.user_cache import cache_folders

__all__ = ["CACHE_VARIABLE", "kept_source"]

CACHE_VARIABLE = "SPIKEBOARD_KERNELS"
"""Environment variable that replaces the folder of kernels."""


def kept_source(text: str, suffix: str) -> Path:
    """Return the file that holds exactly `text`, written if it is not there yet.

    The folder is ``$SPIKEBOARD_KERNELS``, else ``kernels`` in the user's cache, else, where that cannot be written, one
    of the user's below the system's folder for temporary files. What is compiled lies beside, so it must be writable.
    """
    name = f"step_{hashlib.sha256(text.encode()).hexdigest()[:32]}{suffix}"
    for folder in _folders():
        path = folder / name
        try:
            if not (path.exists() and os.access(folder, os.W_OK)):
                _write(path, text)
        except OSError:
            continue
        return path
    raise UnsupportedError(f"no folder for compiled kernels can be written; set {CACHE_VARIABLE} to one")


def _folders() -> list[Path]:
    given = os.environ.get(CACHE_VARIABLE)
    return [Path(given)] if given else [folder / "kernels" for folder in cache_folders()]


def _write(path: Path, text: str) -> None:
    """Write a file as a whole: another process may be writing the same."""
    path.parent.mkdir(parents=True, exist_ok=True)
    handle, draft = tempfile.mkstemp(dir=path.parent, suffix=".tmp")
    with os.fdopen(handle, "w", encoding="utf-8") as file:
        file.write(text)
    os.replace(draft, path)
