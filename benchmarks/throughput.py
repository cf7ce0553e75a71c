"""Time of a training step, of an inference and of one large layer, over commits."""

from ._measuring import Measured, _Tracked, measure, unit


class Throughput(_Tracked, suite="throughput"):
    """Median over blocks, every block a sample; the ratio does not drift with the machine."""

    def setup_cache(self) -> Measured:
        return measure("throughput")

    @unit("seconds")
    def track_train_step_seconds(self, measured: Measured, cell: str) -> object:
        return self.figure(measured, cell, "train_step_seconds")

    @unit("seconds")
    def track_inference_step_seconds(self, measured: Measured, cell: str) -> object:
        return self.figure(measured, cell, "inference_step_seconds")

    @unit("ratio")
    def track_train_step_ratio(self, measured: Measured, cell: str) -> object:
        return self.figure(measured, cell, "train_step_ratio")

    @unit("bytes")
    def track_layer_bytes_per_neuron_step(self, measured: Measured, cell: str) -> object:
        return self.figure(measured, cell, "layer_bytes_per_neuron_step")
