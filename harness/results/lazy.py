"""Records that an index knows: what tables need is there, the rest is decoded or read when it is asked for.

To a reader they are records like any others. A table of a large store looks at one or two figures of each of a hundred
thousand records, so a figure is decoded by itself; series and details, which are most of a record, are read from the
record's own file. Must not know where an index keeps things.
"""

from __future__ import annotations

import functools
import json
import operator
import re
from abc import abstractmethod
from collections.abc import Iterator, Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any, ClassVar, Generic, TypeVar

from pydantic import BaseModel

from harness.catalogue.cell import Cell
from harness.errors import UserError
from harness.results.files import open_regular
from harness.results.reading import read_at
from harness.results.record import Machine, Metric, Predictions, Provenance, Record, RunnerState, Series, Status

__all__ = ["KEPT", "Place", "kept", "restored", "source_text"]

KEPT = (
    *("cell_id", "status", "reason", "output_tail", "metrics", "series_axes", "details", "predictions"),
    *("code_hash", "started_at", "duration_seconds", "provenance"),
)
"""What an index keeps of a record beside its axes, its machine and its packages, in the order of `kept`."""
_METRIC = tuple(Metric.model_fields)
_AT_HAND = ("machine", "packages", "inputs", "code_hash", "started_at", "duration_seconds")
"""Of a record's provenance, what everybody asks for; the rest is decoded at the first question."""
_REST = tuple(name for name in Provenance.model_fields if name not in _AT_HAND)
_PREDICTIONS = re.compile(r'"predictions":\s*')
_decode = json.JSONDecoder().raw_decode
_encode = json.JSONEncoder(separators=(",", ":")).encode
_set = object.__setattr__
T = TypeVar("T")
M = TypeVar("M", bound=BaseModel)


class Place:
    """Where a record stands in a store; reads it when it is asked, and keeps nothing of it."""

    __slots__ = ("_length", "_offset", "_path")

    def __init__(self, path: Path, offset: int, length: int) -> None:
        self._path, self._offset, self._length = path, offset, length

    def text(self) -> str:
        """Return what stands there, as it stands."""
        with open_regular(self._path) as file:
            file.seek(self._offset)
            return file.read(self._length).decode("utf-8", "replace")

    def record(self) -> Record:
        """Return the whole record.

        Raises
        ------
        UserError
            If the file is not what it was when it was indexed.
        """
        found = read_at(self._path, self._offset, self._length)
        if not isinstance(found, Record):
            raise UserError(f"{self._path} changed while it was read: {found.reason}", "run the command again")
        return found

    def part(self, *names: str) -> Any:
        """Return what stands under `names` in the record, without judging the rest again: it was when it was indexed.

        Raises
        ------
        UserError
            If the file is not what it was when it was indexed.
        """
        try:
            return functools.reduce(operator.getitem, names, json.loads(self.text()))
        except (OSError, ValueError, KeyError, TypeError) as error:
            raise UserError(f"{self._path} changed while it was read: {error}", "run the command again") from error


def kept(record: Record) -> tuple[Any, ...]:
    """Return what an index keeps of a record: `KEPT`."""
    origin, said = record.provenance, record.predictions
    metrics = (
        f"\n{_encode(name)}:{_encode([getattr(m, one) for one in _METRIC])}" for name, m in record.metrics.items()
    )
    return (
        record.cell_id,
        record.status,
        record.reason,
        _encode(record.output_tail) if record.output_tail else None,
        "".join(metrics),
        _encode(sorted(record.series_axes())) if record.series else None,
        bool(record.details),
        said and _encode([said.digest, said.samples]),
        origin.code_hash,
        origin.started_at,
        origin.duration_seconds,
        _encode(
            {name: getattr(origin, name) for name in _REST} | {"runner": origin.runner and origin.runner.model_dump()}
        ),
    )


def restored(
    cell: Cell,
    values: tuple[Any, ...],
    machine: Machine,
    packages: Mapping[str, str],
    inputs: Mapping[str, str] | None,
    place: Place,
) -> Record:
    """Return the record whose `kept` were `values`; what they leave out is read from its `place`."""
    cell_id, status, reason, tail, metrics, axes, details, said, code_hash, started_at, seconds, rest = values
    known: dict[str, Any] = {
        "machine": machine,
        "packages": packages,
        "inputs": inputs,
        "code_hash": code_hash,
        "started_at": started_at,
        "duration_seconds": seconds,
        _Provenance.KEY: rest,
    }
    state: Status = status
    return _made(
        Record,
        {
            "schema_version": 1,
            "cell": cell,
            "cell_id": cell_id,
            "status": state,
            "metrics": _Metrics(metrics, place),
            "series": _Series(place, axes) if axes else {},
            "predictions": _predictions(place, said) if said else None,
            "details": _Details(place) if details else {},
            "reason": reason,
            "output_tail": tuple(json.loads(tail)) if tail else (),
            "provenance": _made(_Provenance, known),
        },
    )


def source_text(record: Record) -> str:
    """Return a record as JSON: as it stands in its file, if it came from an index, and was not copied since."""
    place: Place | None = getattr(record.metrics, "place", None)
    return record.model_dump_json(indent=1) if place is None else place.text()


class _Provenance(Provenance):
    """Where a record comes from, of which most is decoded when it is asked for."""

    KEY: ClassVar = " rest"
    """Entry of an instance's dictionary, with the text that is not decoded yet: no field has such a name."""

    def whole(self) -> Provenance:
        """Decode the rest."""
        rest = self.__dict__.pop(self.KEY, None)
        if rest is not None:
            values = self.__dict__ | json.loads(rest)
            values["runner"] = values["runner"] and RunnerState.model_validate(values["runner"])
            _set(self, "__dict__", {name: values[name] for name in type(self).model_fields})
        return self

    def __getattr__(self, name: str) -> Any:
        if name in _REST and self.KEY in self.__dict__:
            return getattr(self.whole(), name)
        raise AttributeError(name)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Provenance) and self.whole().__dict__ == other.whole().__dict__

    __hash__ = None  # type: ignore[assignment]


class _Predictions(Predictions):
    """What was said of every test sample, of which most is in the record's file."""

    KEY: ClassVar = " place"

    def whole(self) -> Predictions:
        """Read the rest."""
        place = self.__dict__.pop(self.KEY, None)
        if place is not None:
            self.__dict__["packed"] = self._packed_at(place)
        return self

    def _packed_at(self, place: Place) -> str:
        """Read what was packed, decoding nothing else of the record where its text is as it is written."""
        with suppress(OSError, ValueError, KeyError, TypeError):
            text = place.text()
            head = _PREDICTIONS.search(text)
            found, _ = _decode(text, head.end() if head else 0)
            if (found["digest"], found["samples"]) == (self.digest, self.samples):
                return str(found["packed"])
        return str(place.part("predictions", "packed"))

    def __getattr__(self, name: str) -> Any:
        if name == "packed" and self.KEY in self.__dict__:
            return getattr(self.whole(), name)
        raise AttributeError(name)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Predictions) and self.whole().__dict__ == other.whole().__dict__

    def __hash__(self) -> int:
        # As any other, which it may be equal to; comparing samples remembers what it has unpacked.
        return hash((self.digest, self.samples, self.packed))


def _predictions(place: Place, text: str) -> Predictions:
    digest, samples = json.loads(text)
    return _made(_Predictions, {"digest": digest, "samples": samples, _Predictions.KEY: place})


class _Later(Mapping[str, T], Generic[T]):
    """A mapping that is made when it is first asked for."""

    __slots__ = ("_made",)

    def __init__(self) -> None:
        self._made: Mapping[str, T] | None = None

    @abstractmethod
    def _make(self) -> Mapping[str, T]: ...

    def _mapping(self) -> Mapping[str, T]:
        if self._made is None:
            self._made = self._make()
        return self._made

    def __getitem__(self, key: str) -> T:
        return self._mapping()[key]

    def __iter__(self) -> Iterator[str]:
        return iter(self._mapping())

    def __len__(self) -> int:
        return len(self._mapping())

    def __repr__(self) -> str:
        return repr(dict(self))


class _Metrics(_Later[Metric]):
    """Metrics as an index keeps them: a line for each, of which only those are decoded that are asked for."""

    __slots__ = ("_decoded", "_text", "place")

    def __init__(self, text: str, place: Place) -> None:
        super().__init__()
        self._text = text
        self.place = place
        self._decoded: dict[str, Metric] = {}

    def __getitem__(self, key: str) -> Metric:
        found = self._decoded.get(key)
        if found is None:
            head = f"\n{_encode(key)}:"
            start = self._text.find(head)
            if start < 0:
                raise KeyError(key)
            end = self._text.find("\n", start + 1)
            line = self._text[start + len(head) : end if end > 0 else None]
            found = self._decoded[key] = _metric(json.loads(line))
        return found

    def __contains__(self, key: object) -> bool:
        return f"\n{_encode(key)}:" in self._text

    def _make(self) -> Mapping[str, Metric]:
        members = self._text[1:].replace("\n", ",")
        return {name: _metric(values) for name, values in json.loads(f"{{{members}}}").items()}


class _Details(_Later[Any]):
    """Details that are in the record's file."""

    __slots__ = ("_place",)

    def __init__(self, place: Place) -> None:
        super().__init__()
        self._place = place

    def _make(self) -> Mapping[str, Any]:
        found: Mapping[str, Any] = self._place.part("details")
        return found


class _Series(_Later[Series]):
    """Series that are in the record's file; over which axes they go is known without it."""

    __slots__ = ("_axes", "_place")

    def __init__(self, place: Place, axes: str) -> None:
        super().__init__()
        self._place, self._axes = place, axes

    @property
    def axes(self) -> frozenset[str]:
        """Return over what the series go."""
        return frozenset(json.loads(self._axes))

    def _make(self) -> Mapping[str, Series]:
        return self._place.record().series


def _metric(values: list[Any]) -> Metric:
    fields = dict(zip(_METRIC, values, strict=True))
    fields["samples"] = tuple(fields["samples"])
    return _made(Metric, fields)


@functools.cache
def _fields(model: type[BaseModel]) -> set[str]:
    return set(model.model_fields)


def _made(model: type[M], values: dict[str, Any]) -> M:
    """Return an instance of a model whose values were judged when they were indexed; quicker than `model_construct`."""
    made = model.__new__(model)
    _set(made, "__dict__", values)
    _set(made, "__pydantic_fields_set__", _fields(model))
    _set(made, "__pydantic_extra__", None)
    _set(made, "__pydantic_private__", None)
    return made
