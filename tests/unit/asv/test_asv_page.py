"""asv's page with everything that it needs beside it, and descriptions of machines that stay as they are."""

from __future__ import annotations

import json
import re
import shutil
from pathlib import Path

import pytest

pytest.importorskip("asv")

import asv
from asv.machine import MachineCollection
from synthetic import GPU, LAPTOP

from harness.asv import machines, page
from harness.asv.machines import describe, register
from harness.asv.page import LIBRARIES, make_self_contained
from harness.errors import UserError

VENDOR = Path(page.__file__).parent / "vendor"
LOADS = re.compile(r'<(?:script|link)\b[^>]*?(?:src|href)="([^"]+)"', re.DOTALL)


@pytest.fixture
def pages(tmp_path: Path) -> Path:
    """Return asv's own pages, as they come, with some data."""
    shutil.copytree(Path(asv.__file__).parent / "www", tmp_path / "asv")
    (tmp_path / "asv" / "index.json").write_text('{"benchmarks": {}}')
    (tmp_path / "asv" / "regressions.xml").write_text("<feed/>")
    (tmp_path / "asv" / "graphs" / "machine-a b").mkdir(parents=True)
    (tmp_path / "asv" / "graphs" / "machine-a b" / "x.json").write_text("[[1, 2.0]]")
    return tmp_path / "asv"


def test_nothing_is_loaded_from_a_network(pages: Path) -> None:
    before = LOADS.findall((pages / "index.html").read_text())
    assert {address for address in before if "//" in address} == set(LIBRARIES)
    make_self_contained(pages)
    after = LOADS.findall((pages / "index.html").read_text())
    assert len(after) == len(before) + 1
    for address in after:
        assert "//" not in address
        assert (pages / address).is_file(), address
    assert "integrity" not in (pages / "index.html").read_text()
    for sheet in pages.rglob("*.css"):
        assert not re.search(r"@import|url\([\"']?(https?:)?//", sheet.read_text(encoding="utf-8")), sheet


def test_there_is_a_way_out(pages: Path) -> None:
    make_self_contained(pages, "../../board.html")
    assert '<li><a href="../../board.html">Leaderboard</a></li>' in (pages / "index.html").read_text()


def test_data_can_be_loaded_as_scripts(pages: Path) -> None:
    make_self_contained(pages)
    assert (pages / "graphs" / "machine-a b" / "x.json.js").read_text() == "asvData([[1, 2.0]]);\n"
    assert (pages / "index.json.js").is_file()


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("jquery-3.3.1", "jquery-9.9.9"),
        ('src="asv.js"', 'src="bundle.js"'),
        ('id="nav-li-"', 'id="home"'),
    ],
)
def test_a_page_of_another_asv_is_refused(pages: Path, old: str, new: str) -> None:
    index = pages / "index.html"
    assert old in index.read_text()
    index.write_text(index.read_text().replace(old, new))
    with pytest.raises(UserError, match="not the one this Spikeboard knows"):
        make_self_contained(pages)


def test_every_library_is_there_with_its_licence() -> None:
    readme = (VENDOR / "README.md").read_text(encoding="utf-8")
    for file in LIBRARIES.values():
        assert (VENDOR / file).is_file()
    folders = {path.name for path in VENDOR.iterdir() if path.is_dir()}
    assert folders == {file.partition("/")[0] for file in LIBRARIES.values()}
    for folder in folders:
        assert f"`{folder}`" in readme
        texts = [path.read_text(encoding="utf-8") for path in (VENDOR / folder).iterdir()]
        assert any("MIT" in text or "Permission is hereby granted" in text for text in texts), folder


def test_a_machine_has_fixed_strings(tmp_path: Path) -> None:
    described = describe(GPU, tmp_path)
    assert described["machine"] == "nvidia-h200-xeon-16c"
    assert (described["gpu"], describe(LAPTOP, tmp_path)["gpu"]) == ("NVIDIA H200", "none")
    assert (described["os"], described["arch"], described["ram"]) == ("Linux", "x86_64", "16 GiB")
    assert all(isinstance(value, str) for value in described.values())
    assert "570.1" not in described.values(), "a new driver must not split a history"


def test_what_is_known_of_a_machine_stands(tmp_path: Path) -> None:
    folder = tmp_path / LAPTOP.name
    folder.mkdir()
    known = {"machine": LAPTOP.name, "ram": "15 GiB", "num_cpu": 2, "note": "kept", "version": 1}
    (folder / machines.FILE).write_text(json.dumps(known))
    newer = LAPTOP.model_copy(update={"memory_bytes": 32 * 2**30, "os": "Linux 7"})
    assert describe(newer, tmp_path) == {"machine": LAPTOP.name, "ram": "15 GiB", "num_cpu": "2", "note": "kept"}
    (folder / machines.FILE).write_text("{")
    with pytest.raises(UserError, match="restore it with git"):
        describe(newer, tmp_path)


def test_asv_is_told_of_the_machine(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    register(GPU, tmp_path)
    assert MachineCollection.load(GPU.name) == describe(GPU, tmp_path)
    (tmp_path / ".asv-machine.json").write_text("{")
    with pytest.raises(UserError, match="mend or delete"):
        register(GPU, tmp_path)
