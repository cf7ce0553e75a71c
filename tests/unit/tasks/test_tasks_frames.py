from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from harness.data.events import Events
from harness.tasks.common.event_frames import FRAMINGS, frames, frames_by_number, frames_by_time
from reference_impls.names import UnknownNameError

HEIGHT, WIDTH = 3, 5

event = st.tuples(st.integers(0, 400_000), st.integers(0, WIDTH - 1), st.integers(0, HEIGHT - 1), st.integers(0, 1))
recordings = st.lists(event, max_size=60).map(lambda rows: events_of(*rows))
bins = st.integers(1, 40)


def events_of(*rows: tuple[int, int, int, int]) -> Events:
    """Events from rows (t, x, y, p)."""
    columns = np.array(rows, dtype=np.int64).reshape(-1, 4).T
    return Events(*columns)


OURS = pytest.mark.parametrize("framing", ["by-time", "by-number"])


def image(events: Events) -> np.ndarray:
    """How many events each pixel reported, ``[2, HEIGHT, WIDTH]``."""
    counts = np.zeros((2, HEIGHT, WIDTH), dtype=np.int64)
    for x, y, p in zip(events.x, events.y, events.p, strict=True):
        counts[p, y, x] += 1
    return counts


@OURS
@given(events=recordings, T=bins)
def test_every_event_is_in_exactly_one_frame(framing: str, events: Events, T: int) -> None:
    found = frames(framing, events, T, HEIGHT, WIDTH)
    assert found.shape == (T, 2, HEIGHT, WIDTH)
    assert found.dtype == np.int32
    np.testing.assert_array_equal(found.sum(0), image(events))


@given(recordings, bins)
def test_frames_by_number_hold_as_many_as_each_other_and_follow_time(events: Events, T: int) -> None:
    found = frames_by_number(events, T, HEIGHT, WIDTH)
    held = found.sum((1, 2, 3))
    assert held.max() - held.min() <= 1
    order = np.argsort(events.t, kind="stable")
    before = 0
    for index in range(T):
        # Frame j holds the ranks i with j N / T <= i < (j + 1) N / T.
        after = -(-(index + 1) * events.t.size // T)
        part = Events(*(column[order[before:after]] for column in events))
        np.testing.assert_array_equal(found[index], image(part))
        before = after
    assert before == events.t.size


@given(recordings, bins, st.integers(1, 9), st.integers(0, 10**12))
def test_frames_by_number_know_only_the_order_of_time(events: Events, T: int, stretch: int, shift: int) -> None:
    slower = events._replace(t=events.t * stretch + shift)
    np.testing.assert_array_equal(
        frames_by_number(slower, T, HEIGHT, WIDTH), frames_by_number(events, T, HEIGHT, WIDTH)
    )


@pytest.mark.parametrize(("framing", "ours"), [("tonic-n-time-bins", "by-time"), ("tonic-n-event-bins", "by-number")])
def test_tonics_frames_can_be_had_by_name_and_lose_events_where_ours_do_not(framing: str, ours: str) -> None:
    random = np.random.RandomState(0)
    columns = [np.sort(random.randint(0, 300_000, 4681)), *(random.randint(0, n, 4681) for n in (WIDTH, HEIGHT, 2))]
    theirs = frames(framing, Events(*columns), 10, HEIGHT, WIDTH)
    found = frames(ours, Events(*columns), 10, HEIGHT, WIDTH)
    assert theirs.shape == found.shape
    assert theirs.dtype == found.dtype
    assert 4681 - 10 < theirs.sum() < found.sum() == 4681
    # The same frames, but for the events at their edges.
    assert np.abs(theirs - found).sum() < 60


@pytest.mark.parametrize("framing", FRAMINGS)
def test_no_events_give_empty_frames(framing: str) -> None:
    found = frames(framing, events_of(), 4, HEIGHT, WIDTH)
    assert found.shape == (4, 2, HEIGHT, WIDTH)
    assert found.dtype == np.int32
    assert not found.any()


def test_misspelt_rule_suggests_the_nearest() -> None:
    with pytest.raises(UnknownNameError, match="did you mean 'by-time'"):
        frames("by-tim", events_of(), 4, HEIGHT, WIDTH)


@given(recordings, bins)
def test_each_frame_holds_the_events_of_its_span(events: Events, T: int) -> None:
    """Against the definition, one frame at a time and in rational numbers."""
    start, stop = 0, 400_001
    found = frames_by_time(events, T, HEIGHT, WIDTH, start, stop)
    for index in range(T):
        # start + index * duration / T <= t < start + (index + 1) * duration / T, multiplied by T
        inside = (index * stop <= events.t * T) & (events.t * T < (index + 1) * stop)
        assert found[index].sum() == np.count_nonzero(inside)


@given(recordings, bins)
def test_order_of_events_does_not_matter(events: Events, T: int) -> None:
    order = np.random.RandomState(0).permutation(events.t.size)
    shuffled = Events(*(column[order] for column in events))
    np.testing.assert_array_equal(frames_by_time(shuffled, T, HEIGHT, WIDTH), frames_by_time(events, T, HEIGHT, WIDTH))


@given(recordings.filter(lambda events: events.t.size > 0), bins, st.integers(1, 10**12))
def test_without_a_span_the_clocks_origin_does_not_matter(events: Events, T: int, shift: int) -> None:
    moved = events._replace(t=events.t + shift)
    np.testing.assert_array_equal(frames_by_time(moved, T, HEIGHT, WIDTH), frames_by_time(events, T, HEIGHT, WIDTH))


def test_single_event_and_equal_times_are_in_the_first_frame() -> None:
    for events in (events_of((9, 1, 2, 1)), events_of((9, 1, 2, 1), (9, 1, 2, 1), (9, 4, 0, 0))):
        found = frames_by_time(events, 4, HEIGHT, WIDTH)
        assert found[0].sum() == found.sum() == events.t.size
    assert found[0, 1, 2, 1] == 2
    assert found[0, 0, 0, 4] == 1


def test_first_and_last_event_are_in_the_first_and_last_frame_and_between_may_be_empty() -> None:
    found = frames_by_time(events_of((100, 0, 0, 1), (400, 0, 0, 1)), 3, HEIGHT, WIDTH)
    assert found.sum((1, 2, 3)).tolist() == [1, 0, 1]


def test_counts_pass_a_byte() -> None:
    found = frames_by_time(events_of(*[(5, 0, 0, 0)] * 70_000), 2, HEIGHT, WIDTH)
    assert found.max() == 70_000


@pytest.mark.parametrize("row", [(-1, 0, 0, 0), (10, 0, 0, 0), (0, WIDTH, 0, 0), (0, 0, HEIGHT, 0), (0, 0, 0, 2)])
def test_event_outside_is_an_error_not_a_miscount(row: tuple[int, int, int, int]) -> None:
    with pytest.raises(ValueError, match="lies outside"):
        frames_by_time(events_of(row), 2, HEIGHT, WIDTH, start=0, stop=10)
    if row[0] == 0:
        with pytest.raises(ValueError, match="lies outside"):
            frames_by_number(events_of(row), 2, HEIGHT, WIDTH)
