"""Golden vectors: the authors' own numbers, and the comparison of an implementation with them.

A golden file holds inputs, outputs and gradients that were computed in float64 with the code of a paper's
authors (or of the library named in the file). `load` reads a directory of them; `Case.differences` runs the
implementation here on a case and names every tensor that differs. What is compared is for a reader to say: the
module in this folder that is called like the file's slug, ``ottt.py`` for ``ottt.json``; files of neurons share
``neurons.py``. The tests and the conformance suite both call this; nothing here knows pytest or records.
"""

from __future__ import annotations

import functools
import importlib
import json
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

import torch
from torch import Tensor

from reference_impls.card import Kind
from reference_impls.discovery import Source, resolve
from reference_impls.names import UnknownNameError

__all__ = ["SURROGATES", "VECTORS", "Case", "Comparison", "Difference", "float64_default", "load"]

VECTORS = Path(__file__).parent / "vectors"
"""The copies that travel with the project."""

SURROGATES = "surrogates"
"""Slug of the vectors that are about no row but about what all neurons build on."""
EXACT = 0.0
CLOSE = 1e-10


class Comparison(NamedTuple):
    """A tensor of an implementation beside the authors'."""

    tensor: str
    got: Tensor
    expected: Any
    tolerance: float = CLOSE


@dataclass(frozen=True, slots=True)
class Difference:
    """A tensor that is not what the authors' code gave."""

    implementation: str
    case: str
    tensor: str
    problem: str

    def __str__(self) -> str:
        return f"{self.implementation}, case {self.case}: {self.tensor} {self.problem}"


@dataclass(frozen=True)
class Case:
    """One case of a golden file."""

    kind: str
    slug: str
    name: str
    path: Path
    data: Mapping[str, Any]

    @property
    def implementation(self) -> str | None:
        """Return the row that the file is about, or None if nothing here implements it."""
        return self.slug if self.slug == SURROGATES or self.source is not None else None

    @property
    def source(self) -> Source | None:
        """Return the file that the case is about (a neuron's may be a topology), or None if there is none."""
        kinds: tuple[Kind, ...] = ("neuron", "topology") if self.kind == "neurons" else ("training",)
        for kind in kinds:
            try:
                return resolve(kind, self.slug)[0]
            except UnknownNameError:
                continue
        return None

    def differences(self, backend: str = "eager") -> list[Difference]:
        """Run the case and return every tensor that differs (empty: all agree)."""
        module = "neurons" if self.kind == "neurons" else self.slug.replace("-", "_")
        comparisons = importlib.import_module(f"{__name__}.{module}").compare
        with float64_default():
            return [
                Difference(self.slug, self.name, item.tensor, problem)
                for item in comparisons(self, backend)
                if (problem := _problem(item)) is not None
            ]


def load(directory: Path = VECTORS) -> list[Case]:
    """Read every ``*.json`` below `directory` (``neurons/``, ``training/`` and ``conversion/``), sorted by name.

    Raises
    ------
    ValueError
        If the directory holds no golden file, or one that cannot be read.
    """
    return list(_load(directory))


@functools.lru_cache(maxsize=4)
def _load(directory: Path) -> tuple[Case, ...]:
    cases = tuple(case for path in sorted(directory.rglob("*.json")) for case in _read(path))
    if not cases:
        raise ValueError(
            f"{directory}: no golden files (*.json) here; give a folder of neurons/, training/ or conversion/ vectors"
        )
    return cases


def _read(path: Path) -> Iterator[Case]:
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
        kind = "neurons" if "neuron" in content else "training"
        slug = content["neuron"] if kind == "neurons" else content["slug"]
        for index, data in enumerate(content["cases"]):
            yield Case(kind, slug, data.get("name") or _label(index, data), path, data)
    except (json.JSONDecodeError, KeyError, TypeError) as error:
        raise ValueError(f"{path}: not a golden file: {error!r}") from error


def _label(index: int, data: Mapping[str, Any]) -> str:
    params = data.get("params", {})
    marks = [params.get("implementation") or params.get("kind"), params.get("T") and f"T={params['T']}"]
    return "-".join([str(index), *[str(mark) for mark in marks if mark]])


def _problem(item: Comparison) -> str | None:
    got = item.got.detach().to(torch.float64)
    expected = torch.as_tensor(item.expected, dtype=torch.float64)
    if got.numel() == expected.numel():
        expected = expected.reshape(got.shape)
    if got.shape != expected.shape:
        return f"has shape {tuple(got.shape)}, the authors' {tuple(expected.shape)}"
    if got.numel() == 0:
        return None
    if not torch.isfinite(got).all():
        return "is not finite"
    worst = float((got - expected).abs().max())
    if worst <= item.tolerance:
        return None
    return f"differs by up to {worst:.3e} (allowed: {item.tolerance:g})"


@contextmanager
def float64_default() -> Iterator[None]:
    """Create parameters in float64 inside the block, as the vectors were."""
    before = torch.get_default_dtype()
    torch.set_default_dtype(torch.float64)
    try:
        yield
    finally:
        torch.set_default_dtype(before)
