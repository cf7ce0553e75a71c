"""Code read definition by definition: what a function, class or constant rests on, whatever else its module holds.

Names are followed through the imports of the packages given, and each definition is hashed by what it does. Where a
module lies, what it is called, a leading underscore, docstrings, comments, type hints of functions and the texts of
exceptions do not count; neither does a neighbour that nobody names. Never imports what it reads.
"""

from __future__ import annotations

import ast
import functools
import hashlib
from collections import defaultdict
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from harness.results.essence import CARD, Essence, Found, Node, essence_of
from harness.results.statements import Import, bound_in, imports_in, is_refusal, is_text

__all__ = ["Code"]

HARMLESS_DECORATORS = ("abc", "contextlib", "dataclasses", "enum", "functools", "torch", "typing")
"""Libraries whose decorators enter what they decorate nowhere; any other may, and then counts without being named."""


@dataclass(frozen=True, slots=True)
class _Module:
    """A parsed file."""

    name: str
    is_package: bool
    statements: tuple[ast.stmt, ...]
    by_name: Mapping[str, tuple[int, ...]]
    """Statements that bind a name."""
    imports: Mapping[str, Import]
    effects: tuple[int, ...]
    """Statements that do something when the module is imported: they count as soon as anything of it does."""

    @property
    def package(self) -> str:
        """Return what relative imports start from."""
        return self.name if self.is_package else self.name.rpartition(".")[0]


@dataclass(slots=True)
class Code:
    """The code of some packages, in one folder of sources.

    Parameters
    ----------
    packages : top-level package -> folder that holds it; others are foreign and stand for themselves.
    left_out : whether a module (by its name of today) decides nothing and is not followed.
    moved : former name of a module -> its name of today.
    """

    packages: dict[str, Path]
    left_out: Callable[[str], bool]
    moved: Mapping[str, str] = field(default_factory=dict)
    _modules: dict[str, _Module | None] = field(default_factory=dict)
    _essences: dict[Node, Essence] = field(default_factory=dict)
    _digests: dict[Node, str] = field(default_factory=dict)
    _names: dict[str, str] = field(default_factory=dict)

    def reached(self, module: str, name: str | None = None, without: frozenset[str] = frozenset()) -> frozenset[Node]:
        """Return every definition that `module` (None: all of it but its card) or a name in it rests on.

        `without` are modules, by their names of today, that are not followed.
        """
        start = self._bound(module, name) if name else self._whole(module)
        found: set[Node] = set()
        waiting = list(start)
        while waiting:
            node = waiting.pop()
            if node in found or node.module in without or self.left_out(node.module):
                continue
            found.add(node)
            waiting.extend(self._essence(node).rests_on)
        return frozenset(found)

    def digest(self, node: Node) -> str:
        """Return the hash of what a definition does."""
        if node not in self._digests:
            self._digests[node] = hashlib.sha256(self._essence(node).text.encode()).hexdigest()
        return self._digests[node]

    def mentions(self, node: Node) -> frozenset[str]:
        """Return the attributes and texts that a definition names."""
        return self._essence(node).mentions

    def _essence(self, node: Node) -> Essence:
        if node not in self._essences:
            module = self._module(node.module)
            assert module is not None
            resolve = functools.partial(self.resolve, module)
            found = essence_of(module.statements[node.place], resolve, self.members)
            effects = {Node(module.name, index) for index in module.effects}
            self._essences[node] = found._replace(rests_on=found.rests_on | effects)
        return self._essences[node]

    def resolve(self, module: _Module | str, name: str | Import) -> Found:
        """Return what a name (or an import) in `module` stands for."""
        here = self._module(module) if isinstance(module, str) else module
        if here is None:
            return None
        if isinstance(name, str):
            if name in here.by_name:
                return tuple(Node(here.name, index) for index in here.by_name[name])
            imported = here.imports.get(name)
            return None if imported is None else self._imported(here, imported)
        return self._imported(here, name)

    def members(self, module: str, name: str) -> Found:
        """Return what the attribute `name` of a module of ours stands for; None: every definition it has."""
        if name == "*":
            return tuple(self._whole(module))
        found = self.resolve(module, name)
        below = f"{module}.{name}"
        return f"module:{below}" if found is None and self._module(below) is not None else found

    def _imported(self, here: _Module, item: Import) -> Found:
        module = item.absolute(here.package)
        if self._module(module) is None:
            ours = module.partition(".")[0] in self.packages
            return None if ours else f"foreign:{'.'.join(filter(None, (module, item.name)))}"
        if item.name is None:
            return f"module:{module}"
        if module == here.name:  # a package that imports a module of its own
            return f"module:{module}.{item.name}"
        return self.members(module, item.name)

    def _bound(self, module: str, name: str) -> Iterator[Node]:
        found = self.members(module, name)
        if isinstance(found, tuple):
            yield from found
        elif found is not None and found.startswith("module:"):
            yield from self._whole(found.removeprefix("module:"))

    def _whole(self, module: str) -> Iterator[Node]:
        parsed = self._module(module)
        if parsed is not None:
            cards = set(parsed.by_name.get(CARD, ()))
            yield from (Node(parsed.name, i) for i in range(len(parsed.statements)) if i not in cards)

    def _module(self, name: str) -> _Module | None:
        """Parse a module of these packages under today's name, wherever it lies here; None for anything else."""
        name = self.moved.get(name, name)
        if name not in self._modules:
            path = self._path(name)
            self._modules[name] = None if path is None else _parsed(name, path)
        return self._modules[name]

    def _path(self, name: str) -> Path | None:
        former = [before for before, today in self.moved.items() if today == name]
        for candidate in (name, *former):
            folder = self.packages.get(candidate.partition(".")[0])
            if folder is None:
                continue
            stem = folder.joinpath(*candidate.split("."))
            for path in (stem.with_suffix(".py"), stem / "__init__.py"):
                if path.is_file():
                    return path
        return None


def _parsed(name: str, path: Path) -> _Module:
    try:
        body = ast.parse(path.read_text(encoding="utf-8")).body
    except (OSError, SyntaxError, ValueError):  # shows when it is run; here it only is another content
        body = [ast.Expr(ast.Constant(path.read_bytes()))]
    imports = {found.bound: found for item in body if not _for_types(item) for found in imports_in(item)}
    statements = tuple(item for item in body if not _says_nothing(item))
    by_name: dict[str, list[int]] = defaultdict(list)
    effects = []
    for index, item in enumerate(statements):
        bound = list(bound_in([item]))
        for own in bound:
            by_name[own].append(index)
            imports.pop(own, None)  # imported in one branch of a try, say
        if not bound or _acts(item, imports):
            effects.append(index)
    frozen = {own: tuple(indices) for own, indices in by_name.items()}
    return _Module(name, path.name == "__init__.py", statements, frozen, imports, tuple(effects))


def _acts(item: ast.stmt, imports: Mapping[str, Import]) -> bool:
    """Whether a statement does more than to define: a loop, a condition, a decorator that enters it somewhere."""
    if isinstance(item, ast.Assign | ast.AnnAssign):
        return False
    if not isinstance(item, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
        return True
    for decorator in item.decorator_list:
        names = [node.id for node in ast.walk(decorator) if isinstance(node, ast.Name)]
        origin = imports[names[0]].module if names and names[0] in imports else ""
        if origin.partition(".")[0] not in HARMLESS_DECORATORS:
            return True
    return False


def _says_nothing(item: ast.stmt) -> bool:
    return (
        isinstance(item, ast.Import | ast.ImportFrom)
        or is_text(item)
        or is_refusal(item)
        or _for_types(item)
        or [*bound_in([item])] == ["__all__"]
    )


def _for_types(item: ast.stmt) -> bool:
    """Whether a statement is ``if TYPE_CHECKING:``."""
    return isinstance(item, ast.If) and "TYPE_CHECKING" in (
        getattr(item.test, "id", None),
        getattr(item.test, "attr", None),
    )
