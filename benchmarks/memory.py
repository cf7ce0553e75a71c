"""Memory of a training step, over commits: the process's peak, and two exact figures."""

from ._measuring import Measured, _Tracked, measure, unit


class Memory(_Tracked, suite="memory"):
    """The bytes of tensors are the same at every run, so any change of them is one of the code."""

    def setup_cache(self) -> Measured:
        return measure("memory")

    @unit("bytes")
    def track_peak_bytes(self, measured: Measured, cell: str) -> object:
        return self.figure(measured, cell, "peak_bytes")

    @unit("bytes")
    def track_saved_bytes(self, measured: Measured, cell: str) -> object:
        return self.figure(measured, cell, "saved_bytes")

    @unit("bytes")
    def track_live_bytes(self, measured: Measured, cell: str) -> object:
        return self.figure(measured, cell, "live_bytes")
