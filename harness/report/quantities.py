"""Quantities as people write them: "0.2uJ", "3 ms", "4MiB", "20k", "0.5x".

Into SI units, or a share of the baseline's figure. What cannot be read is an error that shows how to write it. Must not
know what is done with them.
"""

from __future__ import annotations

import math
import re
from collections.abc import Mapping

from harness.errors import UserError
from harness.results.questions import PARAMETERS, Limit

__all__ = ["UNITS", "read_limit"]

_PREFIXES: Mapping[str, float] = {"p": 1e-12, "n": 1e-9, "u": 1e-6, "µ": 1e-6, "μ": 1e-6, "m": 1e-3, "": 1.0}
_BYTES: Mapping[str, float] = {
    "B": 1.0,
    "KiB": 1024.0,
    "MiB": 1024.0**2,
    "GiB": 1024.0**3,
    "kB": 1e3,
    "MB": 1e6,
    "GB": 1e9,
}
_SECONDS = {f"{prefix}s": factor for prefix, factor in _PREFIXES.items() if prefix != "p"} | {"min": 60.0}
UNITS: Mapping[str, Mapping[str, float]] = {
    "energy": {f"{prefix}J": factor for prefix, factor in _PREFIXES.items()},
    "memory": _BYTES,
    "step": _SECONDS,
    "inference": _SECONDS,
    PARAMETERS: {"": 1.0, "k": 1e3, "M": 1e6},
}
"""For each cost, the units that it may be given in."""
_EXAMPLES: Mapping[str, str] = {
    "energy": "0.2uJ",
    "memory": "4MiB",
    "step": "3ms",
    "inference": "500us",
    PARAMETERS: "20k",
}
_QUANTITY = re.compile(r"\s*([0-9]*\.?[0-9]+(?:[eE][-+]?[0-9]+)?)\s*([A-Za-zµμ]*)\s*")


def read_limit(cost: str, text: str) -> Limit:
    """Return the limit that `text` gives for a cost.

    Raises
    ------
    UserError
        If it is no positive number with a unit of that cost, or with ``x`` for a share of the baseline's.
    """
    found = _QUANTITY.fullmatch(text)
    units = UNITS[cost]
    value = float(found[1]) if found else math.nan
    if found and found[2] == "x":
        factor = 1.0
    elif found and found[2] in units:
        factor = units[found[2]]
    else:
        factor = math.nan
    if not (math.isfinite(value * factor) and value > 0):
        known = ", ".join(unit for unit in units if unit and "μ" not in unit and "µ" not in unit)
        raise UserError(
            f"--{_OPTIONS.get(cost, cost)} {text!r} is no {_CALLED[cost]}",
            f"write a positive number and one of {known}, such as {_EXAMPLES[cost]}; 0.5x is half of the baseline's",
        )
    assert found is not None
    return Limit(cost, value * factor, found[2] == "x")


_OPTIONS: Mapping[str, str] = {"step": "step-time"}
_CALLED: Mapping[str, str] = {
    "energy": "energy",
    "memory": "amount of memory",
    "step": "time",
    "inference": "time",
    PARAMETERS: "number of parameters",
}
