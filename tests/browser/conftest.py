"""A headless Chromium and a site for it; without a Chromium the tests are skipped, or fail with --require-browser."""

from __future__ import annotations

import os
import shutil
import sys
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from harness.report.site import build_site

sys.path.append(str(Path(__file__).parents[1] / "harness"))
import synthetic

if TYPE_CHECKING:
    from playwright.sync_api import Browser
    from watching import Watched

VARIABLE = "SPIKEBOARD_CHROMIUM"
NAMES = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable")
FLAGS = (
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
)


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--require-browser", action="store_true", help="fail instead of skip if there is no Chromium")


@pytest.fixture(scope="session")
def browser(request: pytest.FixtureRequest) -> Iterator[Browser]:
    given = os.environ.get(VARIABLE)
    path = given or next((found for name in NAMES if (found := shutil.which(name))), None)
    if path is None or not Path(path).exists():
        reason = (
            f"no Chromium at {given} ({VARIABLE})"
            if given
            else f"no Chromium ({', '.join(NAMES)}): apt-get install chromium, or set {VARIABLE} to one's path"
        )
        if request.config.getoption("--require-browser", default=False):
            pytest.fail(reason, pytrace=False)
        pytest.skip(reason)
    playwright = pytest.importorskip("playwright.sync_api", reason="needs playwright: pip install 'spikeboard[test]'")
    with playwright.sync_playwright() as running:
        found = running.chromium.launch(executable_path=path, args=list(FLAGS))
        yield found
        found.close()


@pytest.fixture(scope="session")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return the folder of a site made of synthetic records."""
    folder = tmp_path_factory.mktemp("site")
    registry = synthetic.registry()
    store = synthetic.write_store(folder / "store", synthetic.everything(registry))
    return build_site([store], folder / "out", registry=registry, built_at=datetime(2026, 3, 5, tzinfo=UTC)).parent


@pytest.fixture
def watched(browser: Browser) -> Iterator[Watched]:
    """Yield a fresh page of a desktop's size; the test fails if the page had an error or went to a network."""
    from watching import Watched

    context = browser.new_context(viewport={"width": 1280, "height": 900})
    context.grant_permissions(["clipboard-read", "clipboard-write"])
    context.set_default_timeout(10_000)
    found = Watched(context.new_page())
    yield found
    context.close()
    assert not found.errors
    assert all(url.startswith(("file://", "data:", "blob:")) for url in found.requests)
