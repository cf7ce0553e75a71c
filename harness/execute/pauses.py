"""Waits between runs, so that they are spread over hours; what ends a run ends a wait. Must not know what is run."""

from __future__ import annotations

import re
import time
from collections.abc import Callable

from harness.errors import UserError
from harness.execute.interrupt import Interrupt

__all__ = ["seconds_of", "wait_until"]

LOOKS_EVERY_SECONDS = 0.5
_SECONDS = {"h": 3600.0, "m": 60.0, "s": 1.0}


def seconds_of(text: str) -> float:
    """Return the seconds that a text like ``6h``, ``90m`` or ``1h30m`` says.

    Raises
    ------
    UserError
        If it says none.
    """
    parts = re.findall(r"(\d+(?:\.\d+)?)([hms])", text)
    if not parts or "".join(number + unit for number, unit in parts) != text:
        raise UserError(f"{text!r} is no time", "write it as 6h, 90m or 1h30m")
    return sum(float(number) * _SECONDS[unit] for number, unit in parts)


def wait_until(moment: float, clock: Callable[[], float] = time.time) -> int | None:
    """Return when `clock` says `moment`, or at a signal that would end a run, and then which signal it was.

    Parameters
    ----------
    moment : in seconds, as `clock` has it.
    clock : of the day, and not of the process: a machine may sleep meanwhile.
    """
    with Interrupt() as interrupt:
        while not interrupt.asked and (left := moment - clock()) > 0:
            time.sleep(min(left, LOOKS_EVERY_SECONDS))
        return interrupt.signal
