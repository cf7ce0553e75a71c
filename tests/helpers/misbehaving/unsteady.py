"""A suite whose timings are too noisy as often as the cell's budget says, one after another."""

from harness.suites.common.base import Answer, Measurement, Suite


class Unsteady(Suite):
    """How often it was asked."""

    def run(self, workload):
        """Count the attempts in the scratch folder."""
        file = workload.scratch / workload.cell.id
        attempt = len(file.read_text()) + 1 if file.exists() else 1
        file.write_text("x" * attempt)
        noise = "Intervals wider than asked." if attempt <= int(workload.cell.budget) else None
        return Answer({"step_seconds": Measurement(float(attempt))}, noise=noise)
