"""One definition boiled down to what it does: a text to hash, the definitions it names, and the words it mentions.

Two spellings of the same code have the same essence: no docstrings, comments, type hints of functions, texts of
exceptions or line breaks; names of other definitions stand without their module and without a leading underscore.
Functions named ``refuse_...`` and calls of them do not count either: by that name they raise or do nothing, so no
figure that was measured depends on them. Must not know files.
"""

from __future__ import annotations

import ast
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

from harness.results.statements import (
    FUNCTIONS,
    Import,
    Scope,
    arguments_in,
    is_refusal,
    is_text,
    is_words,
    scope_of,
)

__all__ = ["CARD", "PROSE", "Essence", "Found", "Node", "essence_of"]

CARD = "CARD"
"""The literal at the top of an implementation's file; what of it decides a figure is hashed as values."""
PROSE = frozenset(
    {
        *("title", "summary", "equations", "citations", "reported", "divergences", "notes", "judged"),
        *("space", "optimizer_space"),
    }
)
"""Keys of a card that are for readers, for comparisons and for tuning."""


class Node(NamedTuple):
    """A statement at the top level of a module."""

    module: str
    """Under its name of today."""
    place: int


Found = tuple[Node, ...] | str | None
"""What a name stands for: definitions; ``"module:NAME"`` for a module of ours; ``"foreign:NAME"`` for anything else
that is imported; None for what the language brings, or nobody knows.
"""


class Essence(NamedTuple):
    """A definition, boiled down."""

    text: str
    rests_on: frozenset[Node]
    mentions: frozenset[str]
    """Attributes and texts that are words: what it may ask of a card."""


def essence_of(
    statement: ast.stmt,
    resolve: Callable[[str | Import], Found],
    members: Callable[[str, str], Found],
) -> Essence:
    """Boil a top-level statement down.

    Parameters
    ----------
    statement : of a module.
    resolve : says what a name or an import in that module stands for.
    members : says what an attribute of a module stands for; ``*``: all its definitions.
    """
    writer = _Writer(resolve, members)
    writer.statement(statement, top=True)
    return Essence("".join(writer.text), frozenset(writer.rests_on), frozenset(writer.mentions))


class _Writer:
    """Writes the text of a statement, and notes what it names."""

    def __init__(
        self,
        resolve: Callable[[str | Import], Found],
        members: Callable[[str, str], Found],
    ) -> None:
        self.text: list[str] = []
        self.rests_on: set[Node] = set()
        self.mentions: set[str] = set()
        self._resolve, self._members = resolve, members
        self._scopes: list[Scope] = []
        self._last = ""
        self._in_complaint = False

    def statement(self, node: ast.stmt, top: bool = False) -> None:
        """Write a statement; `top`: of the module, where names are what others call it by."""
        if is_text(node) or is_refusal(node) or isinstance(node, ast.Import | ast.ImportFrom):
            return
        if isinstance(node, FUNCTIONS):
            self._function(node, node.name.lstrip("_") if top else node.name)
        elif isinstance(node, ast.ClassDef):
            self._class(node, node.name.lstrip("_") if top else node.name)
        elif isinstance(node, ast.AnnAssign) and (top or self._scopes):
            if node.value is not None:
                self._assign([node.target], node.value, top)
        elif isinstance(node, ast.Assign):
            self._assign(node.targets, node.value, top)
        elif isinstance(node, ast.Raise | ast.Assert):
            self._complaint(node)
        else:
            self._node(node)

    def _assign(self, targets: Sequence[ast.expr], value: ast.expr, top: bool) -> None:
        self.text.append("Assign(")
        for target in targets:
            if top and isinstance(target, ast.Name):
                self.text.append(f"{target.id.lstrip('_')}=")
                self._value(_without_prose(value) if target.id == CARD else value)
                self.text.append(")")
                return
            self._value(target)
        self._value(value)
        self.text.append(")")

    def _complaint(self, node: ast.Raise | ast.Assert) -> None:
        """Write what is raised and when, without its words."""
        self.text.append(f"{type(node).__name__}(")
        if isinstance(node, ast.Assert):
            self._value(node.test)
        else:
            self._in_complaint = True
            self._value(node.exc)
            self._in_complaint = False
            self._value(node.cause)
        self.text.append(")")

    def _function(self, node: ast.FunctionDef | ast.AsyncFunctionDef, name: str) -> None:
        for decorator in node.decorator_list:
            self._value(decorator)
        self.text.append(f"{type(node).__name__}({name},")
        self._arguments(node.args)
        self._scopes.append(scope_of(node))
        self._body(node.body)
        self._scopes.pop()
        self.text.append(")")

    def _arguments(self, arguments: ast.arguments) -> None:
        """Write names and defaults; a hint decides nothing."""
        for group in (arguments.posonlyargs, arguments.args, [arguments.vararg], arguments.kwonlyargs):
            self.text.append("|" + ",".join(item.arg for item in group if item is not None))
        self.text.append("|" + (arguments.kwarg.arg if arguments.kwarg else ""))
        for default in (*arguments.defaults, *arguments.kw_defaults):
            self._value(default)

    def _class(self, node: ast.ClassDef, name: str) -> None:
        for decorator in node.decorator_list:
            self._value(decorator)
        self.text.append(f"Class({name},")
        for base in (*node.bases, *node.keywords):
            self._value(base)
        self._body(node.body)
        self.text.append(")")

    def _body(self, body: Sequence[ast.stmt]) -> None:
        self.text.append("[")
        for item in body:
            self.statement(item)
        self.text.append("]")

    def _value(self, node: Any) -> None:
        """Write an expression, or anything that is not a statement."""
        if node is None:
            self.text.append("-")
        elif self._in_complaint and is_words(node):
            self.text.append("words,")
        elif isinstance(node, ast.Name):
            self._name(node)
        elif isinstance(node, ast.Attribute):
            self._attribute(node)
        elif isinstance(node, ast.Constant):
            self._constant(node.value)
        elif isinstance(node, ast.Lambda):
            self.text.append("Lambda(")
            self._arguments(node.args)
            self._scopes.append(Scope(arguments_in(node.args), {}))
            self._value(node.body)
            self._scopes.pop()
            self.text.append(")")
        else:
            self._node(node)

    def _node(self, node: ast.AST) -> None:
        """Write a node field by field."""
        self.text.append(f"{type(node).__name__}(")
        for name, value in ast.iter_fields(node):
            if isinstance(value, list):
                self.text.append("[")
                for item in value:
                    self._any(item)
                self.text.append("]")
            elif name not in ("ctx", "type_comment", "kind"):
                self._any(value)
        self.text.append(")")

    def _any(self, item: Any) -> None:
        if isinstance(item, ast.stmt):
            self.statement(item)
        elif isinstance(item, ast.AST) or item is None:
            self._value(item)
        else:
            self.text.append(f"{item!r},")

    def _constant(self, value: Any) -> None:
        if isinstance(value, str) and value.isidentifier():
            self.mentions.add(value)
        self.text.append(f"{value!r},")

    def _name(self, node: ast.Name) -> None:
        found = self._lookup(node.id)
        if isinstance(found, str) and found.startswith("module:"):
            self._rest_on_all(found)
        else:
            self._write(node.id, found)

    def _attribute(self, node: ast.Attribute) -> None:
        """Write an attribute; one of a module stands for the definition it names."""
        found, parts = self._chain(node)
        if found is None:
            self.mentions.add(node.attr)
            self._value(node.value)
            self.text.append(f".{node.attr}")
            return
        self.mentions.update(parts)
        if isinstance(found, str) and found.startswith("module:"):
            self._rest_on_all(found)
        elif isinstance(found, str):
            self.text.append(f"{'.'.join([found, *parts])},")
            return
        else:
            self._write(self._last, found)
        self.text.append("".join(f".{part}" for part in parts))

    def _chain(self, node: ast.Attribute) -> tuple[Found, list[str]]:
        """Return what ``a.b.c`` begins with, as far as modules lead, and the attributes that are left."""
        parts: list[str] = []
        base: ast.expr = node
        while isinstance(base, ast.Attribute):
            parts.insert(0, base.attr)
            base = base.value
        found = self._lookup(base.id) if isinstance(base, ast.Name) else None
        if not (isinstance(found, str) and found.startswith(("module:", "foreign:"))):
            return None, []
        while parts and isinstance(found, str) and found.startswith("module:"):
            inner = self._members(found.removeprefix("module:"), parts[0])
            if inner is None:
                break
            found, self._last = inner, parts.pop(0)
        return found, parts

    def _lookup(self, name: str) -> Found:
        for scope in reversed(self._scopes):
            if name in scope.imports:
                return self._resolve(scope.imports[name])
            if name in scope.own:
                return None
        return self._resolve(name)

    def _write(self, name: str, found: Found) -> None:
        if isinstance(found, tuple):
            self.rests_on.update(found)
            self.text.append(f"@{name.lstrip('_')},")
        else:
            self.text.append(f"{found or name},")

    def _rest_on_all(self, found: str) -> None:
        everything = self._members(found.removeprefix("module:"), "*")
        assert isinstance(everything, tuple)
        self.rests_on.update(everything)
        self.text.append("module,")


def _without_prose(card: ast.expr) -> ast.expr:
    """Leave out what of a card is text for readers, at any depth."""

    class Stripped(ast.NodeTransformer):
        def visit_Dict(self, node: ast.Dict) -> ast.AST:
            kept = [
                (key, value)
                for key, value in zip(node.keys, node.values, strict=True)
                if not (isinstance(key, ast.Constant) and key.value in PROSE)
            ]
            stripped = ast.Dict([key for key, _ in kept], [value for _, value in kept])
            return self.generic_visit(stripped)

    return Stripped().visit(card)
