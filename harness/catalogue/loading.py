"""Every card that is there, read from its file, checked, and expanded into the rows of the registry.

A card that does not fit is reported and left out; the others go on. Must not import torch or an implementation.
"""

from __future__ import annotations

import fnmatch
import functools
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from harness.catalogue.cards import CAPABILITIES, Registry, Row, SuiteCard, TaskCard
from harness.catalogue.recipes import read_recipes, recipe_folder
from harness.catalogue.spaces import check_space
from harness.catalogue.targets import TARGETS, Target, read_targets
from harness.catalogue.validation import validated
from harness.catalogue.vocabulary import check_row_name, check_words, vocabulary_of
from harness.errors import UserError
from reference_impls.card import (
    REPORTED,
    Card,
    CardError,
    NeuronCapabilities,
    PeerCapabilities,
    Reported,
    SystemCapabilities,
    TopologyCapabilities,
    TrainingCapabilities,
    Variant,
)
from reference_impls.card_files import line_of, read_literal, read_reported, variant_literal
from reference_impls.discovery import Catalogue, discover, installed_modules, module_path, unusable_cards
from reference_impls.names import unknown_message

__all__ = ["CardFile", "card_files", "load_registry", "match", "rows_of", "with_recipes", "with_targets"]

AnyCapabilities = (
    NeuronCapabilities | TrainingCapabilities | TopologyCapabilities | PeerCapabilities | SystemCapabilities | None
)


@dataclass(frozen=True, slots=True)
class CardFile:
    """A file with a card, as it is written."""

    kind: str
    path: Path
    module: str
    literal: Mapping[str, Any]


@functools.lru_cache(maxsize=1)
def load_registry() -> Registry:
    """Read every card and recipe once; what does not fit the contract is listed in `Registry.problems`."""
    rows = rows_of(*card_files(discover(), Path(__file__).parents[1]))
    return with_targets(with_recipes(rows, recipe_folder()))


def card_files(found: Catalogue, harness: Path) -> tuple[list[CardFile], list[CardError]]:
    """Return the cards `found`, those of tasks and suites in the folder of a `harness`, and what cannot be read."""
    problems = list(found.problems)
    files = [CardFile(source.kind, source.path, source.module, source.literal) for source in found.sources]
    for kind in ("task", "suite"):
        folder = harness / f"{kind}s"
        for path in sorted(folder.glob("[!_]*.py")):
            if path.stem == "base":
                continue
            try:
                files.append(CardFile(kind, path, f"harness.{kind}s.{path.stem}", read_literal(path)))
            except CardError as error:
                problems.append(error)
    if harness == Path(__file__).parents[1]:  # another copy of the packages has no say in what is installed
        for found_task in _installed_tasks():
            (problems if isinstance(found_task, CardError) else files).append(found_task)  # type: ignore[arg-type]
    return files, problems


def _installed_tasks() -> Iterator[CardFile | CardError]:
    """Yield the tasks that installed packages offer, by the same entry points as implementations."""
    for module in installed_modules():
        try:
            path = module_path(module)
            literal = read_literal(path)
        except CardError:
            continue  # `discover` has said so
        if literal.get("kind") == "task":
            yield CardFile("task", path, module, literal)


def rows_of(
    files: Iterable[CardFile],
    problems: Iterable[CardError] = (),
    papers: bool = True,
    beside: tuple[Registry, Iterable[CardFile]] | None = None,
) -> Registry:
    """Return the rows of cards.

    Parameters
    ----------
    papers : with the figures that stand in the files beside them.
    beside : rows that are there already, with their files: the names are taken, the words are known.
    """
    rows: dict[str, dict[str, Row]] = {kind: {} for kind in _CARDS}
    problems, files = list(problems), list(files)
    there = [] if beside is None else list(beside[1])
    if beside is not None:
        rows |= {kind: dict(known) for kind, known in _by_kind(beside[0]).items()}
    words = vocabulary_of((file.kind, file.path, file.literal) for file in (*there, *files))
    for file in files:
        try:
            found = _rows_of(file, papers)
            for row in found:
                at = _where(file, row.name)
                check_words(row.capabilities, file.path, (*at, "capabilities"), words)
                if (holder := rows[file.kind].get(row.name)) is not None:
                    line = line_of(file.path, at or ("name",))
                    raise CardError(f"{file.path}:{line}: the name {row.name!r} is already taken by {holder.path}")
            rows[file.kind] |= {row.name: row for row in found}
        except CardError as error:
            problems.append(error)
    return Registry(
        neurons=rows["neuron"],
        methods=rows["training"],
        topologies=rows["topology"],
        tasks=rows["task"],
        suites=rows["suite"],
        problems=tuple(problems),
        peers=rows["peer"],
        systems=rows["system"],
    )


def _by_kind(registry: Registry) -> Mapping[str, Mapping[str, Row]]:
    return {
        "neuron": registry.neurons,
        "training": registry.methods,
        "topology": registry.topologies,
        "task": registry.tasks,
        "suite": registry.suites,
        "peer": registry.peers,
        "system": registry.systems,
    }


def with_recipes(registry: Registry, folder: Path) -> Registry:
    """Return `registry` with the recipes in `folder`; one that names what no card has is a problem."""
    recipes, problems = read_recipes(folder, registry.tasks, registry.parameters)
    return replace(registry, recipes=recipes, problems=(*registry.problems, *problems))


def with_targets(registry: Registry, path: Path = TARGETS) -> Registry:
    """Return `registry` with each budget's target; without one it is the task's `target_error`."""
    targets, problems = read_targets(path)
    tasks = {name: replace(row, card=_aimed(row.card, targets)) for name, row in registry.tasks.items()}
    return replace(registry, tasks=tasks, problems=(*registry.problems, *problems))


def _aimed(card: Any, targets: Mapping[tuple[str, str], Target]) -> Any:
    aims = {name: targets.get((card.name, name)) for name in card.budgets}
    budgets = {
        name: replace(budget, target_error=card.target_error if (aim := aims[name]) is None else aim.error_fraction)
        for name, budget in card.budgets.items()
    }
    return replace(card, budgets=budgets)


def match(what: str, patterns: Iterable[str], known: Mapping[str, Any]) -> list[str]:
    """Return the known names that any of the shell-style `patterns` matches, in the order of `known`.

    Raises
    ------
    UserError
        If a pattern matches nothing; the message suggests the nearest name, after the cards that cannot be used.
    """
    chosen: set[str] = set()
    for pattern in patterns:
        found = [pattern] if pattern in known else fnmatch.filter(known, pattern)  # a name may have brackets
        if not found:
            unusable = unusable_cards(load_registry().problems)
            raise UserError(
                unusable + unknown_message(what, pattern, list(known)), "spikeboard list shows what there is"
            )
        chosen.update(found)
    return [name for name in known if name in chosen]


def _rows_of(file: CardFile, papers: bool) -> list[Row]:
    kind, path, module = file.kind, file.path, file.module
    literal = _with_reported(kind, path, file.literal) if papers else file.literal
    card = validated(_CARDS[kind], path, literal)
    base: Mapping[str, Any] = getattr(card, "capabilities", {})
    defaults: Mapping[str, Any] = getattr(card, "defaults", {})
    if isinstance(card, Card):
        check_space(card, card.name, defaults, path)
    able, changes = _capable(kind, path, base, ("capabilities",)), getattr(card, "changes", "")
    rows = [Row(card.name, kind, card.title, card.summary, card, defaults, able, path, module, changes)]
    for name in getattr(card, "variants", {}):
        at = _where(file, name)
        variant: Variant = validated(Variant, path, variant_literal(literal, name), at=at)
        merged = _capable(kind, path, {**base, **variant.capabilities}, (*at, "capabilities"))
        params = {**defaults, **variant.params}
        own = _overridden(kind, path, literal, name, variant) if variant.overrides else card
        summary = variant.summary or own.summary
        if isinstance(own, Card):
            check_space(own, name, params, path)
        said = variant.changes or changes
        rows.append(Row(name, kind, variant.title, summary, own, params, merged, path, module, said))
    for row in rows:
        check_row_name(row.name, path, _where(file, row.name) or ("name",))
    return rows


def _where(file: CardFile, row: str) -> tuple[str, ...]:
    """Return the keys that lead to a row in its card; none for the card's own."""
    return () if row == file.literal.get("name") else ("variants", row)


def _with_reported(kind: str, path: Path, literal: Mapping[str, Any]) -> Mapping[str, Any]:
    """Return a card's literal with the figures that stand in the file beside it, each of them checked by itself."""
    if "reported" in literal:
        beside = path.with_suffix(REPORTED).name
        line = line_of(path, ["reported"])
        raise CardError(f"{path}:{line}: 'reported' is no key of a card: figures stand in a file beside it, {beside}")
    figures = read_reported(path) if kind != "suite" else []
    if not figures:
        return literal
    for number, figure in enumerate(figures, start=1):
        validated(Reported, path.with_suffix(REPORTED), figure, f"figure {number}: ")
    return {**literal, "reported": figures}


def _overridden(kind: str, path: Path, literal: Mapping[str, Any], name: str, variant: Variant) -> Any:
    """Return the card as a variant sees it: with its `overrides` in place of the file's values."""
    fixed = {"name", "kind", "version", "defaults", "variants", "capabilities"} & set(variant.overrides)
    if fixed:
        line = line_of(path, ("variants", name, "overrides"))
        raise CardError(
            f"{path}:{line}: variant {name!r} overrides {', '.join(sorted(fixed))}, which belong to the file"
        )
    return validated(_CARDS[kind], path, {**literal, **variant.overrides})


def _capable(kind: str, path: Path, literal: Mapping[str, Any], at: Sequence[str]) -> AnyCapabilities:
    if kind not in CAPABILITIES:
        return None
    checked: AnyCapabilities = validated(CAPABILITIES[kind], path, literal, at=at)
    return checked


_CARDS: Mapping[str, type] = {**dict.fromkeys(CAPABILITIES, Card), "task": TaskCard, "suite": SuiteCard}
