"""Frontiers over rows with noise: who is dominated, and by how much a row must be worse for it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import pytest
from synthetic import record

from harness.catalogue.boards import find_board
from harness.catalogue.cards import MetricCard
from harness.catalogue.cell import Cell
from harness.catalogue.loading import load_registry
from harness.results.frontier import Figure, on_frontier
from harness.results.record import Metric

BOARD = find_board("neurons")
SPIKES = load_registry().suite("spikes").metrics
CELL = Cell("spikes", "digits", "lif", "bptt", "mlp", budget="quick")
WIGGLE = (-1.0, 0.3, 0.9, -0.2)


def figure(metric: str, values: Sequence[float], spread: float, exact: bool = False) -> Figure:
    """Return a figure of rows with these means over four seeds, which vary by `spread` of it, each in its own order."""
    card = MetricCard("exact", "joules", "lower", exact=True) if exact else SPIKES[metric]
    rows = []
    for place, value in enumerate(values):
        noise = WIGGLE[place % 4 :] + WIGGLE[: place % 4]
        seeds = [value * (1 + spread * wiggle) for wiggle in noise]
        made = [Metric(value=seen, unit=card.unit, direction="lower", exact=exact) for seen in seeds]
        rows.append([record(replace(CELL, seed=seed), metrics={metric: one}) for seed, one in enumerate(made)])
    return Figure(metric, card, values, rows)


def test_a_row_is_off_only_if_another_is_significantly_better_in_both() -> None:
    energy = figure("energy_joules", [1.0, 1.005, 2.0, 3.0], 0.01)
    spikes = figure("spikes_per_neuron", [1.0, 1.005, 0.5, 3.0], 0.01)
    # The second is a hair worse in both, within noise; the third trades; the fourth is worse than all in both.
    assert on_frontier(BOARD, energy, spikes) == [True, True, True, False]


def test_without_noise_a_hair_counts() -> None:
    one, other = (figure("energy_joules", [1.0, 1.001, 0.9], 0.0, exact=True) for _ in range(2))
    assert on_frontier(BOARD, one, other) == [False, False, True]


def test_more_noise_never_takes_a_row_off() -> None:
    values = [1.0, 1.3, 1.6, 2.5]
    quiet, loud = (
        on_frontier(BOARD, figure("energy_joules", values, spread), figure("spikes_per_neuron", values, spread))
        for spread in (0.01, 0.8)
    )
    assert quiet == [True, False, False, False]
    assert all(loud)


def test_a_single_seed_dominates_nobody() -> None:
    single = [
        replace(found, records=[rows[:1] for rows in found.records])
        for found in (figure(metric, [1.0, 5.0], 0.0) for metric in ("energy_joules", "spikes_per_neuron"))
    ]
    assert on_frontier(BOARD, *single) == [True, True]


def test_nothing_and_mismatched_rows() -> None:
    none = Figure("energy_joules", SPIKES["energy_joules"], [], [])
    assert on_frontier(BOARD, none, none) == []
    with pytest.raises(ValueError, match="one figure is of 0 rows, the other of 2"):
        on_frontier(BOARD, none, figure("energy_joules", [1.0, 2.0], 0.1))
