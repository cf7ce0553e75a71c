"""Names agree: of the classes in ``benchmarks``, of series, of suite cards, of pins, and of links."""

from __future__ import annotations

import importlib
import json
import subprocess
import sys
import tomllib
from dataclasses import replace
from pathlib import Path
from types import ModuleType
from urllib.parse import parse_qs

import pytest

pytest.importorskip("asv")

from asv.config import Config

from harness.asv.points import FIXED_BY
from harness.asv.series import (
    SUITES,
    benchmark_name,
    clock_version,
    current_version,
    graph_link,
    is_plain,
    reported,
    selected,
    series_label,
    split_name,
    tracked_cells,
)
from harness.catalogue.cell import Cell
from harness.catalogue.loading import load_registry

ROOT = Path(__file__).parents[3]
LIF = Cell("throughput", "digits", "lif", "bptt", "mlp", budget="quick")


def test_every_module_of_benchmarks_is_a_tracked_suite() -> None:
    assert sorted(path.stem for path in (ROOT / "benchmarks").glob("[!_]*.py")) == sorted(SUITES)


@pytest.mark.parametrize("suite", SUITES)
def test_a_class_tracks_figures_of_its_suite(suite: str) -> None:
    module = importlib.import_module(f"benchmarks.{suite}")
    tracked = getattr(module, suite.capitalize())
    cards = load_registry().suite(suite).metrics
    methods = [name for name in vars(tracked) if name.startswith("track_")]
    assert methods
    for method in methods:
        metric = method.removeprefix("track_")
        assert benchmark_name(suite, metric) == f"{suite}.{tracked.__name__}.{method}"
        assert cards[metric].direction == "lower", "asv takes only a rise for a regression"
        assert getattr(tracked, method).unit == cards[metric].unit
    assert tracked.version == current_version(suite)
    assert tracked.params == [list(tracked_cells(suite))]
    assert "setup_cache" in vars(tracked), "an inherited one would be shared between suites"
    assert public_classes(module) == {tracked.__name__}, "asv takes every class with such a name for a benchmark"


def public_classes(module: ModuleType) -> set[str]:
    return {name for name, value in vars(module).items() if isinstance(value, type) and not name.startswith("_")}


def test_versions_are_those_of_cards_and_clock() -> None:
    from harness.measure.clock import CLOCK_VERSION

    assert clock_version() == CLOCK_VERSION
    for suite in SUITES:
        assert current_version(suite) == f"suite {load_registry().suite(suite).version}, clock {CLOCK_VERSION}"


def test_everything_is_tracked_once() -> None:
    registry = load_registry()
    cells = tracked_cells("memory").values()
    neurons = {row.card.name for row in registry.neurons.values()}
    classifiers = {row.card.name for row in registry.methods.values() if "classes" in row.capabilities.targets}
    assert {cell.neuron for cell in cells if cell.method == "bptt"} >= neurons
    assert {cell.method for cell in cells} == classifiers
    assert len({tuple(tracked_cells(suite)) for suite in SUITES}) == 1, "a selection means the same in every suite"
    assert all(map(is_plain, tracked_cells("memory")))


def test_parameters_come_from_the_working_tree(tmp_path: Path) -> None:
    """A neuron that this tree has, and the installed package has not, gets a parameter; the others keep their names."""
    for part in ("reference_impls/neurons", "reference_impls/training", "harness/tasks"):
        (tmp_path / part).mkdir(parents=True)
        for path in (ROOT / part).glob("*.py"):
            (tmp_path / part / path.name).write_text(path.read_text())
    source = (ROOT / "reference_impls/neurons/lif.py").read_text()
    (tmp_path / "reference_impls/neurons/brand_new.py").write_text(source.replace('"lif"', '"brand-new"', 1))
    added = set(tracked_cells("memory", tmp_path)) - set(tracked_cells("memory"))
    assert added == {f"brand-new bptt mlp digits quick{more}" for more in ("", " backend=fused-cupy device=cuda")}
    assert set(tracked_cells("memory")) < set(tracked_cells("memory", tmp_path))


def test_labels_say_what_is_unusual() -> None:
    assert series_label(LIF) == "lif bptt mlp digits quick"
    assert series_label(replace(LIF, seed=3, threads=8)) == series_label(LIF)
    other = replace(LIF, backend="compiled", device="cuda", dtype="float64")
    assert series_label(other, 2, 5).endswith("quick backend=compiled device=cuda dtype=float64 task-version=2 seeds=5")
    assert series_label(Cell("conformance", neuron="lif", dtype="float64")) == "lif dtype=float64"


@pytest.mark.parametrize("name", ["a'b", "<b>", 'a"', "a,b", "a(b)", "a\nb", "ü", "a&b", ""])
def test_odd_names_are_not_published(name: str) -> None:
    assert not is_plain(name)


def test_names_can_be_split_again() -> None:
    assert split_name(benchmark_name("memory", "saved_bytes")) == ("memory", "saved_bytes")
    assert split_name("memory.Memory.time_something") is None


def test_links_are_what_asvs_page_reads() -> None:
    label = "a+b bptt mlp digits quick seeds=3"
    page, _, fragment = graph_link("memory", "saved_bytes", label, "xeon-2c").partition("#")
    name, _, query = fragment.partition("?")
    assert (page, name) == ("index.html", "memory.Memory.track_saved_bytes")
    assert parse_qs(query) == {"p-cell": [repr(label)], "machine": ["xeon-2c"]}
    assert "machine" not in graph_link("memory", "saved_bytes", label)


def test_figures_become_what_asv_understands() -> None:
    assert reported(1.5, [1.0] * 7) == 1.5, "too few samples for an interval"
    assert reported(1.5, [1.5] * 8) == {"samples": [1.5] * 8, "number": 1}
    assert reported(1.5, [1.5] * 7 + [float("inf")]) == 1.5
    for value in ("nan", "inf", "-inf"):
        assert reported(float(value), [1.5] * 8) is None


def test_selection_is_by_shell_patterns() -> None:
    assert selected(["lif bptt", "alif bptt", "if ottt"], []) == ["lif bptt", "alif bptt", "if ottt"]
    assert selected(["lif bptt", "alif bptt", "if ottt"], ["lif*", "*ottt"]) == ["lif bptt", "if ottt"]


def test_configuration_agrees_with_the_pins() -> None:
    configuration = Config.load(str(ROOT / "asv.conf.json"))
    lines = (ROOT / "constraints.txt").read_text().splitlines()
    pins = dict(line.split("==") for line in lines if "==" in line)
    required = configuration.matrix["req"]
    for name in FIXED_BY:
        assert required[name] == [pins[name]]
    assert required["pip+asv_runner"] == [pins["asv_runner"]]
    assert set(required) == {*FIXED_BY, "pip+asv_runner"}, "each is part of every graph"
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    extra = project["optional-dependencies"]["asv"]
    assert f"asv=={pins['asv']}" in extra
    assert f"asv_runner=={pins['asv_runner']}" in extra
    needed = " ".join(project["dependencies"])
    for name in configuration.install_command[0].split()[6:]:
        assert f"{name}>=" in needed


def test_thresholds_fit_every_figure() -> None:
    """Of several patterns that match asv takes the largest; asv itself does not say when a key is misspelt."""
    import re

    thresholds = json.loads(without_comments((ROOT / "asv.conf.json").read_text()))["regressions_thresholds"]
    for suite, row in load_registry().suites.items():
        for metric in load_registry().suite(suite).metrics:
            name = benchmark_name(suite, metric) + "('lif bptt mlp digits quick')@HEAD"
            assert len([pattern for pattern in thresholds if re.match(pattern, name)]) == 1, (row.name, metric)


def without_comments(text: str) -> str:
    return "\n".join(line for line in text.splitlines() if not line.strip().startswith("//"))


def test_neither_names_nor_pages_need_asv_or_torch(tmp_path: Path) -> None:
    program = (
        "import sys\n"
        "sys.modules['torch'] = sys.modules['asv'] = sys.modules['asv_runner'] = None\n"
        "from pathlib import Path\n"
        "from harness.asv.series import tracked_cells, current_version\n"
        "from harness.report.site import build_site\n"
        "assert tracked_cells('memory') and current_version('memory')\n"
        f"build_site([], Path({str(tmp_path / 'out')!r}))\n"
    )
    subprocess.run([sys.executable, "-c", program], check=True)
