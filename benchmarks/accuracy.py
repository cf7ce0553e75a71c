"""Test error after the quick budget, over commits: the error, because asv takes only a rise for a regression."""

from ._measuring import Measured, _Tracked, measure, unit


class Accuracy(_Tracked, suite="accuracy"):
    """One seed: on a CPU the same code gives the same figure."""

    def setup_cache(self) -> Measured:
        return measure("accuracy")

    @unit("fraction")
    def track_error_fraction(self, measured: Measured, cell: str) -> object:
        return self.figure(measured, cell, "error_fraction")
