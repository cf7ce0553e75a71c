"""asv's pages in a real browser, over file://: no network, graphs drawn, and ways to and from the leaderboard."""

from __future__ import annotations

import re
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

pytest.importorskip("asv")

from history import around, cell, figure, make_repository, measured_at
from synthetic import registry

from harness.asv.runs import open_tree, publish
from harness.asv.series import graphs_over_commits
from harness.report.site import build_site

if TYPE_CHECKING:
    from watching import Watched

pytestmark = pytest.mark.browser

COMMITS = 6


@pytest.fixture(scope="module")
def both(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return the folder of a leaderboard with asv's pages beside it."""
    repository = make_repository(tmp_path_factory.mktemp("asv") / "clone", COMMITS)
    records = []
    for number, commit in enumerate(repository.commits):
        for neuron in ("if", "lif", "psn"):
            seconds = 2e-3 * (2 if neuron == "lif" and number > 2 else 1)
            steps = figure("throughput", "train_step_seconds", seconds, around(seconds))
            records.append(measured_at(commit, cell("throughput", neuron), steps))
            saved = figure("memory", "saved_bytes", 1e5)
            records.append(measured_at(commit, cell("memory", neuron), saved))
    store = repository.write(records)
    tree = open_tree(repository.root)
    publish(tree, [store], registry())
    return build_site(
        [store], tree.pages.parent, registry=registry(), over_commits=graphs_over_commits(tree.pages)
    ).parent


def test_benchmarks_are_shown_and_lead_back(watched: Watched, both: Path) -> None:
    page = watched.page
    page.goto((both / "asv" / "index.html").as_uri())
    page.wait_for_selector(".benchmark-plot canvas")
    shown = page.locator("#summarygrid-display").inner_text()
    assert "track_train_step_seconds" in shown
    assert "track_saved_bytes" in shown
    page.get_by_role("link", name="Leaderboard").click()
    page.wait_for_url("**/site/index.html")
    assert page.locator("h1").inner_text()
    page.get_by_role("link", name="Over commits").first.click()
    page.wait_for_url("**/asv/index.html")


def test_a_row_leads_to_its_own_line(watched: Watched, both: Path) -> None:
    page = watched.page
    page.goto((both / "neuron-lif.html").as_uri())
    page.locator("#measured").get_by_role("link", name="over commits", exact=True).first.click()
    page.wait_for_selector("#main-graph canvas")
    assert "intel-xeon-2c" in page.url
    chosen = page.locator("#graphdisplay-navigation-params .btn.active")
    assert [text for text in chosen.all_inner_texts() if "bptt" in text] == ["lif bptt mlp digits quick"]
    page.wait_for_function("document.querySelectorAll('#graph-display canvas').length > 1")


def test_regressions_are_listed(watched: Watched, both: Path) -> None:
    page = watched.page
    page.goto((both / "asv" / "index.html").as_uri() + "#regressions")
    page.wait_for_selector("#regressions-body table")
    rows_shown = page.locator("#regressions-body tr", has_text=re.compile("lif"))
    assert rows_shown.count() == 1
    assert "2.00" in rows_shown.inner_text() or "100" in rows_shown.inner_text()
