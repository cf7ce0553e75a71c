"""What asv prints, without rows of its tables that say nothing: series that nobody asked for or that a commit lacks.

asv prints a row for every value of a benchmark's parameter, hundreds in a run of one series.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable, Iterator

__all__ = ["without_unasked"]

_ROW = re.compile(r"\s+(?P<label>\S.*?)\s{2,}(?P<value>n/a|failed)\s*")


def without_unasked(lines: Iterable[str], labels: Collection[str]) -> Iterator[str]:
    """Yield `lines` of asv without rows of a table that have no value.

    Parameters
    ----------
    lines : as asv prints them.
    labels : series that were asked for; a row of another that "failed" was not run. None: all were.
    """
    for line in lines:
        row = _ROW.fullmatch(line)
        if row is None or (row["value"] == "failed" and (not labels or row["label"] in labels)):
            yield line
