"""The suite detection: it learns, says what COCO's evaluation says of the answers, and nothing of the truth leaks."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

from harness.catalogue.cell import Cell
from harness.catalogue.compatibility import why_unsupported
from harness.catalogue.loading import load_registry
from harness.suites.common.base import to_metrics
from harness.suites.common.dense import dense_network, windows
from harness.suites.common.train import limited
from harness.suites.detection import Detection, _focal, _loss
from harness.tasks import moving_boxes
from harness.workload import Workload
from reference_impls.dense_network import DenseAnswer

pytest.importorskip("pycocotools", reason="python -m pip install 'spikeboard[detection]'")

REGISTRY = load_registry()
CARD = REGISTRY.suite("detection")


@pytest.fixture
def few(monkeypatch: pytest.MonkeyPatch) -> None:
    """Enough views to train for an epoch of the smoke budget: all of them take a while to compute."""
    monkeypatch.setattr(moving_boxes, "COUNTS", (64, 16, 32))


def workload(network: str, budget: str = "smoke", seed: int = 0) -> Workload:
    cell = Cell("detection", "moving-boxes", network, backend="-", budget=budget, seed=seed)
    return Workload(cell, REGISTRY, Path("no data needed"))


def answered(network: str, budget: str = "smoke", seed: int = 0) -> dict[str, float]:
    answer = Detection(CARD).run(workload(network, budget, seed))
    return {name: metric.value for name, metric in to_metrics(CARD, answer.figures).items()}


@pytest.mark.usefixtures("few")
def test_every_figure_is_given() -> None:
    found = answered("hybrid-detector")
    assert set(found) == set(CARD.metrics)
    assert 0 < found["interface_events_per_step"] < 32 * 8 * 8, "of its 2,048 neurons"
    trivial = answered("mean-boxes")
    assert set(trivial) == {"average_precision_50_fraction", "average_precision_fraction", "parameters", "updates"}
    ann = answered("hybrid-detector-ann")
    assert "interface_events_per_step" not in ann, "it sends numbers"
    assert ann["parameters"] == found["parameters"]


@pytest.mark.usefixtures("few")
def test_the_truth_itself_would_have_no_loss_left() -> None:
    of = workload("hybrid-detector")
    batch = next(windows(limited(of.split.test, 8), 8, of))
    perfect = batch.target.clone()
    perfect[:, :, 0] = torch.where(batch.target[:, :, 0] == 1, 20.0, -20.0)
    perfect[:, :, 5:] = 40 * batch.target[:, :, 5:]
    image = perfect.repeat_interleave(5, 0)
    assert float(_loss(DenseAnswer(image, ()), batch)) < 1e-6
    worse = image.clone()
    worse[:, :, 1] += 0.5
    assert float(_loss(DenseAnswer(worse, ()), batch)) == pytest.approx(0.125, rel=1e-3), "half of 0.5 squared a box"


def test_the_focal_loss_is_the_published_one() -> None:
    logits, there = torch.tensor([0.3, -1.2]), torch.tensor([1.0, 0.0])
    p = torch.sigmoid(logits)
    wanted = torch.stack([-0.25 * (1 - p[0]) ** 2 * p[0].log(), -0.75 * p[1] ** 2 * (1 - p[1]).log()])
    torch.testing.assert_close(_focal(logits, there), wanted)


@pytest.mark.usefixtures("few")
def test_the_mean_boxes_are_the_shares_of_the_training_part() -> None:
    of = workload("mean-boxes")
    network = dense_network(of)
    training = limited(of.split.train, 64)
    network.fit(windows(training, 20, of))  # type: ignore[operator]
    there = training.labels[:, :, 0].double().mean((0, 1))
    told = network.answer(torch.zeros(10, 1, 2, 32, 32)).image[-1, 0]
    torch.testing.assert_close(told[0].sigmoid().double(), there.clamp(1e-4, 1 - 1e-4), rtol=1e-4, atol=1e-6)
    boxes = training.labels.movedim(2, -1)[training.labels[:, :, 0] == 1]
    torch.testing.assert_close(told[1:5, 0, 0], boxes[:, 1:5].mean(0))
    torch.testing.assert_close(told[5:, 0, 0].softmax(0), boxes[:, 5:].mean(0))


@pytest.mark.slow
@pytest.mark.timeout(3600)
def test_a_hybrid_beats_the_mean_boxes_on_every_seed() -> None:
    trivial = answered("mean-boxes", "quick")["average_precision_50_fraction"]
    found = [answered("hybrid-detector", "quick", seed)["average_precision_50_fraction"] for seed in range(3)]
    assert min(found) > 5 * trivial + 0.05, (found, trivial)


def test_what_does_not_go_together_is_said() -> None:
    asked = Cell("flow", "moving-boxes", "hybrid-detector", backend="-", budget="quick")
    assert why_unsupported(asked, REGISTRY) == "hybrid-detector answers with boxes; flow is asked about optical flow."
    asked = Cell("accuracy", "moving-boxes", "lif", "bptt", "hybrid-conv", budget="quick")
    assert "moving-boxes asks for boxes" in (why_unsupported(asked, REGISTRY) or "")
