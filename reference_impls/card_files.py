"""Cards as they stand in files: read from the syntax tree, so that nothing here imports torch or an implementation.

What does not have a card's shape is an error that names file and line; whether its keys and values are right is checked
by who makes rows of it.
"""

from __future__ import annotations

import ast
import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from reference_impls.card import REPORTED, CardError

__all__ = ["read_literal", "read_reported", "variant_literal"]


def variant_literal(card: Mapping[str, Any], row: str) -> dict[str, Any]:
    """Return what the card's literal says of its variant `row`, with what that one takes over from another (`of`).

    Raises
    ------
    CardError
        If `of` names no variant of the card, or goes round in a circle.
    """
    variants = card.get("variants", {})
    chain = [row]
    while base := variants[chain[-1]].get("of"):
        if not isinstance(base, str) or base not in variants or base in chain:
            raise CardError(f"variant {chain[-1]!r} is of {base!r}, which is no other variant of {card.get('name')!r}")
        chain.append(base)
    said: dict[str, Any] = {}
    for name in reversed(chain):
        for key, value in variants[name].items():
            before = said.get(key)
            if isinstance(value, Mapping) and isinstance(before, Mapping):
                said[key] = {**before, **value}
            else:
                said[key] = value
    return said


def read_literal(path: Path, variable: str = "CARD") -> dict[str, Any]:
    """Read the literal assigned to `variable` at the top level of the file at `path`, without importing it.

    Raises
    ------
    CardError
        If the file cannot be parsed, has no such assignment, or its value is not a plain dict literal, with dicts where
        names lead to something.
    """
    try:
        tree = ast.parse(path.read_text(encoding="utf-8"), filename=str(path))
    except (OSError, SyntaxError, ValueError, RecursionError, MemoryError) as error:
        raise CardError(f"{path}: cannot be read as Python: {error}") from error
    for node in tree.body:
        targets = node.targets if isinstance(node, ast.Assign) else [getattr(node, "target", None)]
        if not any(isinstance(target, ast.Name) and target.id == variable for target in targets):
            continue
        try:
            value = ast.literal_eval(node.value)  # type: ignore[attr-defined]
        except (ValueError, TypeError, RecursionError, MemoryError) as error:
            raise CardError(
                f"{path}:{node.lineno}: {variable} must be a plain literal (no calls, no names): {error}"
            ) from error
        if not isinstance(value, dict):
            raise CardError(f"{path}:{node.lineno}: {variable} must be a dict, not {type(value).__name__}")
        for where, found in _misshapen(value):
            raise CardError(f"{path}:{node.lineno}: {variable}{where} must be a dict of names, not {found!r}")
        for row in value.get("variants", {}):
            try:
                variant_literal(value, row)
            except CardError as error:
                raise CardError(f"{path}:{node.lineno}: {error}") from error
        return value
    raise CardError(f"{path}: has no {variable} = {{...}} at its top level; see CONTRIBUTING.md for a template")


def read_reported(path: Path) -> list[Any]:
    """Read the figures reported for the implementation in the file at `path`; none where no file stands beside it.

    Raises
    ------
    CardError
        If that file is no list in JSON.
    """
    beside = path.with_suffix(REPORTED)
    try:
        figures = json.loads(beside.read_text(encoding="utf-8"))
    except FileNotFoundError:
        return []
    except (OSError, ValueError) as error:
        raise CardError(f"{beside}: cannot be read as JSON: {error}") from error
    if not isinstance(figures, list):
        raise CardError(f"{beside}: must be a list of reported figures, not {type(figures).__name__}")
    return figures


def _misshapen(card: Mapping[str, Any]) -> Iterator[tuple[str, Any]]:
    """Yield what stands where names should lead to something: it is read long before the whole card is checked."""
    for key in ("capabilities", "defaults", "variants", "aliases"):
        if key in card and not _by_name(card[key]):
            yield f"[{key!r}]", card[key]
    for key, parts in (("variants", ("params", "capabilities", "overrides")), ("aliases", ())):
        for name, entry in card.get(key, {}).items():
            if not _by_name(entry):
                yield f"[{key!r}][{name!r}]", entry
                continue
            for part in parts:
                if part in entry and not _by_name(entry[part]):
                    yield f"[{key!r}][{name!r}][{part!r}]", entry[part]


def _by_name(value: Any) -> bool:
    return isinstance(value, dict) and all(isinstance(name, str) for name in value)
