"""Writes files so that a reader sees the old one or the whole new one, with the permissions that the umask asks for.

A temporary file of the standard library is private to its owner, which is wrong for what a group shares. Knows nothing
of what is written.
"""

from __future__ import annotations

import contextlib
import os
import uuid
from pathlib import Path

from harness.errors import UserError

__all__ = ["require_writable", "write_whole"]


def write_whole(path: Path, text: str) -> None:
    """Write `text` as the file `path`, whose folder is made if need be; nothing else is left, whatever happens."""
    path.parent.mkdir(parents=True, exist_ok=True)
    draft = path.with_name(f".{uuid.uuid4().hex}.tmp")  # short: the name of a record may be as long as names can be
    try:
        with draft.open("x", encoding="utf-8") as file:
            file.write(text)
        os.replace(draft, path)
    except BaseException:
        with contextlib.suppress(OSError):
            draft.unlink(missing_ok=True)
        raise


def require_writable(folder: Path, what: str, hint: str) -> None:
    """Try to write a file in `folder`, to rename and to remove it, before something is done that must be kept there.

    Parameters
    ----------
    folder : made if it is not there.
    what : it is, for the message.
    hint : what to do if it cannot be written.

    Raises
    ------
    UserError
        If any of these fails.
    """
    trial = folder / f".{uuid.uuid4().hex}.trial"
    try:
        write_whole(trial, "A file that was written to see whether it can be.\n")
        trial.unlink()
    except (OSError, UnicodeEncodeError) as error:
        why = (isinstance(error, OSError) and error.strerror) or str(error)
        raise UserError(f"{what} {folder} cannot be written: {why}", hint) from error
