"""Is this literal what a card must be? Every key known, every value of its type, at every depth.

A mistake is named with file, line, key and the nearest right key. Must not know which cards there are.
"""

from __future__ import annotations

import functools
import re
import reprlib
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import fields, is_dataclass
from pathlib import Path
from typing import Any, get_args, get_type_hints

from pydantic import ConfigDict, ValidationError, create_model

from reference_impls.card import CardError
from reference_impls.card_files import line_of
from reference_impls.names import nearest, unknown_message

__all__ = ["validated"]


_KINDS = {
    "int_": "a whole number",
    "float_": "a number",
    "bool_": "True or False",
    "string_": "a text",
    "tuple_": "a list",
    "mapping_": "a dict",
    "dict_": "a dict",
    "dataclass_": "a dict",
}
"""Beginning of a type of pydantic's errors -> what the value should have been."""


def validated(of: type, path: Path, literal: Any, place: str = "", at: Sequence[str] = ()) -> Any:
    """Return `literal` as the dataclass `of`.

    Parameters
    ----------
    path : the file it stands in, and `place` where there; for messages.
    at : keys that lead to it in the file's card; for messages, and to find the line.

    Raises
    ------
    reference_impls.card.CardError
        If a key is unknown or missing, or a value is of another type; one line for each.
    """
    try:
        found = _validator(of)(literal)
    except ValidationError as error:
        # The first part of a place is the validator's own field.
        problems = [(item["loc"][1:], _explain(item, of, at)) for item in error.errors()]
        raise CardError("\n".join(_said(path, place, at, *problem) for problem in problems)) from error
    if converted := list(_converted(found, literal)):
        problems = [
            (keys, f"key {_dotted(at, keys)}: must be {kind}, not {reprlib.repr(given)}")
            for keys, given, kind in converted
        ]
        raise CardError("\n".join(_said(path, place, at, *problem) for problem in problems))
    return found


def _said(path: Path, place: str, at: Sequence[str], keys: Sequence[Any], problem: str) -> str:
    line = line_of(path, (*at, *keys)) if path.suffix == ".py" else None
    return f"{path}:{line}: {place}{problem}" if line else f"{path}: {place}{problem}"


def _dotted(at: Sequence[str], keys: Sequence[Any]) -> str:
    return repr(".".join(map(str, (*at, *keys))))


def _explain(item: Any, of: type, at: Sequence[str]) -> str:
    """Say what is wrong with one key, suggesting the nearest that `of` or what it holds knows."""
    where, given = _dotted(at, item["loc"][1:]), item["input"]
    if item["type"] in ("unexpected_keyword_argument", "extra_forbidden"):
        guess = nearest(str(item["loc"][-1]), _known_keys(of))
        return f"unknown key {where}" + (f": did you mean {guess!r}?" if guess else "")
    if item["type"] in ("missing", "missing_argument"):
        return f"missing key {where}"
    if item["type"] == "literal_error" and isinstance(given, str):
        return f"key {where}: " + unknown_message("value", given, re.findall(r"'([^']*)'", item["ctx"]["expected"]))
    if kind := next((words for start, words in _KINDS.items() if item["type"].startswith(start)), None):
        return f"key {where}: must be {kind}, not {reprlib.repr(given)}"
    return f"key {where}: {item['msg'].removeprefix('Value error, ')}; it is {reprlib.repr(given)}"


def _converted(found: Any, literal: Any, keys: tuple[Any, ...] = ()) -> Iterator[tuple[tuple[Any, ...], Any, str]]:
    """Yield what was taken for another type than it has (``"yes"`` for True): its place, the value and the type."""
    if is_dataclass(found):
        for item in fields(found):
            if isinstance(literal, Mapping) and item.name in literal:
                yield from _converted(getattr(found, item.name), literal[item.name], (*keys, item.name))
    elif isinstance(found, Mapping) and isinstance(literal, Mapping):
        for key in found.keys() & literal.keys():
            yield from _converted(found[key], literal[key], (*keys, key))
    elif isinstance(found, tuple) and isinstance(literal, list | tuple):
        for index, (one, given) in enumerate(zip(found, literal, strict=True)):
            yield from _converted(one, given, (*keys, index))
    elif isinstance(found, bool) != isinstance(literal, bool) or isinstance(found, str) != isinstance(literal, str):
        yield keys, literal, {bool: "True or False", str: "a text"}.get(type(found), "a number")


@functools.cache
def _validator(of: type) -> Callable[[Any], Any]:
    """Build a validator of the plain dataclass `of` that forbids unknown keys, at every depth."""
    holder = create_model("Holder", __config__=ConfigDict(extra="forbid"), value=(of, ...))
    return lambda literal: holder.model_validate({"value": literal}).value  # type: ignore[attr-defined]


@functools.cache
def _known_keys(of: type) -> frozenset[str]:
    return frozenset(item.name for cls in _dataclasses_in(of) for item in fields(cls))


def _dataclasses_in(of: Any) -> Iterator[Any]:
    """Yield the dataclasses that a value of type `of` may be or hold."""
    if is_dataclass(of):
        yield of
        for hint in get_type_hints(of).values():
            yield from _dataclasses_in(hint)
    for part in get_args(of):
        yield from _dataclasses_in(part)
