"""Operations of a neuron's update: by hand from its equations, for steps, filters over time, and forms that agree."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor

from harness.catalogue.loading import load_registry
from harness.measure.arithmetic import FP32_45NM, OPERATIONS, Arithmetic
from harness.measure.filters import entries, recurrence
from harness.measure.neuron_work import neuron_work
from harness.measure.steps import Step, charged
from harness.measure.tape import sequence_work
from reference_impls.api import ParallelNeuron, UnsupportedError, build_neuron

REGISTRY = load_registry()
PJ = 1e-12


def work(name: str, T: int = 8, **params: Any) -> Arithmetic:
    needs = {"T": T} if REGISTRY.neurons[name].capabilities.needs_T else {}
    return neuron_work(build_neuron(name, **needs, **params), T).work


@pytest.mark.parametrize(
    ("name", "params", "additions", "multiplications", "comparisons"),
    [
        # v + x; v - threshold s; one comparison.
        ("if", {}, 2, 0, 1),
        # The reset of a hard one chooses between membrane and 0.
        ("if", {"reset_mode": "hard", "v_reset": 0.0}, 1, 0, 1),
        # decay v + x; h - threshold s.
        ("lif", {}, 2, 1, 1),
        ("lif-hard", {}, 1, 1, 1),
        # The gain of the input stands in the weights.
        ("lif-decay-input", {}, 2, 1, 1),
        # i = alpha i + x; h = beta v + i; hard reset.
        ("cuba-lif", {}, 2, 2, 1),
        ("cuba-lif-soft", {}, 3, 2, 1),
        # beta u + (1 - beta) (x - w); rho w + (1 - rho) (a u + b s), with (1 - rho) taken into a and b.
        ("se-adlif", {"shape": (3,)}, 4, 4, 1),
    ],
)
def test_a_step_by_hand(
    name: str, params: dict[str, Any], additions: int, multiplications: int, comparisons: int
) -> None:
    assert work(name, **params) == Arithmetic(additions, multiplications, comparisons)


def test_the_energies_that_the_documents_name() -> None:
    named = {"if": 1.9, "lif": 5.6, "lif-hard": 4.7, "cuba-lif": 9.3, "cuba-lif-soft": 10.2, "se-adlif": 18.5}
    for name, picojoules in named.items():
        assert work(name, shape=(3,)).joules(FP32_45NM) == pytest.approx(picojoules * PJ), name


def test_derived_operations_are_sums_of_the_tables() -> None:
    assert FP32_45NM.divide_joules == pytest.approx((5 * 3.7 + 2 * 0.9) * PJ)
    assert FP32_45NM.root_joules == pytest.approx((9 * 3.7 + 2 * 0.9) * PJ)
    assert FP32_45NM.elementary_joules == pytest.approx((11 * 3.7 + 10 * 0.9 + 4 * 0.1) * PJ)
    sigmoid = FP32_45NM.elementary_joules + 0.9 * PJ + FP32_45NM.divide_joules
    assert OPERATIONS["sigmoid"].joules(FP32_45NM) == pytest.approx(sigmoid)


def test_psn_multiplies_its_whole_matrix_and_masked_psn_its_band() -> None:
    T, order = 8, 3
    assert work("psn", T) == Arithmetic(additions=T, multiplications=T, comparisons=1)
    band = sum(min(t + 1, order) for t in range(T)) / T
    assert work("masked-psn", T, order=order) == Arithmetic(band, band, 1)
    pruned = build_neuron("psn", T=T)
    with torch.no_grad():
        pruned.weight[:, 0] = 0.0
    assert neuron_work(pruned, T).work == Arithmetic(T - 1, T - 1, 1)


def test_sliding_psn_is_taps_until_its_taps_are_a_decay() -> None:
    T = 12
    decaying = neuron_work(build_neuron("sliding-psn", order=32), T)
    assert "recurrence of order 1" in decaying.form
    assert decaying.work == Arithmetic(1, 1, 1)
    taps = torch.randn(3, generator=torch.Generator().manual_seed(1))
    free = neuron_work(build_neuron("sliding-psn", order=3, weight=taps), T)
    count = (1 + 2 + 3 * (T - 2)) / T
    assert free.work.multiplications == pytest.approx(count)
    assert "entries" in free.form


@pytest.mark.parametrize(("T", "form"), [(28, "scan"), (28, "matmul"), (120, "scan"), (120, "matmul")])
def test_what_a_filter_costs_does_not_depend_on_how_it_is_computed(T: int, form: str) -> None:
    found = neuron_work(build_neuron("psu", parallel=form), T)
    # Two leaky sums (2 products each, 1 addition; the reset's factor stands in its gain), a sigmoid, a difference.
    assert found.work == OPERATIONS["sigmoid"] + Arithmetic(additions=3, multiplications=4, comparisons=1)


@pytest.mark.parametrize("name", ["prf-fixed", "pmsn", "paralif-threshold"])
def test_oscillators_and_cascades_run_step_by_step(name: str) -> None:
    few, many = (neuron_work(build_neuron(name, shape=(2,)), T).work for T in (30, 60))
    assert few == many


def test_fixed_point_lif_costs_what_lif_costs() -> None:
    found = neuron_work(build_neuron("lif-fixed-point"), 8)
    assert found.work == work("lif")
    assert "LIF, which fires the same spikes" in found.form


def test_a_form_that_fires_otherwise_is_not_charged(monkeypatch: pytest.MonkeyPatch) -> None:
    neuron = build_neuron("psn", T=6)
    monkeypatch.setattr(type(neuron), "recurrent_form", lambda _self: build_neuron("lif"), raising=False)
    assert neuron_work(neuron, 6).work == Arithmetic(6, 6, 1)


@pytest.mark.slow
def test_every_neuron_of_the_catalogue_can_be_counted() -> None:
    for name, row in REGISTRY.neurons.items():
        needs = {"T": 6} if row.capabilities.needs_T else {}
        found = neuron_work(build_neuron(name, shape=(2,), **needs), 6)
        joules = found.work.joules(FP32_45NM)
        assert math.isfinite(joules), name
        assert joules > 0, name


class Transformed(ParallelNeuron):
    """Does what no table knows."""

    def forward(self, x: Tensor) -> Tensor:
        return torch.special.bessel_j0(x)


def test_what_has_no_energy_is_named() -> None:
    with pytest.raises(UnsupportedError, match=r"Transformed: no energy is known for .*bessel_j0"):
        sequence_work(Transformed(), 4)
    with pytest.raises(UnsupportedError, match="no energy is known for besselled"):
        charged([Step("a", "besselled", ("x",))], [], ["a"])


def test_choices_constants_and_folded_factors_cost_nothing() -> None:
    fire = [Step("f", "ge", ("v", "threshold")), Step("s", "number", ("f",))]
    compared = Arithmetic(comparisons=1)
    assert charged(fire, ["threshold"], ["s"]) == compared
    gated = [*fire, Step("g", "mul", ("s", "v"))]
    assert charged(gated, ["threshold"], ["g"]) == compared
    scaled = [*fire, Step("c", "mul", ("s", "amount")), Step("g", "mul", ("c", "v"))]
    assert charged(scaled, ["threshold", "amount"], ["g"]) == compared + Arithmetic(multiplications=1)
    hoisted = [Step("k", "exp", ("p",)), Step("o", "mul", ("k", "v"))]
    assert charged(hoisted, ["p"], ["o"]) == Arithmetic(multiplications=1)
    folded = [Step("a", "mul", ("p", "v")), Step("b", "mul", ("q", "a"))]
    assert charged(folded, ["p", "q"], ["b"]) == Arithmetic(multiplications=1)
    used_twice = [*folded, Step("d", "add", ("a", "b"))]
    assert charged(used_twice, ["p", "q"], ["d"]) == Arithmetic(additions=1, multiplications=2)
    unused = [*folded, Step("e", "exp", ("v",))]
    assert charged(unused, ["p", "q"], ["b"]) == Arithmetic(multiplications=1)


def test_recurrences_are_found_where_there_are_any() -> None:
    n = np.arange(30)
    decay = recurrence(0.9**n)
    assert decay is not None
    assert decay.work == Arithmetic(additions=1, multiplications=1)
    summed = recurrence(np.ones(30))
    assert summed is not None
    assert summed.work == Arithmetic(additions=1), "a running sum multiplies nothing"
    damped = recurrence(0.95**n * np.cos(0.3 * n))
    assert damped is not None
    assert damped.form == "a recurrence of order 2"
    assert recurrence(np.random.default_rng(0).standard_normal(30)) is None
    ends = recurrence(np.where(n < 5, 0.9**n, 0.0))
    assert ends is not None
    assert ends.work == Arithmetic(additions=4, multiplications=4), "taps, the first of them 1"
    assert entries(np.tril(np.full((4, 4), 2.0))).work == Arithmetic(2.5, 2.5)
