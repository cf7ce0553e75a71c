"""What HSD promises: an ANN that becomes spiking layers, a frozen teacher, and a loss that looks at every step."""

from __future__ import annotations

import functools
from collections.abc import Iterator
from typing import Any

import pytest
import torch
from torch import Tensor
from torch.nn import functional

from harness.catalogue.cell import Cell
from harness.catalogue.compatibility import why_unsupported
from harness.catalogue.loading import load_registry
from harness.golden import float64_default
from harness.measure.memory import saved_bytes
from harness.suites.accuracy import CARD, AccuracySuite
from harness.suites.common.train import train
from harness.suites.common.weights import trained_method
from harness.workload import Workload
from reference_impls.api import Network, build_method, build_network, build_neuron
from reference_impls.conversion.activations import qcfs
from reference_impls.surrogate import smooth_spikes
from reference_impls.training.hsd import LEAST_UP, spike_like_the_released_neuron, step_wise_divergence

FEATURES, CLASSES, BATCH = 6, 3, 4
REGISTRY = load_registry()
CELL = Cell("accuracy", "digits", "if", "hsd", "mlp", budget="quick")


@pytest.fixture
def _float64() -> Iterator[None]:
    with float64_default():
        yield


def network(neuron: str = "if", topology: str = "mlp", **params: Any) -> Network:
    torch.manual_seed(3)
    make = functools.partial(build_neuron, neuron, **params)
    return build_network(topology, (FEATURES,), CLASSES, make, hidden=[8, 7])


def prepared(rate: float | None = None, **params: Any) -> Any:
    method = build_method("hsd", **{"up": 1.5} | params)
    method.prepare(network(), None if rate is None else functools.partial(torch.optim.Adam, lr=rate))
    return method


def sequence(T: int) -> tuple[Tensor, Tensor]:
    generator = torch.Generator().manual_seed(5)
    return 2 * torch.rand((T, BATCH, FEATURES), generator=generator), torch.tensor([0, 1, 2, 1])


@pytest.mark.usefixtures("_float64")
def test_a_teacher_that_is_every_step_of_the_student_adds_nothing() -> None:
    logits = torch.randn(BATCH, CLASSES)
    assert float(step_wise_divergence(logits.expand(5, -1, -1), logits, 2.0)) == pytest.approx(0, abs=1e-15)


@pytest.mark.usefixtures("_float64")
def test_one_step_is_ordinary_distillation() -> None:
    student, teacher, tau = torch.randn(1, BATCH, CLASSES), torch.randn(BATCH, CLASSES), 3.0
    p, q = (functional.softmax(z / tau, dim=-1) for z in (teacher, student[0]))
    ordinary = tau**2 * (p * (p / q).log()).sum() / (BATCH * CLASSES)
    assert float(step_wise_divergence(student, teacher, tau)) == pytest.approx(float(ordinary))


@pytest.mark.usefixtures("_float64")
def test_the_gradient_of_the_logits_is_the_published_formula() -> None:
    T, tau = 4, 10.0
    z, teacher, y = (
        torch.randn(T, BATCH, CLASSES, requires_grad=True),
        torch.randn(BATCH, CLASSES),
        torch.tensor([0, 2, 1, 1]),
    )
    (functional.cross_entropy(z.mean(0), y) + step_wise_divergence(z, teacher, tau)).backward()
    base = (z.detach().mean(0).softmax(-1) - functional.one_hot(y, CLASSES)) / (BATCH * T)
    pull = tau * ((z.detach() / tau).softmax(-1) - (teacher / tau).softmax(-1)) / (BATCH * CLASSES * T)
    assert z.grad is not None
    assert torch.allclose(z.grad, base + pull, atol=1e-15)


@pytest.mark.usefixtures("_float64")
def test_up_has_the_gradient_of_the_clip() -> None:
    """The QCFS card: at z = -1, 0.3, 1.9, 2.1, 3 with up = 2 and 4 levels, dy/dup is 0, 0.1, 0.05, -0.05, 1."""
    found = []
    for z in (-1.0, 0.3, 1.9, 2.1, 3.0):
        up = torch.tensor(2.0, requires_grad=True)
        qcfs(torch.tensor(z), up, 4).backward()
        assert up.grad is not None
        found.append(float(up.grad))
    assert found == pytest.approx([0, 0.1, 0.05, -0.05, 1], abs=1e-12)


@pytest.mark.usefixtures("_float64")
@pytest.mark.parametrize("levels", [1, 4, 8])
def test_at_as_many_steps_as_levels_the_neuron_counts_what_the_activation_rounds(levels: int) -> None:
    neuron: Any = build_neuron("if")
    spike_like_the_released_neuron(neuron, 1.7, 1.0)
    current = torch.linspace(-1, 3, 997)  # no tie with the threshold, where > and floor differ
    spikes = neuron(current.expand(levels, 1, -1))
    expected = qcfs(current, torch.tensor(1.7), levels)
    assert torch.allclose(spikes.sum(0)[0] * 1.7 / levels, expected, atol=1e-12)


@pytest.mark.usefixtures("_float64")
def test_the_gradient_is_the_derivative_of_the_smooth_network_and_passes_through_the_reset() -> None:
    method, (x, target) = prepared(), sequence(5)
    with smooth_spikes():
        weight = method.network.blocks[0].synapse.weight
        found = method.gradients(x, target)["blocks.0.synapse.weight"]
        index, ends = (2, 3), []
        for sign in (1, -1):
            weight.data[index] += sign * 1e-6
            ends.append(method.accumulate(x, target).loss)
            weight.data[index] -= sign * 1e-6
    assert float(found[index]) == pytest.approx((ends[0] - ends[1]) / 2e-6, rel=1e-6)


@pytest.mark.usefixtures("_float64")
def test_only_the_ann_learns_its_clipping_points() -> None:
    method, (x, target) = prepared(0.05), sequence(5)
    start = [float(up.detach()) for up in method.network.hsd_up]
    method.pretrain(lambda: [(x, target)] * 5, 4)
    learned = [float(up.detach()) for up in method.network.hsd_up]
    assert learned != start
    assert [block.neuron.v_threshold for block in method.network.layers()] == learned
    assert [block.neuron.v_init for block in method.network.layers()] == [up / 2 for up in learned]
    before = {name: value.clone() for name, value in method.teacher.state_dict().items()}
    for _ in range(3):
        method.update(x, target)
    assert [float(up.detach()) for up in method.network.hsd_up] == learned
    assert all(torch.equal(before[name], value) for name, value in method.teacher.state_dict().items())
    assert not torch.equal(method.teacher.readout.weight, method.network.readout.weight)


@pytest.mark.usefixtures("_float64")
def test_clipping_points_stay_positive() -> None:
    method, (x, target) = prepared(10.0), sequence(2)
    method.pretrain(lambda: [(x, target)] * 20, 2)
    assert min(float(up.detach()) for up in method.network.hsd_up) >= LEAST_UP


@pytest.mark.usefixtures("_float64")
def test_scaled_spikes_make_rates_stand_for_the_anns_values() -> None:
    """With inputs that every layer can render exactly, conversion changes nothing."""
    x = torch.full((64, 1, FEATURES), 0.5)
    errors = {}
    for scale in (True, False):
        method = prepared(levels=64, scale_output=scale)
        errors[scale] = float((method.predict(x) - method.ann_logits(method.teacher, x)).abs().max())
    assert errors[True] < 0.1 * errors[False]


@pytest.mark.usefixtures("_float64")
def test_teacher_and_student_may_see_different_numbers_of_steps() -> None:
    few, (x, target) = prepared(student_steps=2, teacher_steps=5), sequence(9)
    assert few.accumulate(x, target).stages[0].steps == 2
    assert torch.equal(few.predict(x), few.predict(x[:2]))
    assert torch.equal(few.ann_logits(few.teacher, x), prepared().ann_logits(few.teacher, x[:5]))


def test_memory_grows_with_the_students_steps_and_not_with_the_teachers() -> None:
    def kept(T: int, **params: Any) -> int:
        method, (x, target) = prepared(**params), sequence(T)
        return saved_bytes(functools.partial(method.gradients, x, target), [x]).peak_bytes

    assert kept(16, student_steps=4) == kept(64, student_steps=4)
    assert kept(64) > 3 * kept(16)


def test_pretraining_comes_out_of_the_same_budget_and_is_told() -> None:
    workload = Workload(CELL, REGISTRY)
    _, run = train(workload)
    assert run.pretraining is not None
    assert len(run.epochs) + run.pretraining.report.epochs == workload.budget.epochs
    batches = -(-len(workload.split.train) // workload.budget.batch_size)
    assert run.pretraining.report.updates == batches * run.pretraining.report.epochs
    assert run.updates == batches * len(run.epochs)
    assert run.epochs[run.best_epoch].test_errors < run.pretraining.test_errors


def test_accuracy_reports_what_pretraining_cost_only_where_there_is_some(tmp_path: Any) -> None:
    suite = AccuracySuite(REGISTRY.suite("accuracy"))
    smoke = Cell("accuracy", "digits", "if", "hsd", "mlp", budget="smoke")
    found = suite.run(Workload(smoke, REGISTRY, scratch=tmp_path))
    told = {name for name in CARD["metrics"] if name.startswith("pretrain")}  # type: ignore[attr-defined]
    assert len(told) == 3
    assert told <= set(found.figures)
    assert found.series["train_loss"].points[0][0] == found.figures["pretraining_epochs"].value + 1
    again = trained_method(Workload(smoke, REGISTRY, scratch=tmp_path))
    assert isinstance(again.state_dict()["hsd_teacher.readout.weight"], Tensor)
    plain = suite.run(Workload(Cell("accuracy", "digits", "if", "bptt", "mlp", budget="smoke"), REGISTRY))
    assert not told & set(plain.figures)


@pytest.mark.parametrize(
    ("neuron", "topology", "sentence"),
    [
        ("lif-hard", "mlp", "hsd needs a neuron whose reset is soft; lif-hard's is hard."),
        ("psn", "mlp", "hsd needs a neuron whose parallel is sequential; psn's is matmul."),
        ("if", "feedback", "hsd trains chain networks; feedback is a feedback network."),
    ],
)
def test_says_what_it_cannot_train(neuron: str, topology: str, sentence: str) -> None:
    assert why_unsupported(Cell("accuracy", "digits", neuron, "hsd", topology), REGISTRY) == sentence
    if neuron != "psn":
        with pytest.raises(ValueError, match=r"chain|soft reset"):
            build_method("hsd").prepare(network(neuron, topology))


def test_pretraining_needs_an_optimizer() -> None:
    with pytest.raises(RuntimeError, match="prepare"):
        prepared().pretrain(list, 2)
