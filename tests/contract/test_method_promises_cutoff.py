"""What regularisation and cutoff promises: BPTT without the penalty, and a rule that trades steps for errors."""

from __future__ import annotations

import functools
from collections.abc import Iterator
from typing import Any

import pytest
import torch
from torch import Tensor

from harness.catalogue.cell import Cell
from harness.catalogue.compatibility import why_unsupported
from harness.catalogue.loading import load_registry
from harness.golden import float64_default
from reference_impls.anytime import first_right_step, gap_thresholds, stop_early
from reference_impls.api import Network, build_method, build_network, build_neuron
from reference_impls.training.cutoff import inverse_cosine, worst_of_the_right

FEATURES, CLASSES, BATCH = 6, 3, 4


@pytest.fixture(autouse=True)
def _float64() -> Iterator[None]:
    with float64_default():
        yield


def network(topology: str = "mlp", neuron: str = "lif") -> Network:
    torch.manual_seed(3)
    make = functools.partial(build_neuron, neuron)
    return build_network(topology, (FEATURES,), CLASSES, make, hidden=[8, 7])


def sequence(T: int) -> tuple[Tensor, Tensor]:
    generator = torch.Generator().manual_seed(5)
    return 3 * torch.rand((T, BATCH, FEATURES), generator=generator), torch.tensor([0, 1, 2, 1])


def outputs(samples: int = 200, T: int = 8) -> tuple[Tensor, Tensor]:
    """Per-step logits of a noisy classifier that is right on average."""
    generator = torch.Generator().manual_seed(7)
    target = torch.arange(samples) % CLASSES
    noise = torch.randn((T, samples, CLASSES), generator=generator)
    return noise + 0.8 * torch.nn.functional.one_hot(target), target


def gradients(name: str, net: Network, x: Tensor, target: Tensor, **params: Any) -> dict[str, Tensor]:
    method = build_method(name, **params)
    method.prepare(net)
    return method.gradients(x, target)


@pytest.mark.parametrize(
    ("row", "base", "options"), [("cutoff", "bptt", {}), ("cutoff-tet", "bptt-tet", {"tet_weight": 1e-3})]
)
def test_without_penalty_it_is_bptt(row: str, base: str, options: dict[str, Any]) -> None:
    net, (x, target) = network(), sequence(6)
    bptt = gradients(base, net, x, target, **options)
    for name, gradient in gradients(row, net, x, target, penalty=0.0).items():
        assert torch.allclose(gradient, bptt[name], atol=1e-15, rtol=1e-12), name


def test_penalty_moves_the_layers_and_leaves_the_read_out() -> None:
    net, x = network(), 8 * (sequence(6)[0] - 1)
    with torch.no_grad():
        net.get_parameter("blocks.1.synapse.weight").mul_(4)  # so that no sample leaves a layer silent
    target = net(x)[-1].argmax(1)  # so that samples count as right
    bptt, found = gradients("bptt", net, x, target), gradients("cutoff", net, x, target, penalty=1.0)
    for name, gradient in found.items():
        same = torch.allclose(gradient, bptt[name], atol=1e-14)
        assert same == name.startswith("readout"), name


def test_penalty_counts_only_samples_that_end_up_right() -> None:
    values = torch.tensor([[1.0, 3.0], [9.0, 2.0], [2.0, 1.0]])
    logits = torch.zeros(5, 3, 2)
    logits[..., 1] = 1.0
    logits[-1, 0] = torch.tensor([1.0, 0.0])  # wrong at the end
    logits[0, 2] = torch.tensor([1.0, 0.0])  # wrong at the start only
    target = torch.tensor([1, 0, 1])
    assert float(worst_of_the_right(values, logits, target, 0.4)) == pytest.approx((2.0 + 1.0) / 2)
    assert float(worst_of_the_right(values, -logits.abs(), torch.tensor([1, 1, 1]), 0.4)) == 0.0


def test_a_response_that_never_turns_has_the_least_penalty() -> None:
    steady = torch.rand(1, BATCH, 5).expand(6, BATCH, 5) + 0.5
    turning = steady.clone()
    turning[:3, :, :3] = 0
    assert torch.allclose(inverse_cosine(steady, 0.3), torch.ones(BATCH), atol=1e-3)
    assert (inverse_cosine(turning, 0.3) > inverse_cosine(steady, 0.3)).all()


def test_a_silent_sample_hides_the_others() -> None:
    response = torch.rand(6, BATCH, 5)
    response[:, 1] = 0
    values = inverse_cosine(response.requires_grad_(), 0.3)
    worst = values.max()
    assert float(worst.detach()) == pytest.approx(1e5)
    (slope,) = torch.autograd.grad(worst, response)
    assert not slope.any()


def test_more_errors_accepted_means_no_later_stop() -> None:
    logits, target = outputs()
    logits = logits.cumsum(0)
    steps = []
    for epsilon in (0.0, 0.02, 0.05, 0.1, 0.3, 1.0):
        thresholds = gap_thresholds(logits, target, epsilon)
        steps.append(float(stop_early(logits, thresholds).steps.double().mean()))
    assert steps == sorted(steps, reverse=True)
    assert steps[0] > steps[-1]
    assert not gap_thresholds(logits, target, 1.0).any()
    assert steps[-1] == 1.0


def test_no_error_accepted_means_none_made_on_the_calibration_samples() -> None:
    logits, target = outputs()
    logits = logits.cumsum(0)
    early = stop_early(logits, gap_thresholds(logits, target, 0.0))
    right_at_the_end = logits[-1].argmax(1) == target
    stopped = early.steps < len(logits)
    assert stopped.any()
    assert (early.logits.argmax(1) == target)[stopped & right_at_the_end].all()


def test_a_tie_never_stops_and_the_last_step_always_does() -> None:
    early = stop_early(torch.zeros(4, 2, 3), [0.0] * 4)
    assert early.steps.tolist() == [4, 4]


def test_optimal_step_of_a_perfect_and_of_a_hopeless_sample() -> None:
    logits = torch.zeros(5, 2, 3)
    logits[..., 1] = 1.0
    assert first_right_step(logits.cumsum(0), torch.tensor([1, 0])).tolist() == [1, 5]


def test_calibrated_method_stops_by_its_own_thresholds() -> None:
    method: Any = build_method("cutoff")
    method.prepare(network())
    x, target = sequence(6)
    with pytest.raises(RuntimeError, match="calibrate"):
        method.predict_early(x)
    thresholds = method.calibrate([(x, target), (x + 0.1, target)], epsilon=0.5)
    assert thresholds.shape == (6,)
    early = method.predict_early(x)
    with torch.no_grad():
        summed = method.network(x).cumsum(0)
    for sample, step in enumerate(early.steps.tolist()):
        assert torch.equal(early.logits[sample], summed[step - 1, sample])


@pytest.mark.parametrize(
    ("neuron", "topology", "sentence"),
    [
        ("psu", "mlp", "cutoff needs a neuron whose parallel is sequential; psu's is matmul."),
        ("if", "feedback", "cutoff trains chain networks; feedback is a feedback network."),
    ],
)
def test_says_what_it_cannot_train(neuron: str, topology: str, sentence: str) -> None:
    assert why_unsupported(Cell("accuracy", "digits", neuron, "cutoff", topology), load_registry()) == sentence
