"""Figures that suites of whole systems share: a mean over what was tested, and what the work of an answer costs.

Must not know any suite.
"""

from __future__ import annotations

from collections.abc import Sequence

from harness.measure.arithmetic import FP32_45NM
from harness.measure.neuron_work import neuron_work
from harness.results.stats import estimate
from harness.suites.common.base import Measurement
from reference_impls.graphs import Work
from reference_impls.neuron import SequentialNeuron

__all__ = ["mean_with_interval", "work_figures"]


def mean_with_interval(values: Sequence[float], covers: str) -> Measurement:
    """Return the mean of `values` with the 95 % interval of Student's t; `covers` says over what."""
    found = estimate(values, covers)
    return Measurement(found.value, n=found.n, low=found.low, high=found.high, covers=found.covers)


def work_figures(
    work: Work, neuron: SequentialNeuron | None, T: int, count: int, answer: str
) -> dict[str, Measurement]:
    """Return operations, energy and spikes of one answer.

    Parameters
    ----------
    work : what `count` answers took together.
    neuron : the one that spikes; None where none does.
    T : steps that an answer takes, over which a neuron's own operations are averaged.
    count : of answers.
    answer : what one is called in the names of figures (``query``, ``decision``).
    """
    joules = (
        work.accumulates * FP32_45NM.accumulate_joules
        + work.multiply_accumulates * FP32_45NM.multiply_accumulate_joules
        + (work.updates * neuron_work(neuron, T).joules(FP32_45NM) if neuron is not None else 0.0)
    )
    figures = {
        f"accumulates_per_{answer}": work.accumulates / count,
        f"multiply_accumulates_per_{answer}": work.multiply_accumulates / count,
        "energy_joules": joules / count,
    }
    if neuron is not None:
        figures["spikes_per_neuron"] = work.spikes / work.neurons
    return {name: Measurement(value, n=count) for name, value in figures.items()}
