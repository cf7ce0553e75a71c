"""The pages as files: complete, escaped, linked to what exists, and without anything from a network."""

from __future__ import annotations

import csv
import html
import json
import re
from datetime import UTC, datetime
from pathlib import Path
from typing import NamedTuple
from urllib.parse import unquote

import numpy as np
import pandas as pd
import pytest
import synthetic
from pages import Page

from harness.asv.series import graphs_over_commits
from harness.catalogue.boards import BOARDS
from harness.catalogue.cards import Registry
from harness.catalogue.cell import Cell
from harness.catalogue.loading import load_registry
from harness.report.formats import column_scale, to_text
from harness.report.links import implementation_page
from harness.report.site import build_site
from harness.report.units import with_interval
from harness.results.record import Record
from harness.results.store import read_stores
from harness.results.tables import build_tables

BUILT_AT = datetime(2026, 3, 5, tzinfo=UTC)


class Site(NamedTuple):
    root: Path
    pages: dict[str, Page]
    records: list[Record]
    registry: Registry


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory) -> Site:
    folder = tmp_path_factory.mktemp("site")
    registry = synthetic.registry()
    records = synthetic.everything(registry)
    store = synthetic.write_store(folder / "store", records)
    out = folder / "out"
    (out / "asv").mkdir(parents=True)
    (out / "asv" / "index.html").write_text("asv")
    index = build_site(
        [store], out, registry=registry, built_at=BUILT_AT, over_commits=graphs_over_commits(out / "asv")
    )
    assert index == out / "index.html"
    return Site(out, {path.name: Page(path) for path in sorted(out.glob("*.html"))}, records, registry)


def test_there_is_a_page_for_everything(built: Site) -> None:
    registry = built.registry
    wanted = {"index.html", "about.html", "implementations.html", *(f"board-{board.name}.html" for board in BOARDS)}
    for kind in (
        *(registry.neurons, registry.methods, registry.topologies),
        *(registry.peers, registry.systems, registry.tasks),
    ):
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
            if anchor and target.suffix == ".html" and target.parent == built.root:
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


def test_ranks_differences_and_best_are_marked(built: Site) -> None:
    row = _row(built.pages["board-neurons.html"], "digits.bptt.mlp.quick.intel-xeon-2c~psn.mlp")
    assert re.search(r'<td class="rank" data-order="2">1-\d+</td>', row)
    assert '<td class="figure difference" data-order="0.0">0 (too few seeds to tell)</td>' in row, "some rows are wild"
    assert 'class="figure best"' in row
    for words in (
        "exactly 0.0",
        "95 % interval",
        "over 3 seeds",
        "not significantly worse than the best",
        "to lif: 0 (",
        "measured 2026-03-02 on intel",
    ):
        assert words in row
    assert row.count('class="whisker"') == 1


def test_a_row_that_is_not_verified_is_marked_and_its_speed_not_ranked(built: Site) -> None:
    row = _row(built.pages["board-neurons.html"], "digits.bptt.mlp.quick.intel-xeon-2c~klif.mlp")
    assert 'data-verified="false"' in row
    assert "no contract</a>" in row
    assert 'class="figure unranked"' in row
    assert "not ranked: conformance was not passed" in row
    verified = _row(built.pages["board-neurons.html"], "digits.bptt.mlp.quick.intel-xeon-2c~lif.mlp")
    assert "unranked" not in verified
    assert "not ranked: conformance" not in verified
    assert "training step: " in verified
    assert "shown, not ranked: it drifts with the machine" in verified
    assert ">contract</span>" in verified
    assert ">vectors</span>" not in verified, "the records of the tests have no such check"


def test_a_row_says_what_it_changes_relative_to_lif(built: Site) -> None:
    rows = {
        name: _row(built.pages["board-neurons.html"], f"digits.bptt.mlp.quick.intel-xeon-2c~{name}.mlp")
        for name in ("klif", "lif")
    }
    phrase = load_registry().neurons["klif"].changes
    assert f'title="What it changes relative to LIF">{phrase}</span>' in rows["klif"]
    assert "changes relative to LIF" not in rows["lif"]
    assert phrase in built.pages["neuron-klif.html"].source


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
    page, card = built.pages["neuron-klif.html"], built.registry.neurons["klif"].card
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
    registry = synthetic.registry()
    cells = [Cell("accuracy", "mnist", "if", "ide", "feedback", budget=budget) for budget in ("smoke", "standard")]
    error = registry.suite("accuracy").metrics["error_fraction"]
    records = [
        synthetic.record(cell, metrics={"error_fraction": synthetic.error_metric(errors, error, 10_000)})
        for cell, errors in zip(cells, (900, 150), strict=True)
    ]
    store = synthetic.write_store(tmp_path / "store", records)
    out = build_site([store], tmp_path / "out", registry=registry).parent
    text = " ".join(Page(out / "method-ide.html").text.split())
    beside = text[text.index("accuracy 99.49 %") : text.index("accuracy 90.04 %")]
    assert "98.5 ± 0.2 % mnist, if, feedback, standard" in beside
    assert f"T 30 there, {registry.task('mnist').T} here" in beside
    assert "network 64C5s (F64C5), IF there, feedback here" in beside
    assert f"{registry.task('mnist').budgets['standard'].epochs} epochs here" in beside
    assert "91.0" not in beside, "the longest budget only"
    assert "not measured here" in text[text.index("accuracy 90.04 %") :]


def test_every_figure_is_in_a_column(built: Site) -> None:
    columns = dict(np.load(built.root / "data" / "figures.npz"))
    assert {len(column) for column in columns.values()} == {len(built.records)}
    frame = pd.DataFrame(columns).set_index(["cell", "machine"])
    for record in built.records:
        row = frame.loc[(record.cell_id, record.provenance.machine.name)]
        assert (row["neuron"], row["seed"], row["status"]) == (record.cell.neuron, record.cell.seed, record.status)
        assert row["started_at"] == record.provenance.started_at
        for name, metric in record.metrics.items():
            assert row[f"{record.cell.suite}.{name}.value"] == metric.value
            assert metric.low is None or row[f"{record.cell.suite}.{name}.low"] == metric.low
        others = [name for name in columns if name.endswith(".value") and not name.startswith(f"{record.cell.suite}.")]
        assert row[others].isna().all()


def test_a_board_is_one_csv(built: Site) -> None:
    records = read_stores([built.root.parent / "store"]).records
    for board in BOARDS:
        tables = build_tables(records, built.registry, board)
        path = built.root / "data" / f"{board.name}.csv"
        if not tables:
            assert path.read_text() == ""
            continue
        lines = list(csv.DictReader(path.open()))
        assert len(lines) == sum(len(table.rows) for table in tables)
        first = tables[0].rows[0]
        line = next(
            line
            for line in lines
            if (line[board.axis], line["topology"], line["machine"])
            == (first.name, first.topology, tables[0].group.machine)
            and all(line[axis] == value for axis, value in tables[0].group.axes)
        )
        for key, value in first.values.items():
            assert float(line[f"{key}.value"]) == value.estimate.value


def test_every_record_that_counts_can_be_read_in_full(built: Site) -> None:
    pages = [Page(path) for path in (built.root / "records").glob("*.html")]
    assert len(pages) <= 256
    found = {}
    for page in pages:
        assert not page.problems
        assert "<script>alert" not in page.source
        for anchor, text in re.findall(r'<article[^>]* id="([^"]+)">.*?<pre[^>]*>(.*?)</pre>', page.source, re.DOTALL):
            found[anchor] = Record.model_validate_json(html.unescape(text))
    assert found == {f"{one.cell_id}.{one.provenance.machine.name}": one for one in built.records}
    linked = {link for page in built.pages.values() for link in page.links if link.startswith("records/")}
    assert len(linked) > 100
    for link in linked:
        file, _, anchor = link.partition("#")
        assert anchor in found
        assert f'id="{anchor}"' in (built.root / file).read_text()


def test_no_file_is_written_for_each_record_or_table(built: Site) -> None:
    assert {path.name for path in (built.root / "data").iterdir()} == {
        "figures.npz",
        *(f"{board.name}.csv" for board in BOARDS),
        *("overall.csv", "claims.csv"),
    }


def test_latex_is_escaped_and_complete(built: Site) -> None:
    table = build_tables(read_stores([built.root.parent / "store"]).records, built.registry)[0]
    text = to_text([table], "latex")
    assert text.strip() in built.pages["board-neurons.html"].text
    assert text.count("{") == text.count("}")
    assert text.count(r"\toprule") == text.count(r"\bottomrule") == 1
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


def _row(page: Page, anchor: str) -> str:
    """Return the source of a table's row."""
    match = re.search(rf'<tr id="{re.escape(anchor)}".*?</tr>', page.source, re.DOTALL)
    assert match, anchor
    return match[0]
