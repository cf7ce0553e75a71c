"""Where things lie by default, relative to the folder that a command is run in."""

from __future__ import annotations

from pathlib import Path

__all__ = ["PUBLISHED", "RUNS", "SCRATCH", "SITE", "readable_stores"]

PUBLISHED = Path("reports/data")
"""Records that are committed: what the project publishes."""
RUNS = Path("reports/runs")
"""Records of this checkout; not committed."""
SITE = Path("reports/site")
"""The generated pages; not committed."""
SCRATCH = Path(".spikeboard")
"""What later cells may use again (trained weights); safe to delete."""


def readable_stores(given: list[Path] | None) -> list[Path]:
    """Return the stores to read: those given, else the published records and one's own, where they exist."""
    return given or [path for path in (PUBLISHED, RUNS) if path.is_dir()]
