"""Claims and verdicts in words: for the page, for the terminal, and as files.

Must not judge: ``harness.results.claims`` did.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from harness.report.links import Sitemap, record_link
from harness.report.sheets import Sheet
from harness.report.units import scale_for
from harness.report.words import count, joined
from harness.results.claims import LEAST_SEEDS, VERDICTS, Evidence, Judged, Tried

__all__ = ["ClaimView", "ClaimsView", "claims_sheet", "effect_text", "view_claims"]

MARKS = {
    "confirmed": "good",
    "not confirmed": "warn",
    "reversed": "bad",
    "not testable here": "plain",
    "not measured yet": "plain",
}


@dataclass(frozen=True, slots=True)
class EvidenceView:
    """One line of evidence."""

    where: str
    effect: str
    figures: str
    seeds: str
    verdict: str
    reason: str
    links: tuple[tuple[str, str], ...]
    """(cell, its record)."""


@dataclass(frozen=True, slots=True)
class TestView:
    """One comparison."""

    asks: str
    verdict: str
    reason: str
    evidence: tuple[EvidenceView, ...]


@dataclass(frozen=True, slots=True)
class ClaimView:
    """A claim on the page."""

    id: str
    says: str
    paper: str
    href: str
    where: str
    verdict: str
    mark: str
    reason: str
    differs: str
    tests: tuple[TestView, ...]
    rows: tuple[tuple[str, str], ...]
    """(name, page) of the rows that it is about."""


@dataclass(frozen=True, slots=True)
class ClaimsView:
    """The page."""

    claims: tuple[ClaimView, ...]
    summary: str
    least_seeds: int


def view_claims(judged: Sequence[Judged], sitemap: Sitemap) -> ClaimsView:
    """Return all claims, those with a verdict first."""
    order = {verdict: at for at, verdict in enumerate((*VERDICTS[:3], VERDICTS[4], VERDICTS[3]))}
    ordered = sorted(judged, key=lambda one: order[one.verdict])
    return ClaimsView(tuple(_claim(one, sitemap) for one in ordered), summary_of(judged), LEAST_SEEDS)


def summary_of(judged: Sequence[Judged]) -> str:
    """Return "28 claims: 3 confirmed, 4 not confirmed, ..."."""
    found = Counter(one.verdict for one in judged)
    parts = [f"{found[verdict]} {verdict}" for verdict in VERDICTS if found[verdict]]
    return f"{count(len(judged), 'claim')}: {', '.join(parts)}" if parts else "No claims."


def claims_sheet(judged: Sequence[Judged]) -> Sheet:
    """Return the claims as lines of text, and every piece of evidence as a line of raw values."""
    head = ("claim", "says", "paper", "tested by", "measured", "verdict", "because")
    return Sheet(
        id="claims",
        title="What papers claim, and what is measured here",
        head=head,
        lines=tuple(_line(one) for one in judged),
        raw=tuple(line for one in judged for line in _raw(one)),
        notes=(
            f"{summary_of(judged)}. Verdicts are computed from current records, each comparison for itself at 95 %: "
            f"what training decides needs tuned rows and {LEAST_SEEDS} seeds of each.",
        ),
        left=(True,) * len(head),
    )


def asks(tried: Tried) -> str:
    """Return what a test compares, such as "training step of klif no worse than that of lif"."""
    test = tried.test
    row = tried.row or joined((name for names in test.row.values() for name in names), "or")
    if test.expects in ("at most", "at least"):
        return f"{tried.title} of {row}: {test.expects} {test.limit:g}"
    size = ""
    if test.size:
        points = tried.card is not None and tried.card.unit == "fraction"
        size = f" by {100 * test.size:.0f} {'points' if points else '%'}"
    return f"{tried.title} of {row} {test.expects} than that of {tried.against}{size}"


def effect_text(evidence: Evidence, unit: str = "") -> str:
    """Return the effect with its interval: "-1.2 points (-2.0 to -0.4)", "+32 % (+13 to +53)", or a figure."""
    effect = evidence.effect
    if evidence.against is None:
        scale = scale_for(unit, effect.value)
        bounds = (
            ""
            if effect.low is None or effect.high is None
            else f" ({scale.text(effect.low)} to {scale.text(effect.high)})"
        )
        return f"{scale.text(effect.value)} {scale.label}".rstrip() + bounds
    if not math.isfinite(effect.value):
        return "not comparable"
    decimals = 1 if evidence.points else 0
    value = f"{100 * effect.value:+.{decimals}f} {'points' if evidence.points else '%'}"
    if effect.low is None or effect.high is None or effect.low == effect.high:
        return value
    return f"{value} ({100 * effect.low:+.{decimals}f} to {100 * effect.high:+.{decimals}f})"


def _claim(one: Judged, sitemap: Sitemap) -> ClaimView:
    claim = one.claim
    address = claim.arxiv
    if address and not address.startswith("https://"):
        address = f"https://arxiv.org/abs/{address}"
    rows: dict[str, str] = {}
    for tried in one.tried:
        for side, name in ((tried.test.row, tried.row), (tried.test.against, tried.against)):
            for axis in side:
                page = sitemap.of_axis(axis, name)
                if name and page:
                    rows[name] = page
    return ClaimView(
        id=claim.id,
        says=claim.says,
        paper=claim.paper,
        href=address,
        where=claim.where,
        verdict=one.verdict,
        mark=MARKS[one.verdict],
        reason=one.reason,
        differs=claim.differs,
        tests=tuple(_test(tried) for tried in one.tried),
        rows=tuple(rows.items()),
    )


def _test(tried: Tried) -> TestView:
    unit = tried.card.unit if tried.card else ""
    return TestView(asks(tried), tried.verdict, tried.reason, tuple(_evidence(one, unit) for one in tried.evidence))


def _evidence(one: Evidence, unit: str) -> EvidenceView:
    against = one.against
    scale = scale_for(unit, max(abs(one.row.value), abs(against.value) if against else 0.0))
    figures = f"{scale.text(one.row.value)}" + (f" against {scale.text(against.value)}" if against else "")
    return EvidenceView(
        where=one.where,
        effect=effect_text(one, unit),
        figures=f"{figures} {scale.label}".rstrip(),
        seeds=count(one.seeds, "seed"),
        verdict=one.verdict or "no verdict",
        reason=one.reason,
        links=tuple((record.cell_id, record_link(record)) for record in one.records),
    )


def _line(one: Judged) -> tuple[str, ...]:
    tested = "; ".join(asks(tried) for tried in one.tried) or "nothing here"
    measured = "; ".join(_measured(tried) for tried in one.tried if tried.evidence)
    return (one.claim.id, one.claim.says, one.claim.paper, tested, measured, one.verdict, one.reason)


def _measured(tried: Tried) -> str:
    unit = tried.card.unit if tried.card else ""
    told = (
        f"{effect_text(one, unit)} on {one.where}" + ("" if one.verdict else f", {one.reason}")
        for one in tried.evidence
    )
    return f"{tried.title}: " + ", ".join(told)


def _raw(one: Judged) -> Iterable[dict[str, object]]:
    claim = one.claim
    start: dict[str, object] = {"claim": claim.id, "verdict": one.verdict, "reason": one.reason, "says": claim.says}
    start |= {"paper": claim.paper, "arxiv": claim.arxiv, "where": claim.where}
    found = False
    for tried in one.tried:
        test = tried.test
        asked = start | {"figure": test.figure, "row": tried.row, "against": tried.against, "expects": test.expects}
        asked |= {"size": test.size, "limit": test.limit, "test_verdict": tried.verdict, "test_reason": tried.reason}
        for evidence in tried.evidence or (None,):
            found = True
            line = dict(asked)
            if evidence is not None:
                line |= {"condition": evidence.where, "machine": evidence.machine, "seeds": evidence.seeds}
                line |= {f"effect.{part}": getattr(evidence.effect, part) for part in ("value", "low", "high")}
                line |= {"effect.in_points": evidence.points, "row_value": evidence.row.value}
                line |= {"against_value": evidence.against and evidence.against.value}
                line |= {"evidence_verdict": evidence.verdict or "", "no_verdict_because": evidence.reason}
            yield line
    if not found:
        yield start
