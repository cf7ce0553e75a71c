"""Habits of the command: how much it says, what Tab completes, defaults of one's own, what it ends with."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from importlib.metadata import version
from pathlib import Path
from typing import Any

import pytest
from rich.text import Text
from synthetic import Factory
from typer.main import get_command
from typer.testing import CliRunner

from harness import terminal
from harness.catalogue.boards import BOARDS
from harness.catalogue.cell import Cell
from harness.catalogue.loading import load_registry
from harness.catalogue.presets import PRESETS
from harness.cli import app, completion
from harness.data import data_root
from harness.defaults import defaults
from harness.errors import UserError
from harness.paths import RUNS, by_default
from harness.report.json_tables import tables_to_json
from harness.report.plots import COST_NAMES, COSTS
from harness.report.record_summary import summary
from harness.results.asked import tables_of
from harness.results.freshness import Today
from harness.results.machine import _given
from harness.results.store import Store
from harness.results.table import touched_by
from harness.results.tables import build_tables

FACTORY = Factory()
BASE = Cell("accuracy", "digits", "lif", "bptt", "mlp", budget="quick")


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty folder to work in, without defaults from outside."""
    monkeypatch.chdir(tmp_path)
    for name in ("STORE", "DATA", "MACHINE", "DEVICE"):
        monkeypatch.delenv(f"SPIKEBOARD_{name}", raising=False)
    return tmp_path


@pytest.fixture
def usual_loudness() -> Iterator[None]:
    """What a test sets is not left to others."""
    yield
    terminal.be(0)


def said(*arguments: str) -> str:
    return CliRunner().invoke(app, list(arguments), catch_exceptions=False).stdout


def test_the_version_is_that_of_the_package() -> None:
    assert said("--version") == f"spikeboard {version('spikeboard')}\n"


def test_notes_are_for_those_who_did_not_ask_for_quiet(
    usual_loudness: None, capsys: pytest.CaptureFixture[str]
) -> None:
    for loudness in (-1, 0, 1):
        terminal.be(loudness)
        terminal.note(f"a note at {loudness}")
        terminal.say(f"a result at {loudness}")
    assert capsys.readouterr().out.splitlines() == [
        "a result at -1",
        "a note at 0",
        "a result at 0",
        "a note at 1",
        "a result at 1",
    ]


def test_quiet_says_less_of_a_plan_and_verbose_whence_defaults_come(folder: Path, usual_loudness: None) -> None:
    words = ("run", "--preset", "smoke", "--suite", "accuracy", "--neuron", "lif", "--method", "bptt", "--dry-run")
    usual, quiet = said(*words), said("-q", *words)
    assert usual.splitlines()[0].startswith("machine ")
    assert "1 cell to measure" in usual
    assert quiet == usual.splitlines(keepends=True)[-1]
    (folder / "spikeboard.toml").write_text('store = "own"\n')
    ended = CliRunner().invoke(app, ["-v", "list", "suites"], catch_exceptions=False)
    assert f"{folder / 'spikeboard.toml'}: store = own" in ended.stderr


@pytest.mark.parametrize(
    ("complete", "names"),
    [
        (completion.neurons, {*load_registry().cell_neurons}),
        (completion.methods, set(load_registry().methods)),
        (completion.topologies, set(load_registry().topologies)),
        (completion.tasks, set(load_registry().tasks)),
        (
            completion.entries,
            {*load_registry().cell_neurons, *load_registry().methods, *load_registry().tasks} - {"surrogates"},
        ),
        (completion.suites, set(load_registry().suites)),
        (completion.presets, set(PRESETS)),
        (completion.boards, {"overall-neurons", "overall-methods", "claims", *(board.name for board in BOARDS)}),
    ],
)
def test_every_name_is_completed(complete: completion.Completer, names: set[str]) -> None:
    assert set(complete("")) == names
    some = min(names)
    assert some in complete(some[:2])
    assert complete("no-such-name") == []


def test_the_shell_is_answered_without_torch(tmp_path: Path) -> None:
    asked = {"_SPIKEBOARD_COMPLETE": "complete_bash", "COMP_WORDS": "spikeboard run --neuron kl", "COMP_CWORD": "3"}
    program = (
        "import sys; sys.modules['torch'] = None; sys.argv = ['spikeboard']; from harness.cli import app\n"
        "app(prog_name='spikeboard')"
    )
    environment = {**os.environ, **asked}
    done = subprocess.run([sys.executable, "-c", program], env=environment, capture_output=True, text=True, check=False)
    assert done.stdout.split() == ["klif", "klif-scaled", "klif-matched"], done.stderr


def test_defaults_are_read_from_the_nearest_file_and_relative_to_it(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (folder / "spikeboard.toml").write_text('store = "own"\ndata_root = "sets"\nmachine = "My Box"\ndevice = "cuda"\n')
    assert by_default(RUNS) == Path("own")
    assert data_root() == Path("sets")
    assert _given() == "my-box"
    (folder / "below").mkdir()
    monkeypatch.chdir(folder / "below")
    assert by_default(RUNS) == folder / "own"
    assert data_root() == folder / "sets"
    (folder / "below" / ".git").mkdir()
    assert defaults().path is None, "a clone ends the search"


def test_the_command_line_comes_before_the_environment_and_that_before_the_file(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (folder / "spikeboard.toml").write_text('store = "own"\ndata_root = "sets"\nmachine = "box"\ndevice = "cuda"\n')
    for name, value in (("STORE", "theirs"), ("DATA", "their-sets"), ("MACHINE", "theirs"), ("DEVICE", "cpu")):
        monkeypatch.setenv(f"SPIKEBOARD_{name}", value)
    assert (by_default(RUNS), data_root(), _given()) == (Path("theirs"), Path("their-sets"), "theirs")
    assert data_root(Path("given")) == Path("given")


@pytest.mark.parametrize(
    ("environment", "given", "device"),
    [
        ({}, (), "cuda:7"),
        ({"SPIKEBOARD_DEVICE": "cuda:6"}, (), "cuda:6"),
        ({"SPIKEBOARD_DEVICE": "cuda:6"}, ("--device", "cuda:5"), "cuda:5"),
    ],
)
def test_the_device_is_the_first_that_is_said(
    folder: Path, monkeypatch: pytest.MonkeyPatch, environment: dict[str, str], given: tuple[str, ...], device: str
) -> None:
    """Names of GPUs that no machine of ours has: the refusal says which was meant."""
    (folder / "spikeboard.toml").write_text('device = "cuda:7"\n')
    for name, value in environment.items():
        monkeypatch.setenv(name, value)
    for verb in (("run", "--dry-run"), ("check", "lif")):
        with pytest.raises(UserError) as refused:
            said(*verb, *given)
        assert device in str(refused.value)


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ('stor = "x"', "unknown key 'stor': did you mean 'store'?"),
        ("store = 5", "store must be a text, not 5"),
        ('device = ""', "device must be a text, not ''"),
        ("store = x", "cannot be read: Invalid value (at line 1"),
    ],
)
def test_what_is_wrong_with_the_file_is_said(folder: Path, text: str, says: str) -> None:
    path = folder / "spikeboard.toml"
    path.write_text(text)
    with pytest.raises(UserError) as refused:
        said("list", "suites")
    assert str(refused.value).startswith(f"{path}: {says}")


def test_costs_have_short_names() -> None:
    assert set(COST_NAMES.values()) == set(COSTS)


def test_tables_are_json_for_programs(tmp_path: Path) -> None:
    records = [FACTORY.measured(BASE), FACTORY.measured(Cell(**{**BASE.written(), "neuron": "psn"}))]
    (table,) = json.loads(tables_to_json(build_tables(records, FACTORY.registry, BOARDS[0])))
    assert (table["board"], table["axis"], table["shared"]["task"]) == ("neurons", "neuron", "digits")
    figure = next(row for row in table["rows"] if row["name"] == "lif")["figures"]["accuracy.error_fraction"]
    assert figure["value"] == records[0].metrics["error_fraction"].value
    assert figure["cells"] == [records[0].cell_id]
    assert table["columns"]["accuracy.error_fraction"]["better"] == "lower"


def test_a_name_of_records_alone_is_no_mistake(tmp_path: Path) -> None:
    store = Store(tmp_path)
    store.write(FACTORY.measured(Cell(**{**BASE.written(), "neuron": "of-yesterday"})))
    store.write(FACTORY.measured(BASE))
    (table, *_) = tables_of([tmp_path], "neurons", {"neuron": "of-yesterday"}).tables
    assert {row.name for row in table.rows} >= {"of-yesterday", "lif"}, "the whole table in which it stands"
    with pytest.raises(UserError, match="unknown neuron 'of-yesterdy'"):
        tables_of([tmp_path], "neurons", {"neuron": "of-yesterdy"})
    with pytest.raises(UserError, match="unknown machine 'nobodys': Known: "):
        tables_of([tmp_path], "neurons", {}, machine="nobodys")


def test_a_run_ends_with_the_tables_in_which_its_cells_stand() -> None:
    other = Cell(**{**BASE.written(), "topology": "recurrent"})
    records = [FACTORY.measured(BASE), FACTORY.measured(other)]
    tables = build_tables(records, FACTORY.registry)
    touched = touched_by([BASE], tables)
    assert 0 < len(touched) < len(tables)
    assert all(any(row.topology == "mlp" for row in table.rows) for table in touched)
    assert touched_by([Cell("spikes", "digits", "lif", "bptt", "mlp", budget="quick")], tables) == []


def test_a_record_is_summed_up_in_ten_lines() -> None:
    record = FACTORY.measured(BASE)
    lines = summary(record, FACTORY.registry, Today(FACTORY.registry)).splitlines()
    assert len(lines) <= 10
    said_of = {line.split()[0]: line for line in lines}
    assert record.cell_id in said_of["cell"]
    assert "accuracy of lif+bptt+mlp" in said_of["asked"]
    assert "ok" in said_of["status"]
    assert "test error" in said_of["figures"]
    assert "spikeboard run" in said_of["again"]
    assert {"holds", "machine", "measured"} <= set(said_of)


def test_help_shows_the_defaults_that_it_speaks_of() -> None:
    """Brackets are markup to what prints the help: unless they are escaped, they are gone with what is in them."""
    group: Any = get_command(app)
    verbs = [*group.commands.values(), *group.commands["data"].commands.values()]
    told = [text for verb in verbs for one in verb.params if "[default" in (text := getattr(one, "help", None) or "")]
    assert len(told) > 40
    assert [text for text in told if "[default: " not in Text.from_markup(text).plain] == []
    shown = CliRunner().invoke(app, ["calibrate", "--help"]).output
    assert "[default: quick]" in shown
    assert "\\" not in shown
