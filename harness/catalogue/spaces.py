"""Which of its own parameters a row may have tuned: what its card says, checked, less what makes a variant a variant.

Must not know the shared settings, nor how anything is searched; must not import torch.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from reference_impls.card import Card, CardError, Dimension
from reference_impls.card_files import line_of

__all__ = ["MOST_DIMENSIONS", "check_space", "own_space"]

MOST_DIMENSIONS = 4
"""Parameters of its own that a row may have tuned: more would be more means than others have."""


def own_space(card: Card, row: str, params: Mapping[str, Any]) -> dict[str, Dimension]:
    """Return the space of a row of `card` with the parameters `params`.

    A variant that says no space of its own has the card's, without what it sets itself: that is what it is about.
    """
    variant = card.variants.get(row)
    if variant is None or "space" in variant.overrides:
        return dict(card.space)
    changed = {name for name, value in params.items() if card.defaults.get(name) != value}
    return {name: dimension for name, dimension in card.space.items() if name.partition(".")[0] not in changed}


def check_space(card: Card, row: str, params: Mapping[str, Any], path: Path) -> None:
    """Make sure that tuning can search what a row says, as far as the card tells.

    Raises
    ------
    CardError
        If there are too many parameters, or a default of the card is none of those that could be chosen.
    """
    space = own_space(card, row, params)
    if len(space) > MOST_DIMENSIONS:
        raise CardError(
            f"{path}:{line_of(path, ['space'])}: {row!r} has {len(space)} parameters to tune; "
            f"a row may have {MOST_DIMENSIONS} of its own"
        )
    for name, dimension in space.items():
        default = _default(name, params)
        if default is not None and not dimension.holds(default):
            line = line_of(path, ("space", name))
            raise CardError(
                f"{path}:{line}: the space of {row!r} does not hold its default, {name} = {default!r}: "
                f"it is {dimension.said}"
            )


def _default(name: str, params: Mapping[str, Any]) -> Any:
    """Return the card's value of a parameter, or of one inside another; None where it says none."""
    outer, dot, inner = name.partition(".")
    value = params.get(outer)
    if not dot:
        return value
    return value.get("params", {}).get(inner) if isinstance(value, Mapping) else None
