"""Builds the leaderboard's pages: static files that open without a server or a network.

Reads stores, asks ``tables`` for what is ranked, and renders. What a page says is decided in the ``*_view`` modules,
how it looks in ``templates`` and ``static``. Must not measure, nor import torch.
"""

from __future__ import annotations

import dataclasses
import gc
import json
import shutil
import tempfile
from collections.abc import Iterable, Mapping, Sequence
from datetime import UTC, datetime
from importlib.resources import as_file, files
from pathlib import Path
from typing import Any

from jinja2 import Environment, PackageLoader, StrictUndefined
from markupsafe import Markup

from harness import __version__
from harness.catalogue.boards import BOARDS
from harness.catalogue.cards import Registry, Row
from harness.catalogue.loading import load_registry
from harness.errors import UserError
from harness.report import links
from harness.report.board_view import BoardPlan, plan_board, view_pages
from harness.report.claims_view import claims_sheet, view_claims
from harness.report.downloads import write_downloads, write_sheets
from harness.report.front_view import view_front
from harness.report.heatmap import heatmap
from harness.report.implementation_view import Dossier, ImplementationView, dossiers, view_implementation
from harness.report.impossible import Impossibilities
from harness.report.links import OverCommits, Sitemap, implementation_page
from harness.report.measured import combinations_of
from harness.report.overall_sheet import overall_sheet
from harness.report.overview import view_about, view_entry, view_overview
from harness.report.traits import Traits
from harness.report.words import Fact, day
from harness.results.claims import judge
from harness.results.freshness import Today
from harness.results.index import select
from harness.results.marks import NOBODY, Submitted
from harness.results.overall.board import OVERALL, build_overall, view_bundle
from harness.results.questions import Choice
from harness.results.recommend import Chooser
from harness.results.record import Record
from harness.results.selection import preferred
from harness.results.store import Contents, Problem
from harness.results.table import Table
from harness.results.tables import build_tables
from harness.text import printable

__all__ = ["build_site"]

MANIFEST = ".spikeboard-site"
"""File in the site's folder that names what a build wrote there, so that the next one removes nothing else."""


def build_site(
    stores: list[Path],
    out: Path,
    *,
    registry: Registry | None = None,
    built_at: datetime | None = None,
    over_commits: OverCommits | None = None,
    strangers: Submitted = NOBODY,
) -> Path:
    """Write the pages of what is in `stores` to `out`, and return the path of the front page.

    Pages of an earlier build are replaced, as a whole, once the new ones are complete.

    Parameters
    ----------
    stores : folders of records; broken files in them are listed on the page about measuring.
    out : folder of the site.
    registry : what the names in the records stand for. [default: every card there is]
    built_at : what the pages give as their date. [default: now]
    over_commits : where the graphs of asv's pages are, if those lie in `out`.
    strangers : records of submissions: they stand on boards with their mark, and nothing else is made of them.

    Raises
    ------
    UserError
        If `out` is a folder with other contents than a site.
    """
    _check_target(out)
    registry = registry or load_registry()
    contents = select(stores)
    out.parent.mkdir(parents=True, exist_ok=True)
    draft = Path(tempfile.mkdtemp(prefix=f".{out.name}-", dir=out.parent))
    try:
        draft.chmod(0o755)
        gc.freeze()  # the records stay to the end: looking through them for garbage takes a third of the time
        when = built_at or datetime.now(UTC)
        _write_site(draft, contents, stores, registry, over_commits, when, strangers)
        _replace(out, draft)
    finally:
        gc.unfreeze()
        shutil.rmtree(draft, ignore_errors=True)
    return out / links.INDEX


def _write_site(
    out: Path,
    contents: Contents,
    stores: Sequence[Path],
    registry: Registry,
    over_commits: OverCommits | None,
    built_at: datetime,
    strangers: Submitted,
) -> None:
    """Build every table once, and hand them to all that show them."""
    latest = preferred(contents.records, Today(registry))
    tables, impossibilities = build_tables(latest, registry), Impossibilities(registry)
    own = _plans(tables, latest, impossibilities, registry)
    beside = strangers.beside(latest)
    shown = build_tables(latest, registry, strangers=beside) if beside.records else tables
    plans = _plans(shown, latest, impossibilities, registry) if beside.records else own
    implemented = [
        row
        for kind in (
            *(registry.neurons, registry.methods, registry.topologies),
            *(registry.peers, registry.systems, registry.tasks),
        )
        for row in kind.values()
    ]
    sitemap = Sitemap(
        implementations={(row.kind, row.name): implementation_page(row.kind, row.name) for row in implemented},
        tables={key: address for plan in plans for key, address in plan.addresses().items()},
        over_commits=over_commits,
    )
    pages = _Pages(out, sitemap, built_at)
    for plan in plans:
        for page in view_pages(plan, sitemap, registry):
            pages.write(page.file, "board.html", page=page)
    views = _implementations(implemented, latest, own, registry, sitemap)
    for view in views:
        pages.write(view.file, "implementation.html", view=view)
    pages.write(links.IMPLEMENTATIONS, "implementations.html", entries=[view_entry(view) for view in views])
    problems = [_problem(problem, stores) for problem in (*contents.problems, *strangers.problems)]
    pages.write(links.ABOUT, "about.html", about=view_about(latest, registry, problems))
    chooser = Chooser(tables, registry)
    choices: tuple[Choice, ...] = ("neuron", "method")
    widest = {choose: bundle for choose in choices if (bundle := chooser.widest(choose)) is not None}
    maps = {choose: view_bundle(bundle) for choose, bundle in widest.items()}
    front = view_front(chooser, maps, registry, sitemap)
    overview = view_overview(own, latest, sitemap)
    pages.write(links.INDEX, "index.html", overview=overview, front=front, problems=len(problems))
    over_tasks = [one for name in OVERALL for one in build_overall(tables, name)]
    pages.write(links.OVERALL, "overall.html", maps=[heatmap(one, Traits(registry), sitemap) for one in over_tasks])
    judged = judge(latest, registry)
    pages.write(links.CLAIMS, "claims.html", claims=view_claims(judged, sitemap))
    write_downloads(out, latest, shown, beside.records)
    write_sheets(out, {"overall": [overall_sheet(one) for one in over_tasks], "claims": [claims_sheet(judged)]})
    with as_file(files("harness.report") / "static") as static:
        _copy(static, out / "static")


def _plans(
    tables: Sequence[Table], latest: Sequence[Record], impossibilities: Impossibilities, registry: Registry
) -> list[BoardPlan]:
    return [
        plan_board(board, [table for table in tables if table.board is board], latest, impossibilities, registry)
        for board in BOARDS
    ]


def _copy(source: Path, target: Path) -> None:
    """Copy files without their modes: those of a site follow the umask, so that a group may build it again."""
    target.mkdir()
    for path in source.iterdir():
        if path.is_dir():
            _copy(path, target / path.name)
        else:
            shutil.copyfile(path, target / path.name)


def _implementations(
    implemented: Iterable[Row],
    latest: Sequence[Record],
    plans: Sequence[BoardPlan],
    registry: Registry,
    sitemap: Sitemap,
) -> list[ImplementationView]:
    known = dossiers(latest, plans, combinations_of(latest, registry))
    kinds = {"peer": "neuron", "system": "neuron"}  # whose axis they share
    return [
        view_implementation(row, known.get((kinds.get(row.kind, row.kind), row.name), Dossier()), registry, sitemap)
        for row in implemented
    ]


class _Pages:
    """Renders templates into a folder."""

    def __init__(self, out: Path, sitemap: Sitemap, built_at: datetime) -> None:
        self._out = out
        self._environment = Environment(
            loader=PackageLoader("harness.report", "templates"),
            autoescape=True,
            undefined=StrictUndefined,
            finalize=_shown,
            trim_blocks=True,
            lstrip_blocks=True,
        )
        self._environment.filters |= {"day": day, "data": _data}
        self._environment.globals |= {
            "site": sitemap,
            "links": links,
            "boards": BOARDS,
            "built_at": built_at.isoformat(timespec="seconds"),
            "version": __version__,
        }

    def write(self, file: str, template: str, **values: Any) -> None:
        """Render `template` into `file`."""
        text = self._environment.get_template(template).render(file=file, **values)
        (self._out / file).write_text(text, encoding="utf-8")


def _shown(value: Any) -> Any:
    """Return what a page shows of `value`: of text from a record or a card, nothing that acts instead of showing."""
    return printable(value) if type(value) is str else value


def _data(value: Any) -> Markup:
    """Return a dataclass, or a list of them, as JSON that may stand inside a script element."""

    def plain(item: Any) -> Any:
        if dataclasses.is_dataclass(item) and not isinstance(item, type):
            return {field.name: getattr(item, field.name) for field in dataclasses.fields(item)}  # `dumps` goes deeper
        return str(item)

    text = json.dumps(value, default=plain, ensure_ascii=False, allow_nan=False, separators=(",", ":"))
    text = printable(text)  # JSON's own form: the same values
    for character in "<>&'":
        text = text.replace(character, f"\\u{ord(character):04x}")
    return Markup(text)


def _problem(problem: Problem, stores: Sequence[Path]) -> Fact:
    """Return file and reason of a problem; the file is named from its store's folder on."""
    path = problem.path
    for store in stores:
        if path.is_relative_to(store):
            path = Path(store.name) / path.relative_to(store)
            break
    return Fact(path.as_posix(), problem.reason)


def _check_target(out: Path) -> None:
    if out.is_dir() and not (out / MANIFEST).is_file():
        foreign = sorted(path.name for path in out.iterdir() if path.name != links.ASV)
        if foreign:
            raise UserError(
                f"{out} is not empty and holds no leaderboard (it has {foreign[0]})",
                "give another folder with --out, or empty this one",
            )
    elif out.exists() and not out.is_dir():
        raise UserError(f"{out} is a file, not a folder", "give another folder with --out")


def _replace(out: Path, draft: Path) -> None:
    """Move the pages of `draft` to `out`, in the place of what an earlier build wrote."""
    names = sorted(path.name for path in draft.iterdir())
    out.mkdir(exist_ok=True)
    for name in {*_written(out), *names}:
        path = out / name
        if path.is_dir() and not path.is_symlink():
            shutil.rmtree(path)
        else:
            path.unlink(missing_ok=True)
    (out / MANIFEST).write_text(json.dumps(names, indent=1) + "\n", encoding="utf-8")
    for name in names:
        (draft / name).replace(out / name)


def _written(out: Path) -> list[str]:
    """Return what an earlier build wrote to `out`; names that are no plain names are left alone."""
    try:
        names: Mapping[str, Any] | list[Any] = json.loads((out / MANIFEST).read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return []
    return [
        name for name in names if isinstance(name, str) and Path(name).name == name and name not in ("..", links.ASV)
    ]
