"""What a submission says of itself: its files with their digests, its implementations, and where it was measured.

The format of ``manifest.json`` and ``environment.json``, under a schema number. Must not trust either.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any, Literal, TypeVar

from pydantic import BaseModel, ConfigDict, ValidationError

from harness.results.record import Machine

__all__ = [
    "CODE",
    "ENVIRONMENT",
    "MANIFEST",
    "README",
    "RECORDS",
    "Environment",
    "Implementation",
    "Listed",
    "Manifest",
    "json_problem",
    "parsed",
]

MANIFEST, ENVIRONMENT, README = "manifest.json", "environment.json", "README.md"
RECORDS, CODE = "records", "implementations"
"""Folders of the packed records, and of the sources of new implementations, as they are imported."""
SCHEMA = 1

_STRICT = ConfigDict(extra="forbid", frozen=True)
M = TypeVar("M", bound=BaseModel)


class Listed(BaseModel):
    """A file of a submission."""

    model_config = _STRICT

    bytes: int
    sha256: str


class Implementation(BaseModel):
    """A module with a card that is not the project's."""

    model_config = _STRICT

    module: str
    kind: Literal["neuron", "training", "topology", "task"]
    name: str
    rows: tuple[str, ...]
    """Of its card, those that records name."""


class Manifest(BaseModel):
    """What a submission holds; the digest of this file stands for all of it."""

    model_config = _STRICT

    schema_version: int = SCHEMA
    records: int
    implementations: tuple[Implementation, ...] = ()
    files: Mapping[str, Listed]
    """By path below the folder, with slashes; everything but the manifest itself."""


class Environment(BaseModel):
    """Where the records were measured, as they say themselves: each different one once."""

    model_config = _STRICT

    schema_version: int = SCHEMA
    spikeboard: tuple[str, ...]
    commits: tuple[str | None, ...]
    machines: tuple[Machine, ...]
    packages: tuple[Mapping[str, str], ...]


def parsed(kind: type[M], content: bytes) -> M | str:
    """Return what a file says, or what is wrong with it."""
    problem = json_problem(content)
    if problem is not None:
        return problem
    try:
        found = kind.model_validate_json(content, strict=True)
    except ValidationError as error:
        first = error.errors()[0]
        field = ".".join(map(str, first["loc"]))
        return f"{field + ': ' if field else ''}{first['msg']}"
    version = getattr(found, "schema_version", SCHEMA)
    return found if version == SCHEMA else f"has schema version {version}; this Spikeboard reads {SCHEMA}"


def json_problem(content: bytes) -> str | None:
    """Say what JSON must not have, or return None: the same key twice, numbers that are none, no text at all.

    Of two equal keys every reader takes the one it likes, so that a person and a program may see different figures.
    """
    try:
        json.loads(content.decode("utf-8"), object_pairs_hook=_no_key_twice, parse_constant=_no_number)
    except RecursionError:
        return "is nested too deeply"
    except (ValueError, UnicodeDecodeError) as error:
        return str(error)
    return None


def _no_key_twice(pairs: list[tuple[str, Any]]) -> None:
    seen: set[str] = set()
    for key, _ in pairs:
        if key in seen:
            raise ValueError(f"has the key {key[:60]!r} twice in one object")
        seen.add(key)


def _no_number(text: str) -> None:
    raise ValueError(f"holds {text}, which is no number in JSON")
