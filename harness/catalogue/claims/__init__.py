"""What the papers claim of their neurons and methods, as data: the claim, its place, and what would test it here."""

from harness.catalogue.claims.elsewhere import ELSEWHERE
from harness.catalogue.claims.model import Claim, Comparison
from harness.catalogue.claims.neurons import OF_NEURONS
from harness.catalogue.claims.training import OF_TRAINING

__all__ = ["CLAIMS", "Claim", "Comparison"]

CLAIMS: tuple[Claim, ...] = (*OF_NEURONS, *OF_TRAINING, *ELSEWHERE)
