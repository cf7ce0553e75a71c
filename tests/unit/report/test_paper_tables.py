"""Tables and figures for papers: the rows and columns that are asked for, captions that say what they rest on, and
names of strangers that stay text."""

from __future__ import annotations

import csv
import io
import re
import shutil
import subprocess
from dataclasses import replace
from pathlib import Path

import pytest
from synthetic import HOSTILE, Factory, registry, write_store
from typer.testing import CliRunner

from harness.catalogue.boards import find_board
from harness.catalogue.cell import Cell
from harness.cli import app
from harness.errors import UserError
from harness.report.escapes import latex_text
from harness.report.figures import draw_pareto, pareto_plot
from harness.report.formats import MOST_ROWS_OF_A_PAGE, to_text
from harness.report.trimming import Trim, trim
from harness.results.record import Record
from harness.results.table import Table, TableRow
from harness.results.tables import build_tables

NEURONS = ("if", "lif", "psn", "klif")
AWKWARD = (
    HOSTILE,
    "[3] bracket first",
    "*star",
    'a_b & 50% #1 ~^ {x} $y$ <z> |w| "q" `r`',
    "naïve Ångström Łódź",
    "τ-LIF, Λ, 中文 \U0001f600 ﬁ −1 –",
    r"\input{/etc/passwd} \end{tabular}",
    "two\nlines",
    "--dashes---",
    "",
)
PREAMBLE = r"""\documentclass{article}
\IfFileExists{booktabs.sty}{\usepackage{booktabs}}{\let\toprule\hline\let\midrule\hline\let\bottomrule\hline}
\usepackage{longtable}
\begin{document}
"""


def records(tasks: tuple[str, ...] = ("digits",), neurons: tuple[str, ...] = NEURONS) -> list[Record]:
    factory = Factory(registry())
    base = Cell("accuracy", "digits", "lif", "bptt", "mlp", budget="quick")
    return [
        factory.measured(replace(base, task=task, suite=suite, neuron=neuron, seed=seed))
        for task in tasks
        for suite, seeds in (("accuracy", 3), ("throughput", 1), ("memory", 1))
        for neuron in neurons
        for seed in range(seeds)
    ]


def tables(**more: tuple[str, ...]) -> list[Table]:
    return build_tables(records(**more), registry(), find_board("neurons"))


def names(table: Table) -> list[str]:
    return [row.name for row in table.rows]


def strangers(count: int = 0) -> Table:
    """A table whose rows are called whatever strangers call them."""
    (table,) = tables()
    row = table.rows[0]
    called = [*AWKWARD, *(f"row-{index}" for index in range(count))]
    return replace(table, rows=tuple(replace(row, name=name) for name in called))


def test_rows_are_chosen_by_pattern_and_keep_their_ranks() -> None:
    (table,) = tables()
    (part,) = trim([table], Trim(rows=("lif", "p*")))
    assert names(part.table) == [name for name in names(table) if name in ("lif", "psn")]
    assert {row.name: row for row in part.table.rows}.items() <= {row.name: row for row in table.rows}.items()
    assert "2 of 4 rows" in to_text([part], "latex")


def test_columns_come_as_they_are_asked_for_under_any_of_their_names() -> None:
    (table,) = tables()
    wanted = Trim(columns=("peak_bytes", "accuracy.error_fraction", "vectors", "vs LIF+BPTT"))
    (part,) = trim([table], wanted)
    assert [column.key for column in part.table.columns] == [
        "memory.peak_bytes",
        "accuracy.error_fraction",
        "throughput.train_step_ratio",
    ]
    (head,) = (line for line in to_text([part], "md").splitlines() if "neuron" in line and line.startswith("|"))
    shown = [cell.strip() for cell in head.strip("|").split("|")]
    assert shown[:2] == ["neuron", "vectors"]
    assert len(shown) == 5


def test_differences_stand_in_latex_only_where_they_are_asked_for() -> None:
    (table,) = tables()
    assert "to lif" not in to_text([table], "latex")
    (part,) = trim([table], Trim(columns=("differences", "error_fraction")))
    assert "to lif" in to_text([part], "latex")


@pytest.mark.parametrize("key", ["accuracy.error_fraction", "memory.peak_bytes"])
def test_rows_stand_in_the_order_that_is_asked_for(key: str) -> None:
    (table,) = tables()

    def figure(row: TableRow) -> float:
        return row.values[key].estimate.value

    (part,) = trim([table], Trim(sort=key, top=3))
    assert [figure(row) for row in part.table.rows] == sorted(map(figure, table.rows))[:3]
    (by_name,) = trim([table], Trim(sort="name"))
    assert names(by_name.table) == sorted(NEURONS)


def test_what_has_no_figure_is_sorted_last() -> None:
    (table,) = tables()
    bare = replace(table.rows[0], values={})
    (part,) = trim([replace(table, rows=(bare, *table.rows[1:]))], Trim(sort="memory.peak_bytes"))
    assert part.table.rows[-1] is bare


@pytest.mark.parametrize(
    ("wanted", "told"),
    [
        (Trim(rows=("lff",)), "did you mean 'lif'"),
        (Trim(columns=("peak_byte",)), "did you mean 'peak_bytes'"),
        (Trim(sort="nam"), "did you mean 'name'"),
        (Trim(top=0), "--top 0 leaves no row"),
    ],
)
def test_what_is_not_there_is_said_with_the_nearest(wanted: Trim, told: str) -> None:
    with pytest.raises(UserError) as refused:
        trim(tables(), wanted)
    assert told in str(refused.value)


def test_a_caption_says_units_and_what_figures_rest_on() -> None:
    said = to_text(tables(), "latex")
    (caption,) = re.findall(r"\\caption\{(.*)\}", said)
    assert r"test error [\%]: n = 3 seeds" in caption
    assert re.search(r"peak \[[KM]iB\][^;]*: n = \d+", caption)
    assert r"$\pm$: 95\,\% interval" in caption
    (bare,) = trim(tables(), Trim(columns=("peak_bytes",)))
    (caption,) = re.findall(r"\\caption\{(.*)\}", to_text([bare], "latex"))
    assert "A rank" not in caption
    assert "test error" not in caption


def test_labels_are_unique_among_parts_of_one_table_and_the_same_again() -> None:
    several = tables(tasks=("digits", "digits-rows"))
    parts = [
        part
        for wanted in (Trim(), Trim(rows=("lif",)), Trim(rows=("psn",)), Trim(columns=("peak_bytes",)), Trim(top=2))
        for part in trim(several, wanted)
    ]
    labels = re.findall(r"\\label\{(.*?)\}", to_text(parts, "latex"))
    assert len({*labels}) == len(labels) == 10
    assert re.findall(r"\\label\{(.*?)\}", to_text(trim(several, Trim(top=2)), "latex")) == labels[-2:]


def test_a_table_that_fills_no_page_is_set_on_one_and_a_longer_one_on_several() -> None:
    rows = MOST_ROWS_OF_A_PAGE - len(AWKWARD)
    assert r"\begin{table}[t]" in to_text([strangers(rows)], "latex")
    long = to_text([strangers(rows + 1)], "latex")
    assert r"\begin{longtable}{" in long
    assert r"\begin{table}" not in long
    assert r"\caption{" in long
    assert r"\label{" in long


def test_names_open_no_column_and_no_command_of_latex() -> None:
    (part,) = trim([strangers()], Trim(columns=("error_fraction",)))
    said = to_text([part], "latex")
    lines = said[said.index(r"\midrule") : said.index(r"\bottomrule")].splitlines()[1:]
    assert len(lines) == len(AWKWARD)
    assert {len(re.findall(r"(?<!\\)&", line)) for line in lines} == {1}
    assert said.count(r"\end{tabular}") == 1
    assert not re.search(r"\\input(?!\w)", said)
    assert not any(line.startswith(("[", "*")) for line in lines)
    assert said.isascii()


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("τ_m", r"$\tau$\_m"),
        ("naïve", r"na\"{i}ve"),
        ("Å", r"\r{A}"),
        ("ﬁ", "fi"),
        ("中", "[U+4E2D]"),
        ("a--b", "a-{}-b"),
        ("0.1 ± 0.2 µs", r"0.1 $\pm$ 0.2 $\mu$s"),
        ("<x>", r"\textless{}x\textgreater{}"),
    ],
)
def test_letters_that_tex_lacks_are_said_with_those_that_it_has(text: str, expected: str) -> None:
    assert latex_text(text) == expected


@pytest.mark.skipif(shutil.which("pdflatex") is None, reason="needs pdflatex")
def test_tables_with_hostile_names_compile(tmp_path: Path) -> None:
    parts = [strangers(), *trim([strangers()], Trim(columns=("error_fraction",))), strangers(MOST_ROWS_OF_A_PAGE)]
    headings = strangers()
    headings = replace(headings, group=replace(headings.group, machine=HOSTILE))
    text = PREAMBLE + to_text([*parts, headings], "latex") + r"\end{document}"
    (tmp_path / "paper.tex").write_text(text, encoding="utf-8")
    command = ["pdflatex", "-interaction=nonstopmode", "-halt-on-error", "-no-shell-escape", "paper.tex"]
    for _ in range(2):  # the second run knows the widths of a table of several pages
        said = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, errors="replace")
        assert said.returncode == 0, said.stdout[-3000:]
    assert "multiply defined" not in said.stdout
    assert (tmp_path / "paper.pdf").stat().st_size > 10_000


def test_a_csv_of_parts_has_one_header_and_no_formula() -> None:
    several = [*tables(tasks=("digits", "digits-rows")), strangers()]
    called = replace(several[-1], rows=tuple(replace(row, name=f"={row.name}") for row in several[-1].rows))
    lines = list(csv.reader(io.StringIO(to_text([*trim(several[:2], Trim(top=1)), called], "csv"))))
    assert sum(line[0] == "board" for line in lines) == 1
    assert len({len(line) for line in lines}) == 1
    assert len(lines) == 1 + 2 + len(AWKWARD)
    assert not [field for line in lines for field in line if re.match(r"[=+@]|-(?![\d.]|$)", field)]


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_store(tmp_path_factory.mktemp("papers") / "store", records(), corrupt=False)


def invoke(*words: str, code: int = 0) -> str:
    said = CliRunner().invoke(app, [*words])
    assert said.exit_code == code, said.output
    return said.output


def test_the_command_takes_all_of_it(store: Path) -> None:
    base = ("table", "--store", str(store), "--board", "neurons", "--task", "digits")
    words = ("--rows", "lif", "--rows", "p*", "--columns", "rank", "--columns", "error_fraction", "--sort", "name")
    title, head, line, _ = invoke(*base, *words, "--top", "1").splitlines()[:4]
    assert title.startswith("Neuron models: digits")
    assert head.split() == ["#", "neuron", "test", "error", "[%]"]
    assert "lif" in line
    for form in ("md", "latex", "csv", "html"):
        said = invoke(*base, *words, "--format", form)
        assert "lif" in said
        assert "klif" not in said
    assert "3 of 4 rows" in invoke(*base, "--top", "3")


def test_boards_over_tasks_have_no_such_parts(store: Path) -> None:
    said = CliRunner().invoke(app, ["table", "--store", str(store), "--board", "overall-neurons", "--top", "2"])
    assert isinstance(said.exception, UserError)
    assert "no table of one board" in str(said.exception)


def test_a_figure_draws_the_rows_that_are_asked_for_and_lights_some(store: Path, tmp_path: Path) -> None:
    pytest.importorskip("matplotlib")
    base = ("figure", "--store", str(store), "--against", "memory.peak_bytes")
    invoke(base[0], str(tmp_path / "all.svg"), *base[1:])
    invoke(base[0], str(tmp_path / "some.svg"), *base[1:], "--rows", "lif", "--rows", "psn", "--highlight", "lif")
    every, some = ((tmp_path / f"{name}.svg").read_text() for name in ("all", "some"))
    bright = "#c2410c"
    assert bright not in every
    assert bright in some
    assert "<!-- lif -->" in some
    assert "klif" in every
    assert "klif" not in some


def test_a_point_to_light_that_is_not_drawn_is_named(tmp_path: Path) -> None:
    pytest.importorskip("matplotlib")
    plot = pareto_plot(tables()[0], "memory.peak_bytes")
    with pytest.raises(UserError, match=r"unknown point to highlight 'psm': did you mean 'psn'"):
        draw_pareto(plot, tmp_path / "x.svg", ("psm",))


def test_a_lit_point_has_its_name_whatever_it_covers(tmp_path: Path) -> None:
    pytest.importorskip("matplotlib")
    plot = pareto_plot(tables()[0], "memory.peak_bytes")
    nowhere = tuple(replace(point, label="$crowded_$", sides={"wide": None}) for point in plot.points[:1])
    crowded = replace(plot, points=(*nowhere, *plot.points[1:]))
    for name, lit in (("dark", ()), ("lit", ("$crowded_$",))):
        draw_pareto(crowded, tmp_path / f"{name}.svg", lit)
    assert "crowded" not in (tmp_path / "dark.svg").read_text()
    assert "<!-- $crowded_$ -->" in (tmp_path / "lit.svg").read_text()
