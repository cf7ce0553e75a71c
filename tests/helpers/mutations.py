"""Real records with something wrong in them, as Hypothesis draws them: what a stranger, a bug or a disk may leave."""

from __future__ import annotations

import copy
import json
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any

from hypothesis import strategies as st

from harness.catalogue.cell import Cell
from harness.results.store import Store

PUBLISHED = Path(__file__).parents[2] / "reports" / "data"

Way = tuple[Any, ...]

TEXTS = (
    "",
    "\x00",
    "../../../../X",
    "/abs/X",
    "..",
    "a/b\\c",
    "CON",
    "x" * 3000,
    "<script>alert(1)</script>",
    "[x](javascript:alert(1))",
    "![x](javascript:alert(1)) <img src=x onerror=alert(1)>",
    "javascript:alert(1)",
    "| a | b |\n| --- |",
    "\x1b]52;c;aGk=\x07\x1b[2J",
    "\u202egnihton\u2066",
    "[bold]x[/link] [/]",
    "=HYPERLINK(1)",
    "\\input{/etc/passwd} $x$ % & # _ {",
    "{{ 7 * 7 }} {% raw %}",
    "-",
    "実験室 машина é",
    "NaN",
    "9999",
    "zebra",
    "9999-12-31T23:59:59+00:00",
    "0001-01-01T00:00:00+14:00",
    "ok",
    "lower",
    "ms",
)
NUMBERS = (
    *(0, -1, 7, 1e308, -1e308, 5e-324, float("nan"), float("inf"), float("-inf")),
    *(10**400, -(10**400), 2**63, 2**31, 0.5, 1e-9),
)
OTHERS = (None, True, False, [], {}, [[1.0, 1e308], [2.0, -1e308]], {"a": {"b": []}}, [None], "[" * 100)


@dataclass(frozen=True)
class Mutant:
    """A file for a store."""

    name: bytes
    """Path below the store's root, as the system has it."""
    content: bytes
    what: str
    """What was changed, for the message of a failing test."""


def originals() -> list[tuple[str, dict[str, Any]]]:
    """Return (path, record) of a few published records of every suite and status: rows of the same tables."""
    chosen: list[tuple[str, dict[str, Any]]] = []
    seen: Counter[str] = Counter()
    store = Store(PUBLISHED)
    for record in sorted(store.read().records, key=lambda one: (one.cell.suite, one.cell.task, one.cell_id)):
        suite = record.cell.suite
        wanted = record.status == "ok" or not seen[suite]
        if wanted and (record.cell.task in ("digits", "-", "two-sines") or seen[suite] < 2) and seen[suite] < 6:
            place = store.path_of(record).relative_to(PUBLISHED).as_posix()
            chosen.append((place, json.loads(record.model_dump_json())))
            seen[suite] += 1
    return chosen


def ways(value: Any, before: Way = ()) -> Iterator[Way]:
    """Yield the way to everything in a record."""
    inner = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for key, one in inner:
        yield (*before, key)
        if len(before) < 5:
            yield from ways(one, (*before, key))


@st.composite
def mutants(draw: st.DrawFn, known: list[tuple[str, dict[str, Any]]]) -> Mutant:
    """Draw a record with up to two things changed in it, at its own place or another."""
    place, original = draw(st.sampled_from(known))
    data, told = copy.deepcopy(original), []
    for _ in range(draw(st.integers(0, 2))):
        way = draw(_ways(data))
        value = draw(_values(_at(data, way)))
        told.append(f"{'.'.join(map(str, way))} = {value!r:.60}")
        _set(data, way, value)
    if draw(st.integers(0, 3)):  # mostly: a forger knows how the id is made
        _renumber(data)
    content = json.dumps(data).encode()
    if draw(st.integers(0, 19)) == 0:
        content = draw(_spoilt(content))
        told.append("bytes")
    name = draw(st.sampled_from([place.encode(), b"0.json", b"\xff\x1b[2J.json", b"a/b/c/d/e.json", b"\n<b>.json"]))
    return Mutant(name, content, f"{place}: {'; '.join(told)}")


def _ways(data: dict[str, Any]) -> st.SearchStrategy[Way]:
    every = list(ways(data))
    figures = [way for way in every if way[0] == "metrics" and len(way) == 3]
    origin = [way for way in every if way[0] in ("provenance", "cell", "status", "series")]
    return st.sampled_from(figures or every) | st.sampled_from(origin or every) | st.sampled_from(every)


def _values(before: Any) -> st.SearchStrategy[Any]:
    """Draw what takes the place of `before`: mostly of its own kind, or it would only ever be "no record"."""
    texts = st.sampled_from(TEXTS) | st.text(max_size=20)
    numbers = st.sampled_from(NUMBERS) | st.floats()
    anything = st.sampled_from(OTHERS) | texts | numbers
    if isinstance(before, str):
        alike: st.SearchStrategy[Any] = texts
    elif isinstance(before, bool):
        alike = st.booleans()
    elif isinstance(before, int):
        alike = st.sampled_from([number for number in NUMBERS if isinstance(number, int)]) | st.integers(0, 99)
    elif isinstance(before, float):
        alike = numbers | st.sampled_from([before * factor for factor in (0.5, 2.0, 1e-9, 1e9, -1.0)])
    elif isinstance(before, dict):
        alike = st.just({}) | texts.map(lambda text: {**before, text: next(iter(before.values()), text)})
    elif isinstance(before, list):
        alike = st.sampled_from([[], before[:1], before * 3])
    else:
        alike = anything
    return st.integers(0, 7).flatmap(lambda dice: anything if dice == 0 else alike)


def _at(data: Any, way: Way) -> Any:
    for key in way:
        data = data[key]
    return data


def _set(data: Any, way: Way, value: Any) -> None:
    _at(data, way[:-1])[way[-1]] = value


def _renumber(data: dict[str, Any]) -> None:
    """Give the record the id of its cell, where it has one."""
    cell = data.get("cell")
    if isinstance(cell, dict) and {item.name for item in fields(Cell)} == cell.keys():
        try:
            data["cell_id"] = Cell(**cell).id
        except (TypeError, ValueError):
            return


@st.composite
def _spoilt(draw: st.DrawFn, content: bytes) -> bytes:
    """Cut a file, or exchange a piece of it."""
    at = draw(st.integers(0, len(content)))
    return content[:at] + draw(st.binary(max_size=8)) + content[at + draw(st.integers(0, 2000)) :]
