"""Data sets that are computed: pinned, and only to be solved with a memory."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from harness.data.generated import GENERATED, adding, delayed_xor, localisation
from harness.data.motion import CELLS, DIRECTIONS, directions, moving_shapes


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


def test_a_walk_ends_where_its_class_says_and_every_walk_has_its_mirror_image() -> None:
    actions, labels = localisation(200, 60, 0.2)
    assert actions.sum(2).tolist() == [[1] * 60] * 200
    assert np.bincount(labels).tolist() == [100, 100]
    for walk, label in zip(actions, labels, strict=True):
        x, (dx, dy) = 0, (0, 1)
        for left, right, on in walk.tolist():
            if left:
                dx, dy = -dy, dx
            elif right:
                dx, dy = dy, -dx
            x += dx * on
        assert x != 0
        assert (x > 0) == label
    walks = {walk.tobytes() for walk in actions}
    assert all(walk[:, [1, 0, 2]].tobytes() in walks for walk in actions)
    assert abs(actions[..., :2].mean() - 0.1) < 0.01
    with pytest.raises(ValueError, match="mirrored pairs"):
        localisation(3, 10, 0.1)


@pytest.fixture(scope="module")
def recordings() -> tuple[NDArray[np.uint8], NDArray[np.int64]]:
    return moving_shapes(400, 10), directions(400)


def test_an_object_moves_where_its_class_says(recordings: tuple[NDArray[np.uint8], NDArray[np.int64]]) -> None:
    """What was reported shifts from the first frames to the last, along the class's direction."""
    frames, labels = recordings
    cells = np.arange(CELLS)
    weights = frames.sum(2) - frames.sum(2).mean((0, 1))  # without what noise and edges add everywhere
    x, y = (np.einsum("ntyx,x->nt", weights, cells), np.einsum("ntyx,y->nt", weights, cells))
    moved = np.stack([along[:, 6:].sum(1) - along[:, :4].sum(1) for along in (x, y)], 1)
    for label, direction in enumerate(DIRECTIONS):
        along = moved[labels == label].mean(0) @ np.array(direction) / 256
        across = moved[labels == label].mean(0) @ np.array([-direction[1], direction[0]]) / 256
        assert along > 5 * abs(across)
    assert np.bincount(labels).tolist() == [50] * 8


def test_no_frame_tells_forwards_from_backwards(recordings: tuple[NDArray[np.uint8], NDArray[np.int64]]) -> None:
    """A bright object's leading edge is a dark one's trailing edge: by polarity, a class looks like its opposite."""
    frames, labels = recordings
    balance = frames[:, :, 1].astype(float).mean(1) - frames[:, :, 0].mean(1)
    for label in range(4):
        ahead, back = (balance[labels == one].mean(0) for one in (label, label + 4))
        assert abs(ahead.mean() - back.mean()) < 0.01
    leading = [np.sign(np.einsum("yx,x->", one, np.arange(CELLS) - CELLS // 2)) for one in balance[labels == 0]]
    assert 0.25 < np.mean(np.array(leading) > 0) < 0.75


def test_recordings_are_noisy_and_hold_zeros_and_ones(
    recordings: tuple[NDArray[np.uint8], NDArray[np.int64]],
) -> None:
    frames, _ = recordings
    assert set(np.unique(frames)) == {0, 1}
    corner = frames[..., :2, :2]  # where no object comes often
    assert abs(corner.mean() - 5 / 256) < 0.01
