"""Whether what a training says of itself agrees: errors with stored predictions, curves, epochs and updates.

Must not know the data: labels are not needed, since a stored margin says whether its sample was missed.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from typing import Any

from harness.results.predictions import unpack
from harness.results.record import MEASURED, Record
from harness.submissions.checks.figures import same
from harness.submissions.verdict import Complaint, Line, judged

__all__ = ["check_curves", "check_predictions"]

ACCURACY = "accuracy"
ERROR, LAST, BEST, VALIDATION = (
    *("error_fraction", "last_error_fraction", "best_test_error_fraction"),
    "validation_error_fraction",
)


def check_predictions(records: Sequence[Record]) -> Line:
    """Return whether every test error is the share of missed samples among the stored predictions."""
    asked = [record for record in records if record.cell.suite == ACCURACY and record.status in MEASURED]
    return judged(
        "predictions",
        len(asked),
        "test errors are the share of samples that the stored predictions missed",
        ((record, problem) for record in asked for problem in _of_predictions(record)),
        "no record of a test error",
    )


def _of_predictions(record: Record) -> Iterator[str]:
    error, said = record.metrics.get(ERROR), record.predictions
    if error is None:
        yield f"has no {ERROR}"
        return
    if said is None:
        yield "has no predictions: measure it again, newer records keep them"
        return
    try:
        missed = unpack(said).missed
    except ValueError as problem:
        yield str(problem)
        return
    if said.samples != error.n:
        yield f"predicts {said.samples} samples, and its error is of {error.n}"
    elif not math.isclose(missed.sum(), error.value * error.n, abs_tol=1e-6):
        wrong = error.value * error.n
        yield f"says that {wrong:g} samples of {error.n} were missed; its predictions miss {missed.sum()}"
    tested = record.details.get("test_samples")
    if tested != error.n:
        yield f"says that it tested {tested!r} samples, and its error is of {error.n}"


def check_curves(records: Sequence[Record]) -> Line:
    """Return whether errors, chosen epoch and updates are those of the record's own learning curves."""
    asked = [record for record in records if record.cell.suite == ACCURACY and record.status in MEASURED]
    return judged(
        "learning curves",
        len(asked),
        "trainings have errors, epochs and updates that agree with their curves",
        (complaint for record in asked for complaint in _of_curves(record)),
        "no record of a training",
    )


def _of_curves(record: Record) -> Iterator[Complaint]:
    curves = {name: [(int(x), y) for x, y in series.points] for name, series in record.series.items()}
    tested, validated, loss = (curves.get(name) for name in ("test_error_fraction", VALIDATION, "train_loss"))
    if not (tested and validated and loss):
        yield record, "lacks a learning curve"
        return
    if not [x for x, _ in tested] == [x for x, _ in validated] == [x for x, _ in loss]:
        yield record, "has curves over different epochs"
        return
    values = {name: metric.value for name, metric in record.metrics.items()}
    chosen = int(values.get("best_epoch", 0))
    expected = {
        ERROR: dict(tested).get(chosen),
        LAST: tested[-1][1],
        BEST: min(y for _, y in tested),
        VALIDATION: dict(validated).get(chosen),
    }
    for name, value in expected.items():
        if name not in values or value is None or not same(values[name], value):
            yield record, f"{name} is {values.get(name)!r}, and its curve says {value!r}"
    if min(y for _, y in validated) < values.get(VALIDATION, 0.0) * (1 - 1e-9):
        yield record, f"epoch {chosen} was chosen, and another has a lower validation error"
    yield from ((record, problem) for problem in _of_updates(record.details, values, len(tested)))


def _of_updates(details: Any, values: dict[str, float], epochs: int) -> Iterator[str]:
    by_epoch = details.get("updates_by_epoch")
    if not isinstance(by_epoch, list) or not all(isinstance(one, int) for one in by_epoch):
        yield "does not say how many updates its epochs made"
    elif len(by_epoch) != epochs:
        yield f"counts updates of {len(by_epoch)} epochs, and has curves over {epochs}"
    elif sorted(by_epoch) != by_epoch or not by_epoch or by_epoch[-1] != _made(values):
        yield f"made {_made(values):g} updates, and its epochs add up to {by_epoch[-1:]}"


def _made(values: dict[str, float]) -> float:
    """Return all updates of a training, of pretraining too: its budget pays for both."""
    return values.get("optimizer_updates", 0.0) + values.get("pretraining_updates", 0.0)
