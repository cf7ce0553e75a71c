"""Cards as they stand in files: read from the syntax tree, so that nothing here imports torch or an implementation.

What does not have a card's shape is an error that names file and line; whether its keys and values are right is checked
by who makes rows of it.
"""

from __future__ import annotations

import ast
import functools
import json
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

from reference_impls.card import REPORTED, CardError
from reference_impls.names import nearest

__all__ = ["line_of", "read_literal", "read_reported", "variant_literal"]


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
            others = [name for name in variants if name not in chain]
            guess = nearest(base, others) if isinstance(base, str) else None
            hint = f": did you mean {guess!r}?" if guess else ""
            raise CardError(
                f"variant {chain[-1]!r} is of {base!r}, which is no other variant of {card.get('name')!r}{hint}"
            )
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
        tree = _parsed(path.read_text(encoding="utf-8"), path.name)
    except (OSError, SyntaxError, ValueError, RecursionError, MemoryError) as error:
        line = f":{error.lineno}" if isinstance(error, SyntaxError) and error.lineno else ""
        raise CardError(f"{path}{line}: cannot be read as Python: {error}") from error
    node = _assigned(tree, variable)
    if node is None:
        raise CardError(f"{path}: has no {variable} = {{...}} at its top level; see CONTRIBUTING.md for a template")
    try:
        value = ast.literal_eval(node)
    except (ValueError, TypeError, RecursionError, MemoryError) as error:
        place, what = _no_literal(node) or (node.lineno, str(error))
        raise CardError(f"{path}:{place}: {variable} must be a plain literal (no calls, no names): {what}") from error
    if not isinstance(value, dict):
        raise CardError(f"{path}:{node.lineno}: {variable} must be a dict, not {type(value).__name__}")
    for keys, found in _misshapen(value):
        where = "".join(f"[{key!r}]" for key in keys)
        raise CardError(f"{path}:{_line(node, keys)}: {variable}{where} must be a dict of names, not {found!r}")
    for row in value.get("variants", {}):
        try:
            variant_literal(value, row)
        except CardError as error:
            raise CardError(f"{path}:{_line(node, ('variants', row))}: {error}") from error
    return value


def line_of(path: Path, keys: Iterable[Any], variable: str = "CARD") -> int | None:
    """Return the line on which the literal in the file at `path` says what nested `keys` lead to.

    Where it has not all of them, that of the last one it has; None if the file cannot be read.
    """
    try:
        node = _assigned(_parsed(path.read_text(encoding="utf-8"), path.name), variable)
    except (OSError, SyntaxError, ValueError, RecursionError, MemoryError):
        return None
    return None if node is None else _line(node, keys)


@functools.lru_cache(maxsize=2)
def _parsed(text: str, name: str) -> ast.Module:
    """Parse a file; what is wrong with a card is often asked for line by line."""
    return ast.parse(text, filename=name)


def _assigned(tree: ast.Module, variable: str) -> ast.expr | None:
    for node in tree.body:
        targets = node.targets if isinstance(node, ast.Assign) else [getattr(node, "target", None)]
        if any(isinstance(target, ast.Name) and target.id == variable for target in targets):
            value: ast.expr | None = node.value  # type: ignore[attr-defined]
            return value
    return None


def _line(node: ast.expr, keys: Iterable[Any]) -> int:
    """Return the line of the deepest of nested `keys` that a literal has."""
    line = node.lineno
    for key in keys:
        if isinstance(node, ast.Dict):
            pairs = [(one, value) for one, value in zip(node.keys, node.values, strict=True) if _is(one, key)]
        elif isinstance(node, ast.List | ast.Tuple) and isinstance(key, int) and key < len(node.elts):
            pairs = [(node.elts[key], node.elts[key])]
        else:
            pairs = []
        if not pairs:
            break
        found, node = pairs[-1]
        line = found.lineno if found is not None else line
    return line


def _is(node: ast.expr | None, key: Any) -> bool:
    return isinstance(node, ast.Constant) and node.value == key


def _no_literal(node: ast.expr) -> tuple[int, str] | None:
    """Return line and text of the first call or name in what should be a literal."""
    for part in ast.walk(node):
        if isinstance(part, ast.Call | ast.Name | ast.Attribute | ast.JoinedStr):
            return part.lineno, ast.unparse(part)
    return None


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


def _misshapen(card: Mapping[str, Any]) -> Iterator[tuple[tuple[str, ...], Any]]:
    """Yield what stands where names should lead to something: it is read long before the whole card is checked."""
    for key in ("capabilities", "defaults", "variants", "aliases"):
        if key in card and not _by_name(card[key]):
            yield (key,), card[key]
    for key, parts in (("variants", ("params", "capabilities", "overrides")), ("aliases", ())):
        for name, entry in card.get(key, {}).items():
            if not _by_name(entry):
                yield (key, name), entry
                continue
            for part in parts:
                if part in entry and not _by_name(entry[part]):
                    yield (key, name, part), entry[part]


def _by_name(value: Any) -> bool:
    return isinstance(value, dict) and all(isinstance(name, str) for name in value)
