from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from harness.data.events import Events
from harness.tasks._frames import frames_by_time

HEIGHT, WIDTH = 3, 5

event = st.tuples(st.integers(0, 400_000), st.integers(0, WIDTH - 1), st.integers(0, HEIGHT - 1), st.integers(0, 1))
recordings = st.lists(event, max_size=60).map(lambda rows: events_of(*rows))
bins = st.integers(1, 40)


def events_of(*rows: tuple[int, int, int, int]) -> Events:
    """Events from rows (t, x, y, p)."""
    columns = np.array(rows, dtype=np.int64).reshape(-1, 4).T
    return Events(*columns)


@given(recordings, bins)
def test_every_event_is_in_exactly_one_frame(events: Events, T: int) -> None:
    frames = frames_by_time(events, T, HEIGHT, WIDTH)
    assert frames.shape == (T, 2, HEIGHT, WIDTH)
    assert frames.dtype == np.int32
    expected = np.zeros((2, HEIGHT, WIDTH), dtype=np.int64)
    for x, y, p in zip(events.x, events.y, events.p, strict=True):
        expected[p, y, x] += 1
    np.testing.assert_array_equal(frames.sum(0), expected)


@given(recordings, bins)
def test_each_frame_holds_the_events_of_its_span(events: Events, T: int) -> None:
    """Against the definition, one frame at a time and in rational numbers."""
    start, stop = 0, 400_001
    frames = frames_by_time(events, T, HEIGHT, WIDTH, start, stop)
    for index in range(T):
        # start + index * duration / T <= t < start + (index + 1) * duration / T, multiplied by T
        inside = (index * stop <= events.t * T) & (events.t * T < (index + 1) * stop)
        assert frames[index].sum() == np.count_nonzero(inside)


@given(recordings, bins)
def test_order_of_events_does_not_matter(events: Events, T: int) -> None:
    order = np.random.RandomState(0).permutation(events.t.size)
    shuffled = Events(*(column[order] for column in events))
    np.testing.assert_array_equal(frames_by_time(shuffled, T, HEIGHT, WIDTH), frames_by_time(events, T, HEIGHT, WIDTH))


@given(recordings.filter(lambda events: events.t.size > 0), bins, st.integers(1, 10**12))
def test_without_a_span_the_clocks_origin_does_not_matter(events: Events, T: int, shift: int) -> None:
    moved = events._replace(t=events.t + shift)
    np.testing.assert_array_equal(frames_by_time(moved, T, HEIGHT, WIDTH), frames_by_time(events, T, HEIGHT, WIDTH))


def test_no_events_give_empty_frames() -> None:
    frames = frames_by_time(events_of(), 4, HEIGHT, WIDTH)
    assert frames.shape == (4, 2, HEIGHT, WIDTH)
    assert frames.dtype == np.int32
    assert not frames.any()


def test_single_event_and_equal_times_are_in_the_first_frame() -> None:
    for events in (events_of((9, 1, 2, 1)), events_of((9, 1, 2, 1), (9, 1, 2, 1), (9, 4, 0, 0))):
        frames = frames_by_time(events, 4, HEIGHT, WIDTH)
        assert frames[0].sum() == frames.sum() == events.t.size
    assert frames[0, 1, 2, 1] == 2
    assert frames[0, 0, 0, 4] == 1


def test_first_and_last_event_are_in_the_first_and_last_frame_and_between_may_be_empty() -> None:
    frames = frames_by_time(events_of((100, 0, 0, 1), (400, 0, 0, 1)), 3, HEIGHT, WIDTH)
    assert frames.sum((1, 2, 3)).tolist() == [1, 0, 1]


def test_counts_pass_a_byte() -> None:
    frames = frames_by_time(events_of(*[(5, 0, 0, 0)] * 70_000), 2, HEIGHT, WIDTH)
    assert frames.max() == 70_000


@pytest.mark.parametrize("row", [(-1, 0, 0, 0), (10, 0, 0, 0), (0, WIDTH, 0, 0), (0, 0, HEIGHT, 0), (0, 0, 0, 2)])
def test_event_outside_is_an_error_not_a_miscount(row: tuple[int, int, int, int]) -> None:
    with pytest.raises(ValueError, match="lies outside"):
        frames_by_time(events_of(row), 2, HEIGHT, WIDTH, start=0, stop=10)
