"""Reported figures stand beside the implementations, and are checked like the cards: place, kind of place, keys."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from test_cards import install

import reference_impls
from harness.catalogue.loading import load_registry
from reference_impls.card import REPORTED, CardError
from reference_impls.card_files import read_reported

FOLDER = Path(reference_impls.__file__).parent
FIGURE = {"task": "SHD", "metric": "accuracy_percent", "value": 90.7, "where": "table 2", "evidence": "paper-text"}


def problems(elsewhere: Path, figures: Any, more: str = "") -> str:
    install(elsewhere, more=more)
    (elsewhere / "thirdparty" / f"neuron{REPORTED}").write_text(
        figures if isinstance(figures, str) else json.dumps(figures)
    )
    return "\n".join(map(str, load_registry().problems))


def test_every_figure_says_where_it_was_seen() -> None:
    registry = load_registry()
    assert registry.problems == ()
    cards = {
        row.path: row.card
        for kind in (registry.neurons, registry.methods, registry.topologies, registry.systems)
        for row in kind.values()
    }
    figures = [figure for card in cards.values() for figure in card.reported]  # type: ignore[union-attr]
    assert len(figures) > 350
    assert all(figure.where and figure.task for figure in figures)
    assert not [figure for figure in figures if "from memory" in figure.where + figure.note]


def test_every_file_of_figures_has_its_implementation() -> None:
    found = [*FOLDER.rglob(f"*{REPORTED}")]
    assert found
    for path in found:
        assert path.with_name(path.name.removesuffix(REPORTED) + ".py").is_file(), path


def test_figures_that_were_looked_up_again() -> None:
    """Values that cards had cut, rounded or lacked."""
    registry = load_registry()

    def reported(kind: str, name: str, task: str, T: int | None, system: str = "") -> set[float]:
        card = getattr(registry, kind)[name].card
        return {
            figure.value for figure in card.reported if (figure.task, figure.T) == (task, T) and system in figure.system
        }

    assert 55.45 in reported("neurons", "lif", "sequential CIFAR-100", 32)
    assert 55.4 not in reported("neurons", "lif", "sequential CIFAR-100", 32)
    assert {86.69, 85.99} <= reported("neurons", "mpe-psn", "CIFAR10-DVS", 10)
    assert {95.1} <= reported("neurons", "pmsn", "SHD", None)
    assert {65.15, 64.16} <= reported("methods", "ottt-a", "ImageNet", 6)
    assert {43.9, 70.44} <= reported("neurons", "clif", "PS-MNIST", 784)
    assert 94.88 in reported("neurons", "glif", "CIFAR-10", 6), "the paper's own, below the README's 95.09"
    assert registry.neurons["glif"].card.citations[0].arxiv == "2210.13768"  # type: ignore[union-attr]
    assert registry.methods["opzo"].card.citations[0].venue == "ICLR"  # type: ignore[union-attr]


def test_figures_of_a_package_of_ones_own_are_read(elsewhere: Path) -> None:
    assert problems(elsewhere, [FIGURE]) == ""
    (figure,) = load_registry().neurons["third-party"].card.reported  # type: ignore[union-attr]
    assert (figure.value, figure.evidence) == (90.7, "paper-text")


@pytest.mark.parametrize(
    ("figures", "said"),
    [
        ([FIGURE, {**FIGURE, "vlaue": 1.0}], "figure 2: unknown key 'vlaue': did you mean 'value'?"),
        ([{**FIGURE, "evidence": "hearsay"}], "figure 1: key 'evidence'"),
        ([{key: FIGURE[key] for key in FIGURE if key != "where"}], "figure 1: missing key 'where'"),
        ([{**FIGURE, "value": "90.7 %"}], "figure 1: key 'value'"),
        ({"figures": []}, "must be a list of reported figures, not dict"),
        ("[", "cannot be read as JSON"),
        (["SHD 90.7"], "figure 1: "),
    ],
)
def test_a_figure_that_is_wrong_is_named(elsewhere: Path, figures: Any, said: str) -> None:
    found = problems(elsewhere, figures)
    assert said in found
    assert f"neuron{REPORTED}" in found
    assert "third-party" not in load_registry().neurons


def test_figures_in_a_card_are_refused_with_the_place_to_put_them(elsewhere: Path) -> None:
    assert "stand in a file beside it, neuron.reported.json" in problems(elsewhere, [], more='"reported": [],')


def test_no_file_is_no_figure(tmp_path: Path) -> None:
    assert read_reported(tmp_path / "neuron.py") == []
    (tmp_path / f"neuron{REPORTED}").write_bytes(b"\xff")
    with pytest.raises(CardError, match="cannot be read as JSON"):
        read_reported(tmp_path / "neuron.py")
