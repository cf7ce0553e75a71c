"""Which contract a whole system has: by what it answers. Must not know any system by name."""

from __future__ import annotations

from harness.catalogue.cards import Row
from harness.conformance import CheckOutcome, run_checks
from harness.conformance.actors import ACTOR_CHECKS, ActorSubject
from harness.conformance.images import IMAGE_CHECKS, ImageSubject
from harness.conformance.reasoners import REASONER_CHECKS, ReasonerSubject

__all__ = ["judged"]


def judged(row: Row) -> list[CheckOutcome]:
    """Run every clause of the contract of a system."""
    if row.capabilities.answers == "control":
        return run_checks(ACTOR_CHECKS, ActorSubject(row))
    if row.capabilities.answers == "links":
        return run_checks(REASONER_CHECKS, ReasonerSubject(row))
    return run_checks(IMAGE_CHECKS, ImageSubject(row))
