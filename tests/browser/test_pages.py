"""The pages in a real browser, over file://: what a reader does with mouse, keyboard, phone and dark mode."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from watching import Watched

pytestmark = pytest.mark.browser

STEP = "throughput.train_step_seconds"
NEURONS = "board-neurons.html"
TABLE = "digits.bptt.mlp.quick.intel-xeon-2c"


def opened(watched: Watched, site: Path, address: str = NEURONS) -> Any:
    page = watched.page
    page.goto(f"{(site / address.partition('#')[0]).as_uri()}{''.join(address.partition('#')[1:])}")
    page.wait_for_function("document.readyState === 'complete'")
    return page


def names(page: Any) -> list[str]:
    """Return the rows of the table that is shown, in their order."""
    return page.locator("section.current table.board > tbody > tr > th.name .who").all_inner_texts()


def orders(page: Any, column: str) -> list[float | None]:
    """Return the exact figures of a column as they are shown; None for a blank."""
    script = """column => {
        const section = document.querySelector("section.current");
        const index = [...section.querySelectorAll("thead th")].findIndex((head) => head.dataset.name === column);
        return [...section.querySelectorAll("tbody tr")].map((row) => row.cells[index].dataset.order);
    }"""
    return [float(text) if text else None for text in page.evaluate(script, column)]


def head(page: Any, column: str) -> Any:
    return page.locator(f"section.current th[data-name='{column}']")


def wait_for_hash(page: Any, part: str) -> None:
    page.wait_for_function("part => decodeURIComponent(location.hash).includes(part)", arg=part)


def drawn(page: Any) -> None:
    """Scroll through the page until every plot that can be seen is drawn."""
    for canvas in page.locator("[data-plot]:visible").all():
        canvas.scroll_into_view_if_needed()
        page.wait_for_function("canvas => canvas.querySelector('.scatterlayer .trace')", arg=canvas.element_handle())


def one_of_each_kind(pages: list[Path]) -> list[Path]:
    """Return the longest page of every kind: the word that its name begins with."""
    return list(
        {path.stem.partition("-")[0]: path for path in sorted(pages, key=lambda path: path.stat().st_size)}.values()
    )


@pytest.mark.parametrize("which", [one_of_each_kind, pytest.param(sorted, marks=pytest.mark.slow)])
def test_every_page_loads_without_an_error(
    watched: Watched, site: Path, which: Callable[[list[Path]], list[Path]]
) -> None:
    pages = list(site.glob("*.html"))
    assert len(pages) > 30
    for path in which(pages):
        page = opened(watched, site, path.name)
        assert page.locator("h1").inner_text()
        assert not watched.errors, path.name
        overflow = page.evaluate("document.documentElement.scrollWidth - document.documentElement.clientWidth")
        assert overflow == 0, path.name


def test_sorting_by_mouse(watched: Watched, site: Path) -> None:
    page = opened(watched, site)
    before = names(page)
    head(page, STEP).click()
    wait_for_hash(page, f"sort={STEP}.asc")
    figures = orders(page, STEP)
    measured = [figure for figure in figures if figure is not None]
    assert measured == sorted(measured)
    assert figures[: len(measured)] == measured, "blanks are last"
    assert len(measured) < len(figures)
    assert head(page, STEP).get_attribute("aria-sort") == "ascending"
    head(page, STEP).click()
    wait_for_hash(page, f"sort={STEP}.desc")
    assert orders(page, STEP)[: len(measured)] == sorted(measured, reverse=True)
    assert orders(page, STEP)[len(measured) :] == [None] * (len(figures) - len(measured)), "blanks are last again"
    head(page, STEP).click()
    page.wait_for_function("!location.hash.includes('sort')")
    assert names(page) == before


@pytest.mark.parametrize("key", ["Enter", "Space"])
def test_sorting_by_keyboard(watched: Watched, site: Path, key: str) -> None:
    page = opened(watched, site)
    button = head(page, "name").locator("[role=button]")
    page.locator("#verified").focus()
    for _ in range(12):
        page.keyboard.press("Tab")
        if button.evaluate("button => button === document.activeElement"):
            break
    assert button.evaluate("button => button === document.activeElement")
    outline = head(page, "name").evaluate("head => getComputedStyle(head).outlineStyle")
    assert outline == "solid", "focus can be seen"
    page.keyboard.press(key)
    wait_for_hash(page, "sort=name.asc")
    assert names(page) == sorted(names(page), key=str.lower)


def test_the_first_stop_of_the_keyboard_skips_to_the_content(watched: Watched, site: Path) -> None:
    page = opened(watched, site)
    page.keyboard.press("Tab")
    assert page.evaluate("document.activeElement.getBoundingClientRect().left") >= 0
    assert page.evaluate("document.activeElement.getAttribute('href')") == "#main"


def test_searching_and_filtering(watched: Watched, site: Path) -> None:
    page = opened(watched, site)
    everything = names(page)
    page.fill("#search", "psn")
    wait_for_hash(page, "q=psn")
    assert set(names(page)) == {"psn", "mpe-psn", "mpe-psn-unshifted"}
    assert page.inner_text("#shown") == f"3 of {len(everything)} rows"
    page.fill("#search", "no such row")
    page.wait_for_selector("text=No row has this")
    page.fill("#search", "")
    page.check("#verified")
    wait_for_hash(page, "verified=1")
    assert set(everything) - set(names(page)) >= {"klif"}
    page.uncheck("#verified")
    page.wait_for_function(f"document.querySelector('#shown').textContent === '{len(everything)} rows'")


def test_selectors_choose_the_table(watched: Watched, site: Path) -> None:
    page = opened(watched, site)
    assert page.locator("section.current").get_attribute("id") == TABLE
    page.select_option("select[data-axis=task]", "mnist")
    wait_for_hash(page, "mnist.bptt.mlp.quick.intel-xeon-2c")
    assert page.inner_text("section.current h2").startswith("mnist, bptt, mlp, quick")
    assert page.locator("section.table:not(.folded):visible").count() == 1
    # A value that exists only with others takes them along.
    page.select_option("select[data-axis=machine]", "nvidia-h200-xeon-16c")
    assert page.input_value("select[data-axis=task]") == "digits"
    assert page.input_value("select[data-axis=device]") == "cuda"
    page.go_back()
    wait_for_hash(page, "mnist")
    assert page.input_value("select[data-axis=task]") == "mnist"


def test_the_address_restores_everything(watched: Watched, site: Path) -> None:
    page = opened(watched, site)
    page.select_option("select[data-axis=task]", "digits-rows")
    head(page, STEP).click()
    head(page, STEP).click()
    wait_for_hash(page, f"sort={STEP}.desc")
    page.fill("#search", "if")
    wait_for_hash(page, "q=if")
    address, shown = page.url, names(page)
    other = page.context.new_page()
    other.goto(address)
    assert names(other) == shown
    assert other.input_value("#search") == "if"
    assert other.input_value("select[data-axis=task]") == "digits-rows"
    assert head(other, STEP).get_attribute("aria-sort") == "descending"


@pytest.mark.parametrize("broken", ["#%E0%A4%A", "#no-such-table?sort=nothing.asc", f"#{TABLE}?sort=x&q=%3Cb%3E"])
def test_a_broken_address_shows_the_page_all_the_same(watched: Watched, site: Path, broken: str) -> None:
    page = opened(watched, site, NEURONS + broken)
    assert page.locator("section.current").get_attribute("id") == TABLE


def test_a_row_can_be_linked_to(watched: Watched, site: Path) -> None:
    page = opened(watched, site, f"{NEURONS}#{TABLE}~psu.mlp")
    row = page.locator(f"[id='{TABLE}~psu.mlp']")
    assert row.evaluate("row => row.classList.contains('found')")
    box = row.bounding_box()
    assert box
    assert 0 <= box["y"] < 900


def test_a_link_into_a_fold_opens_it(watched: Watched, site: Path) -> None:
    page = opened(watched, site, "board-methods.html")
    anchor = page.locator("section.folded").first.get_attribute("id")
    assert not page.locator("section.folded").first.is_visible()
    page = opened(watched, site, f"board-methods.html#{anchor}")
    page.reload()
    assert page.locator("section.folded").first.is_visible()


def test_following_a_link_to_an_implementation_and_back(watched: Watched, site: Path) -> None:
    page = opened(watched, site)
    page.fill("#search", "psn")
    wait_for_hash(page, "q=psn")
    page.locator("section.current th.name a", has_text=re.compile("^psn$")).click()
    page.wait_for_url("**/neuron-psn.html")
    assert page.inner_text("h1").startswith("PSN")
    page.locator("#places a").first.click()
    page.wait_for_url("**/board-*.html#*")
    page.go_back()
    page.go_back()
    page.wait_for_url(f"**/{NEURONS}#*")
    page.wait_for_function("document.querySelector('#search').value === 'psn'")
    assert set(names(page)) == {"psn", "mpe-psn", "mpe-psn-unshifted"}


def test_a_figure_says_where_it_comes_from(watched: Watched, site: Path) -> None:
    page = opened(watched, site)
    figure = page.locator(f"[id='{TABLE}~lif.mlp'] td.figure > a").first
    figure.focus()
    page.keyboard.press("Enter")
    card = page.locator("#origin")
    assert card.is_visible()
    for part in ("exactly 0.0", "95 % interval", "over 3 seeds", "rank 1", "intel-xeon-2c", "spikeboard run --suite"):
        assert part in card.inner_text()
    box = card.bounding_box()
    assert box
    assert box["x"] >= 0
    assert box["x"] + box["width"] <= 1280
    record = card.locator("a").get_attribute("href")
    card.locator("button").click()
    assert "--again" in page.evaluate("navigator.clipboard.readText()")
    page.keyboard.press("Escape")
    assert not card.is_visible()
    assert figure.evaluate("figure => figure === document.activeElement"), "focus goes back to the figure"
    page.goto(record)
    assert '"cell_id"' in page.inner_text("body")


def test_ages_are_told_by_the_readers_clock(watched: Watched, site: Path) -> None:
    watched.page.clock.set_fixed_time("2026-03-12T12:00:00Z")
    page = opened(watched, site, "index.html")
    assert "2026-03-02 (10 days ago)" in page.inner_text(".state")


def test_latex_is_copied(watched: Watched, site: Path) -> None:
    page = opened(watched, site)
    page.locator("section.current .downloads button").click()
    text = page.evaluate("navigator.clipboard.readText()")
    assert text.startswith("% needs \\usepackage{booktabs}")
    assert "\n\\begin{table}" in text
    assert text.rstrip().endswith("\\end{table}")


def test_plots_are_drawn_and_lead_to_pages(watched: Watched, site: Path) -> None:
    page = opened(watched, site)
    drawn(page)
    assert page.locator("section.current [data-plot=pareto]").count() == 4
    assert page.locator("section.current [data-plot=series]").count() == 2
    plot = page.locator("section.current [data-plot=pareto]").first
    assert plot.locator(".scatterlayer .point").count() >= 8
    assert plot.locator(".textpoint", has_text="lif").count() >= 1
    plot.scroll_into_view_if_needed()
    point = plot.locator(".scatterlayer .trace").last.locator(".point").first.bounding_box()
    assert point
    page.mouse.move(point["x"] + point["width"] / 2, point["y"] + point["height"] / 2)
    page.wait_for_selector("section.current .hoverlayer .hovertext")
    page.mouse.click(point["x"] + point["width"] / 2, point["y"] + point["height"] / 2)
    page.wait_for_url(re.compile(r"/neuron-[a-z-]+\.html$"))


def test_curves_are_drawn_when_they_are_opened(watched: Watched, site: Path) -> None:
    page = opened(watched, site, "neuron-lif.html")
    drawn(page)
    first = page.locator("[data-plot=series].drawn").count()
    assert first >= 1
    page.locator("details.curves:not([open]) summary").first.click()
    drawn(page)
    assert page.locator("[data-plot=series].drawn").count() > first


def test_hostile_text_is_not_run(watched: Watched, site: Path) -> None:
    page = watched.page
    dialogs: list[str] = []
    page.on("dialog", lambda dialog: (dialogs.append(dialog.message), dialog.dismiss()))
    opened(watched, site)
    page.fill("#search", "script")
    page.locator("section.current td.figure > a[data-cell]").first.click()
    drawn(page)
    opened(watched, site, "neuron-klif.html")
    opened(watched, site, "neuron-mpe-psn.html")
    assert not dialogs
    assert page.locator("text=<script>alert(1)</script>").count() > 0


@pytest.mark.parametrize(
    ("scheme", "address"),
    [
        *(("light", page) for page in ("index.html", NEURONS, "neuron-lif.html", "about.html", "implementations.html")),
        ("dark", NEURONS),  # one sheet of colours for all
        *(
            pytest.param("dark", page, marks=pytest.mark.slow)
            for page in ("index.html", "neuron-lif.html", "about.html", "implementations.html")
        ),
    ],
)
def test_a_phone_shows_the_page_without_sideways_scrolling(
    watched: Watched, site: Path, address: str, scheme: Any, tmp_path: Path
) -> None:
    page = watched.page
    page.set_viewport_size({"width": 360, "height": 740})
    page.emulate_media(color_scheme=scheme)
    opened(watched, site, address)
    drawn(page)
    assert page.evaluate("document.documentElement.scrollWidth") == 360
    wide = page.locator(".scroll:visible").first
    if wide.count() and wide.evaluate("box => box.scrollWidth > box.clientWidth"):
        wide.evaluate("box => { box.scrollLeft = 200; }")
        name = page.locator(".scroll:visible tbody th").first.bounding_box()
        assert name
        if address in (NEURONS, "implementations.html"):
            assert 0 <= name["x"] < 80, "the name stays in view"
    ground = page.evaluate("getComputedStyle(document.documentElement).backgroundColor")
    assert ground == ("rgb(20, 23, 27)" if scheme == "dark" else "rgb(255, 255, 255)")
    page.screenshot(path=tmp_path / "phone.png", full_page=True)


def test_plots_follow_the_colour_scheme(watched: Watched, site: Path) -> None:
    page = watched.page
    page.emulate_media(color_scheme="light")
    opened(watched, site)
    drawn(page)
    ink = "getComputedStyle(document.querySelector('section.current .xtitle')).fill"
    light = page.evaluate(ink)
    page.emulate_media(color_scheme="dark")
    page.wait_for_function(f"{ink} !== '{light}'")
    assert page.evaluate(ink) == "rgb(228, 232, 236)"


def test_the_page_is_whole_without_javascript(browser: Any, site: Path) -> None:
    context = browser.new_context(java_script_enabled=False)
    page = context.new_page()
    page.goto((site / NEURONS).as_uri())
    assert (
        page.locator("section.table:not(.folded)").count()
        == page.locator("section.table:not(.folded):visible").count()
        > 1
    )
    assert not page.locator(".toolbar").is_visible()
    assert page.locator("section.table").first.locator("tbody tr").count() > 10
    context.close()


def test_printing_keeps_the_table(watched: Watched, site: Path) -> None:
    page = opened(watched, site)
    page.emulate_media(media="print")
    assert page.locator("section.current table.board").is_visible()
    assert not page.locator(".toolbar").is_visible()
