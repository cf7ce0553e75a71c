"""What a statement of a source is and binds: imports, docstrings, refusals, names."""

from __future__ import annotations

import ast
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

__all__ = [
    "FUNCTIONS",
    "Import",
    "Scope",
    "arguments_in",
    "bound_in",
    "imports_in",
    "is_refusal",
    "is_text",
    "is_words",
    "scope_of",
]

_REFUSAL = "refuse_"
FUNCTIONS = (ast.FunctionDef, ast.AsyncFunctionDef)
_COMPREHENSIONS = (ast.ListComp, ast.SetComp, ast.DictComp, ast.GeneratorExp)


@dataclass(frozen=True, slots=True)
class Import:
    """What an import statement binds a name to."""

    bound: str
    module: str
    level: int
    name: str | None
    """None: the module itself."""

    def absolute(self, package: str) -> str:
        """Return the module's full name, seen from a module of `package`."""
        if self.level == 0:
            return self.module
        base = package.split(".")
        base = base[: len(base) - self.level + 1]
        return ".".join([*base, *([self.module] if self.module else [])])


def imports_in(statement: ast.AST) -> Iterator[Import]:
    """Yield what the import statements in a statement bind, those in functions not included."""
    if isinstance(statement, ast.Import):
        for alias in statement.names:
            top = alias.name.partition(".")[0]
            yield Import(alias.asname or top, alias.name if alias.asname else top, 0, None)
    elif isinstance(statement, ast.ImportFrom):
        for alias in statement.names:
            yield Import(alias.asname or alias.name, statement.module or "", statement.level, alias.name)
    elif not isinstance(statement, (*FUNCTIONS, ast.Lambda, ast.ClassDef)):
        for child in ast.iter_child_nodes(statement):
            yield from imports_in(child)


def is_text(statement: ast.AST) -> bool:
    """Whether a statement is a docstring, or a text that stands for itself."""
    return (
        isinstance(statement, ast.Expr)
        and isinstance(statement.value, ast.Constant)
        and isinstance(statement.value.value, str)
    )


def is_refusal(statement: ast.AST) -> bool:
    """Whether a statement defines a function that only refuses what cannot be used, or calls one for its refusal."""
    if isinstance(statement, FUNCTIONS):
        name = statement.name
    elif isinstance(statement, ast.Expr) and isinstance(statement.value, ast.Call):
        called = statement.value.func
        name = called.id if isinstance(called, ast.Name) else getattr(called, "attr", "")
    else:
        return False
    return name.lstrip("_").startswith(_REFUSAL)


def is_words(node: ast.AST) -> bool:
    """Whether an expression is a text, as it stands or put together."""
    return isinstance(node, ast.JoinedStr) or (isinstance(node, ast.Constant) and isinstance(node.value, str))


def arguments_in(arguments: ast.arguments) -> frozenset[str]:
    """Return the names that the arguments of a function bind."""
    groups = (arguments.posonlyargs, arguments.args, arguments.kwonlyargs, [arguments.vararg], [arguments.kwarg])
    return frozenset(item.arg for group in groups for item in group if item is not None)


def bound_in(body: Sequence[ast.AST]) -> Iterator[str]:
    """Yield the names that statements of a function bind; what functions, classes and comprehensions bind is theirs."""
    for node in body:
        if isinstance(node, (*FUNCTIONS, ast.ClassDef)):
            yield node.name
        elif isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store):
            yield node.id
        elif not isinstance(node, (*_COMPREHENSIONS, ast.Lambda)):
            if isinstance(node, ast.ExceptHandler) and node.name:
                yield node.name
            yield from bound_in(list(ast.iter_child_nodes(node)))


@dataclass(frozen=True, slots=True)
class Scope:
    """Names that a function binds itself."""

    own: frozenset[str]
    imports: Mapping[str, Import]


def scope_of(node: ast.FunctionDef | ast.AsyncFunctionDef) -> Scope:
    """Return what a function binds: its arguments, and names in its body."""
    imports = {found.bound: found for item in node.body for found in imports_in(item)}
    return Scope(arguments_in(node.args) | frozenset(bound_in(node.body)) - imports.keys(), imports)
