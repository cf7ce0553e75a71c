"""A simulated event camera reports what its model says, and scenes move as their flow tells."""

from __future__ import annotations

import hashlib

import numpy as np
import pytest

from harness.data.event_camera import Camera
from harness.data.textures import EVENT, WINDOW_US, film, flow_of, frame_of, scenes


def test_a_pixel_reports_each_ratio_of_brightness_when_it_is_reached() -> None:
    # One pixel goes from 1 to 2 and back to 1, 100 us each; a ratio of 1.25 is passed three times on each way.
    seen = Camera(1.25, 0).watch([np.array([1.0]), np.array([2.0]), np.array([1.0])], 100)
    levels = [1.25, 1.25**2, 1.25**3]
    up = [int(np.ceil(100 * (level - 1))) - 1 for level in levels]
    assert seen.p.tolist() == [1, 1, 1, 0, 0, 0]
    assert seen.t[:3].tolist() == up
    down = [1.25**2, 1.25, 1.0]
    assert seen.t[3:].tolist() == [100 + int(np.ceil(round(100 * (2 - level), 9))) - 1 for level in down]


def test_a_steady_or_hardly_changing_pixel_says_nothing() -> None:
    looks = [np.array([1.0, 1.0]), np.array([1.0, 1.24]), np.array([1.0, 0.81])]
    assert not len(Camera(1.25, 0).watch(looks, 1000).t)
    # What it remembers is the brightness of its last event, not of its last look.
    assert Camera(1.25, 0).watch([*looks, np.array([1.0, 0.80])], 1000).place.tolist() == [1]


def test_after_an_event_a_pixel_rests_and_goes_on_remembering() -> None:
    looks = [np.array([1.0]), np.array([2.0]), np.array([2.0]), np.array([2.5])]
    free, resting = (Camera(1.25, rest).watch(looks, 100) for rest in (0, 80))
    assert free.p.tolist() == [1, 1, 1, 1]
    assert resting.t.tolist() == [free.t[0], free.t[3]]
    assert np.diff(resting.t).min() > 80


def test_cameras_and_looks_that_cannot_be_are_refused() -> None:
    with pytest.raises(ValueError, match="ratio above 1"):
        Camera(contrast=1.0)
    with pytest.raises(ValueError, match="not negative"):
        Camera(refractory_us=-1)
    with pytest.raises(ValueError, match="not above 0"):
        Camera().watch([np.ones(2), np.zeros(2)], 10)
    with pytest.raises(ValueError, match="3 pixels after one of 2"):
        Camera().watch([np.ones(2), np.ones(3)], 10)
    with pytest.raises(ValueError, match="at least one look"):
        Camera().watch([], 10)
    with pytest.raises(ValueError, match="nothing to see"):
        scenes(0, 0, 8, 1, 1.0)


def test_brightness_moves_along_the_flow() -> None:
    """What a pixel shows at the start of a window is seen at the end point of its flow, between the pixels there."""
    some = scenes(4, 3, 24, 2, 2.0)
    flow = flow_of(some, 0, 1)
    before, after = frame_of(some, 0), frame_of(some, 1)
    y, x = np.mgrid[0:24, 0:24]
    shown, still, checked = [], [], 0
    for scene in range(4):
        ex, ey = x + flow[scene, 0], y + flow[scene, 1]
        inside = (ex > 1) & (ex < 22) & (ey > 1) & (ey < 22)
        left, above = np.floor(ex[inside]).astype(int), np.floor(ey[inside]).astype(int)
        sx, sy = ex[inside] - left, ey[inside] - above
        view = after[scene]
        upper = view[above, left] * (1 - sx) + view[above, left + 1] * sx
        lower = view[above + 1, left] * (1 - sx) + view[above + 1, left + 1] * sx
        shown.append(np.abs(upper * (1 - sy) + lower * sy - before[scene][inside]))
        still.append(np.abs(view[inside] - before[scene][inside]))
        checked += inside.sum()
    assert checked > 1000
    # Some are covered by the disc at the end, and pixels blur a little what lies between them.
    assert np.median(np.concatenate(shown)) < 0.02
    assert np.median(np.concatenate(shown)) < 0.2 * np.median(np.concatenate(still))


def test_flow_of_a_part_of_a_window_is_that_part() -> None:
    some = scenes(2, 1, 16, 4, 2.0)
    np.testing.assert_allclose(flow_of(some, 1, 2), 2 * flow_of(some, 1, 1.5), rtol=1e-12)
    assert np.abs(flow_of(some, 0, 1)).max() > 0.5


def test_a_film_is_pinned_and_the_first_scenes_of_more_are_the_same() -> None:
    few, more = (film(scenes(count, 0, 16, 2, 2.5), Camera(), 4) for count in (2, 3))
    assert few.frames.shape == (2, 3, 16, 16)
    assert few.flow.shape == (2, 2, 2, 16, 16)
    np.testing.assert_array_equal(few.frames, more.frames[:2])
    np.testing.assert_array_equal(few.events, more.events[more.events["scene"] < 2])
    assert few.events.dtype == EVENT
    assert np.all(np.diff(few.events["t"][few.events["scene"] == 0].astype(int)) >= 0)
    assert few.events["t"].max() < 2 * WINDOW_US
    found = [hashlib.sha256(one.tobytes()).hexdigest()[:16] for one in (few.frames, few.events)]
    assert found == PINNED


PINNED = ["21aff5ad850da9d4", "a8c9e6b4b2cafabd"]
"""Digests of the frames and events of two small scenes: on every machine the same."""
