"""The pages as files: complete, escaped, linked to what exists, and without anything from a network."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from collections import Counter
from datetime import UTC, datetime
from html.parser import HTMLParser
from pathlib import Path
from typing import NamedTuple
from urllib.parse import unquote

import pytest
import synthetic

from harness.boards import BOARDS
from harness.cards import Rows
from harness.cell import Cell
from harness.errors import UserError
from harness.record import Record
from harness.report import board_view, site
from harness.report.formats import column_scale
from harness.report.links import implementation_page
from harness.report.site import build_site
from harness.report.units import with_interval
from harness.tables import build_tables

VOID = {"meta", "link", "img", "input", "br", "hr"}
BUILT_AT = datetime(2026, 3, 5, tzinfo=UTC)


class Page(HTMLParser):
    """A page taken apart: what it links to, what can be linked to, what it loads, and whether its tags are paired."""

    def __init__(self, path: Path) -> None:
        super().__init__(convert_charrefs=True)
        self.path = path
        self.source = path.read_text(encoding="utf-8")
        self.ids: Counter[str] = Counter()
        self.links: list[str] = []
        self.loads: list[str] = []
        self.scripts: list[tuple[str, str]] = []
        self.text = ""
        self.problems: list[str] = []
        self._open: list[str] = []
        self.feed(self.source)
        self.close()
        self.problems += [f"<{tag}> is never closed" for tag in self._open]

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        given = dict(attrs)
        if len(given) != len(attrs):
            self.problems.append(f"<{tag}> has an attribute twice")
        if given.get("id"):
            self.ids[str(given["id"])] += 1
        if tag == "a" and given.get("href"):
            self.links.append(str(given["href"]))
        if tag in ("script", "img", "iframe", "source") and given.get("src"):
            self.loads.append(str(given["src"]))
        if tag == "link":
            self.loads.append(str(given["href"]))
        if tag == "script":
            self.scripts.append((str(given.get("type", "")), ""))
        self.problems += [f"<{tag}> handles {name}" for name, value in attrs if name.startswith("on") and tag != "form"]
        if tag not in VOID:
            self._open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        if not self._open or self._open[-1] != tag:
            self.problems.append(f"</{tag}> at {self.getpos()} closes {self._open[-1:]}")
        else:
            self._open.pop()

    def handle_data(self, data: str) -> None:
        if self._open and self._open[-1] == "script":
            kind, text = self.scripts.pop()
            self.scripts.append((kind, text + data))
        else:
            self.text += data


class Site(NamedTuple):
    root: Path
    pages: dict[str, Page]
    records: list[Record]
    rows: Rows


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory) -> Site:
    folder = tmp_path_factory.mktemp("site")
    rows = synthetic.rows()
    records = synthetic.everything(rows)
    store = synthetic.write_store(folder / "store", records)
    out = folder / "out"
    (out / "asv").mkdir(parents=True)
    (out / "asv" / "index.html").write_text("asv")
    index = build_site([store], out, rows=rows, built_at=BUILT_AT)
    assert index == out / "index.html"
    return Site(out, {path.name: Page(path) for path in sorted(out.glob("*.html"))}, records, rows)


def test_there_is_a_page_for_everything(built: Site) -> None:
    rows = built.rows
    wanted = {"index.html", "about.html", "implementations.html", *(f"board-{board.name}.html" for board in BOARDS)}
    for kind in (rows.neurons, rows.methods, rows.topologies, rows.peers, rows.tasks):
        wanted |= {implementation_page(row.kind, row.name) for row in kind.values()}
    assert wanted <= set(built.pages)


def test_tags_are_paired_and_ids_unique(built: Site) -> None:
    for name, page in built.pages.items():
        assert not page.problems, name
        assert not [key for key, times in page.ids.items() if times > 1], name


def test_every_link_leads_somewhere(built: Site) -> None:
    for name, page in built.pages.items():
        for link in page.links:
            if re.match(r"https?://", link):
                continue
            path, _, anchor = unquote(link).partition("#")
            target = built.root / path if path else page.path
            assert target.is_file(), f"{name}: {link}"
            if anchor and target.suffix == ".html":
                other = built.pages[target.name]
                assert anchor in other.ids, f"{name}: {link}"


def test_nothing_is_loaded_from_a_network(built: Site) -> None:
    for name, page in built.pages.items():
        for address in page.loads:
            assert "//" not in address, name
            assert (built.root / address).is_file(), f"{name}: {address}"
        assert not re.search(r"src=[\"']?(https?:)?//", page.source), name
    for sheet in (built.root / "static").rglob("*.css"):
        assert not re.search(r"@import|url\(", sheet.read_text(encoding="utf-8")), sheet
    for script in ("site.js", "plots.js"):
        assert "http" not in (built.root / "static" / script).read_text(encoding="utf-8")


def test_links_outside_are_plain_addresses(built: Site) -> None:
    outside = {link for page in built.pages.values() for link in page.links if ":" in link.split("#")[0]}
    assert any(link.startswith("https://arxiv.org/abs/") for link in outside)
    assert all(re.fullmatch(r"https?://[^\s\"'<>]+", link) for link in outside)


def test_hostile_text_stays_text(built: Site) -> None:
    seen = 0
    for page in built.pages.values():
        assert "<script>alert" not in page.source
        for kind, text in page.scripts:
            if kind == "application/json":
                json.loads(text)
            else:
                assert text in ("", 'document.documentElement.className = "js";')
        seen += synthetic.HOSTILE in page.text
    assert seen >= 3
    assert not (built.root.parent / "escape").exists()


def test_ties_ranks_and_best_are_marked(built: Site) -> None:
    row = _row(built.pages["board-neurons.html"], "digits.bptt.mlp.quick.intel-xeon-2c~psn.mlp")
    assert '<td class="rank" data-order="1">1 =</td>' in row
    assert 'class="figure best"' in row
    for words in (
        "exactly 0.0",
        "95 % interval",
        "over 3 seeds",
        "rank 1, shared with",
        "measured 2026-03-02 on intel",
    ):
        assert words in row
    assert row.count('class="whisker"') == 1


def test_a_row_that_is_not_verified_is_marked_and_its_speed_not_ranked(built: Site) -> None:
    row = _row(built.pages["board-neurons.html"], "digits.bptt.mlp.quick.intel-xeon-2c~klif.mlp")
    assert 'data-verified="false"' in row
    assert "not verified</a>" in row
    assert 'class="figure unranked"' in row
    assert "not ranked: conformance was not passed" in row
    verified = _row(built.pages["board-neurons.html"], "digits.bptt.mlp.quick.intel-xeon-2c~lif.mlp")
    assert "unranked" not in verified


def test_a_methods_gradient_stands_beside_bptts_layer_by_layer(built: Site) -> None:
    page = built.pages["method-ottt-a.html"].source
    assert "<p>Its gradient beside BPTT's" in page
    for figure in ("0.987", "0.161", "1.02", "–"):
        assert f'<td class="figure">{figure}</td>' in page
    assert "Its gradient beside BPTT's" not in built.pages["neuron-lif.html"].source


def test_failures_are_shown_with_reason_and_command(built: Site) -> None:
    page, own = built.pages["board-neurons.html"], built.pages["neuron-mpe-psn.html"]
    failed = [record for record in built.records if record.cell.neuron == "mpe-psn" and record.status == "timeout"]
    assert len(failed) == 3
    assert any(record.provenance.command in page.text for record in failed)
    for record in failed:
        assert record.provenance.command in own.text
        assert record.reason in own.text
        assert record.output_tail[-1] in own.text
    assert "line 0\n" not in own.text, "only the end of a long output is shown"
    assert synthetic.LONG.strip() in built.pages["neuron-rpsu.html"].text
    row = _row(page, "digits.bptt.mlp.quick.intel-xeon-2c~psu.mlp")
    assert "a run ended as diverged; this rests on 2 runs" in row


def test_impossible_combinations_are_said_but_fill_no_table(built: Site) -> None:
    page = built.pages["board-methods.html"]
    sentence = "spide trains feedback networks; mlp is a chain network."
    assert sentence in page.text
    assert sentence in built.pages["method-spide.html"].text
    assert not any(key.endswith("~spide.mlp") for key in page.ids)


def test_a_table_of_one_row_is_folded_away(built: Site) -> None:
    source = built.pages["board-methods.html"].source
    assert source.index('class="table current"') < source.index('id="more"') < source.index('class="table folded"')
    choices = json.loads(next(text for _, text in built.pages["board-methods.html"].scripts if '"page":' in text))
    assert len(choices) == source.count('<section class="table"') + source.count('<section class="table current"')


def test_machines_are_never_in_one_table(built: Site) -> None:
    page = built.pages["board-neurons.html"]
    anchors = [key for key in page.ids if "~" in key and "nvidia-h200-xeon-16c" in key]
    assert len(anchors) >= 3
    assert all("intel" not in key for key in anchors)
    assert 'id="machine-nvidia-h200-xeon-16c"' in built.pages["about.html"].source


def test_front_page_counts_and_leads(built: Site) -> None:
    text = " ".join(built.pages["index.html"].text.split())
    failures = sum(record.status not in ("ok", "unsupported") for record in built.records)
    assert f"{len(built.records)} records" in text
    assert f"{failures} failed runs" in text
    assert "Newest figures 2026-03-02 on intel-xeon-2c" in text
    for board in BOARDS:
        assert board.question in text
    assert "board-neurons.html#digits.bptt.mlp.quick.intel-xeon-2c" in built.pages["index.html"].links


def test_skipped_files_are_named_without_the_path_to_the_store(built: Site) -> None:
    text = built.pages["about.html"].text
    assert "store/broken.json" in text
    assert "store/foreign <b>.json" in text
    assert str(built.root.parent) not in built.pages["about.html"].source


def test_asv_is_linked_only_where_it_is(built: Site, tmp_path: Path) -> None:
    assert all("asv/index.html" in page.links for page in built.pages.values())
    index = build_site([tmp_path / "store"], tmp_path / "out")
    assert "asv/index.html" not in Page(index).links


def test_implementation_page_says_what_the_card_says(built: Site) -> None:
    page, card = built.pages["neuron-klif.html"], built.rows.neurons["klif"].card
    for figure in card.reported:  # type: ignore[union-attr]
        assert figure.where in page.text
    for sentence in card.divergences:  # type: ignore[union-attr]
        assert sentence in page.text
    assert "not measured here" in page.text
    assert "2 of 6 clauses broken" in page.text
    assert "shapes are kept" in page.text
    assert "neuron-klif-scaled.html" in page.links
    assert "board-neurons.html#digits.bptt.mlp.quick.intel-xeon-2c~klif.mlp" in page.links
    variant = built.pages["neuron-klif-scaled.html"]
    assert "neuron-klif.html" in variant.links


def test_a_reported_figure_stands_beside_the_measured_one(tmp_path: Path) -> None:
    rows = synthetic.rows()
    cells = [Cell("accuracy", "mnist", "if", "ide", "feedback", budget=budget) for budget in ("smoke", "standard")]
    error = rows.suite("accuracy").metrics["error_fraction"]
    records = [
        synthetic.record(cell, metrics={"error_fraction": synthetic.error_metric(errors, error, 10_000)})
        for cell, errors in zip(cells, (900, 150), strict=True)
    ]
    store = synthetic.write_store(tmp_path / "store", records)
    out = build_site([store], tmp_path / "out", rows=rows).parent
    text = " ".join(Page(out / "method-ide.html").text.split())
    beside = text[text.index("accuracy 99.49 %") : text.index("accuracy 90.04 %")]
    assert "98.5 ± 0.2 % mnist, if, feedback, standard" in beside
    assert f"T 30 there, {rows.task('mnist').T} here" in beside
    assert "network 64C5s (F64C5), IF there, feedback here" in beside
    assert f"{rows.task('mnist').budgets['standard'].epochs} epochs here" in beside
    assert "91.0" not in beside, "the longest budget only"
    assert "not measured here" in text[text.index("accuracy 90.04 %") :]


def test_downloads_hold_everything(built: Site) -> None:
    data = built.root / "data"
    assert len(json.loads((data / "records.json").read_text())) == len(built.records)
    tables = build_tables(built.records, built.rows)
    assert len(json.loads((data / "tables.json").read_text())) == len(tables)
    lines = (data / "figures.csv").read_text().splitlines()
    assert len(lines) == 1 + sum(max(1, len(record.metrics)) for record in built.records)
    for suffix in ("csv", "json", "tex", "md"):
        assert len(list((data / "tables").glob(f"*.{suffix}"))) == len(tables)
    one = next(iter((data / "records").rglob("*.json")))
    assert Record.model_validate_json(one.read_text()) in built.records


def test_latex_is_escaped_and_complete(built: Site) -> None:
    file = next((built.root / "data" / "tables").glob("neurons-digits-bptt-mlp-quick-*.tex"))
    text = file.read_text()
    assert text.count("{") == text.count("}")
    assert text.count(r"\toprule") == text.count(r"\bottomrule") == 1
    table = build_tables(built.records, built.rows)[0]
    best = with_interval(
        table.rows[0].values["accuracy.error_fraction"].estimate, column_scale(table, table.columns[0])
    )
    assert r"\textbf{" + best.replace("±", r"$\pm$") + "}" in text
    assert r"\textbackslash{}textbf" in text, "a name is no command"
    assert "±" not in text
    assert "µ" not in text
    body = text[text.index(r"\midrule") : text.index(r"\bottomrule")]
    columns = text.split(r"\begin{tabular}{")[1].split("}")[0]
    for line in body.splitlines()[1:-1]:
        assert len(re.findall(r"(?<!\\)&", line)) == len(columns) - 1


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
    build_site([], out)
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
    rows = synthetic.rows()
    factory = synthetic.Factory(rows)
    records = [
        factory.measured(Cell("accuracy", task, neuron, "bptt", "mlp", budget="quick"))
        for task in ("digits", "digits-rows", "mnist")
        for neuron in ("if", "lif", "psn")
    ]
    store = synthetic.write_store(tmp_path / "store", records, corrupt=False)
    out = build_site([store], tmp_path / "out", rows=rows).parent
    pages = [Page(out / f"board-neurons{number}.html") for number in ("", "-2", "-3")]
    for page in pages:
        choices = json.loads(next(text for _, text in page.scripts if '"page":' in text))
        assert [choice["page"] for choice in choices] == [other.path.name for other in pages]
        for choice, other in zip(choices, pages, strict=True):
            assert choice["id"] in other.ids
        assert {other.path.name for other in pages} <= set(page.links)


def test_figures_that_are_no_numbers_do_not_stop_the_site(tmp_path: Path) -> None:
    rows = synthetic.rows()
    factory = synthetic.Factory(rows)
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
    build_site([store], out, rows=rows)
    page = Page(out / "board-neurons.html")
    assert not page.problems
    assert any(key.endswith("~lif.mlp") for key in page.ids)
    json.loads((out / "data" / "tables.json").read_text(), parse_constant=lambda name: pytest.fail(name))


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


def _row(page: Page, anchor: str) -> str:
    """Return the source of a table's row."""
    match = re.search(rf'<tr id="{re.escape(anchor)}".*?</tr>', page.source, re.DOTALL)
    assert match, anchor
    return match[0]
