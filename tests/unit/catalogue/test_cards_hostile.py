"""A card of somebody else's, with anything in the place of anything, is a named problem and stops nothing."""

from __future__ import annotations

import copy
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from checkouts import copy_packages, spikeboard

from harness.catalogue import loading
from harness.catalogue.cell import Cell
from harness.catalogue.compatibility import why_unsupported
from reference_impls.card import CardError
from reference_impls.card_files import read_literal
from reference_impls.discovery import FOLDERS, _read

ROOT = Path(__file__).parents[3]
FILES = {
    "neuron": "reference_impls/neurons/lif.py",
    "training": "reference_impls/training/ottt.py",
    "topology": "reference_impls/topologies/mlp.py",
    "peer": "reference_impls/peers/norse.py",
    "task": "harness/tasks/mnist.py",
    "suite": "harness/suites/accuracy.py",
}
WRONG = (5, None, "x", [1], (), {}, {1: 2}, {"a": 5}, {"a": None}, True, 1.5, 1e999, b"x", [[1]], {"a": {"b": 5}}, ...)


def places(value: Any, before: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    """Yield the way to everything in a card, three steps deep."""
    inner = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for key, one in inner:
        yield (*before, key)
        if len(before) < 2:
            yield from places(one, (*before, key))


@pytest.mark.parametrize("kind", FILES)
def test_anything_in_the_place_of_anything_is_a_problem_or_nothing(kind: str, tmp_path: Path) -> None:
    good, path = read_literal(ROOT / FILES[kind]), tmp_path / "card.py"
    refused: list[str] = []
    for place in places(good):
        for wrong in WRONG:
            literal = copy.deepcopy(good)
            holder: Any = literal
            for key in place[:-1]:
                holder = holder[key]
            holder[place[-1]] = wrong
            path.write_text(f"CARD = {literal!r}".replace("inf", "1e999"))
            try:
                read = _read(None, path, "module").literal if kind in FOLDERS else read_literal(path)
                loading._rows_of(loading.CardFile(kind, path, "module", read), papers=False)
            except CardError as error:
                refused.append(str(error))
    assert len(refused) > 100
    assert [message for message in refused if str(path) not in message] == []


@pytest.mark.parametrize(
    "text", ["CARD = 5", "CARD = {", "CARD = " + "[" * 5000, "CARD = {'a': " + "9" * 5000 + "}", "\0", "CARD = f()", ""]
)
def test_what_is_no_card_is_a_problem(tmp_path: Path, text: str) -> None:
    path = tmp_path / "card.py"
    path.write_text(text)
    with pytest.raises(CardError, match=r"card\.py"):
        read_literal(path)


def test_list_names_a_strangers_cards_and_goes_on(tmp_path: Path) -> None:
    copied = copy_packages(tmp_path / "packages")
    folder = tmp_path / "packages" / "strangers"
    folder.mkdir()
    lif = (ROOT / FILES["neuron"]).read_text(encoding="utf-8")
    title = "\x1b]52;c;aGk=\x07[/bold]\u202ereversed"
    (folder / "defaults.py").write_text(lif.replace('"name": "lif"', '"name": "of-defaults", "defaults": 5, "x": 5'))
    titled = dict(read_literal(ROOT / FILES["neuron"]), name="of-title", title=title, variants={}, aliases={})
    (folder / "titled.py").write_text(f"CARD = {titled!r}\n")
    info = tmp_path / "packages" / "strangers-1.dist-info"
    info.mkdir()
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: strangers\nVersion: 1\n")
    names = ("defaults", "titled", "gone")
    points = "\n".join(f"{name} = strangers.{name}" for name in names)
    (info / "entry_points.txt").write_text(f"[spikeboard.implementations]\n{points}\n")
    (folder / "__init__.py").write_text("")
    said = spikeboard(copied, "list", "neurons")
    assert "lif" in said
    assert "of-title" in said
    assert "Traceback" not in said
    assert "cards that cannot be used" in said
    for name in ("defaults.py", "gone.py"):
        assert name in said
    assert "\\u001b]52" in said
    assert "\x1b]" not in said


def test_names_that_no_card_has_rule_nothing_out() -> None:
    known = loading.load_registry()
    cell = Cell("accuracy", "digits", "lif", "bptt", "mlp", budget="quick")
    for axis in ("suite", "task", "neuron", "method", "topology", "backend", "device", "budget"):
        assert why_unsupported(replace(cell, **{axis: "9999"}), known) is None
