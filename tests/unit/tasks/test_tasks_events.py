"""The simulated event camera, against its definition."""

from __future__ import annotations

import hashlib

import numpy as np
import pytest
from numpy.typing import NDArray

from harness.data.digits import read_digits
from harness.data.events import Events
from harness.tasks.common.saccades import DURATION_US, SIDE, record

SACCADE_US = DURATION_US // 3
CORNERS = ((0.0, 0.0), (4 / 3, 8 / 3), (8 / 3, 0.0), (0.0, 0.0))
"""Where the image is at the ends of the saccades, in image pixels."""


@pytest.fixture(scope="module")
def digits() -> NDArray[np.uint8]:
    return read_digits()[0]


def brightness(image: NDArray[np.uint8], shift: tuple[float, float]) -> NDArray[np.float64]:
    """What the sensor sees of an image moved by (x, y) image pixels: bilinear, over a dark of one grey level."""
    weights = []
    for size, moved in ((image.shape[0], shift[1]), (image.shape[1], shift[0])):
        centres = (np.arange(SIDE) + 0.5) * 2 / 3 - 0.5 - moved
        weights.append(np.maximum(1 - np.abs(centres[:, None] - np.arange(size)), 0))
    return weights[0] @ image @ weights[1].T + 1


def net_count(events: Events, before_us: int) -> NDArray[np.int64]:
    """ON minus OFF events of each pixel, ``[SIDE, SIDE]``."""
    seen = events.t < before_us
    total = np.zeros((SIDE, SIDE), dtype=np.int64)
    np.add.at(total, (events.y[seen], events.x[seen]), 2 * events.p[seen] - 1)
    return total


def as_rows(events: Events) -> NDArray[np.int64]:
    """Rows (recording, t, y, x, p) in an order that does not depend on how they were made."""
    rows = np.stack([events.y // SIDE, events.t, events.y % SIDE, events.x, events.p], axis=1)
    return rows[np.lexsort(rows.T[::-1])]


def test_events_of_the_digits_are_pinned_to_the_last_bit(digits: NDArray[np.uint8]) -> None:
    rows = as_rows(record(digits))
    assert rows.shape[0] == 1_628_698
    assert (
        hashlib.sha256(rows.astype("<i4").tobytes()).hexdigest()
        == "d2eb02c06f3a31425333f091deded1be172a909ab8c92ff8aadbad1a93b156d0"
    )


def test_recordings_do_not_depend_on_each_other(digits: NDArray[np.uint8]) -> None:
    together = as_rows(record(digits[:3]))
    for n in range(3):
        alone = as_rows(record(digits[n : n + 1]))
        np.testing.assert_array_equal(together[together[:, 0] == n, 1:], alone[:, 1:])


@pytest.mark.parametrize("corner", [1, 2, 3])
def test_events_add_up_to_the_brightness(digits: NDArray[np.uint8], corner: int) -> None:
    """After any number of events, what a pixel remembers is less than a factor of 2 from what it sees."""
    for image in digits[:20]:
        doublings = net_count(record(image[None]), corner * SACCADE_US)
        remembered = brightness(image, CORNERS[0]) * 2.0**doublings
        ratio = brightness(image, CORNERS[corner]) / remembered
        assert np.all((ratio > 0.5) & (ratio < 2))


def test_triangle_ends_where_it_began(digits: NDArray[np.uint8]) -> None:
    assert not net_count(record(digits[:1]), DURATION_US).any()


def test_events_fit_sensor_and_time(digits: NDArray[np.uint8]) -> None:
    events = record(digits[:50])
    for column, limit in ((events.t, DURATION_US), (events.x, SIDE), (events.y, 50 * SIDE), (events.p, 2)):
        assert column.min() >= 0
        assert column.max() < limit
    for saccade in range(3):
        assert np.any(events.t // SACCADE_US == saccade)


def test_nothing_to_see_gives_no_events() -> None:
    assert record(np.zeros((1, 8, 8), dtype=np.uint8)).t.size == 0


def test_events_lie_where_edges_move() -> None:
    """A bar as wide as the image: in the last saccade, which is horizontal, only its two ends move."""
    bar = np.zeros((1, 8, 8), dtype=np.uint8)
    bar[0, 3:5] = 16
    events = record(bar)
    last = events.t >= 2 * SACCADE_US
    columns = np.unique(events.x[last])
    assert columns.min() <= 4
    assert columns.max() >= 11
    assert not np.any((columns > 5) & (columns < 10))
    assert np.all(events.p[last & (events.x >= 10)] == 0)
    assert np.all(events.p[last & (events.x <= 5)] == 1)
    inner = ~last & (events.x > 5) & (events.x < 10)
    assert np.any(inner)
    assert set(np.unique(events.y)) < set(range(3, 15))


def test_dot_is_followed_along_the_triangle() -> None:
    dot = np.zeros((1, 8, 8), dtype=np.uint8)
    dot[0, 3, 3] = 16
    events = record(dot)
    on = events.p == 1

    def centre(start_us: int) -> NDArray[np.float64]:
        seen = on & (events.t >= start_us) & (events.t < start_us + SACCADE_US // 4)
        return np.array([events.x[seen].mean(), events.y[seen].mean()])

    first, second, third = (centre((3 + 4 * saccade) * SACCADE_US // 4) for saccade in range(3))
    assert second[0] > first[0] + 1
    assert first[1] > second[1] + 1
    assert third[0] < second[0] - 2
