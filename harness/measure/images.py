"""How far one image is from another, and one flow field from another: the figures that papers report.

The structural similarity is computed here, by its published formula: libraries that have it bring some ten others.
Must not know who made the images.
"""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional

__all__ = ["end_point_error", "outliers", "squared_error", "structural_similarity"]

SIDE, DEVIATION = 11, 1.5
"""Of the Gaussian window, in pixels."""
K1, K2 = 0.01, 0.03


def squared_error(image: Tensor, truth: Tensor) -> Tensor:
    """Return the mean squared error of every image of ``[..., C, H, W]``, over its components and pixels."""
    return (image - truth).square().mean((-1, -2, -3))


def structural_similarity(image: Tensor, truth: Tensor, span: float = 1.0) -> Tensor:
    """Return the structural similarity of every image of ``[..., C, H, W]``.

    Z. Wang, A. C. Bovik, H. R. Sheikh, E. P. Simoncelli, "Image quality assessment: from error visibility to structural
    similarity", IEEE Transactions on Image Processing 13(4), 2004, eq. 13: a Gaussian window of 11 x 11 with deviation
    1.5 and population moments, K1 = 0.01, K2 = 0.03, averaged over all places where the window lies inside the image.

    Parameters
    ----------
    image, truth : values of a range of width `span`.

    Raises
    ------
    ValueError
        If the images are smaller than the window.
    """
    if min(image.shape[-2:]) < SIDE:
        raise ValueError(f"structural similarity looks through {SIDE} x {SIDE} pixels; got {tuple(image.shape[-2:])}")
    x, y = (one.double().reshape(-1, 1, *one.shape[-2:]) for one in (image, truth))
    mean_x, mean_y = _blurred(x), _blurred(y)
    variance_x, variance_y = _blurred(x * x) - mean_x.square(), _blurred(y * y) - mean_y.square()
    covariance = _blurred(x * y) - mean_x * mean_y
    c1, c2 = (K1 * span) ** 2, (K2 * span) ** 2
    above = (2 * mean_x * mean_y + c1) * (2 * covariance + c2)
    below = (mean_x.square() + mean_y.square() + c1) * (variance_x + variance_y + c2)
    return (above / below).mean((-1, -2)).reshape(image.shape[:-2]).mean(-1)


def _blurred(x: Tensor) -> Tensor:
    places = torch.arange(SIDE, dtype=x.dtype, device=x.device) - SIDE // 2
    weights = torch.exp(-places.square() / (2 * DEVIATION**2))
    weights = weights / weights.sum()
    return functional.conv2d(functional.conv2d(x, weights.view(1, 1, -1, 1)), weights.view(1, 1, 1, -1))


def end_point_error(flow: Tensor, truth: Tensor) -> Tensor:
    """Return how far the end points of ``[..., 2, H, W]`` are from the true ones, ``[..., H, W]``, in pixels."""
    return (flow - truth).square().sum(-3).sqrt()


def outliers(error: Tensor, counted: Tensor, pixels: float) -> Tensor:
    """Return the share of the `counted` places of every field ``[..., H, W]`` whose error is above so many pixels.

    nan where nothing is counted.
    """
    return ((error > pixels) & counted).sum((-1, -2)) / counted.sum((-1, -2))
