"""Names that the shell completes: neurons, methods, tasks, presets, boards and the like.

A Tab must answer at once, so nothing here reads more than it must: neither torch nor a card is loaded for the name of a
preset. What cannot be read completes to nothing. Must not print.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Iterator
from contextlib import suppress
from pathlib import Path

__all__ = [
    "among",
    "backends",
    "boards",
    "budgets",
    "costs",
    "data_sets",
    "entries",
    "machines",
    "methods",
    "neurons",
    "presets",
    "suites",
    "tasks",
    "topologies",
]

Completer = Callable[[str], list[str]]


def among(names: Iterable[str]) -> Completer:
    """Return a function that completes to one of `names`."""
    known = list(names)
    return _completing(lambda: known)


def _completing(names: Callable[[], Iterable[str]]) -> Completer:
    """Return a function that typer asks: the names that begin with what has been typed."""

    def complete(incomplete: str) -> list[str]:
        found: list[str] = []
        with suppress(Exception):  # whatever is wrong will be said when the command runs
            found = [name for name in names() if name.startswith(incomplete)]
        return found

    return complete


def _rows(*kinds: str) -> Iterator[str]:
    """Yield the rows of some kinds of card, those of installed packages last."""
    from reference_impls import discovery
    from reference_impls.card import CardError

    harness = Path(__file__).parents[1]
    folders: dict[str, Path] = {"task": harness / "tasks", "suite": harness / "suites"}
    folders |= {kind: Path(discovery.__file__).parent / folder for kind, folder in discovery.FOLDERS.items()}
    for kind in kinds:
        for path in sorted(folders[kind].glob("[!_]*.py")):
            yield from _names_in(path, kinds)
    for module in discovery.installed_modules():
        with suppress(CardError):
            yield from _names_in(discovery.module_path(module), kinds)


def _names_in(path: Path, kinds: Collection[str]) -> Iterator[str]:
    from reference_impls.card import CardError
    from reference_impls.card_files import read_literal

    with suppress(CardError):
        card = read_literal(path)
        if str(card.get("kind")) in kinds:
            yield from (str(card.get("name", path.stem)), *card.get("variants", {}))


def _presets() -> Iterable[str]:
    from harness.catalogue.presets import PRESETS

    return PRESETS


def _boards() -> Iterator[str]:
    from harness.catalogue.boards import BOARDS
    from harness.cli.deciding import CLAIMS, OVERALL

    yield from (board.name for board in BOARDS)
    yield from (*OVERALL, CLAIMS)


def _budgets() -> Iterable[str]:
    from harness.catalogue.presets import PRESETS

    return sorted({preset.budget for preset in PRESETS.values()})


def _backends() -> Iterable[str]:
    from reference_impls import backends as of_neurons

    return of_neurons.names()


def _costs() -> Iterable[str]:
    from harness.report.plots import COST_NAMES

    return COST_NAMES


def _data_sets() -> Iterable[str]:
    from harness.data import DATA_SETS

    return DATA_SETS


def _machines() -> Iterable[str]:
    """Yield the machines of the stores by the names of their folders."""
    from harness.paths import readable_stores

    return sorted({path.name for store in readable_stores(None) for path in store.iterdir() if path.is_dir()})


neurons = _completing(lambda: _rows("neuron", "peer", "system"))
methods = _completing(lambda: _rows("training"))
costs = _completing(_costs)
data_sets = _completing(_data_sets)
entries = _completing(lambda: _rows("neuron", "training", "peer", "system", "task"))
topologies = _completing(lambda: _rows("topology"))
tasks = _completing(lambda: _rows("task"))
suites = _completing(lambda: _rows("suite"))
presets = _completing(_presets)
boards = _completing(_boards)
budgets = _completing(_budgets)
backends = _completing(_backends)
machines = _completing(_machines)
