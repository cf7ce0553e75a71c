"""Changes of series that somebody has accepted, and why: lines of a file in git, beside asv's results.

From an accepted commit on a series is judged by its new level. Must not know how a change is found.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from harness.errors import UserError
from harness.results.files import read_regular
from harness.writing import write_whole

__all__ = ["Accepted", "accepted_places", "read_accepted", "write_accepted"]

LARGEST_BYTES = 64 << 20


class Accepted(BaseModel):
    """One change of one figure of one series."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    suite: str
    metric: str
    label: str
    machine: str | None
    """None: on all, where the pages had only one."""
    commit: str
    """The first with the level that was accepted."""
    ratio: float | None = Field(gt=0, allow_inf_nan=False)
    """What was accepted: the new level as a multiple of the old; None where the old was 0."""
    reason: str = Field(min_length=1)
    day: str
    """When it was accepted, as 2026-03-01."""

    @property
    def series(self) -> tuple[str, str, str]:
        """Return suite, metric and label."""
        return self.suite, self.metric, self.label


def read_accepted(path: Path) -> list[Accepted]:
    """Return what the file at `path` says was accepted; nothing if there is none.

    Raises
    ------
    UserError
        If it cannot be read, or has a line that is none.
    """
    if not path.exists():
        return []
    try:
        lines = read_regular(path, LARGEST_BYTES).decode("utf-8").splitlines()
    except (OSError, ValueError) as error:
        raise UserError(f"{path} cannot be read: {error}", "restore it with git") from error
    found = []
    for number, line in enumerate(lines, start=1):
        try:
            found.append(Accepted.model_validate_json(line))
        except ValidationError as error:
            first = error.errors()[0]
            where = ".".join(map(str, first["loc"])) or "the line"
            raise UserError(
                f"{path}, line {number}: {where}: {first['msg']}", "restore it with git, or delete the line"
            ) from error
    return found


def write_accepted(path: Path, accepted: Sequence[Accepted]) -> None:
    """Write `accepted` as the file at `path`, in their order: the oldest first."""
    write_whole(path, "".join(json.dumps(one.model_dump()) + "\n" for one in accepted))


def accepted_places(
    accepted: Iterable[Accepted], machine: str | None, places: Mapping[str, int]
) -> dict[tuple[str, str, str], int]:
    """Return the place in the history of the newest accepted commit of every series (suite, metric, label).

    Parameters
    ----------
    machine : whose series they are; None: of a machine without a name, as what is accepted on all is.
    places : of commits in the history; what was accepted at another commit says nothing.
    """
    newest: dict[tuple[str, str, str], int] = {}
    for one in accepted:
        if one.commit in places and (one.machine is None or machine is None or one.machine == machine):
            newest[one.series] = max(places[one.commit], newest.get(one.series, -1))
    return newest
