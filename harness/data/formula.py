"""formula: what needs no data set, because a formula in the task's file gives every value."""

from __future__ import annotations

from pathlib import Path

from harness.data._base import DataSet, Presence, Verdict

__all__ = ["FORMULA"]


class Formula(DataSet):
    """Always there."""

    def find(self, root: Path) -> Presence:  # noqa: ARG002
        """Say so."""
        return Presence(self.name, True)

    def verify(self, root: Path) -> tuple[Verdict, ...]:  # noqa: ARG002
        """Say that nothing can be broken."""
        return (Verdict(self.name, True, "nothing is stored"),)


FORMULA = Formula(
    name="formula",
    title="Signals computed from a formula",
    licence="none needed",
    source="the task's own file",
    how_to_get="It is computed.",
    embedded=True,
)
