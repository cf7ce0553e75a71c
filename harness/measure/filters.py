"""What a linear filter over time takes at inference, in the cheapest of the forms that compute it exactly.

A filter is known by its matrix over time alone. Two forms: its entries that are not 0, one by one (a causal band of k
diagonals is k taps on a buffer of k steps); or, if the matrix repeats itself along its diagonals and its taps follow a
linear recurrence (decays, cascades of them, damped oscillations), that recurrence. Must not know where filters come
from.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from harness.measure.arithmetic import FP32_45NM, Arithmetic

__all__ = ["FilterWork", "band", "cheapest", "clean", "entries", "price", "recurrence"]

Floats = NDArray[np.float64]
MOST_ORDER = 12
"""Longest recurrence that is looked for."""
EXACT = 1e-7
"""How far the taps of a recurrence may lie from the filter's, relative to the largest: both are in double precision."""


@dataclass(frozen=True, slots=True)
class FilterWork:
    """What a filter takes for one output, the mean over the sequence."""

    work: Arithmetic
    form: str


def entries(matrix: Floats) -> FilterWork:
    """Return one multiplication and one addition for each entry of ``matrix[T_out, T_in]`` that is not 0."""
    return _counted(int(np.count_nonzero(matrix)), int(np.count_nonzero(np.abs(matrix) == 1)), matrix.shape)


def band(taps: Floats) -> FilterWork:
    """Return the same for the causal matrix that repeats ``taps[T]`` along its diagonals."""
    T = len(taps)
    used, ones = np.flatnonzero(taps), np.flatnonzero(np.abs(taps) == 1)
    return _counted(int((T - used).sum()), int((T - ones).sum()), (T, T))


def _counted(entries: int, ones: int, shape: tuple[int, ...]) -> FilterWork:
    steps = shape[0]
    work = Arithmetic(additions=entries / steps, multiplications=(entries - ones) / steps)
    return FilterWork(work, f"entries that are not 0, {entries / steps:g} a step of {shape[1]}")


def recurrence(taps: Floats) -> FilterWork | None:
    """Return ``y[t] = sum a_i y[t-i] + sum b_j x[t-j]`` with the fewest products whose response is ``taps[T]``.

    None if there is none of an order that is at most a third of the taps: fewer would prove nothing.
    """
    scale = float(np.abs(taps).max(initial=0.0))
    if scale == 0:
        return FilterWork(Arithmetic(), "a filter that passes nothing")
    h = taps / scale
    for order in range(1, min(MOST_ORDER, len(h) // 3) + 1):
        for delay in (0, 1):
            feedback = _feedback(h, order, delay)
            if feedback is not None:
                return _recurrent(feedback, _forward(h, feedback, delay), scale)
    return None


def _feedback(h: Floats, order: int, delay: int) -> Floats | None:
    """Return ``a`` with ``h[n] = sum a_i h[n-i]`` for every n from ``order + delay`` on, if there is one."""
    rows = range(order + delay, len(h))
    past = np.array([h[n - order : n][::-1] for n in rows])
    found, *_ = np.linalg.lstsq(past, h[order + delay :], rcond=None)
    # Run, not only fitted: what drifts away over the sequence is another filter.
    again = h.copy()
    for n in rows:
        again[n] = found @ again[n - order : n][::-1]
    return found if np.abs(again - h).max() <= EXACT else None


def _forward(h: Floats, feedback: Floats, delay: int) -> Floats:
    """Return ``b``: what of the first taps the feedback does not make."""
    order = len(feedback)
    made = [sum(feedback[i - 1] * h[n - i] for i in range(1, min(n, order) + 1)) for n in range(order + delay)]
    return h[: order + delay] - np.array(made)


def _recurrent(feedback: Floats, forward: Floats, scale: float) -> FilterWork:
    back = feedback[np.abs(feedback) > EXACT]
    into = forward[np.abs(forward) > EXACT] * scale
    factors = np.concatenate([back, into])
    products = int((np.abs(np.abs(factors) - 1) > EXACT).sum())
    form = f"a recurrence of order {len(feedback)}"
    return FilterWork(Arithmetic(additions=len(factors) - 1, multiplications=products), form)


def cheapest(taps: Any) -> FilterWork:
    """Return the form of a filter, the same at every step, that takes least energy."""
    forms = (band(taps), recurrence(taps))
    return min((form for form in forms if form is not None), key=price)


def clean(values: Any) -> Any:
    """Set what transforms leave of a 0 to 0."""
    return np.where(np.abs(values) > 1e-13 * np.abs(values).max(initial=0.0), values, 0.0)


def price(found: FilterWork) -> float:
    """Return the energy by which forms are compared."""
    return found.work.joules(FP32_45NM)
