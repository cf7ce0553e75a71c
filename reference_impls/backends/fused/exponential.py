"""The exponential function of float32 lanes: unlike a call of the C library it is made of vectors.

Range reduction to |r| <= ln 2 / 2 and the polynomial of Cephes' ``expf`` (S. L. Moshier); 2**n is made by its bits.
Multiplications and additions are fused where the processor can: it is closer to the true value, and torch's own
vectorised exponential is as near to it but not the same.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from llvmlite import ir

from reference_impls.backends.fused.lanes import call_on_lanes

__all__ = ["exponential"]

_LOWEST, _HIGHEST = -87.33654, 88.37626
_PER_LN2 = 1.44269504088896341
_LN2_HIGH, _LN2_LOW = 0.693359375, -2.12194440e-4
_POLYNOMIAL = (
    5.0000001201e-1, 1.6666665459e-1, 4.1665795894e-2, 8.3334519073e-3, 1.3981999507e-3, 1.9875691500e-4,
)  # fmt: skip
_MANTISSA_BITS, _BIAS = 23, 127


def exponential(builder: Any, x: Any) -> Any:
    """Return e**x, for x between the logarithms of the least and the greatest normal number."""
    kind = x.type
    whole = ir.VectorType(ir.IntType(32), kind.count)

    def constant(number: float) -> Any:
        return ir.Constant(kind, [float(np.float32(number))] * kind.count)

    def fused(a: Any, b: Any, c: Any) -> Any:
        return call_on_lanes(builder, "fmuladd", a, b, c)

    highest, lowest = constant(_HIGHEST), constant(_LOWEST)
    x = builder.select(builder.fcmp_ordered(">", x, highest), highest, x)
    x = builder.select(builder.fcmp_ordered("<", x, lowest), lowest, x)
    n = call_on_lanes(builder, "floor", fused(x, constant(_PER_LN2), constant(0.5)))
    minus_n = builder.fneg(n)
    r = fused(minus_n, constant(_LN2_LOW), fused(minus_n, constant(_LN2_HIGH), x))
    square = builder.fmul(r, r)
    p0, p1, p2, p3, p4, p5 = map(constant, _POLYNOMIAL)
    low, middle, high = fused(p1, r, p0), fused(p3, r, p2), fused(p5, r, p4)
    above = fused(square, fused(square, high, middle), low)
    y = fused(square, above, builder.fadd(r, constant(1.0)))
    exponent = builder.add(builder.fptosi(n, whole), ir.Constant(whole, [_BIAS] * kind.count))
    power = builder.shl(exponent, ir.Constant(whole, [_MANTISSA_BITS] * kind.count))
    return builder.fmul(y, builder.bitcast(power, kind))
