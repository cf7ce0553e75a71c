"""Fixed stratified splits and their digests.

One primitive: an order of the samples in which every stretch holds the classes in their proportions. Parts, folds
and "the first n samples" of a budget are stretches of it. Must not know any data set.
"""

from __future__ import annotations

import hashlib
from typing import NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray

from harness.tasks.common.base import Samples, Split

__all__ = ["Indices", "cross_validated", "held_out", "official", "split_of", "stratified_order"]

VALIDATION_FRACTION = 0.1
"""Of what is not test."""

Index = NDArray[np.int64]


class Indices(NamedTuple):
    """Which samples make up each part, in order."""

    train: Index
    validation: Index
    test: Index


def stratified_order(labels: NDArray[np.integer], seed: int = 0) -> Index:
    """Return a shuffled order ``[N]`` of the samples in which the classes are evenly spread.

    The first n samples hold each class in proportion, give or take about one, whatever n is.
    """
    # RandomState, not default_rng: its stream is frozen by NumPy for ever, and so are the splits.
    shuffled = np.random.RandomState(seed).permutation(len(labels))
    classes, counts = np.unique(labels, return_counts=True)
    place = np.empty(len(labels))
    for label, count in zip(classes, counts, strict=True):
        members = labels[shuffled] == label
        place[members] = (2 * np.arange(count) + 1) / (2 * count)
    return shuffled[np.argsort(place, kind="stable")]


def held_out(labels: NDArray[np.integer], test_fraction: float) -> Indices:
    """Split samples that have no official test part."""
    return _parts(*_cut(stratified_order(labels), test_fraction))


def official(labels: NDArray[np.integer], in_test: NDArray[np.bool_]) -> Indices:
    """Keep the official test part, ``in_test[N]``, and cut the validation part from the rest."""
    test, rest = (index[stratified_order(labels[index])] for index in map(np.flatnonzero, (in_test, ~in_test)))
    return _parts(test, rest)


def cross_validated(labels: NDArray[np.integer], folds: int, fold: int) -> Indices:
    """Take fold number `fold` of `folds` as the test part, and a validation part from the others."""
    stretches = np.array_split(stratified_order(labels), folds)
    return _parts(stretches.pop(fold), np.concatenate(stretches))


def split_of(inputs: NDArray[np.uint8], labels: NDArray[np.int64], indices: Indices) -> Split:
    """Gather the parts of a split; ``inputs[N, ...]`` and ``labels[N]`` are indexed by `indices`.

    Its digest is the hash of the index and the label of every sample of every part, in order.
    """
    digest = hashlib.sha256()
    parts = []
    for name, index in zip(indices._fields, indices, strict=True):
        digest.update(f"{name} {len(index)}\n".encode())
        digest.update(np.stack([index, labels[index]]).astype("<i8").tobytes())
        parts.append(Samples(torch.from_numpy(inputs[index]), torch.from_numpy(labels[index])))
    train, validation, test = parts
    return Split(train, validation, test, digest.hexdigest())


def _parts(test: Index, rest: Index) -> Indices:
    validation, train = _cut(rest, VALIDATION_FRACTION)
    return Indices(train, validation, test)


def _cut(order: Index, fraction: float) -> tuple[Index, Index]:
    """Return the first `fraction` of `order` and the rest."""
    size = round(fraction * len(order))
    return order[:size], order[size:]
