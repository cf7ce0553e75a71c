"""Where things lie by default: below the folder that a command is run in, or the clone's that this is a part of."""

from __future__ import annotations

import os
from pathlib import Path

from harness.defaults import STORE_VARIABLE, defaults
from harness.errors import UserError

__all__ = [
    "ACCEPTED",
    "CALIBRATION",
    "NOISE",
    "PUBLISHED",
    "RUNS",
    "SCRATCH",
    "SITE",
    "STUDIES",
    "SUBMISSIONS",
    "TURNS",
    "by_default",
    "existing_store",
    "installed_records",
    "published_store",
    "readable_stores",
    "submissions_beside",
]

PUBLISHED = Path("reports/data")
"""Records that are committed: what the project publishes."""
RUNS = Path("reports/runs")
"""Records of this checkout; not committed."""
STUDIES = Path("reports/tuning")
"""Every trial of every tuning; committed."""
NOISE = Path("reports/asv/noise")
"""How far runs of the same code are apart, one file for each machine; committed."""
ACCEPTED = Path("reports/asv/accepted.jsonl")
"""Changes of a series that somebody has accepted, with the reason; committed."""
CALIBRATION = Path("reports/calibration")
"""Records of the runs that the noise is taken from; not committed."""
TURNS = Path("reports/turns")
"""Clones and records of commits that were measured in turns; not committed, safe to delete."""
SUBMISSIONS = Path("reports/submissions")
"""Results of strangers, a folder each, and beside it what was made sure of; committed."""
SITE = Path("reports/site")
"""The generated pages; not committed."""
SCRATCH = Path(".spikeboard")
"""What later cells may use again (trained weights); safe to delete."""


def by_default(path: Path) -> Path:
    """Return where the default `path` lies: in the nearest folder upward, inside one clone, that has reports.

    So every verb works in a subfolder of a clone as it does at its top. One's own records lie where SPIKEBOARD_STORE or
    ``spikeboard.toml`` say, if one of them does.
    """
    if path == RUNS and (own := os.environ.get(STORE_VARIABLE) or defaults().store):
        return Path(own).expanduser()
    here = Path.cwd()
    for folder in (here, *here.parents):
        if any((folder / store).is_dir() for store in (PUBLISHED, RUNS)):
            return path if folder == here else folder / path
        if (folder / ".git").exists():
            break
    return path


def installed_records() -> Path | None:
    """Return the published records that came with this installation, or lie in the clone that it is; None if none."""
    package = Path(__file__).resolve().parent
    return next((path for path in (package / "published", package.parent / PUBLISHED) if path.is_dir()), None)


def published_store() -> Path | None:
    """Return the published records: those of the clone that one is in, else those that were installed."""
    here = by_default(PUBLISHED)
    return here if here.is_dir() else installed_records()


def readable_stores(given: list[Path] | None) -> list[Path]:
    """Return the stores to read: those given, else the published records and one's own, where they exist.

    Outside of a clone the published ones are those that the installed package has.

    Raises
    ------
    UserError
        If one that was given is no folder.
    """
    if given:
        return [existing_store(path) for path in given]
    return [path for path in (published_store(), by_default(RUNS)) if path is not None and path.is_dir()]


def submissions_beside(given: list[Path] | None) -> Path | None:
    """Return the folder of submissions that goes with the stores that are read by default; None if others are given."""
    return None if given else by_default(SUBMISSIONS)


def existing_store(path: Path) -> Path:
    """Return `path` if it is a folder: a store that is not there is a misspelt one, and not an empty one."""
    if not path.is_dir():
        raise UserError(
            f"{path} is {'no folder' if path.exists() else 'not there'}, so it is no store of records",
            f"records of this checkout lie in {RUNS}, published ones in {PUBLISHED}",
        )
    return path
