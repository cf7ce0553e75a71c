"""A suite that takes half a second, in which others may disturb it."""

import time

from harness.suites.common.base import Answer, Measurement, Suite


class Timed(Suite):
    """How long half a second is."""

    def run(self, workload):
        """Wait."""
        time.sleep(0.5)
        return Answer({"step_seconds": Measurement(0.5)})
