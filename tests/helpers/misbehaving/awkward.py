"""A suite whose answer is awkward in the way that the cell's budget names."""

import torch

from harness.errors import UserError
from harness.results.record import Series
from harness.suites.common.base import Answer, DivergedError, Measurement, Suite
from reference_impls.api import UnsupportedError

NAN = float("nan")
GOOD = Measurement(1.0)


def curve(*values):
    """Return a learning curve."""
    return Series(x="epoch", x_unit="1", y="loss", y_unit="1", points=tuple(enumerate(values)))


class Awkward(Suite):
    """Nothing that anybody would want to know."""

    def validate(self, workload):
        """Refuse one of them."""
        if workload.cell.budget == "refused":
            raise UnsupportedError("This neuron has no state to scale.")

    def run(self, workload):
        """Answer as the budget says."""
        match workload.cell.budget:
            case "nan-figure":
                return Answer({"spike_fraction": Measurement(NAN), "step_seconds": GOOD})
            case "nan-sample":
                return Answer({"step_seconds": Measurement(1.0, samples=(1.0, NAN), n=2), "spike_fraction": GOOD})
            case "nan-in-curve":
                return Answer({"step_seconds": GOOD}, {"loss": curve(2.0, 1.0, NAN)})
            case "diverged-late":
                raise DivergedError("the loss is inf in epoch 2", Answer({}, {"loss": curve(2.0, float("inf"))}))
            case "not-on-the-card":
                return Answer({"spike_fractoin": GOOD})
            case "not-json":
                return Answer({}, details={"weights": torch.ones(1)})
            case "large":
                return Answer({"step_seconds": GOOD}, details={"text": "x" * (3 << 20)})
            case "no-data":
                raise UserError("mnist is not here", "spikeboard data fetch mnist")
            case "wrapped-memory-error":
                try:
                    bytearray(1 << 40)
                except MemoryError as error:
                    raise RuntimeError("the compiler failed") from error
            case "talkative":
                for step in range(100_000):
                    workload.progress(step / 100_000, f"step {step}")
        return Answer({"step_seconds": GOOD})
