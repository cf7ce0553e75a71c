"""Data sets that are drawn: pinned, and only to be solved with a memory."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from harness.data.generated import GENERATED, adding, delayed_xor


def test_generated_samples_are_pinned() -> None:
    assert all(verdict.intact for verdict in GENERATED.verify(Path("nowhere")))


@pytest.mark.parametrize("delay", [0, 7, 20])
def test_xor_can_be_told_from_both_cues_and_from_no_one_alone(delay: int) -> None:
    spikes, labels = delayed_xor(400, 30, 20, 5, delay, (0.05, 0.5))
    cues = [spikes[:, start : start + 5].reshape(400, 5, 2, 10).sum((1, 3)).argmax(1) for start in (20 - delay, 25)]
    assert np.mean((cues[0] != cues[1]) == labels) > 0.99
    for cue in cues:
        assert abs(np.mean(cue == labels) - 0.5) < 0.02
    assert np.bincount(labels).tolist() == [200, 200]
    beside = np.delete(spikes, [*range(20 - delay, 25 - delay), *range(25, 30)], axis=1)
    assert abs(beside.mean() - 0.05) < 0.01
    with pytest.raises(ValueError, match="do not fit into 30 steps"):
        delayed_xor(4, 30, 20, 5, 21, (0.05, 0.5))


@pytest.mark.parametrize("delay", [1, 10, 29])
def test_class_of_adding_is_the_sum_of_two_marked_digits(delay: int) -> None:
    sequences, labels = adding(500, 30, 4, delay)
    digits, marks = sequences[..., 0].astype(int), sequences[..., 1]
    assert marks.sum(1).tolist() == [2] * 500
    np.testing.assert_array_equal((digits * marks).sum(1), labels)
    assert {tuple(np.diff(np.flatnonzero(row))) for row in marks} == {(delay,)}
    assert set(np.unique(digits)) == set(range(5))
    assert set(labels) == set(range(9))
    with pytest.raises(ValueError, match="do not fit"):
        adding(4, 30, 4, 30)
