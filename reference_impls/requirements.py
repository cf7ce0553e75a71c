"""Which other libraries a row needs, and what to say where one is missing.

Asked before anything is imported: by the plan, which must not import torch, and by the builder of peers. Must not
import the libraries it looks for.
"""

from __future__ import annotations

from collections.abc import Mapping
from importlib.metadata import PackageNotFoundError, version

__all__ = ["installed_version", "why_missing"]


def installed_version(distribution: str) -> str | None:
    """Return the version of an installed distribution, without its local part (``+cpu``), or None."""
    try:
        return version(distribution).partition("+")[0]
    except PackageNotFoundError:
        return None


def why_missing(row: str, requires: Mapping[str, str]) -> str | None:
    """Return a sentence that says what `row` lacks and how to install it, or None if everything is there.

    Parameters
    ----------
    row : name of the row that needs the libraries.
    requires : distribution -> pinned version.
    """
    lacking = []
    for distribution, wanted in requires.items():
        found = installed_version(distribution)
        if found != wanted:
            lacking.append(f"{distribution} {wanted} ({f'{found} is installed' if found else 'not installed'})")
    if not lacking:
        return None
    command = "pip install --no-deps -r peers-constraints.txt (without --no-deps a library may replace torch)"
    return f"{row} needs {' and '.join(lacking)}: run python -m nox -s peers, or {command}."
