"""Is this literal what a card must be? Every key known, every value of its type, at every depth.

A mistake is named with file, key and the nearest right key. Must not know which cards there are.
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterator
from dataclasses import fields, is_dataclass
from pathlib import Path
from typing import Any, get_args, get_type_hints

from pydantic import ConfigDict, ValidationError, create_model

from reference_impls.card import CardError
from reference_impls.names import nearest

__all__ = ["validated"]


def validated(of: type, path: Path, literal: Any, place: str = "") -> Any:
    """Return `literal` as the dataclass `of`.

    Parameters
    ----------
    path : the file it stands in, and `place` where there; for messages.

    Raises
    ------
    reference_impls.card.CardError
        If a key is unknown or missing, or a value is of another type; one line for each.
    """
    try:
        return _validator(of)(literal)
    except ValidationError as error:
        lines = (f"{path}: {place}{_explain(item, of)}" for item in error.errors())
        raise CardError("\n".join(lines)) from error


def _explain(item: Any, of: type) -> str:
    """Say what is wrong with one key, suggesting the nearest that `of` or what it holds knows."""
    where = ".".join(map(str, item["loc"][1:]))  # the first part is the validator's own field
    if item["type"] in ("unexpected_keyword_argument", "extra_forbidden"):
        guess = nearest(str(item["loc"][-1]), _known_keys(of))
        return f"unknown key {where!r}" + (f": did you mean {guess!r}?" if guess else "")
    if item["type"] in ("missing", "missing_argument"):
        return f"missing key {where!r}"
    return f"key {where!r}: {item['msg']}"


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
