"""Options that several verbs share, so that they read and behave alike."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

__all__ = ["DataRoot", "MachineName", "Stores"]

Stores = Annotated[
    list[Path] | None,
    typer.Option(
        "--store", metavar="DIR", help="Folder of records; may be repeated. [default: reports/data, reports/runs]"
    ),
]
DataRoot = Annotated[
    Path | None,
    typer.Option(
        "--data-root", metavar="DIR", help="Folder of data sets. [default: $SPIKEBOARD_DATA, ~/.cache/spikeboard/data]"
    ),
]
MachineName = Annotated[
    str | None,
    typer.Option("--machine", metavar="NAME", help="Show this machine's records only. [default: all]"),
]
