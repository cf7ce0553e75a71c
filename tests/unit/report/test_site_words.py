"""Names of pages and what is said in words."""

from __future__ import annotations

import re

import pytest
import synthetic
from hypothesis import given
from hypothesis import strategies as st

from harness.catalogue.boards import find_board
from harness.catalogue.cards import load_rows
from harness.catalogue.cell import Cell
from harness.report.cells import Spread, figure
from harness.report.formats import column_scale, markdown, rank_text, ranks_in, to_text
from harness.report.links import board_file, group_id, implementation_page, record_page, slug
from harness.report.plots import RowMark, pareto_plots
from harness.report.units import Scale, with_interval
from harness.report.words import combination, count, day, facts_of, joined, references, shown
from harness.results.standing import Standing
from harness.results.stats import Estimate
from harness.results.tables import Group, Value, build_tables
from reference_impls.card import Citation

safe = re.compile(r"[a-z0-9-]+")


@given(st.text(max_size=200), st.text(max_size=200))
def test_slugs_are_safe_and_tell_texts_apart(a: str, b: str) -> None:
    assert safe.fullmatch(slug(a))
    assert (slug(a) == slug(b)) == (a == b)


def test_names_of_cards_are_their_own_slugs() -> None:
    rows = load_rows()
    for row in (*rows.neurons.values(), *rows.methods.values(), *rows.tasks.values()):
        assert slug(row.name) == row.name
    assert implementation_page("training", "ottt-a") == "method-ottt-a.html"


@given(st.text(min_size=1, max_size=40), st.text(min_size=1, max_size=40))
def test_files_stay_below_the_site(machine: str, value: str) -> None:
    group = Group((("task", value), ("dtype", "float32")), machine)
    laptop = synthetic.LAPTOP.model_copy(update={"name": machine})
    one = synthetic.record(Cell("accuracy", task=value), machine=laptop)
    for path in (record_page(one), board_file("../neurons")):
        assert re.fullmatch(r"(records|data)(/[a-z0-9.-]+)+", path)
        assert ".." not in path
        assert all(len(part) < 200 for part in path.split("/"))
    assert re.fullmatch(r"[a-z0-9.-]+", group_id(group))


def test_only_real_addresses_are_linked() -> None:
    hostile = Citation(
        "A", "T", "V", 2024, arxiv="2401.00001", doi="10.1/x", code="javascript:alert(1) https://a.b/c (x)"
    )
    (reference,) = references([hostile])
    assert [address for _, address in reference.links] == [
        "https://arxiv.org/abs/2401.00001",
        "https://doi.org/10.1/x",
        "https://a.b/c",
    ]


def test_every_capability_has_words() -> None:
    rows = load_rows()
    for row in (*rows.neurons.values(), *rows.methods.values(), *rows.topologies.values()):
        facts = facts_of(row.capabilities)
        assert facts
        assert all(fact.term and fact.text for fact in facts)
    for name in rows.tasks:
        assert facts_of(rows.task(name))


@pytest.mark.parametrize(
    ("items", "text"), [([], ""), (["a"], "a"), (["a", "b"], "a and b"), (["a", "b", "c"], "a, b and c")]
)
def test_lists_are_joined(items: list[str], text: str) -> None:
    assert joined(items) == text


def test_small_words() -> None:
    assert count(1, "row") == "1 row"
    assert count(2000, "row") == "2,000 rows"
    assert day("2026-03-01T23:59:00+00:00") == "2026-03-01"
    assert day("<b>some day</b>") == "<b>some day</b>"
    assert shown({"alpha": 4.0, "steps": [1, 2]}) == "alpha = 4, steps = [1, 2]"
    cell = Cell("accuracy", "digits", "lif", "bptt", "mlp", budget="quick", seed=2)
    assert combination(cell, without=("neuron",)) == "digits, bptt, mlp, quick, seed 2"


@given(st.floats(1e-6, 1e3), st.floats(0, 1e3), st.floats(0, 1e3), st.floats(0, 1e3))
def test_a_whisker_stays_inside_its_column(low: float, a: float, b: float, c: float) -> None:
    first, value, last = sorted((low + a, low + b, low + c))
    spread = Spread(low, low + a + b + c + 1e-6)
    card = next(iter(load_rows().suite("accuracy").metrics.values()))
    drawn = spread.interval(Value(Estimate(value, first, last, 3, "seeds"), None, card, (synthetic.record(Cell("x")),)))
    assert drawn is not None
    assert -0.1 <= drawn.low <= drawn.value <= drawn.high <= 100.1


def test_text_formats_mark_ties_and_the_best() -> None:
    rows = synthetic.rows()
    table = build_tables(synthetic.everything(rows), rows)[0]
    ranks = ranks_in(table, table.board.rank_by)
    assert rank_text(1, ranks) == "1 ="
    assert rank_text(None, ranks) == ""
    assert rank_text(5, {5: 1}) == "5"
    text = markdown(table)
    assert re.search(r"\| 1 = +\| lif +\| yes ", text)
    best = with_interval(
        table.rows[0].values["accuracy.error_fraction"].estimate, column_scale(table, table.columns[0])
    )
    assert f"**{best}**" in text
    assert "timeout" in text


def test_every_format_marks_what_was_timed_too_noisily() -> None:
    rows = synthetic.rows()
    step = "throughput.train_step_seconds"
    records = [
        one.model_copy(update={"status": "noisy", "reason": "The machine was not quiet."})
        if (one.cell.suite, one.cell.neuron, one.status) == ("throughput", "lif", "ok")
        else one
        for one in synthetic.everything(rows)
    ]
    table = build_tables(records, rows, find_board("neurons"))[0]
    value = next(row.values[step] for row in table.rows if row.name == "lif")
    assert (value.standing, value.rank) == (Standing.NOISY, None)
    for name in ("md", "latex", "html"):
        (line,) = [line for line in to_text([table], name).splitlines() if " (noisy)" in line][:1]
        assert line
    (line,) = [line for line in to_text([table], "csv").splitlines() if ",lif," in line]
    assert ",noisy" in line
    cell = figure(value, Scale(1e3, "ms"), {1: 3})
    assert (cell.mark, cell.best, cell.ranked) == ("noisy", False, False)
    assert any("busy machine" in line for line in cell.details)
    marks = {(row.name, row.topology): RowMark(row.name, "") for row in table.rows}
    (plot,) = [plot for plot in pareto_plots(table, marks) if plot.id.endswith(step)]
    assert "lif" not in [point.label for point in plot.points]
