"""Names of pages and what is said in words."""

from __future__ import annotations

import re

import pytest
import synthetic
from hypothesis import given
from hypothesis import strategies as st

from harness.catalogue.boards import find_board
from harness.catalogue.cell import Cell
from harness.catalogue.loading import load_registry
from harness.report.cells import Spread, figure
from harness.report.formats import column_scale, csv, latex, markdown, to_text
from harness.report.links import board_file, group_id, implementation_page, record_page, slug
from harness.report.plots import RowMark, pareto_plots
from harness.report.ranks import difference_text, marks_of, rank_text
from harness.report.trimming import whole
from harness.report.units import Scale, with_interval
from harness.report.words import combination, count, day, facts_of, joined, references, shown
from harness.results.grouping import Group
from harness.results.ranking import Difference
from harness.results.standing import Standing
from harness.results.stats import Estimate
from harness.results.table import Value
from harness.results.tables import build_tables
from reference_impls.card import Citation

safe = re.compile(r"[a-z0-9-]+")


@given(st.text(max_size=200), st.text(max_size=200))
def test_slugs_are_safe_and_tell_texts_apart(a: str, b: str) -> None:
    assert safe.fullmatch(slug(a))
    assert (slug(a) == slug(b)) == (a == b)


def test_names_of_cards_are_their_own_slugs() -> None:
    registry = load_registry()
    of_kinds = (registry.neurons, registry.methods, registry.systems, registry.tasks)
    for row in (row for rows in of_kinds for row in rows.values()):
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
    registry = load_registry()
    of_kinds = (registry.neurons, registry.methods, registry.topologies, registry.systems)
    for row in (row for rows in of_kinds for row in rows.values()):
        facts = facts_of(row.capabilities)
        assert facts
        assert all(fact.term and fact.text for fact in facts)
    for name in registry.tasks:
        assert facts_of(registry.task(name))


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
    card = next(iter(load_registry().suite("accuracy").metrics.values()))
    drawn = spread.interval(Value(Estimate(value, first, last, 3, "seeds"), card, (synthetic.record(Cell("x")),)))
    assert drawn is not None
    assert -0.1 <= drawn.low <= drawn.value <= drawn.high <= 100.1


@pytest.mark.parametrize(
    ("difference", "text"),
    [
        (None, ""),
        (Difference(0.0093, 0.0031, 0.0162, False, False), "+0.93 (+0.31 to +1.62)"),
        (Difference(-0.0002, -0.003, 0.0026, False, True), "≈ -0.02 (-0.30 to +0.26)"),
        (Difference(0.12, None, None, True, False), "+12.000"),
        (Difference(0.0, 0.0, 0.0, True, True), "≈ 0"),
        (Difference(3.5, 2.1, 5.9, True, False), "+350 (+210 to +590)"),
        (Difference(0.0102, -0.019, 0.98, False, False, vague=True), "+1.0 (too few seeds to tell)"),
    ],
)
def test_a_difference_says_its_interval_and_whether_it_matters(difference: Difference | None, text: str) -> None:
    assert difference_text(difference, Scale(100.0, "points")) == text


def test_text_formats_say_ranks_differences_and_the_best() -> None:
    registry = synthetic.registry()
    table = build_tables(synthetic.everything(registry), registry)[0]
    lif = next(row for row in table.rows if row.name == "lif")
    assert rank_text(None) == ""
    said = rank_text(lif.values["accuracy.error_fraction"])
    text = markdown(whole(table))
    assert re.search(rf"\| {said} +\| lif +\| yes ", text)
    assert re.search(r"\| to best \[points\] +\| to lif \[points\] ", text)
    assert "to best" not in latex(whole(table)), "a paper's column is narrow"
    assert "family-wise 95\\,\\%" in latex(whole(table))
    head, first = csv(table).splitlines()[:2]
    raw = dict(zip(head.split(","), first.split(","), strict=True))
    assert raw["accuracy.error_fraction.rank_best"] == "1"
    assert raw["accuracy.error_fraction.tied_with_best"] == "True"
    assert raw["accuracy.error_fraction.to_leader_value"] == ""
    best = with_interval(
        table.rows[0].values["accuracy.error_fraction"].estimate, column_scale(table, table.columns[0])
    )
    assert f"**{best}**" in text
    assert "timeout" in text


def test_every_format_marks_what_was_timed_too_noisily() -> None:
    registry = synthetic.registry()
    step = "throughput.train_step_ratio"
    records = [
        one.model_copy(update={"status": "noisy", "reason": "The machine was not quiet."})
        if (one.cell.suite, one.cell.neuron, one.status) == ("throughput", "lif", "ok")
        else one
        for one in synthetic.everything(registry)
    ]
    table = build_tables(records, registry, find_board("neurons"))[0]
    value = next(row.values[step] for row in table.rows if row.name == "lif")
    assert (value.standing, value.rank) == (Standing.NOISY, None)
    for name in ("md", "latex", "html"):
        (line,) = [line for line in to_text([table], name).splitlines() if " (noisy)" in line][:1]
        assert line
    (line,) = [line for line in to_text([table], "csv").splitlines() if ",lif," in line]
    assert ",noisy" in line
    (column,) = (one for one in table.columns if one.key == step)
    cell = figure(value, Scale(1.0, "x"), marks_of(table, column))
    assert (cell.mark, cell.best, cell.ranked) == ("noisy", False, False)
    assert any("busy machine" in line for line in cell.details)
    marks = {(row.name, row.topology): RowMark(row.name, "") for row in table.rows}
    (plot,) = [plot for plot in pareto_plots(table, marks) if plot.id.endswith(step)]
    assert "lif" not in [point.label for point in plot.points]


def test_every_task_and_every_system_has_its_facts() -> None:
    """What a target asks for stands in tables of words; a kind that one of them lacks would break the site."""
    registry = load_registry()
    for name in registry.tasks:
        assert facts_of(registry.task(name)), name
    for name, row in registry.systems.items():
        assert facts_of(row.capabilities)[0].term == "answers", name
