"""Turns what ends a run (Ctrl-C, a batch system's signals) into a flag. Must not know what the run is of."""

from __future__ import annotations

import signal
import threading
from types import TracebackType
from typing import Any, Self

from harness.execute.isolation import HELD_BACK

__all__ = ["Interrupt"]


class Interrupt:
    """Turns the first signal to end inside a ``with`` block into a flag, so that it cannot break a record's writing."""

    def __init__(self) -> None:
        self.signal: int | None = None
        self._before: dict[signal.Signals, Any] = {}

    @property
    def asked(self) -> bool:
        """Whether the run shall end."""
        return self.signal is not None

    def __enter__(self) -> Self:
        # Only the main thread may; and what is ignored (a shell's background job, nohup) shall stay so.
        if threading.current_thread() is threading.main_thread():
            for number in HELD_BACK:
                before = signal.getsignal(number)
                if before is not signal.SIG_IGN:
                    self._before[number] = before
                    signal.signal(number, self._ask)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        for number, before in self._before.items():
            signal.signal(number, before)

    def _ask(self, number: int, _frame: object) -> None:
        if self.asked:
            raise KeyboardInterrupt
        self.signal = number
