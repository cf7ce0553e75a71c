"""What full-FORCE promises: a matrix that stays what the recursion says, errors that shrink as they must, a signal."""

from __future__ import annotations

import functools
from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor

from harness.catalogue.cell import Cell
from harness.catalogue.compatibility import why_unsupported
from harness.catalogue.loading import load_registry
from harness.golden import float64_default
from harness.suites.common.base import to_metrics
from harness.suites.tracking import Tracking
from harness.tasks.accordion import accordion
from harness.workload import Workload
from reference_impls.api import build_method, build_network, build_neuron

REGISTRY = load_registry()
SIZE = 20


@pytest.fixture
def _float64() -> Iterator[None]:
    with float64_default():
        yield


def prepared(name: str = "full-force", size: int = SIZE, **params: Any) -> Any:
    torch.manual_seed(2)
    neuron = functools.partial(build_neuron, "lif-double-exponential")
    method = build_method(name, **{"probability": 1.0, "warmup_trials": 0} | params)
    method.prepare(build_network("reservoir", (1,), 1, neuron, size=size, input_gain=4.0))
    return method


def signal(T: int = 60) -> tuple[Tensor, Tensor]:
    t = torch.arange(T) / 60
    return (t < 0.1).to(t.dtype).view(-1, 1, 1), torch.sin(2 * torch.pi * t).view(-1, 1, 1)


@pytest.mark.usefixtures("_float64")
def test_p_is_the_inverse_of_what_was_seen() -> None:
    """``P^-1 = alpha I + sum q q^T``, so P stays symmetric and positive definite."""
    method, (x, f) = prepared(), signal()
    expected = method.alpha * torch.eye(SIZE)
    for x_t, f_t in zip(x[:, 0], f[:, 0], strict=True):
        q = method.pools.rate[1] * method.network.dt
        expected += torch.outer(q, q)
        with torch.no_grad():
            method.advance(x_t, f_t, learn=True)
    assert torch.allclose(torch.linalg.inv(method.P), expected, rtol=1e-8, atol=1e-8)
    assert torch.allclose(method.P, method.P.T, atol=1e-14)
    assert float(torch.linalg.eigvalsh(method.P).min()) > 0


@pytest.mark.usefixtures("_float64")
@pytest.mark.parametrize("gain", ["normalised", "raw"])
def test_an_update_divides_the_error_or_overshoots(gain: str) -> None:
    """With g = q^T P q the error becomes error / (1 + g) when normalised, error (1 - g) with the released gain."""
    method, (x, f) = prepared(rls_gain=gain, alpha=1e-3), signal()
    network, factors = method.network, []
    for x_t, f_t in zip(x[:, 0], f[:, 0], strict=True):
        q = method.pools.rate[1] * network.dt
        g = float(q @ method.P @ q)
        before = network.readout(q) - f_t
        with torch.no_grad():
            method.advance(x_t, f_t, learn=True)
        after = network.readout(q) - f_t
        factors.append(1 / (1 + g) if gain == "normalised" else 1 - g)
        assert torch.allclose(after, factors[-1] * before, rtol=1e-9, atol=1e-12)
    assert min(factors) < (0.2 if gain == "normalised" else -1)


@pytest.mark.usefixtures("_float64")
@pytest.mark.parametrize("rule", ["all", "official", "lowest_index"])
def test_who_fires_follows_the_rule(rule: str) -> None:
    neuron: Any = build_neuron("lif-double-exponential", selection=rule)
    generator = torch.Generator().manual_seed(1)
    state, alone, together = neuron.init_state(torch.zeros(1, 6)), 0, 0
    for _ in range(300):
        before = state
        z, state = neuron.advance(0.02 * torch.rand(1, 6, generator=generator), state)
        at_threshold = (state.v >= neuron.v_threshold) | (z > 0)
        fired, waiting = z[0] > 0, (at_threshold & (z == 0))[0]
        if rule == "all":
            assert not waiting.any()
        elif rule == "lowest_index" or not fired[0]:
            assert int(fired.sum()) == min(1, int(at_threshold.sum()))
            assert not fired.any() or not at_threshold[0, : int(fired.nonzero()[0])].any()
        else:
            assert not waiting.any()
        assert (state.v[z > 0] == neuron.v_reset).all()
        assert (state.refractory[0, waiting] == (before.refractory - neuron.dt)[0, waiting]).all()
        alone, together = alone + int(fired.sum() == 1), together + int(fired.sum() > 1)
    assert alone > 10
    assert (together > 0) == (rule != "lowest_index")


@pytest.mark.usefixtures("_float64")
@pytest.mark.parametrize(("dt", "above"), [(5e-5, 0.02), (1e-3, 0.31)])
def test_a_constant_input_settles_near_its_share_of_a_step(dt: float, above: float) -> None:
    neuron: Any = build_neuron("lif-double-exponential", dt=dt, v_threshold=1e9, bias=-45.0)
    state = neuron.run(torch.full((round(0.4 / dt), 1, 1), 20 * dt)).state
    rise, decay = (1 - np.exp(-dt / tau) for tau in (neuron.tau_rise, neuron.tau_decay))
    assert float(state.s) == pytest.approx(20 * dt**2 / (neuron.tau_rise * neuron.tau_decay * rise * decay), rel=1e-6)
    assert 20 < float(state.s) < 20 * (1 + above)
    assert float(state.v) == pytest.approx(float(state.s) - 45, rel=1e-4)


@pytest.mark.usefixtures("_float64")
@pytest.mark.parametrize("refractory", [0.002, 0.005])
def test_a_neuron_is_silent_for_its_refractory_time(refractory: float) -> None:
    neuron: Any = build_neuron("lif-double-exponential", refractory=refractory)
    fired = neuron(torch.ones(100, 1, 1)).flatten().nonzero().flatten()
    assert set(fired.diff()[5:].tolist()) == {round(refractory / neuron.dt)}


def test_warm_up_trials_teach_nothing() -> None:
    method, (x, f) = prepared(warmup_trials=2), signal()
    before = method.network.recurrent.weight.clone()
    assert [method.update(x, f).updates for _ in range(3)] == [0, 0, 60]
    assert not torch.equal(before, method.network.recurrent.weight)


def test_prediction_goes_on_from_where_training_ended() -> None:
    method, (x, f) = prepared(), signal()
    method.update(x, f)
    whole = method.predict(torch.cat((x, x)))
    assert torch.allclose(whole[:60], method.predict(x))
    assert not torch.allclose(whole[60:], whole[:60])


def test_what_is_kept_is_two_pools_and_one_matrix() -> None:
    """O(N^2) whatever T: J_G and P beside the performer."""
    kept = [
        sum(value.numel() for name, value in prepared(size=size).state_dict().items() if name.startswith("force."))
        for size in (10, 20, 40)
    ]
    assert kept[2] - 2 * kept[1] == pytest.approx(4 * (kept[1] - 2 * kept[0]), rel=0.05)
    assert 2 * 40**2 < kept[2] < 2.5 * 40**2


def test_accordion_is_mirrored_with_the_opposite_sign() -> None:
    t = np.linspace(0, 1, 101)
    assert np.allclose(accordion(2 - t[:-1]), -accordion(t[:-1]))
    assert np.allclose(accordion(t[:50]), np.sin(np.pi * (2 + 4 * t[:50]) * t[:50]))


def test_two_sines_are_learned_and_reported() -> None:
    """The card's own target: an error below 5 % of the signal's power on its own."""
    cell = Cell("tracking", "two-sines", "lif-double-exponential", "full-force", "reservoir", budget="quick")
    suite = Tracking(REGISTRY.suite("tracking"))
    found = suite.run(Workload(cell, REGISTRY))
    metrics = to_metrics(suite.card, found.figures)
    assert metrics["normalised_error_fraction"].value < 0.05
    assert metrics["firing_rate_hertz"].unit == "hertz"
    assert found.details["test_trials"] == 5
    assert len(found.series["training_error_fraction"].points) == 12


@pytest.mark.parametrize(
    ("cell", "sentence"),
    [
        (
            Cell("tracking", "two-sines", "if", "bptt", "reservoir"),
            "bptt learns classes; two-sines asks for a signal.",
        ),
        (
            Cell("accuracy", "two-sines", "lif-double-exponential", "full-force", "reservoir"),
            "accuracy is asked of tasks with classes; two-sines asks for a signal.",
        ),
        (
            Cell("accuracy", "digits", "lif-double-exponential", "full-force", "reservoir"),
            "full-force learns a signal; digits asks for classes.",
        ),
        (
            Cell("tracking", "digits", "if", "bptt", "mlp"),
            "tracking is asked of tasks with a signal; digits asks for classes.",
        ),
        (
            Cell("tracking", "two-sines", "lif", "full-force", "reservoir"),
            "full-force needs a neuron whose membrane is double-exponential; lif's is linear.",
        ),
        (
            Cell("conformance", neuron="if", method="full-force", topology="mlp"),
            "full-force trains pool networks; mlp is a chain network.",
        ),
        (Cell("tracking", "two-sines", "lif-double-exponential", "full-force", "reservoir"), None),
    ],
)
def test_says_what_goes_together(cell: Cell, sentence: str | None) -> None:
    assert why_unsupported(cell, REGISTRY) == sentence


def test_refuses_other_networks_and_batches() -> None:
    neuron = functools.partial(build_neuron, "lif")
    with pytest.raises(ValueError, match="recurrent pool"):
        build_method("full-force").prepare(build_network("mlp", (1,), 1, neuron))
    with pytest.raises(ValueError, match="double-exponential"):
        build_method("full-force").prepare(build_network("reservoir", (1,), 1, neuron))
    x, f = signal()
    with pytest.raises(ValueError, match="one trial at a time"):
        prepared().update(x.expand(-1, 2, -1), f.expand(-1, 2, -1))
