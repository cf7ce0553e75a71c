"""The sources with a submission's implementations among them, as a tree of its own: to be read, not imported.

A record of a new neuron was measured with the project's code and that neuron's. So that fingerprints and cards can be
asked for, the two packages are copied to a folder that goes away again, and the submission's files are put where they
would be imported from. Whoever imports from it runs a stranger's code: that is `sandbox`'s alone.
"""

from __future__ import annotations

import importlib.util
import os
import shutil
import sys
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path

from harness.catalogue.cards import Registry
from harness.catalogue.loading import CardFile, card_files, load_registry, rows_of, with_recipes, with_targets
from harness.catalogue.recipes import recipe_folder
from harness.results.parts import INSTALLED, PACKAGES, extended_tree
from harness.submissions.folder import LARGEST_TEXT
from harness.submissions.manifest import CODE, Implementation
from reference_impls.card import CardError
from reference_impls.card_files import read_literal
from reference_impls.discovery import ENTRY_POINT_GROUP, LOOSE, discover, discover_in

__all__ = ["PLACES", "VECTORS", "Overlay", "code_problems", "differs", "is_new", "overlay"]

PLACES = ("reference_impls/neurons/", "reference_impls/training/", "reference_impls/topologies/", "harness/tasks/")
"""Folders of the project to which a submission may bring files; all else of it measures, and is the project's."""
VECTORS = "harness/golden/vectors/"
"""And its golden vectors."""
RESERVED = frozenset({*sys.stdlib_module_names, "sitecustomize", "usercustomize"})


@dataclass(frozen=True, slots=True)
class Overlay:
    """Sources, and the rows that their cards make."""

    root: Path | None
    """Folder of the copy; None where there is nothing to put into it: the sources that are installed."""
    registry: Registry
    problems: tuple[str, ...] = ()
    """What is wrong with the cards of the submission."""


def is_new(name: str) -> bool:
    """Whether the project has no file `name` (with slashes, below the folder of sources)."""
    return not (INSTALLED / name).exists()


def differs(code: Path, name: str) -> bool:
    """Whether the project has another file `name` than a submission brings in `code`."""
    return not is_new(name) and (INSTALLED / name).read_bytes() != (code / name).read_bytes()


def code_problems(files: Iterator[str] | Mapping[str, object]) -> list[str]:
    """Say which files below the folder of sources may not be there."""
    return [problem for name in files if (problem := _problem(name)) is not None]


def _problem(name: str) -> str | None:
    top, _, rest = name.partition("/")
    if top in PACKAGES:
        if name.startswith(VECTORS) and name.endswith(".json"):
            return None
        if not name.startswith(PLACES):
            return f"{name} is the project's own: what measures is not a submission's to change"
    if not name.endswith(".py"):
        return f"{name} is no Python source"
    module = top if rest else top.removesuffix(".py")
    if not all(part.isidentifier() for part in name.removesuffix(".py").split("/")):
        return f"{name} cannot be imported under its name"
    if top not in PACKAGES and module != LOOSE and (module in RESERVED or importlib.util.find_spec(module) is not None):
        return f"{name} would take the place of {module}, which is installed here"
    return None


@contextmanager
def overlay(
    code: Path, files: Mapping[str, int], implementations: tuple[Implementation, ...], to_run: bool = False
) -> Iterator[Overlay]:
    """Yield the sources with those of a submission.

    Parameters
    ----------
    code : folder of the submission's sources, each under the path that it is imported by.
    files : the ones to take, by that path, with their sizes; nothing else in `code` is looked at.
    implementations : modules with cards among them.
    to_run : copy every file; else links do, which code that asks where its own file lies would see through.
    """
    if not files:
        yield Overlay(None, load_registry())
        return
    with tempfile.TemporaryDirectory(prefix="spikeboard-sources-") as folder:
        root = Path(folder)
        left_out = shutil.ignore_patterns("__pycache__", "static", "vendor")
        for package in PACKAGES:
            place = shutil.copy2 if to_run else os.symlink
            shutil.copytree(INSTALLED / package, root / package, ignore=left_out, copy_function=place)
        for name in files:
            (root / name).parent.mkdir(parents=True, exist_ok=True)
            (root / name).unlink(missing_ok=True)
            shutil.copyfile(code / name, root / name, follow_symlinks=False)
        foreign = [one for one in implementations if one.module.partition(".")[0] not in PACKAGES]
        _announce(root, [one.module for one in foreign])
        if all(map(is_new, files)):
            extended_tree(root.resolve())
            registry, problems = _extended(root, implementations)
        else:
            registry, problems = _registry(root, foreign)
        too_large = [
            f"{name} has more than {LARGEST_TEXT:,} bytes" for name, size in files.items() if size > LARGEST_TEXT
        ]
        own = [str(one).replace(f"{root}/", f"{CODE}/") for one in registry.problems if f"{root}/" in str(one)]
        yield Overlay(root, registry, (*too_large, *problems, *own))


def _announce(root: Path, modules: list[str]) -> None:
    """Offer modules by entry points, as an installer does for a package."""
    offered = [module for module in modules if module.partition(".")[0] != LOOSE]
    if not offered:
        return
    about = root / "spikeboard_submission-0.dist-info"
    about.mkdir()
    (about / "METADATA").write_text(
        "Metadata-Version: 2.1\nName: spikeboard-submission\nVersion: 0\n", encoding="utf-8"
    )
    lines = [f"submitted-{number} = {module}" for number, module in enumerate(offered)]
    (about / "entry_points.txt").write_text("\n".join([f"[{ENTRY_POINT_GROUP}]", *lines, ""]), encoding="utf-8")


def _extended(root: Path, implementations: Sequence[Implementation]) -> tuple[Registry, list[str]]:
    """Return the project's rows and those of `implementations`, which replace nothing of it."""
    own = load_registry()
    there, _ = card_files(discover(), INSTALLED / "harness")
    files, problems = _cards(root, implementations)
    extended = rows_of(files, beside=(own, there))
    return with_targets(replace(extended, recipes=own.recipes)), problems


def _registry(root: Path, foreign: Sequence[Implementation]) -> tuple[Registry, list[str]]:
    """Return the rows of all cards in `root`, and of the modules that are offered by their names."""
    files, unread = card_files(discover_in(root / "reference_impls"), root / "harness")
    more, problems = _cards(root, foreign)
    registry = with_targets(with_recipes(rows_of([*files, *more], unread), recipe_folder()))
    return registry, problems


def _cards(root: Path, implementations: Sequence[Implementation]) -> tuple[list[CardFile], list[str]]:
    files, problems = [], []
    for one in implementations:
        try:
            path = _path(root, one.module)
            files.append(CardFile(one.kind, path, one.module, read_literal(path)))
        except CardError as error:
            problems.append(str(error).replace(f"{root}/", f"{CODE}/"))
    return files, problems


def _path(root: Path, module: str) -> Path:
    stem = root.joinpath(*module.split("."))
    package = stem / "__init__.py"
    return package if package.is_file() else stem.with_suffix(".py")
