"""The first screen and the tables' tools in a real browser: choosing, addresses, folding columns, heads that stick."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from test_pages import NEURONS, drawn, opened, wait_for_hash

if TYPE_CHECKING:
    from watching import Watched

pytestmark = pytest.mark.browser


def sentence(page: Any) -> str:
    text: str = page.locator("#sentence").inner_text()
    return text


def test_choosing_changes_answer_plot_map_and_address(watched: Watched, site: Path) -> None:
    page = opened(watched, site, "index.html")
    before = sentence(page)
    assert before.startswith("For images")
    drawn(page)
    assert page.locator("[data-plot-key]:visible").count() == 1
    page.select_option("select[name=choose]", "method")
    page.select_option("select[name=property]", "online")
    assert sentence(page) != before
    assert "--choose method --online" in page.locator("#same").inner_text()
    wait_for_hash(page, "choose=method")
    assert page.locator("section.map:visible").evaluate_all("maps => maps.map((map) => map.dataset.choose)") == [
        "method"
    ]
    drawn(page)
    assert page.locator("option[value=binary]").first.evaluate("option => option.disabled")
    after = sentence(page)
    page.reload()
    assert sentence(page) == after
    page.select_option("select[name=kind]", "sound")
    assert "nothing current has been measured" in sentence(page)
    assert page.locator("#no-plot").is_visible()
    assert not watched.errors
    assert all(address.startswith("file:") for address in watched.requests)


def test_the_first_answer_stands_there_without_javascript_and_in_print(
    browser: Any, watched: Watched, site: Path
) -> None:
    context = browser.new_context(java_script_enabled=False)
    plain = context.new_page()
    plain.goto((site / "index.html").as_uri())
    assert plain.locator("#sentence").inner_text().startswith("For images")
    assert not plain.locator("#ask").is_visible()
    assert plain.locator("section.map").count() == plain.locator("section.map:visible").count() > 0
    context.close()
    page = opened(watched, site, "index.html")
    page.emulate_media(media="print")
    assert page.locator("#sentence").is_visible()
    assert page.locator("table.heat").first.is_visible()
    assert not page.locator("#ask").is_visible()


def test_columns_fold_and_come_back(watched: Watched, site: Path) -> None:
    page = opened(watched, site)
    head = page.locator("section.current th[data-name='spikes.energy_joules']")
    assert head.count() == 1
    page.locator("section.current .picker > summary").click()
    box = page.locator("section.current input[data-column='spikes.energy_joules']")
    box.uncheck()
    assert head.count() == 0
    assert "folded" in page.locator("section.current .picker > summary").inner_text()
    # Sorting by a column behind the folded one keeps its name in the address.
    page.locator("section.current th[data-name='accuracy.error_fraction'] .dt-column-order").click()
    wait_for_hash(page, "sort=accuracy.error_fraction")
    box.check()
    assert head.count() == 1
    assert not watched.errors


def test_the_head_of_a_long_table_stays_in_sight_and_the_plot_comes_first(watched: Watched, site: Path) -> None:
    page = opened(watched, site)
    plot = page.locator("section.current .lead-plots").bounding_box()
    scroll = page.locator("section.current .scroll")
    table = scroll.bounding_box()
    assert plot
    assert table
    assert plot["y"] < table["y"]
    page.set_viewport_size({"width": 1280, "height": 420})
    scroll.scroll_into_view_if_needed()
    scroll.evaluate("box => { box.scrollTop = 300; }")
    assert scroll.evaluate("box => box.scrollTop") > 0
    head = page.locator("section.current th[data-name='accuracy.error_fraction']").bounding_box()
    box = scroll.bounding_box()
    assert head
    assert box
    assert abs(head["y"] - box["y"]) < 3
    page.emulate_media(media="print")
    assert scroll.evaluate("box => box.scrollHeight <= box.clientHeight + 1")
    assert NEURONS in page.url
