"""Where this user keeps what can be made again: kernels, frames, downloads; also one without a home or a name."""

from __future__ import annotations

import os
import stat
import tempfile
from pathlib import Path

__all__ = ["cache_folders", "cache_home"]


def cache_home() -> Path:
    """Return ``$XDG_CACHE_HOME/spikeboard`` or ``~/.cache/spikeboard``; without a home, one for temporary files."""
    given = os.environ.get("XDG_CACHE_HOME", "")
    try:
        # One that is not absolute would be another folder for each cell; the standard says to ignore it.
        base = Path(given) if os.path.isabs(given) else Path.home() / ".cache"
    except RuntimeError:  # neither HOME nor an entry in the system's list of users, as containers have it
        return _temporary()
    return base / "spikeboard"


def cache_folders() -> tuple[Path, ...]:
    """Return the folders to look into, and to keep things in: the first that can be written, which may be the last."""
    home, temporary = cache_home(), _temporary()
    trusted = (temporary,) if _is_own(temporary) else ()
    return trusted if home == temporary else (home, *trusted)


def _temporary() -> Path:
    owner = os.getuid() if hasattr(os, "getuid") else "user"
    return Path(tempfile.gettempdir()) / f"spikeboard-{owner}"


def _is_own(folder: Path) -> bool:
    """Make `folder` private, and say whether it is: its name can be guessed, so another may have made it before."""
    try:
        folder.mkdir(mode=0o700, exist_ok=True)
        state = folder.lstat()
    except OSError:
        return False
    own = not hasattr(os, "getuid") or state.st_uid == os.getuid()
    return own and stat.S_ISDIR(state.st_mode) and not state.st_mode & (stat.S_IWGRP | stat.S_IWOTH)
