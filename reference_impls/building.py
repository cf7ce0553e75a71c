"""Builds what a row names: its class with the parameters of its card, checked. Must not know what is built."""

from __future__ import annotations

import inspect
from collections.abc import Mapping
from typing import Any

from reference_impls.card import Kind
from reference_impls.discovery import load_class, resolve
from reference_impls.names import check_name

__all__ = ["build", "parameters_of"]


def build(
    kind: Kind,
    name: str,
    base: type,
    params: Mapping[str, Any],
    given: Mapping[str, Any] | None = None,
    offered: Mapping[str, Any] | None = None,
) -> Any:
    """Build the row `name` of a kind.

    Parameters
    ----------
    kind, name : which row; aliases are built as well.
    base : what its class derives from.
    params : the user's, over the card's.
    given : what the caller hands over, over both; a user cannot.
    offered : handed over as well, to a class that takes it.

    Raises
    ------
    UnknownNameError
        If the row or a parameter is not known; the message suggests the nearest.
    TypeError
        If a parameter without a default is missing.
    """
    given, offered = given or {}, offered or {}
    source, card_params = resolve(kind, name)
    cls = load_class(source.module, base)
    accepted = inspect.signature(cls).parameters
    for key in params:
        check_name(f"parameter of {kind} {name!r}:", key, set(accepted) - set(given))
    taken = {key: value for key, value in offered.items() if key in accepted}
    values = card_params | dict(params) | dict(given) | taken
    missing = [key for key, value in accepted.items() if value.default is inspect.Parameter.empty and key not in values]
    if missing:
        raise TypeError(f"{kind} {name!r} needs {', '.join(missing)}: give it as a keyword")
    return cls(**values)


def parameters_of(kind: Kind, name: str, base: type, params: Mapping[str, Any]) -> dict[str, Any]:
    """Return every parameter with which `build` would build a row: `params`, over the card's, over the class's own.

    Left out is what has no value before it is built, and what is no plain data.
    """
    source, card_params = resolve(kind, name)
    accepted = inspect.signature(load_class(source.module, base)).parameters
    own = {key: value.default for key, value in accepted.items() if value.default is not inspect.Parameter.empty}
    return {key: value for key, value in (own | card_params | dict(params)).items() if _is_plain(value)}


def _is_plain(value: Any) -> bool:
    if isinstance(value, list | tuple):
        return all(map(_is_plain, value))
    if isinstance(value, Mapping):
        return all(map(_is_plain, value.values()))
    return value is None or isinstance(value, bool | int | float | str)
