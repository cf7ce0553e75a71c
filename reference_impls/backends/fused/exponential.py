"""The exponential function for float32 kernels of Numba: unlike a call of the C library it vectorises.

Range reduction to |r| <= ln 2 / 2 and the polynomial of Cephes' ``expf`` (S. L. Moshier); 2**n is made by its bits.
Multiplications and additions are fused where the processor can: it is closer to the true value, and torch's own
vectorised exponential is as near to it but not the same.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from llvmlite import ir
from numba import njit
from numba.extending import intrinsic

__all__ = ["exp"]

_LOWEST, _HIGHEST = np.float32(-87.33654), np.float32(88.37626)
_PER_LN2 = np.float32(1.44269504088896341)
_LN2_HIGH, _LN2_LOW = np.float32(0.693359375), np.float32(-2.12194440e-4)
_P5, _P4, _P3 = np.float32(1.9875691500e-4), np.float32(1.3981999507e-3), np.float32(8.3334519073e-3)
_P2, _P1, _P0 = np.float32(4.1665795894e-2), np.float32(1.6666665459e-1), np.float32(5.0000001201e-1)
_HALF, _ONE = np.float32(0.5), np.float32(1.0)


@intrinsic
def _fused(_context: Any, a: Any, b: Any, c: Any) -> Any:
    """Return ``a * b + c``, rounded once where that is one instruction."""

    def generate(_context: Any, builder: Any, _signature: Any, arguments: Any) -> Any:
        kind = arguments[0].type
        fused = builder.module.declare_intrinsic("llvm.fmuladd", [kind], ir.FunctionType(kind, [kind] * 3))
        return builder.call(fused, arguments)

    return a(a, b, c), generate


_mul_add: Any = _fused  # without the first argument of its definition


@njit(inline="always", error_model="numpy")
def exp(x: Any) -> Any:
    """Return e**x in float32, for x between the logarithms of the least and the greatest normal number."""
    x = _HIGHEST if x > _HIGHEST else x
    x = _LOWEST if x < _LOWEST else x
    n = np.floor(_mul_add(x, _PER_LN2, _HALF))
    r = _mul_add(-n, _LN2_LOW, _mul_add(-n, _LN2_HIGH, x))
    square = r * r
    low, middle, high = _mul_add(_P1, r, _P0), _mul_add(_P3, r, _P2), _mul_add(_P5, r, _P4)
    y = _mul_add(square, _mul_add(square, _mul_add(square, high, middle), low), r + _ONE)
    return y * np.int32((np.int32(n) + np.int32(127)) << np.int32(23)).view(np.float32)
