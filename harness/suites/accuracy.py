"""accuracy: how many test samples are misclassified after the task's training budget."""

from __future__ import annotations

from harness.results.predictions import pack
from harness.results.record import Predictions, Series
from harness.suites.common.base import Answer, Measurement, Suite, share_missed
from harness.suites.common.train import Epoch, TrainingRun, train
from harness.suites.common.weights import keep_weights
from harness.workload import Workload

CARD = {
    "name": "accuracy",
    "kind": "suite",
    "version": 3,
    "title": "AccuracySuite",
    "summary": (
        "Trains from the cell's seed for the task's budget and counts the misclassified test samples. The epoch is "
        "chosen on the validation split; the last epoch and the best on the test split are kept beside it. What it "
        "takes to a target is the question of the suite time_to_target."
    ),
    "exclusive": False,
    "timeout_seconds": 7200.0,
    "typical_seconds": 4.0,
    "metrics": {
        "error_fraction": {
            "short": "test error",
            "title": "test error",
            "unit": "fraction",
            "direction": "lower",
        },
        "last_error_fraction": {
            "title": "test error, last epoch",
            "unit": "fraction",
            "direction": "lower",
            "judged": False,
        },
        "best_test_error_fraction": {
            "title": "test error, best epoch on test (biased)",
            "unit": "fraction",
            "direction": "lower",
            "judged": False,
        },
        "validation_error_fraction": {
            "title": "validation error",
            "unit": "fraction",
            "direction": "lower",
            "judged": False,
        },
        "best_epoch": {
            "title": "epoch chosen",
            "unit": "epochs",
            "direction": "none",
        },
        "optimizer_updates": {
            "title": "optimizer updates",
            "unit": "updates",
            "direction": "none",
        },
        "pretraining_epochs": {
            "title": "epochs of the budget spent on pretraining",
            "unit": "epochs",
            "direction": "none",
        },
        "pretraining_updates": {
            "title": "optimizer updates, pretraining",
            "unit": "updates",
            "direction": "none",
        },
        "pretrained_error_fraction": {
            "title": "test error after pretraining",
            "unit": "fraction",
            "direction": "lower",
        },
        "parameters": {
            "title": "parameters",
            "unit": "parameters",
            "direction": "lower",
            "exact": True,
        },
    },
}


class AccuracySuite(Suite):
    """Train and count errors."""

    def run(self, workload: Workload) -> Answer:
        """Train the cell's combination and report its errors."""
        method, run = train(workload)
        keep_weights(workload, run)
        chosen = run.epochs[run.best_epoch]
        best_on_test = min(epoch.test_errors for epoch in run.epochs)
        figures = {
            "error_fraction": share_missed(chosen.test_errors, run.test_size),
            "last_error_fraction": share_missed(run.epochs[-1].test_errors, run.test_size),
            "best_test_error_fraction": share_missed(best_on_test, run.test_size),
            "validation_error_fraction": share_missed(chosen.validation_errors, run.validation_size),
            "best_epoch": Measurement(float(run.pretraining_epochs + run.best_epoch + 1)),
            "optimizer_updates": Measurement(float(run.updates)),
            "parameters": Measurement(float(sum(parameter.numel() for parameter in method.network.parameters()))),
            **_pretraining(run),
        }
        details = {
            "updates_by_epoch": [epoch.updates for epoch in run.epochs],
            "split_digest": workload.split.digest,
            "training_samples": min(
                len(workload.split.train), workload.budget.train_limit or len(workload.split.train)
            ),
            "validation_samples": run.validation_size,
            "test_samples": run.test_size,
        }
        return Answer(figures, _curves(run), details, _predictions(run, workload.split.digest))


def _predictions(run: TrainingRun, split_digest: str) -> Predictions:
    """Return what the chosen epoch said of every test sample: two rows are compared sample by sample."""
    assert run.best_test is not None, "a finished training has an epoch"
    said = run.best_test
    return pack(split_digest, said.labels.numpy(), said.classes.numpy(), said.margins.double().numpy())


def _pretraining(run: TrainingRun) -> dict[str, Measurement]:
    """Give what a method did before its first update figures of their own; most do nothing."""
    if run.pretraining is None:
        return {}
    done = run.pretraining
    return {
        "pretraining_epochs": Measurement(float(done.report.epochs)),
        "pretraining_updates": Measurement(float(done.report.updates)),
        "pretrained_error_fraction": share_missed(done.test_errors, run.test_size),
    }


def _curves(run: TrainingRun) -> dict[str, Series]:
    def curve(name: str, unit: str, value: object) -> Series:
        assert callable(value)
        first = run.pretraining_epochs + 1
        points = tuple((float(index), float(value(epoch))) for index, epoch in enumerate(run.epochs, start=first))
        return Series(x="epoch", x_unit="epochs", y=name, y_unit=unit, points=points)

    def validation(epoch: Epoch) -> float:
        return epoch.validation_errors / run.validation_size

    def test(epoch: Epoch) -> float:
        return epoch.test_errors / run.test_size

    return {
        "train_loss": curve("train_loss", "nats", lambda epoch: epoch.train_loss),
        "validation_error_fraction": curve("validation_error_fraction", "fraction", validation),
        "test_error_fraction": curve("test_error_fraction", "fraction", test),
    }
