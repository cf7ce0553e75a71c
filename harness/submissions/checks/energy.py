"""Whether rates and energies follow from the counts that a record states, operation by operation.

The arithmetic is that of ``docs/measuring.md``, done again from what the details say. Must not count anything itself.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict
from typing import Any

from harness.measure.arithmetic import FP32_45NM
from harness.results.record import MEASURED, Record
from harness.submissions.checks.figures import same
from harness.submissions.verdict import Line, judged

__all__ = ["check_energy"]

SPIKES = "spikes"
AC, MAC = FP32_45NM.accumulate_joules, FP32_45NM.multiply_accumulate_joules
SUMS = 1e-6
"""Relative difference between two orders of adding the same terms, and between a coverage and the count behind it."""


def check_energy(records: Sequence[Record]) -> Line:
    """Return whether every energy follows from the counts beside it."""
    asked = [record for record in records if record.cell.suite == SPIKES and record.status in MEASURED]
    return judged(
        "energy",
        len(asked),
        "records of spikes have rates and energies that follow from the counts they state",
        ((record, problem) for record in asked for problem in _problems(record)),
        "no record of the suite spikes",
    )


def _problems(record: Record) -> Iterator[str]:
    try:
        yield from _unequal(record, dict(_expected(record)))
        yield from _constants(record.details)
    except (KeyError, TypeError, ValueError, AttributeError, ZeroDivisionError, IndexError) as error:
        yield f"its details do not hold the counts of its figures ({type(error).__name__}: {error})"


def _unequal(record: Record, expected: Mapping[str, float]) -> Iterator[str]:
    for name, metric in record.metrics.items():
        if name in expected and not same(metric.value, expected[name], SUMS):
            yield f"{name} is {metric.value:.6g}, and its counts give {expected[name]:.6g}"
    if "energy" in record.details and "energy_joules" not in record.metrics:
        yield "states an energy in its details and has no figure of it"


def _expected(record: Record) -> Iterator[tuple[str, float]]:
    """Yield every figure as the counts give it."""
    details = record.details
    samples, layers, synapses = details["samples"], details["layers"], details["synapses"]
    events, neurons = (sum(layer[name] for layer in layers) for name in ("events", "neurons"))
    updates = [layer["neurons"] * layer["sample_steps"] for layer in layers]
    if neurons:
        yield "spikes_per_neuron", events / samples / neurons
        yield "firing_rate", events / sum(updates)
        yield "dead_fraction", sum(layer["dead_neurons"] for layer in layers) / neurons
        yield "saturated_fraction", sum(layer["saturated_neurons"] for layer in layers) / neurons
    yield "spikes_per_sample", events / samples
    for name, count in (
        ("accumulates_per_sample", "accumulates"),
        ("multiply_accumulates_per_sample", "multiply_accumulates"),
        ("dense_operations_per_sample", "dense"),
    ):
        yield name, sum(synapse["cached"][count] for synapse in synapses) / samples
    if "energy" in details:
        yield from _energies(record, samples, updates)
    if "training_energy" in details and "no_training_energy" not in details:
        yield "training_energy_joules", sum(details["training_energy"].values())


def _energies(record: Record, samples: int, updates: Sequence[int]) -> Iterator[tuple[str, float]]:
    details, synapses = record.details, record.details["synapses"]
    joules = [one["joules"] for one in details["neuron_updates"]]
    of_neurons = sum(n * each for n, each in zip(updates, joules, strict=True)) / samples
    dense = sum(synapse["cached"]["dense"] for synapse in synapses)
    coverage = record.metrics["coverage"].value
    rest = of_neurons + dense * (1 / coverage - 1) * MAC / samples
    totals = {
        convention: rest
        + sum(
            synapse[convention]["accumulates"] * AC + synapse[convention]["multiply_accumulates"] * MAC
            for synapse in synapses
        )
        / samples
        for convention in ("cached", "recomputed")
    }
    yield "energy_joules", totals["cached"]
    yield "energy_input_recomputed_joules", totals["recomputed"]
    yield "energy_relative_to_dense", totals["cached"] / details["energy"]["dense_ann_joules"]
    if sum(updates):
        yield "neuron_update_joules", of_neurons * samples / sum(updates)


def _constants(details: Mapping[str, Any]) -> Iterator[str]:
    if "energy" not in details:
        return
    for name, value in asdict(FP32_45NM).items():
        said = details["energy_constants"][name]
        if said != value and not (isinstance(value, float) and same(said, value)):
            yield f"takes {name} to be {said!r}; here it is {value!r}"
    least = sum(synapse["synapses"] for synapse in details["synapses"]) * MAC
    if details["energy"]["dense_ann_joules"] < least * (1 - SUMS):
        yield "a dense pass is said to cost less than its own weights take"
    for one in details["neuron_updates"]:
        counted = _joules(one["operations"])
        if counted is not None and not same(one["joules"], counted, 1e-4):  # the text has five digits
            yield f"an update of {one['operations']!r} is said to cost {one['joules']:g} J; that is {counted:g} J"
    for part, operations in details.get("training_operations", {}).items():
        counted, said = _joules(operations), details["training_energy"].get(part)
        if counted is not None and (said is None or not same(said, counted, 1e-4)):
            yield f"{part} of {operations!r} is said to cost {said!r} J in training; that is {counted:g} J"


_COSTS: Mapping[str, float] = {
    "additions": FP32_45NM.add_joules,
    "multiplications": FP32_45NM.multiply_joules,
    "comparisons": FP32_45NM.compare_joules,
    "divisions": FP32_45NM.divide_joules,
    "roots": FP32_45NM.root_joules,
    "elementary": FP32_45NM.elementary_joules,
    "draws": FP32_45NM.draw_joules,
}


def _joules(operations: str) -> float | None:
    """Return what operations cost that are written as "2 additions, 1 comparisons"; None if they are not."""
    if operations == "nothing":
        return 0.0
    parts = [part.split() for part in operations.split(", ")]
    if not all(len(part) == 2 and part[1] in _COSTS for part in parts):
        return None
    return sum(float(count) * _COSTS[what] for count, what in parts)
