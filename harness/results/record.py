"""What one run of one cell gave: status, figures, reason of a failure, and where it all comes from.

Every field says when it is present. Names of metrics carry their unit (``step_seconds``, ``peak_bytes``). Must
not import torch: records are read where nothing was ever run.
"""

from __future__ import annotations

import functools
import operator
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field, SerializerFunctionWrapHandler, field_serializer, model_validator

from harness.catalogue.cell import Cell

__all__ = [
    "DONE",
    "MEASURED",
    "SCHEMA_VERSION",
    "GpuState",
    "Machine",
    "Metric",
    "Predictions",
    "Provenance",
    "Record",
    "RunnerState",
    "Series",
    "Status",
    "moment",
]

SCHEMA_VERSION = 1
AXES = tuple(Cell.__dataclass_fields__)
_axes_of = operator.attrgetter(*AXES)

Status = Literal["ok", "noisy", "unsupported", "oom", "timeout", "diverged", "crashed", "interrupted", "error"]

DONE: frozenset[str] = frozenset({"ok", "unsupported"})
"""Statuses that count as done; a cell that failed, or was timed too noisily, is tried again by the next run."""
MEASURED: frozenset[str] = frozenset({"ok", "noisy"})
"""Statuses of runs that have all their figures."""
MISSED_INTERVAL = "interval_as_narrow_as_asked"
"""Key of the details by which records said that their timings are noisy, before there was a status for it."""

_STRICT = ConfigDict(extra="forbid", frozen=True)


class Metric(BaseModel):
    """One figure."""

    model_config = _STRICT

    value: float
    unit: str
    direction: Literal["lower", "higher", "none"]
    exact: bool = False
    """Whether the same code must give the same figure."""
    samples: tuple[float, ...] = ()
    """What the value is the median or the mean of (repetitions, folds, ...); empty for a single observation."""
    n: int = 1
    """Size of what the value rests on: its samples if it has any, else test items."""
    low: float | None = None
    high: float | None = None
    """Bounds of the 95 % interval; both or neither."""
    covers: str | None = None
    """What the interval covers: ``repetitions``, ``test samples``; present with the bounds."""


class Series(BaseModel):
    """A figure over an axis: a learning curve, a cost against T."""

    model_config = _STRICT

    x: str
    x_unit: str
    y: str
    y_unit: str
    points: tuple[tuple[float, float], ...]


class Predictions(BaseModel):
    """What was said of every test sample; ``predictions`` packs and unpacks it."""

    model_config = _STRICT

    digest: str
    """Hash of split, labels and order: where it is equal, the n-th sample is the same."""
    samples: int
    packed: str
    """Predicted class and margin of each sample, as ``predictions`` lays them out."""

    def whole(self) -> Predictions:
        """Return them with every field; only those from an index lack any."""
        return self


class Machine(BaseModel):
    """The hardware and system that a record was measured on; no host name, no path."""

    model_config = _STRICT

    name: str
    """Stable slug, part of the store's key: nothing is ranked across two of them."""
    cpu: str
    physical_cores: int
    """Those that the process might use, by affinity and quota; so with the next two."""
    logical_cores: int
    memory_bytes: int
    gpu: str | None = None
    gpu_driver: str | None = None
    """Present with `gpu`."""
    os: str
    python: str


class GpuState(BaseModel):
    """What state a GPU was in right before something was timed on it; None: its driver does not tell."""

    model_config = _STRICT

    uuid: str
    clocks_locked: bool | None = None
    """Whether somebody has set the clocks of its processors, so that they do not follow load and temperature."""
    sm_hertz: float | None = None
    held_back_by: tuple[str, ...] = ()
    """NVML's reasons for a lower clock, the usual power cap included."""
    temperature_celsius: float | None = None
    ecc: bool | None = None
    """Whether its memory corrects errors, which takes some of its bandwidth."""
    uncorrected_errors: int | None = None
    """That the driver has counted since it was loaded."""
    persistence: bool | None = None
    """Whether the driver stays loaded, and settings with it, while nobody uses the GPU."""
    utilization_fraction: float | None = None
    other_processes: int | None = None


class RunnerState(BaseModel):
    """What state a machine was in right before something was timed; None: the system does not tell."""

    model_config = _STRICT

    cpu_governors: tuple[str, ...] = ()
    """Of the processors that the process might use, each once; empty: not told, as in most virtual machines."""
    cpu_boost: bool | None = None
    """Whether processors may exceed their base clock while others idle."""
    load_average: float | None = None
    """Processes that wanted to run, on average over the last minute, on the whole machine."""
    gpus: tuple[GpuState, ...] = ()
    """That the cell might use."""


class Provenance(BaseModel):
    """Where a record comes from."""

    model_config = _STRICT

    spikeboard: str
    commit: str | None = None
    """Commit of the working tree; None outside a repository."""
    dirty: bool | None = None
    """Whether the tree had uncommitted changes; None outside a repository."""
    code_hash: str
    """Hash of everything that decides the figure: implementation, task, suite, clock."""
    inputs: Mapping[str, str] | None = None
    """What that is, by name, each with its own digest; None for a record from before they were named."""
    suite_version: int
    task_version: int | None = None
    clock_version: int | None = None
    """Version of the ruler; None for a cell that never ran."""
    packages: Mapping[str, str]
    machine: Machine
    threads: int
    allocator: str | None = None
    """How the memory allocator was pinned; None for a cell that never ran."""
    clocks: Mapping[str, float] | None = None
    """Clock rates in hertz and throttle flags after the measurement (a GPU's with ``_before``: before), if known."""
    gpu: Mapping[str, str | float] | None = None
    """The GPU that was measured on, how it was set and what torch may round on it; None on a CPU."""
    busy_fraction: float | None = None
    """Share of the allowed processors' time that other processes took meanwhile; None for what measures no time."""
    runner: RunnerState | None = None
    """The machine right before the cell was started; None for what measures no time, and in older records."""
    command: str
    """Command line that reproduces this record."""
    started_at: str
    """ISO 8601 with a time zone (ours write UTC); `moment` has it as a time."""
    duration_seconds: float
    """Wall time of the run, start of the process included."""

    @property
    def moment(self) -> datetime:
        """When the run started; what is no time came before everything else."""
        return moment(self.started_at) or datetime.min.replace(tzinfo=UTC)

    def whole(self) -> Provenance:
        """Return it with every field decoded; only what comes from an index has any that are not."""
        return self


class Record(BaseModel):
    """One run of one cell."""

    model_config = _STRICT

    schema_version: int = SCHEMA_VERSION
    cell: Cell
    cell_id: str
    status: Status
    metrics: Mapping[str, Metric] = Field(default_factory=dict)
    """Present when the status is ``ok`` or ``noisy``; a diverged run may carry what it measured before."""
    series: Mapping[str, Series] = Field(default_factory=dict)
    predictions: Predictions | None = None
    """Of the epoch that was chosen; present where the suite classifies, but for the oldest records."""
    details: Mapping[str, Any] = Field(default_factory=dict)
    """What the suite wants shown beside its figures: per-layer counts, digests, conventions."""
    reason: str | None = None
    """One sentence; present when the status is not ``ok``."""
    output_tail: tuple[str, ...] = ()
    """Last lines that the process printed; present for failures."""
    provenance: Provenance

    @field_serializer("cell")
    def _cell_as_written(self, value: Cell) -> dict[str, Any]:
        return value.written()

    @field_serializer("metrics", "series", "details", mode="wrap")
    def _as_dict(self, value: Mapping[str, Any], write: SerializerFunctionWrapHandler) -> Any:
        """Write any mapping: what comes from an index is decoded only when it is asked for."""
        return write(dict(value))

    @field_serializer("provenance", "predictions", mode="wrap")
    def _whole(self, value: Provenance | Predictions | None, write: SerializerFunctionWrapHandler) -> Any:
        return write(value and value.whole())

    @model_validator(mode="after")
    def _noisy_as_it_was_said_before(self) -> Record:
        """Read a timing that missed its interval as noisy, from the time when that stood in the details alone."""
        if self.status == "ok" and self.details.get(MISSED_INTERVAL) is False:
            # Before anybody has seen the record: it is frozen from then on.
            object.__setattr__(self, "status", "noisy")
            object.__setattr__(self, "reason", "The intervals of its timings stayed wider than asked.")
        return self

    def is_done(self) -> bool:
        """Whether the cell need not be run again."""
        return self.status in DONE

    def axes(self) -> dict[str, Any]:
        """Return the cell's fields."""
        return dict(zip(AXES, _axes_of(self.cell), strict=True))

    def series_axes(self) -> frozenset[str]:
        """Return over what its series go; a record from an index knows it without reading them."""
        known: frozenset[str] | None = getattr(self.series, "axes", None)
        return frozenset(series.x for series in self.series.values()) if known is None else known


@functools.lru_cache(maxsize=1 << 17)
def moment(text: str) -> datetime | None:
    """Return the time that an ISO 8601 text with a time zone says, in UTC; None if it says none."""
    try:
        found = datetime.fromisoformat(text)
        return None if found.tzinfo is None else found.astimezone(UTC)
    except (ValueError, OverflowError):
        return None
