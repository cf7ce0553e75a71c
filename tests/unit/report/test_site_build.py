"""Building the site: from nothing, again, into a folder that is not its own, with figures that are no numbers."""

from __future__ import annotations

import json
import math
import os
import re
import stat
import subprocess
import sys
from pathlib import Path

import pytest
import synthetic
from pages import Page
from synthetic import Factory, record, write_store
from typer.testing import CliRunner

from harness.asv.series import graphs_over_commits
from harness.catalogue.cell import Cell
from harness.cli import app
from harness.errors import UserError
from harness.report import board_view, site
from harness.report.site import build_site
from harness.results.record import Status
from harness.results.store import Store


def test_an_empty_store_gives_a_friendly_page(tmp_path: Path) -> None:
    index = Page(build_site([], tmp_path / "out"))
    assert "Nothing measured yet" in index.text
    assert "spikeboard run --preset smoke" in index.text
    assert (tmp_path / "out" / "neuron-lif.html").is_file()
    assert "Nothing has been measured" in Page(tmp_path / "out" / "board-neurons.html").text


def test_a_rebuild_replaces_its_own_pages_and_nothing_else(tmp_path: Path) -> None:
    out = tmp_path / "out"
    build_site([], out)
    (out / "asv").mkdir()
    (out / "asv" / "index.html").write_text("asv")
    (out / "CNAME").write_text("example.org")
    stale = out / "data" / "records" / "stale.json"
    stale.parent.mkdir(parents=True, exist_ok=True)
    stale.write_text("{}")
    build_site([], out, over_commits=graphs_over_commits(out / "asv"))
    assert not stale.exists()
    assert (out / "asv" / "index.html").read_text() == "asv"
    assert (out / "CNAME").read_text() == "example.org"
    assert "asv/index.html" in Page(out / "index.html").links
    assert sorted(path.name for path in tmp_path.iterdir()) == ["out"]


def test_a_folder_with_other_contents_is_refused(tmp_path: Path) -> None:
    (tmp_path / "thesis.tex").write_text("years of work")
    with pytest.raises(UserError, match=r"thesis\.tex"):
        build_site([], tmp_path)
    assert [path.name for path in tmp_path.iterdir()] == ["thesis.tex"]
    with pytest.raises(UserError, match="is a file"):
        build_site([], tmp_path / "thesis.tex")


def test_a_build_that_fails_leaves_the_old_pages(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    index = build_site([], tmp_path / "out")
    before = index.read_text()

    def fail(*_: object) -> None:
        raise OSError("no space left")

    monkeypatch.setattr(site, "write_downloads", fail)
    with pytest.raises(OSError, match="no space left"):
        build_site([], tmp_path / "out")
    assert index.read_text() == before
    assert sorted(path.name for path in tmp_path.iterdir()) == ["out"]


def test_a_manifest_cannot_remove_anything_outside(tmp_path: Path) -> None:
    out = tmp_path / "out"
    build_site([], out)
    (tmp_path / "precious").write_text("x")
    (out / "asv").mkdir()
    (out / site.MANIFEST).write_text(json.dumps(["../precious", "..", ".", "/", "asv", 7, "no-such-file"]))
    build_site([], out)
    assert (tmp_path / "precious").read_text() == "x"
    assert (out / "asv").is_dir()


def test_many_tables_are_spread_over_pages(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(board_view, "PAGE_ROWS", 4)
    registry = synthetic.registry()
    factory = synthetic.Factory(registry)
    records = [
        factory.measured(Cell("accuracy", task, neuron, "bptt", "mlp", budget="quick"))
        for task in ("digits", "digits-rows", "mnist")
        for neuron in ("if", "lif", "psn")
    ]
    store = synthetic.write_store(tmp_path / "store", records, corrupt=False)
    out = build_site([store], tmp_path / "out", registry=registry).parent
    pages = [Page(out / f"board-neurons{number}.html") for number in ("", "-2", "-3")]
    for page in pages:
        choices = json.loads(next(text for _, text in page.scripts if '"page":' in text))
        assert [choice["page"] for choice in choices] == [other.path.name for other in pages]
        for choice, other in zip(choices, pages, strict=True):
            assert choice["id"] in other.ids
        assert {other.path.name for other in pages} <= set(page.links)


def test_figures_that_are_no_numbers_do_not_stop_the_site(tmp_path: Path) -> None:
    registry = synthetic.registry()
    factory = synthetic.Factory(registry)
    records = []
    for neuron, value in (("if", "nan"), ("lif", "inf"), ("psn", "0")):
        for suite in ("accuracy", "throughput"):
            one = factory.measured(Cell(suite, "digits", neuron, "bptt", "mlp", budget="quick"))
            broken = {
                name: m.model_copy(update={"value": float(value), "low": None}) for name, m in one.metrics.items()
            }
            records.append(one.model_copy(update={"metrics": broken}))
    out = tmp_path / "out"
    store = tmp_path / "store"
    store.mkdir()
    for number, one in enumerate(records):
        data = one.model_dump(mode="python")
        (store / f"{number}.json").write_text(json.dumps(data, default=str))
    build_site([store], out, registry=registry)
    page = Page(out / "board-neurons.html")
    assert not page.problems
    assert not any(key.endswith("~lif.mlp") for key in page.ids), "what is impossible is not shown as a figure"
    about = Page(out / "about.html").text
    for number in range(len(records)):
        assert f"store/{number}.json" in about
    assert "is impossible: " in about


def test_large_numbers_and_odd_names_do_not_stop_the_site(tmp_path: Path) -> None:
    registry = synthetic.registry()
    factory = synthetic.Factory(registry)
    records = []
    for neuron in ("if", "lif"):
        for suite in ("accuracy", "memory", "scaling", "throughput"):
            one = factory.measured(Cell(suite, "digits", neuron, "bptt", "mlp", budget="quick"))
            points = ((1.0, 1e308), (2.0, -1e308), (1e308, 5e-324), (-1e308, 1e308))
            series = {name: curve.model_copy(update={"points": points}) for name, curve in one.series.items()}
            metrics = dict(one.metrics)
            if suite == "memory":
                huge = {"value": 1e99, "low": -1e99, "high": 1e99}
                metrics["peak_bytes"] = metrics["peak_bytes"].model_copy(update=huge)
            details = {"large": 10**400, "deep": json.loads("[" * 100 + "]" * 100), "nan": math.nan}
            records.append(one.model_copy(update={"series": series, "metrics": metrics, "details": details}))
    store = synthetic.write_store(tmp_path / "store", records)
    (store / "number.json").write_text('{"schema_version": ' + "9" * 400 + "}")
    with open(os.path.join(os.fsencode(store), b"\xff\x1b[2J.json"), "w") as file:
        file.write("{}")
    out = tmp_path / "out"
    build_site([store], out, registry=registry)
    for path in out.glob("*.html"):
        assert not Page(path).problems
        text = path.read_text(encoding="utf-8")
        assert "\x1b" not in text
        for script in re.findall(r'<script type="application/json"[^>]*>(.*?)</script>', text, re.DOTALL):
            json.loads(script, parse_constant=lambda name: pytest.fail(name))
    assert "store/\\udcff\\u001b[2J.json" in Page(out / "about.html").text


def test_pages_are_built_without_torch(tmp_path: Path) -> None:
    program = (
        "import sys\n"
        "sys.modules['torch'] = None\n"
        "from pathlib import Path\n"
        "from harness.report.site import build_site\n"
        f"print(build_site([], Path({str(tmp_path / 'out')!r})))\n"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert Path(done.stdout.strip()).is_file()


def test_every_foreign_script_has_its_licence_and_is_listed() -> None:
    vendor = Path(site.__file__).parent / "static" / "vendor"
    readme = (vendor / "README.md").read_text(encoding="utf-8")
    folders = [path for path in vendor.iterdir() if path.is_dir()]
    assert folders
    for folder in folders:
        assert f"`{folder.name}`" in readme
        package, _, version = folder.name.rpartition("-")
        assert f"| `{package}` | {version} |" in readme
        assert any(
            "MIT" in path.read_text(encoding="utf-8")
            for path in folder.iterdir()
            if path.name.startswith("L") or path.name.startswith("l")
        ), folder


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_colours_have_enough_contrast(scheme: str) -> None:
    sheet = (Path(site.__file__).parent / "static" / "site.css").read_text(encoding="utf-8")
    light, _, rest = sheet.partition("@media (prefers-color-scheme: dark)")
    colours = dict(re.findall(r"--([a-z]+):\s*(#[0-9a-f]{6})", light))
    if scheme == "dark":
        colours |= dict(re.findall(r"--([a-z]+):\s*(#[0-9a-f]{6})", rest.partition("}\n}")[0]))
    for ground in ("ground", "raised", "mark"):
        for ink in ("text", "muted", "accent", "good", "warn", "bad"):
            assert _contrast(colours[ink], colours[ground]) >= 4.5, (scheme, ink, ground)


def _contrast(a: str, b: str) -> float:
    """Return the contrast ratio of two colours by WCAG 2."""

    def luminance(colour: str) -> float:
        channels = [int(colour[i : i + 2], 16) / 255 for i in (1, 3, 5)]
        linear = [c / 12.92 if c <= 0.04045 else ((c + 0.055) / 1.055) ** 2.4 for c in channels]
        return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]

    high, low = sorted((luminance(a), luminance(b)), reverse=True)
    return (high + 0.05) / (low + 0.05)


def test_files_of_a_site_have_the_mode_that_the_umask_asks_for(tmp_path: Path) -> None:
    """Whoever shares the folder builds the site again: what was shipped with the program does not keep its modes."""
    store = Store(tmp_path / "store")
    store.write(Factory().measured(Cell("accuracy", "digits", "lif", "bptt", "mlp", budget="quick")))
    umask = 0o003
    before = os.umask(umask)
    try:
        build_site([store.root], tmp_path / "site")
    finally:
        os.umask(before)
    for path in (tmp_path / "site").rglob("*"):
        full = 0o777 if path.is_dir() else 0o666
        assert stat.S_IMODE(path.stat().st_mode) == full & ~umask, path


@pytest.mark.parametrize(("status", "told"), [(None, "no record was found"), ("crashed", "none of 1 records has one")])
def test_pages_without_a_figure_say_so_and_why(status: Status | None, told: str, tmp_path: Path) -> None:
    failed = [] if status is None else [record(Cell("accuracy", "digits", "lif", "bptt", "mlp"), status)]
    store = write_store(tmp_path / "store", failed, corrupt=False)
    store.mkdir(exist_ok=True)
    said = CliRunner().invoke(app, ["report", "--store", str(store), "--out", str(tmp_path / "site")])
    assert said.exit_code == 0, said.output
    assert "these pages are empty of figures" in said.output
    assert told in said.output
