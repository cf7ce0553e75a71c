"""Waits between runs: as long as was asked, and no longer than the first signal."""

from __future__ import annotations

import signal
import threading
import time

import pytest

from harness.errors import UserError
from harness.execute.pauses import seconds_of, wait_until


@pytest.mark.parametrize(
    ("text", "seconds"), [("6h", 21600.0), ("90m", 5400.0), ("1h30m", 5400.0), ("45s", 45.0), ("0.5h", 1800.0)]
)
def test_times_are_read(text: str, seconds: float) -> None:
    assert seconds_of(text) == seconds


@pytest.mark.parametrize("text", ["", "6", "h", "6 hours", "-1h", "1h30", "1d"])
def test_what_is_no_time_is_named(text: str) -> None:
    with pytest.raises(UserError, match="is no time") as caught:
        seconds_of(text)
    assert "write it as 6h, 90m or 1h30m" in str(caught.value)


def test_a_moment_that_has_passed_is_not_waited_for() -> None:
    assert wait_until(time.time() - 10) is None
    assert wait_until(0.0) is None


def test_a_signal_ends_a_wait() -> None:
    """A wait of an hour: the test would not end without the signal."""
    timer = threading.Timer(0.2, signal.raise_signal, [signal.SIGINT])
    timer.start()
    assert wait_until(time.time() + 3600) == signal.SIGINT
    timer.join()
    assert signal.getsignal(signal.SIGINT) is signal.default_int_handler, "what was there before is there again"
