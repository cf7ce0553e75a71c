"""time_to_target: how long training takes until the task's target, alone on the machine and by the ruler's clock.

Updates are timed, the encoding of their batches and a pretraining included; evaluation is not. A training that is
over soon is repeated from the same seed, which gives the same updates, until its interval is narrow. The accuracy suite
counts the same updates and samples, but trains cells side by side, under whatever backend is fastest.
"""

from __future__ import annotations

from harness.measure.clock import COVERS, TimingProtocol, warm_up
from harness.measure.stopwatch import Stopwatch
from harness.measure.timers import timer_for
from harness.suites.common.base import Answer, Measurement, Suite
from harness.suites.common.steps import noise_in, protocol_for, ready
from harness.suites.common.train import Stages, TrainingRun, to_target, train
from harness.workload import Workload

CARD = {
    "name": "time_to_target",
    "kind": "suite",
    "version": 2,
    "title": "Time to target",
    "summary": (
        "Trains from the cell's seed up to the first epoch whose validation error is at most the task's target, and "
        "times the updates with their encoding, a pretraining included, evaluation not. Trainings that are over soon "
        "are repeated from the same seed. No figure if the budget ends before the target."
    ),
    "exclusive": True,
    "timeout_seconds": 7200.0,
    "typical_seconds": 2.0,
    "metrics": {
        "seconds_to_target": {
            "short": "to target",
            "title": "training time to the task's target",
            "unit": "seconds",
            "direction": "lower",
        },
        "reached_fraction": {
            "short": "reached",
            "title": "seeds that reach the task's target",
            "unit": "fraction",
            "direction": "higher",
            "judged": False,
        },
        "pretraining_seconds": {
            "title": "pretraining time, of that",
            "unit": "seconds",
            "direction": "lower",
        },
        "updates_to_target": {
            "title": "optimizer updates to the task's target, pretraining included",
            "unit": "updates",
            "direction": "lower",
            "exact": True,
        },
        "samples_to_target": {
            "title": "training samples seen to the task's target, pretraining included",
            "unit": "samples",
            "direction": "lower",
            "exact": True,
        },
    },
}


class TimeToTarget(Suite):
    """Time a training."""

    def run(self, workload: Workload) -> Answer:
        """Warm up on a network of its own, then train as often as the protocol's time allows."""
        protocol, target = protocol_for(workload.cell.budget), workload.budget.target_error
        assert target is not None, "the registry gives every budget a target"
        _warm_up(workload, protocol)
        pretraining = Stopwatch(workload.device, protocol.block_seconds)
        updates = Stopwatch(workload.device, protocol.block_seconds)
        runs: list[TrainingRun] = []
        with pretraining, updates:
            while not runs or (runs[0].reached(target) and _worth_repeating(runs, pretraining, updates, protocol)):
                runs.append(train(workload, Stages(pretraining, updates), until=target)[1])
        first = runs[0]
        details = {
            "target_error_fraction": target,
            "target_reached": first.reached(target) is not None,
            "epochs": first.pretraining_epochs + len(first.epochs),
            "trainings": len(runs),
            "blocks": len(updates.blocks()),
            "split_digest": workload.split.digest,
        }
        reached = {"reached_fraction": Measurement(float(first.reached(target) is not None))}
        if first.reached(target) is None:
            return Answer(reached, details=details)
        half_width = updates.half_width
        # On a GPU sums may differ between trainings, and with them the number of updates: the first one's counts.
        share = first.updates / sum(run.updates for run in runs)
        seconds = pretraining.seconds / len(runs) + updates.seconds * share
        timed = {"seconds_to_target": _figure(seconds, half_width, len(updates.blocks()))}
        figures = reached | timed | to_target(first, target)
        if first.pretraining is not None:
            figures["pretraining_seconds"] = Measurement(pretraining.seconds / len(runs))
        return Answer(figures, details=details, noise=noise_in({"seconds_to_target": half_width}, protocol))


def _warm_up(workload: Workload, protocol: TimingProtocol) -> None:
    """Make updates that nobody times: lazy imports, kernels, the allocator's heap."""
    timer = timer_for(workload.device, cold_l2=False)
    step = ready(workload, workload.budget.batch_size)
    warm_up(timer, step.train, protocol, timer.now() + protocol.budget_seconds / 2)


def _worth_repeating(
    runs: list[TrainingRun], pretraining: Stopwatch, updates: Stopwatch, protocol: TimingProtocol
) -> bool:
    """Whether one more training would narrow the interval, and fits into the time that the protocol has."""
    spent = pretraining.seconds + updates.seconds
    return updates.half_width > protocol.relative_half_width and spent * (1 + 1 / len(runs)) <= protocol.budget_seconds


def _figure(seconds: float, half_width: float, blocks: int) -> Measurement:
    if half_width == float("inf"):
        return Measurement(seconds, n=blocks)
    return Measurement(seconds, (), blocks, seconds * (1 - half_width), seconds * (1 + half_width), COVERS)
