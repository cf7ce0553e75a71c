from __future__ import annotations

import numpy as np
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from harness.tasks.common.split import Indices, cross_validated, held_out, official, split_of, stratified_order

many_labels = st.lists(st.integers(0, 5), min_size=1, max_size=200).map(np.array)


def assert_partition(indices: Indices, count: int) -> None:
    together = np.concatenate(indices)
    assert len(together) == count
    assert set(together) == set(range(count))


@given(many_labels, st.integers(0, 3))
def test_order_is_a_permutation_and_every_prefix_is_stratified(labels: NDArray[np.int64], seed: int) -> None:
    order = stratified_order(labels, seed)
    assert sorted(order) == list(range(len(labels)))
    classes, counts = np.unique(labels, return_counts=True)
    share = counts / len(labels)
    for size in range(len(labels) + 1):
        found = (labels[order[:size], None] == classes).sum(0)
        # Half a sample from rounding each class, and its share of the halves of all classes.
        assert np.all(np.abs(found - size * share) <= 0.5 + share * len(classes) / 2 + 1e-9)


@given(many_labels)
def test_parts_are_disjoint_and_complete(labels: NDArray[np.int64]) -> None:
    assert_partition(held_out(labels, 0.2), len(labels))
    assert_partition(official(labels, np.arange(len(labels)) % 3 == 0), len(labels))
    for fold in range(5):
        assert_partition(cross_validated(labels, 5, fold), len(labels))


@given(many_labels)
def test_folds_together_test_every_sample_once(labels: NDArray[np.int64]) -> None:
    tested = np.concatenate([cross_validated(labels, 5, fold).test for fold in range(5)])
    assert sorted(tested) == list(range(len(labels)))


def test_official_part_stays_the_test_part() -> None:
    labels = np.arange(1000) % 10
    in_test = np.arange(1000) >= 700
    indices = official(labels, in_test)
    assert in_test[indices.test].all()
    assert len(indices.test) == 300
    assert len(indices.validation) == 70
    assert np.bincount(labels[indices.validation]).tolist() == [7] * 10


def test_order_is_shuffled_within_and_between_classes() -> None:
    labels = np.repeat(np.arange(10), 50)
    order = stratified_order(labels)
    assert np.any(np.diff(order[labels[order] == 3]) < 0)
    assert len({tuple(labels[order[start : start + 10]]) for start in range(0, 500, 10)}) > 40
    assert not np.array_equal(order, stratified_order(labels, seed=1))


def test_order_is_the_same_for_ever() -> None:
    """Pinned: every record of the project rests on it."""
    assert stratified_order(np.arange(12) % 3).tolist() == [6, 11, 4, 10, 2, 9, 8, 1, 3, 7, 0, 5]


def test_digest_knows_place_order_and_label() -> None:
    inputs = np.zeros((4, 2), dtype=np.uint8)
    labels = np.array([0, 1, 0, 1])

    def digest(train: list[int], validation: list[int], test: list[int], given: NDArray[np.int64] = labels) -> str:
        return split_of(inputs, given, Indices(*(np.array(part) for part in (train, validation, test)))).digest

    reference = digest([0, 1], [2], [3])
    assert reference == digest([0, 1], [2], [3])
    others = [
        digest([1, 0], [2], [3]),
        digest([0], [1, 2], [3]),
        digest([0, 1], [3], [2]),
        digest([0, 1], [2], [3], 1 - labels),
    ]
    assert len({reference, *others}) == 5


def test_split_gathers_inputs_and_labels() -> None:
    inputs = np.arange(10, dtype=np.uint8).reshape(5, 2)
    split = split_of(inputs, np.arange(5), Indices(np.array([4, 0]), np.array([1]), np.array([2, 3])))
    assert split.train.inputs.tolist() == [[8, 9], [0, 1]]
    assert split.train.labels.tolist() == [4, 0]
    assert split.test.labels.tolist() == [2, 3]
