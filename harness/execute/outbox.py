"""Records on their way into a store that may have stopped taking any: a full disk, a file system that is gone.

What was measured is kept until it can be written; at the end it goes where there is room. Must not know how it was
measured.
"""

from __future__ import annotations

import tempfile
from pathlib import Path

from harness.errors import UserError
from harness.results.record import Record
from harness.results.store import Store

__all__ = ["Outbox"]


class Outbox:
    """Takes the records of one run for `store`."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self.held: list[Record] = []
        """What could not be written yet."""
        self._why = ""

    def put(self, record: Record) -> None:
        """Write `record`, and whatever could not be written before it."""
        self.held = [waiting for waiting in (*self.held, record) if not self._written(waiting, self._store)]

    def close(self) -> None:
        """Try once more; put what still cannot be written into a folder for temporary files.

        Raises
        ------
        UserError
            If there is such: it says where it is.
        """
        self.held = [waiting for waiting in self.held if not self._written(waiting, self._store)]
        if not self.held:
            return
        said = f"{len(self.held)} records could not be written into {self._store.root}: {self._why}"
        try:
            elsewhere = Store(Path(tempfile.mkdtemp(prefix="spikeboard-records-")))
            for record in self.held:
                elsewhere.write(record)
        except OSError as error:
            raise UserError(f"{said}; nor elsewhere: {error}", "make room, and run the same command again") from error
        raise UserError(
            f"{said}; they are in {elsewhere.root}",
            f"make room, then: spikeboard publish --from {elsewhere.root} --to {self._store.root}; the same command as "
            "before goes on from there",
        )

    def _written(self, record: Record, store: Store) -> bool:
        try:
            store.write(record)
        except OSError as error:
            self._why = error.strerror or str(error)
            return False
        return True
