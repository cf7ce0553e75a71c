"""Whether bytes and times agree with the shapes, the batch and the number formats that a record states.

Exact bytes follow from shapes: what is kept grows with T along a line, in whole batches. Rates are work over time,
block by block. Must not weigh or time anything.
"""

from __future__ import annotations

import itertools
import math
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from harness.catalogue.cards import Registry
from harness.results.record import MEASURED, Record
from harness.submissions.checks.figures import same
from harness.submissions.verdict import Complaint, Line, judged

__all__ = ["check_memory", "check_timings"]

BYTES = {"float64": 8, "float32": 4, "bfloat16": 2, "float16": 2}
LINEAR = 1 - 1e-12
"""Squared correlation from which bytes over T lie on a line."""
TIMED = ("throughput", "scaling", "time_to_target")


def check_memory(records: Sequence[Record], registry: Registry) -> Line:
    """Return whether the bytes of every record of memory agree with one another and with the shapes."""
    asked = [record for record in records if record.cell.suite == "memory" and record.status in MEASURED]
    parameters = _parameters(records)
    return judged(
        "memory",
        len(asked),
        "records of memory have bytes that agree with batch, T, number format, shapes and parameters",
        (complaint for record in asked for complaint in _of_memory(record, parameters, registry)),
        "no record of the suite memory",
    )


Combination = tuple[str, ...]


def _combination(record: Record) -> Combination:
    cell = record.cell
    return cell.task, cell.neuron, cell.method, cell.topology, cell.recipe, cell.dtype


def _parameters(records: Sequence[Record]) -> Mapping[Combination, float]:
    """Map combinations to the number of parameters that their trainings state."""
    found: dict[Combination, float] = {}
    for record in records:
        if record.cell.suite == "accuracy" and "parameters" in record.metrics:
            found[_combination(record)] = record.metrics["parameters"].value
    return found


def _least_weights(record: Record, registry: Registry) -> int:
    """Return how many weights the linear maps of a plain MLP have at least; 0 where the shapes are not that plain."""
    cell, sizes = record.cell, record.details.get("hyper_parameters", {})
    topology = sizes.get("topology") if isinstance(sizes, Mapping) else None
    row, hidden = registry.neurons.get(cell.neuron), topology.get("hidden") if isinstance(topology, Mapping) else None
    plain = cell.topology == "mlp" and row is not None and not row.capabilities.connected
    if not plain or cell.task not in registry.tasks or not isinstance(hidden, list):
        return 0
    if not all(isinstance(size, int) and size > 0 for size in hidden):
        return 0
    task = registry.task(cell.task)
    sizes_of = [math.prod(task.sample_shape), *hidden, task.classes]
    return sum(one * other for one, other in itertools.pairwise(sizes_of))


def _of_memory(record: Record, parameters: Mapping[Combination, float], registry: Registry) -> Iterator[Complaint]:
    values = {name: metric.value for name, metric in record.metrics.items()}
    details = record.details
    batch, T = details.get("batch_size"), details.get("T")
    if not (isinstance(batch, int) and isinstance(T, int) and batch > 0 and T > 0):
        yield record, "does not say which batch it weighed over how many time steps"
        return
    for name in ("saved_bytes", "live_bytes"):
        if name in values:
            yield from ((record, problem) for problem in _of_line(record, name, values, T))
    if "live_bytes" in values and values["live_bytes"] < values.get("saved_bytes", 0.0):
        yield record, "keeps more bytes for the backward pass than are alive at its peak"
    width = BYTES.get(record.cell.dtype, 1)
    known = parameters.get(_combination(record))
    if known is not None and values.get("model_bytes", 0.0) < known * width:
        yield record, f"weighs {values.get('model_bytes', 0.0):g} bytes; {known:g} parameters take {known * width:g}"
    weights = _least_weights(record, registry)
    if values.get("model_bytes", math.inf) < weights * width:
        yield record, f"weighs {values['model_bytes']:g} bytes; the weights of its shapes take {weights * width:g}"
    for name in ("saved_bytes", "live_bytes", "model_bytes", "state_bytes"):
        if name in values and not values[name].is_integer():
            yield record, f"{name} ({values[name]:g}) is no whole number of bytes"


def _of_line(record: Record, name: str, values: Mapping[str, float], T: int) -> Iterator[str]:
    series = record.series.get(name)
    points = [] if series is None else list(series.points)
    if len(points) < 2:
        yield f"has no {name} over T"
        return
    slope, intercept, square = _fit(points)
    said = values.get(f"{name}_per_time_step", math.nan)
    if not math.isclose(said, slope, rel_tol=1e-6, abs_tol=1e-6):
        yield f"{name} is said to grow by {said:g} bytes a time step; its points give {slope:g}"
    if any(not y.is_integer() for _, y in points):
        yield f"a point of {name} over T is no whole number of bytes"
    measured = dict(points).get(float(T))
    if measured is not None and not same(measured, values[name]):
        yield f"{name} is {values[name]:g}; over T it is {measured:g} at T = {T}"
    elif measured is None and name == "saved_bytes" and square >= LINEAR:
        expected = intercept + slope * T
        if not math.isclose(values[name], expected, rel_tol=1e-6, abs_tol=1.0):
            yield f"{name} is {values[name]:g}; the line through its points has {expected:g} at T = {T}"
        if not math.isclose(slope, round(slope), abs_tol=1e-3):
            yield f"{name} grows by {slope:g} bytes a time step, which is no whole number"


def _fit(points: Sequence[tuple[float, float]]) -> tuple[float, float, float]:
    """Return slope, intercept and squared correlation of the line of least squares."""
    n = len(points)
    x, y = (math.fsum(point[i] for point in points) / n for i in (0, 1))
    xx, yy = (math.fsum((point[i] - mean) ** 2 for point in points) for i, mean in ((0, x), (1, y)))
    xy = math.fsum((a - x) * (b - y) for a, b in points)
    slope = xy / xx if xx else math.nan
    return slope, y - slope * x, 1.0 if yy == 0 else xy * xy / (xx * yy) if xx else 0.0


def check_timings(records: Sequence[Record]) -> Line:
    """Return whether rates are work over time, and no record timed longer than it ran."""
    asked = [record for record in records if record.cell.suite in TIMED and record.status in MEASURED]
    return judged(
        "timings",
        len(asked),
        "records of times have rates that follow from their times, and ran as long as they timed",
        (complaint for record in asked for complaint in _of_timings(record)),
        "no record of a time",
    )


def _of_timings(record: Record) -> Iterator[Complaint]:
    details: Mapping[str, Any] = record.details
    timed = sum(math.fsum(one.samples) for one in record.metrics.values() if one.unit == "seconds")
    if timed > record.provenance.duration_seconds:
        yield record, f"timed {timed:g} seconds, and ran for {record.provenance.duration_seconds:g}"
    if record.cell.suite != "throughput":
        return
    stated = [details.get(name) for name in ("batch_size", "T", "neurons")]
    if not all(isinstance(one, int) and one > 0 for one in stated):
        yield record, "does not say batch, time steps and neurons"
        return
    batch, T, neurons = map(int, filter(None, stated))
    rates: dict[str, dict[str, float]] = defaultdict(dict)
    for stage in ("train", "inference"):
        rates[stage] = {"samples_per_second": batch, "neuron_steps_per_second": batch * T * neurons}
    for stage, works in rates.items():
        for what, work in works.items():
            yield from ((record, one) for one in _of_rate(record, f"{stage}_step_seconds", f"{stage}_{what}", work))


def _of_rate(record: Record, seconds: str, rate: str, work: float) -> Iterator[str]:
    time, found = record.metrics.get(seconds), record.metrics.get(rate)
    if time is None or found is None:
        return
    if len(time.samples) != len(found.samples) or not all(
        same(work / one, other, 1e-6) for one, other in zip(time.samples, found.samples, strict=True)
    ):
        yield f"{rate} is not {work:g} over {seconds}, block by block"
