"""What commands cost on stores of a hundred thousand records, and of a million: printed beside the aim, never asserted.

``python -m nox -s perf -- tests/perf/test_large_stores.py`` makes a hundred thousand from the published records, packed
as ``publish`` leaves them; a million, which takes minutes and 4 GB of disk, with ``SPIKEBOARD_PERF_MILLION=1``.
"""

from __future__ import annotations

import os
import resource
import shutil
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from multiplied import multiply

from harness.paths import PUBLISHED

ROOT = Path(__file__).resolve().parents[2]
COMMAND = [sys.executable, "-c", "from harness.cli import main; main()"]
MILLION = os.environ.get("SPIKEBOARD_PERF_MILLION") == "1"
Measure = Callable[..., str]

pytestmark = [pytest.mark.perf, pytest.mark.timeout(3600)]


@pytest.fixture(scope="module")
def caches(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("caches")


@pytest.fixture(scope="module")
def large(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    yield from made(tmp_path_factory, 100_000)


@pytest.fixture(scope="module")
def huge(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    if not MILLION:
        pytest.skip("takes minutes: set SPIKEBOARD_PERF_MILLION=1")
    yield from made(tmp_path_factory, 1_000_000)


def made(factory: pytest.TempPathFactory, count: int) -> Iterator[Path]:
    """Yield a folder as a checkout has it, with `count` records published."""
    checkout = factory.mktemp(f"of-{count}")
    multiply(ROOT / PUBLISHED, checkout / PUBLISHED, count)
    yield checkout
    shutil.rmtree(checkout)


@pytest.fixture
def measure(caches: Path, capsys: pytest.CaptureFixture[str]) -> Measure:
    """Run a verb in a checkout, and print what it took beside the aim."""

    def run(checkout: Path, aim: str, *words: str) -> str:
        environment = os.environ | {"XDG_CACHE_HOME": str(caches), "PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1"}
        start, before = time.perf_counter(), resource.getrusage(resource.RUSAGE_CHILDREN)
        done = subprocess.run([*COMMAND, *words], cwd=checkout, env=environment, capture_output=True, text=True)
        seconds, after = time.perf_counter() - start, resource.getrusage(resource.RUSAGE_CHILDREN)
        assert done.returncode == 0, done.stderr
        processor = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
        with capsys.disabled():
            print(
                f"\n{' '.join(words)}: {seconds:.2f} s ({processor:.2f} s of processor time), the largest so far "
                f"{after.ru_maxrss / 2**20:.2f} GiB; aim: {aim}"
            )
        return done.stdout

    return run


def test_tables_of_a_large_store(large: Path, measure: Measure) -> None:
    cold = measure(large, "once, the index is made", "table", "--board", "neurons")
    assert measure(large, "3 s, 1 GiB", "table", "--board", "neurons") == cold
    assert cold.count("Neuron models: ") > 100
    assert "bptt" in measure(large, "3 s", "table", "--board", "methods", "--task", "digits")


def test_plans_beside_a_large_store(large: Path, measure: Measure) -> None:
    said = measure(large, "3 s", "run", "--dry-run", "--neuron", "lif", "--preset", "neurons")
    assert "cells to measure" in said
    said = measure(large, "5 s", "run", "--dry-run", "--neuron", "lif", "--preset", "full")
    assert int(said.split(" combinations impossible")[0].split(", ")[-1].replace(",", "")) > 1_000_000


def test_the_pages_of_a_large_store(large: Path, measure: Measure) -> None:
    measure(large, "60 s", "report", "--out", "site")
    files = [path for path in (large / "site").rglob("*") if path.is_file()]
    assert max(path.stat().st_size for path in files) < 50e6
    assert len(files) < 2000


def test_a_large_page_is_soon_usable(large: Path, measure: Measure, capsys: pytest.CaptureFixture[str]) -> None:
    """Until the table of a board's largest page can be sorted and searched, in a headless Chromium."""
    playwright = pytest.importorskip("playwright.sync_api")
    chromium = os.environ.get("SPIKEBOARD_CHROMIUM") or shutil.which("chromium") or shutil.which("google-chrome")
    if chromium is None:
        pytest.skip("no Chromium: set SPIKEBOARD_CHROMIUM to one's path")
    site = large / "site"
    if not (site / "index.html").is_file():
        measure(large, "60 s", "report", "--out", "site")
    compared = [path for path in site.glob("board-*.html") if 'class="table current"' in path.read_text("utf-8")]
    page_file = max(compared, key=lambda path: path.stat().st_size)
    with playwright.sync_playwright() as driver:
        browser = driver.chromium.launch(executable_path=chromium, args=["--no-sandbox", "--disable-gpu"])
        page = browser.new_page()
        start = time.perf_counter()
        page.goto(page_file.as_uri())
        page.wait_for_selector("section.table.current .dt-container, section.table.current table.dataTable")
        seconds = time.perf_counter() - start
        browser.close()
    with capsys.disabled():
        print(f"\n{page_file.name} ({page_file.stat().st_size / 1e6:.1f} MB): usable after {seconds:.2f} s; aim: 2 s")


def test_one_table_of_a_million(huge: Path, measure: Measure) -> None:
    words = ("table", "--board", "neurons", "--task", "digits", "--machine", "made-up-0")
    cold = measure(huge, "once, the index is made", *words)
    assert measure(huge, "10 s", *words) == cold
    assert "Neuron models: digits" in cold
