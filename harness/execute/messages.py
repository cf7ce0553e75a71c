"""What a cell's process is asked, and what it says: requests, and messages as lines of JSON.

Lines survive a process that dies in the middle of one: the reader never waits for the rest, and drops it. Must not
import torch: both sides read this module.
"""

from __future__ import annotations

import contextlib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, TypeAdapter, ValidationError

from harness.catalogue.cards import Registry
from harness.catalogue.cell import Cell
from harness.execute.leases import Lease
from harness.results.record import Metric, Predictions, Series, Status

__all__ = ["CellOutcome", "CellRequest", "Message", "MessageReader", "Progress", "Setting", "encoded"]

LONGEST_MESSAGE_BYTES = 64 << 20
"""A line that grows beyond this is no outcome; it is dropped before it fills the parent's memory."""

_STRICT = ConfigDict(extra="forbid", frozen=True)


@dataclass(frozen=True, slots=True)
class CellRequest:
    """All that a worker needs to run a cell."""

    cell: Cell
    registry: Registry
    """The rows that the plan was made from, so that worker and plan cannot disagree."""
    data_root: Path | None = None
    scratch: Path | None = None
    vectors: Path | None = None
    """Golden vectors in place of those of the project."""
    memory_bytes: int | None = None
    folder: Path = Path()
    """Of the cell alone: it works there, and it is removed afterwards."""
    lease: Lease | None = None
    """The GPU that the cell sees, and the processors that it may use."""


class Setting(BaseModel):
    """Under which rules the cell is measured; sent before it is."""

    model_config = _STRICT

    kind: Literal["setting"] = "setting"
    clock_version: int
    allocator: str


class Progress(BaseModel):
    """How far the cell has come."""

    model_config = _STRICT

    kind: Literal["progress"] = "progress"
    fraction: float
    note: str


class CellOutcome(BaseModel):
    """How a cell ended: said by its worker, or concluded from the death of its process."""

    model_config = _STRICT

    kind: Literal["outcome"] = "outcome"
    status: Status
    reason: str | None = None
    """One sentence; present when the status is not ``ok``."""
    metrics: Mapping[str, Metric] = Field(default_factory=dict)
    series: Mapping[str, Series] = Field(default_factory=dict)
    predictions: Predictions | None = None
    details: Mapping[str, Any] = Field(default_factory=dict)
    clocks: Mapping[str, float] | None = None
    """Clock rates right after the measurement; None where the system does not tell."""
    gpu: Mapping[str, str | float] | None = None
    """See :class:`harness.results.record.Provenance`; so with the next."""
    busy_fraction: float | None = None
    device_peak_bytes: int | None = None
    """Most memory of a GPU that torch had reserved; None without one."""


Message = Setting | Progress | CellOutcome
_MESSAGE: TypeAdapter[Message] = TypeAdapter(Annotated[Message, Field(discriminator="kind")])


def encoded(message: Message) -> bytes:
    """Return `message` as one line.

    Raises
    ------
    pydantic_core.PydanticSerializationError
        If an outcome's details hold something that JSON cannot.
    """
    return message.model_dump_json().encode() + b"\n"


class MessageReader:
    """Turns whatever bytes have arrived into the messages that are complete."""

    def __init__(self) -> None:
        self._open = bytearray()

    def feed(self, data: bytes) -> list[Message]:
        """Take the next bytes and return the messages they complete; lines that are none are skipped."""
        *lines, rest = data.split(b"\n")
        messages: list[Message] = []
        for line in lines:
            self._open += line
            # What the measured code wrote here is none; an outcome that never comes is noticed by the pool.
            with contextlib.suppress(ValidationError):
                messages.append(_MESSAGE.validate_json(bytes(self._open)))
            self._open.clear()
        self._open += rest
        if len(self._open) > LONGEST_MESSAGE_BYTES:
            self._open.clear()
        return messages
