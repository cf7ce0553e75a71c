"""The simulation of the scheduler, and the order that rests on it."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from harness.planning.schedule import Piece, best_order, lower_bound, makespan

PIECES = st.lists(
    st.builds(
        Piece,
        st.sampled_from(["conformance", "accuracy", "throughput"]),
        st.floats(0.1, 100),
        st.booleans(),
        st.none() | st.floats(0.1, 100),
    ),
    max_size=30,
)


def shared(*seconds: float) -> list[Piece]:
    return [Piece("accuracy", one) for one in seconds]


@pytest.mark.parametrize(
    ("pieces", "machines", "slots", "seconds"),
    [
        (shared(1, 2, 3), 1, 1, 6.0),
        (shared(1, 2, 3), 3, 1, 3.0),
        (shared(1, 2, 3), 1, 3, 3.0),
        (shared(1, 1, 4), 2, 1, 5.0),
        (shared(4, 1, 1), 2, 1, 4.0),
        ([Piece("throughput", 2, exclusive=True), *shared(1, 1)], 1, 2, 3.0),
        ([*shared(1), Piece("throughput", 2, exclusive=True), *shared(1)], 1, 2, 4.0),
        ([*shared(1), Piece("throughput", 2, exclusive=True), *shared(1)], 2, 2, 2.0),
        ([Piece("accuracy", 1, actual_seconds=7)], 1, 1, 7.0),
        ([], 3, 1, 0.0),
    ],
)
def test_makespan(pieces: list[Piece], machines: int, slots: int, seconds: float) -> None:
    assert makespan(pieces, machines, slots) == seconds


@given(PIECES, st.integers(1, 5), st.integers(1, 4))
def test_no_schedule_is_below_the_bound(pieces: list[Piece], machines: int, slots: int) -> None:
    assert makespan(pieces, machines, slots) >= lower_bound(pieces, machines, slots) - 1e-9


@given(PIECES, st.integers(1, 5), st.integers(1, 4))
def test_the_best_order_has_the_gate_first_and_is_no_worse_than_the_plan(
    pieces: list[Piece], machines: int, slots: int
) -> None:
    expected = [Piece(piece.suite, piece.seconds, piece.exclusive) for piece in pieces]
    order = best_order(pieces, machines, slots)
    assert sorted(order) == list(range(len(pieces)))
    gates = [pieces[number].suite == "conformance" for number in order]
    assert gates == sorted(gates, reverse=True)
    planned = sorted(expected, key=lambda piece: piece.suite != "conformance")
    assert makespan([expected[number] for number in order], machines, slots) <= makespan(planned, machines, slots)


def test_one_machine_with_one_slot_keeps_the_plan() -> None:
    assert best_order(shared(1, 3, 2), 1) == [0, 1, 2]


def test_the_longest_is_not_left_over() -> None:
    assert best_order(shared(1, 1, 1, 1, 4), 2) == [4, 0, 1, 2, 3]
