"""Recordings with boxes: the same everywhere, and the boxes are where the camera saw something move."""

from __future__ import annotations

import hashlib

import numpy as np
import pytest
import torch

from harness.data import boxes
from harness.tasks.common.grids import BOX, CLASSES_FROM, on_grid, read_boxes, read_truth

T, WINDOWS, COUNT = 10, 2, 40
RECORDED = boxes.record(COUNT, T, WINDOWS)


def test_recordings_are_the_same_on_every_machine() -> None:
    """Frozen: a change of any entry or edge makes every figure on them another one."""
    frames, there, forms = RECORDED
    digest = hashlib.sha256(frames.tobytes())
    digest.update(np.nan_to_num(there, nan=-1).astype("<f4").tobytes())
    digest.update(forms.astype("<i8").tobytes())
    assert digest.hexdigest()[:16] == "608c05c10d596a24"
    again, same_forms = boxes.placed(COUNT, T, WINDOWS)
    assert np.array_equal(again, there, equal_nan=True)
    assert np.array_equal(same_forms, forms)


def test_there_are_one_to_three_objects_of_every_form_and_in_the_view() -> None:
    _, there, forms = RECORDED
    number = (forms >= 0).sum(1)
    assert set(number) == {1, 2, 3}
    assert set(forms[forms >= 0]) == {0, 1, 2}
    assert np.array_equal(np.isnan(there).all((1, 3)), forms < 0)
    edges = there[~np.isnan(there[..., 0])]
    assert edges.min() >= 0
    assert edges.max() <= boxes.SENSOR
    assert ((edges[:, 2:] - edges[:, :2]) > 3).all()


def test_events_of_a_frame_lie_at_the_boxes_and_chance_does_the_rest() -> None:
    """In a window's last frame: nearly all of what is not noise is within the frame's way of an object's box."""
    frames, there, _ = RECORDED
    inside = outside = area = 0
    for view, edges in zip(frames[:, T - 1].any(1), there[:, WINDOWS - 1], strict=True):
        near = np.zeros((boxes.CELLS, boxes.CELLS), dtype=bool)
        for left, top, right, low in edges[~np.isnan(edges[:, 0])] / 2:
            near[max(0, int(top) - 1) : int(low) + 2, max(0, int(left) - 1) : int(right) + 2] = True
        inside, outside, area = inside + view[near].sum(), outside + view[~near].sum(), area + (~near).sum()
    assert outside / area == pytest.approx(1 - (1 - 5 / 256) ** 2, rel=0.15), "the two channels' noise"
    assert inside / (COUNT * boxes.CELLS**2 - area) > 0.2


def test_frames_that_are_not_so_many_windows_are_refused() -> None:
    with pytest.raises(ValueError, match="10 frames are not 3 windows"):
        boxes.record(2, 10, 3)


def test_a_grid_holds_every_box_of_the_task() -> None:
    there, forms = boxes.placed(2400, T, WINDOWS)
    grid = torch.from_numpy(on_grid(there, forms, 8, 8, 3))
    for window in range(WINDOWS):
        for found, edges, kinds in zip(read_truth(grid[:, window], 8), there[:, window], forms, strict=True):
            known = kinds >= 0
            order = np.lexsort(edges[known].T)
            got = found.boxes.numpy()
            mine = np.lexsort(got.round(2).T)
            np.testing.assert_allclose(got[mine], edges[known][order], atol=1e-3)
            assert sorted(found.classes.tolist()) == sorted(kinds[known].tolist())


def test_two_boxes_in_one_place_are_refused() -> None:
    there = np.array([[[[1.0, 1.0, 4.0, 4.0], [2.0, 2.0, 5.0, 5.0]]]], dtype=np.float32)
    with pytest.raises(ValueError, match="centres in one place"):
        on_grid(there, np.array([[0, 1]]), 8, 8, 3)


def test_of_neighbouring_places_the_surest_tells_its_box() -> None:
    answer = torch.zeros(1, CLASSES_FROM + 3, 4, 4)
    answer[:, 0] = -5
    answer[0, 0, 1, 1], answer[0, 0, 1, 2] = 3.0, 2.0
    answer[0, BOX, 1, 1] = torch.tensor([0.5, 0.25, 0.0, np.log(2.0)])
    answer[0, CLASSES_FROM + 2, 1, 1] = 20.0
    (found,) = read_boxes(answer, 8)
    best = int(found.scores.argmax())
    assert found.boxes[best].tolist() == pytest.approx([8.0, 2.0, 16.0, 18.0])
    assert int(found.classes[best]) == 2
    assert float(found.scores[best]) == pytest.approx(torch.sigmoid(torch.tensor(3.0)).item(), rel=1e-5)
    assert not any(abs(float(score) - 0.88) < 0.1 and i != best for i, score in enumerate(found.scores))
