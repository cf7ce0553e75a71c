"""Errors of images and flow fields, held against scikit-image's values and worked-out ones."""

from __future__ import annotations

import math

import pytest
import torch
from torch import Tensor

from harness.measure.images import end_point_error, outliers, squared_error, structural_similarity


def pattern() -> tuple[Tensor, Tensor]:
    """An image and a disturbed one, 16 x 20."""
    y, x = torch.meshgrid(torch.arange(16), torch.arange(20), indexing="ij")
    whole = ((x * 7 + y * 13) % 31).double() / 30
    return whole[None], (((x * 7 + y * 13 + 3 * (x % 4)) % 31).double() / 30)[None]


def test_structural_similarity_is_that_of_scikit_image() -> None:
    """scikit-image 0.26.0: gaussian_weights, sigma 1.5, use_sample_covariance False, data_range 1."""
    image, other = pattern()
    assert float(structural_similarity(image, other)) == pytest.approx(0.3537783000135555, abs=1e-7)
    assert float(structural_similarity(image, 0.5 * image + 0.2)) == pytest.approx(0.7971787929097397, abs=1e-7)
    assert float(structural_similarity(image, image)) == pytest.approx(1.0)


def test_structural_similarity_keeps_the_batch_and_knows_the_range() -> None:
    image, other = pattern()
    pair = torch.stack([image, other])
    found = structural_similarity(pair, image.expand_as(pair))
    assert found.shape == (2,)
    assert float(found[1]) == pytest.approx(float(structural_similarity(other, image)))
    wide = structural_similarity(255 * other, 255 * image, span=255.0)
    assert float(wide) == pytest.approx(float(found[1]))
    with pytest.raises(ValueError, match="11 x 11 pixels"):
        structural_similarity(torch.zeros(1, 8, 16), torch.zeros(1, 8, 16))


def test_errors_are_means_over_what_they_say() -> None:
    truth = torch.zeros(3, 2, 2, 4, 4)
    said = truth.clone()
    said[1, 0, 0] = 3.0
    said[1, 0, 1] = 4.0
    assert squared_error(said, truth).tolist() == [[0, 0], [12.5, 0], [0, 0]]
    error = end_point_error(said, truth)
    assert error.shape == (3, 2, 4, 4)
    assert error[1, 0].unique().tolist() == [5.0]
    counted = torch.zeros(3, 2, 4, 4, dtype=torch.bool)
    counted[:2, :, 0] = True
    error[1, 0, 0, 0] = 3.0
    shares = outliers(error, counted, 3.0)
    assert shares[:2].tolist() == [[0, 0], [0.75, 0]]
    assert all(math.isnan(share) for share in shares[2].tolist())
