"""A Gaussian process over wirings: what the accuracy of one that was not tried may be, and how sure that is.

Two wirings are as far apart as the number of pairs at which their symbols differ (Hamming). Must not know what a symbol
means.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.linalg import cho_factor, cho_solve
from scipy.optimize import minimize

__all__ = ["HammingProcess"]

Array = NDArray[np.float64]
LOG_BOUNDS = ((-3.0, 3.0), (-1.5, 3.5), (-8.0, 1.0))
"""Of the logarithms of signal variance, length and noise variance, for values of variance 1."""
STARTS = ((0.0, 1.0, -3.0), (0.0, 2.0, -1.0), (0.0, 0.0, -5.0))
JITTER = 1e-8


class HammingProcess:
    """Regression with the kernel ``s^2 exp(-H(a, b) / l) + n^2 [a is b]``; s, l and n of greatest likelihood.

    The kernel is a product over the pairs of one that is 1 where the symbols agree and ``exp(-1/l)`` where they do not,
    so it is positive definite.

    Parameters
    ----------
    tried : symbols of each candidate.
    values : what each gave; standardised inside.
    """

    def __init__(self, tried: Sequence[Sequence[int]], values: Sequence[float]) -> None:
        self._x = np.asarray(tried)
        y = np.asarray(values, dtype=float)
        self._mean = float(y.mean())
        self._scale = float(y.std()) or 1.0
        self._y = (y - self._mean) / self._scale
        self._distances = _hamming(self._x, self._x)
        fits: list[Any] = [minimize(self._cost, start, method="L-BFGS-B", bounds=LOG_BOUNDS) for start in STARTS]
        self.signal, self.length, self.noise = np.exp(min(fits, key=lambda fit: fit.fun).x)
        self._factor = cho_factor(self._covariance(self.signal, self.length, self.noise), lower=True)
        self._weights = cho_solve(self._factor, self._y)

    def _covariance(self, signal: float, length: float, noise: float) -> Array:
        kernel: Array = signal * np.exp(-self._distances / length)
        return kernel + (noise + JITTER) * np.eye(len(self._y))

    def _cost(self, logarithms: Array) -> float:
        """Return the negative logarithm of the likelihood, up to a constant."""
        factor = cho_factor(self._covariance(*np.exp(logarithms)), lower=True)
        fit = self._y @ cho_solve(factor, self._y)
        return float(0.5 * fit + np.log(np.diag(factor[0])).sum())

    def predict(self, asked: Sequence[Sequence[int]]) -> tuple[Array, Array]:
        """Return mean and standard deviation of the value of each candidate, noise not included."""
        kernel = self.signal * np.exp(-_hamming(np.asarray(asked), self._x) / self.length)
        mean = kernel @ self._weights
        variance = self.signal - np.einsum("ij,ji->i", kernel, cho_solve(self._factor, kernel.T))
        return self._mean + self._scale * mean, self._scale * np.sqrt(np.maximum(variance, 0.0))


def _hamming(a: NDArray[Any], b: NDArray[Any]) -> Array:
    return np.asarray((a[:, None, :] != b[None, :, :]).sum(-1), dtype=float)
