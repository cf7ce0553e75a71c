"""Arithmetic: how many elementary operations something takes, and what each kind of them costs at 45 nm.

Four kinds have an energy of their own in Horowitz's table or are taken as one of its entries; divisions, roots and
elementary functions are charged as the additions and multiplications of the algorithm that is named here, so that
every figure can be traced back to that one table. Must not know what is counted, nor how.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import astuple, dataclass

__all__ = ["FP32_45NM", "NOTHING", "OPERATIONS", "Arithmetic", "EnergyConstants"]


@dataclass(frozen=True, slots=True)
class EnergyConstants:
    """Energy of one operation, in joules."""

    name: str
    source: str
    add_joules: float
    multiply_joules: float
    compare_joules: float

    @property
    def accumulate_joules(self) -> float:
        """Return E_AC: a spike adds a weight."""
        return self.add_joules

    @property
    def multiply_accumulate_joules(self) -> float:
        """Return E_MAC."""
        return self.multiply_joules + self.add_joules

    @property
    def divide_joules(self) -> float:
        """Return a division: reciprocal from a table of 8 bits, two steps of Newton, the product."""
        return DIVISION.joules(self)

    @property
    def root_joules(self) -> float:
        """Return a square root: reciprocal root from a table of 8 bits, two steps of Newton, the product."""
        return ROOT.joules(self)

    @property
    def elementary_joules(self) -> float:
        """Return an elementary function, charged as the exponential."""
        return EXPONENTIAL.joules(self)

    @property
    def draw_joules(self) -> float:
        """Return a random number."""
        return DRAW.joules(self)


@dataclass(frozen=True, slots=True)
class Arithmetic:
    """Numbers of operations, whole or per something."""

    additions: float = 0.0
    """Additions and subtractions."""
    multiplications: float = 0.0
    comparisons: float = 0.0
    """Comparisons, and what costs as little: 32-bit integer additions."""
    divisions: float = 0.0
    """By what varies; a division by a constant is a multiplication."""
    roots: float = 0.0
    elementary: float = 0.0
    """Exponentials, logarithms, trigonometric functions."""
    draws: float = 0.0
    """Random numbers."""

    def __add__(self, other: Arithmetic) -> Arithmetic:
        return Arithmetic(*(a + b for a, b in zip(astuple(self), astuple(other), strict=True)))

    def times(self, factor: float) -> Arithmetic:
        """Return this, `factor` times."""
        return Arithmetic(*(value * factor for value in astuple(self)))

    def joules(self, constants: EnergyConstants) -> float:
        """Return what it costs."""
        return (
            self.additions * constants.add_joules
            + self.multiplications * constants.multiply_joules
            + self.comparisons * constants.compare_joules
            + (self.divisions * constants.divide_joules if self.divisions else 0.0)
            + (self.roots * constants.root_joules if self.roots else 0.0)
            + (self.elementary * constants.elementary_joules if self.elementary else 0.0)
            + (self.draws * constants.draw_joules if self.draws else 0.0)
        )

    def __str__(self) -> str:
        counts = {name: getattr(self, name) for name in self.__slots__ if getattr(self, name)}
        return ", ".join(f"{value:g} {name}" for name, value in counts.items()) or "nothing"


NOTHING = Arithmetic()
DIVISION = Arithmetic(additions=2, multiplications=5)
"""Two steps ``r (2 - d r)``, then the product with the dividend (M. Flynn, IEEE Trans. Computers C-19:702, 1970)."""
ROOT = Arithmetic(additions=2, multiplications=9)
"""Two steps ``r (1.5 - 0.5 x r r)``, then the product with x."""
EXPONENTIAL = Arithmetic(additions=10, multiplications=11, comparisons=4)
"""Cephes' ``expf`` (S. L. Moshier), as the fused backends print it: two clamps, the whole part, the exponent's bits."""
DRAW = Arithmetic(comparisons=6)
"""xorshift32: three shifts and three exclusive ors (G. Marsaglia, Journal of Statistical Software 8:14, 2003)."""

FP32_45NM = EnergyConstants(
    name="45 nm, 32-bit floating point, 0.9 V",
    source="M. Horowitz, Computing's energy problem (and what we can do about it), ISSCC 2014, figure 1.1.9",
    add_joules=0.9e-12,
    multiply_joules=3.7e-12,
    compare_joules=0.1e-12,
)
"""A comparison is taken as a 32-bit integer addition."""

_ADD, _MULTIPLY, _COMPARE = Arithmetic(additions=1), Arithmetic(multiplications=1), Arithmetic(comparisons=1)
_DIVIDE, _ROOT, _ELEMENTARY = Arithmetic(divisions=1), Arithmetic(roots=1), Arithmetic(elementary=1)

OPERATIONS: Mapping[str, Arithmetic] = {
    **dict.fromkeys(("add", "sub", "floor"), _ADD),
    **dict.fromkeys(("mul",), _MULTIPLY),
    **dict.fromkeys(("ge", "gt", "le", "lt", "eq", "ne", "maximum", "minimum", "relu"), _COMPARE),
    **dict.fromkeys(("neg", "abs", "and", "or", "not", "where", "number"), NOTHING),
    "sign": _COMPARE + _COMPARE,
    **dict.fromkeys(("div", "reciprocal"), _DIVIDE),
    "sqrt": _ROOT,
    "rsqrt": _ROOT,
    **dict.fromkeys(("exp", "expm1", "log", "log1p", "sin", "cos", "erf", "atan"), _ELEMENTARY),
    "sigmoid": _ELEMENTARY + _ADD + _DIVIDE,
    "tanh": _ELEMENTARY + _ADD + _ADD + _MULTIPLY + _DIVIDE,
    "pow": _ELEMENTARY + _ELEMENTARY + _MULTIPLY,
    "draw": Arithmetic(draws=1),
}
"""What one operation on numbers that vary takes, by the name that a traced step has for it.

The sign's bit, a truth value and a choice between two numbers cost nothing: they are gates, not arithmetic.
"""
