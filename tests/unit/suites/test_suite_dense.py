"""The suites of dense targets on a small film: figures of what was answered, and no figure of a broken network."""

from __future__ import annotations

from dataclasses import replace
from types import SimpleNamespace

import pytest
import torch
from torch import Tensor

from harness.catalogue.cell import Cell
from harness.catalogue.compatibility import why_unsupported
from harness.catalogue.loading import load_registry
from harness.catalogue.presets import find_preset
from harness.planning.expansion import Filters, combinations
from harness.suites.common import dense
from harness.suites.common.base import Answer, DivergedError, to_metrics
from harness.suites.flow import Flow
from harness.suites.video import Video
from harness.tasks.common import filmed
from harness.workload import Workload
from reference_impls.systems.evsnn import EVSNN

REGISTRY = load_registry()
COUNTS = (4, 2, 3)
TASK_OF = {"video": "textures-video", "flow": "textures-flow"}


@pytest.fixture(autouse=True)
def small(monkeypatch: pytest.MonkeyPatch) -> None:
    """Films of nine scenes."""
    monkeypatch.setattr(filmed, "VIDEO", filmed.VIDEO._replace(counts=COUNTS))
    monkeypatch.setattr(filmed, "FLOW", filmed.FLOW._replace(counts=COUNTS))


def measured(suite: str, network: str, seed: int = 0) -> Answer:
    workload = Workload(Cell(suite, TASK_OF[suite], network, budget="smoke", seed=seed), REGISTRY)
    answer = {"video": Video, "flow": Flow}[suite](REGISTRY.suite(suite)).run(workload)
    to_metrics(REGISTRY.suite(suite), answer.figures)
    return answer


def values(answer: Answer) -> dict[str, float]:
    return {name: figure.value for name, figure in answer.figures.items()}


def test_trivial_answers_to_video_have_the_errors_that_the_frames_give() -> None:
    film = torch.tensor(filmed.filmed(filmed.VIDEO).frames).float() / 255
    train, test = film[:4], film[6:]
    found = {name: measured("video", name) for name in ("mean-image", "last-frame", "event-integration")}
    mean = train[:, 1:].mean((0, 1))
    # The first window is to settle in.
    expected = (mean - test[:, 2:]).square().mean()
    assert found["mean-image"].figures["mean_squared_error"].value == pytest.approx(float(expected), rel=1e-4)
    still = (test[:, 1:-1] - test[:, 2:]).square().mean()
    assert found["last-frame"].figures["mean_squared_error"].value == pytest.approx(float(still), rel=1e-4)
    # What integrates events sees more than nothing.
    assert values(found["event-integration"])["structural_similarity"] > 0.2
    assert all("spikes_per_neuron" not in answer.figures for answer in found.values())


def test_trivial_answers_to_flow_have_the_length_of_the_flow() -> None:
    film = filmed.filmed(filmed.FLOW)
    length = torch.tensor(film.flow[6:]).square().sum(2).sqrt()
    found = values(measured("flow", "zero-flow"))
    assert found["everywhere_error_pixels"] == pytest.approx(float(length.mean()), rel=1e-4)
    assert 0 < found["outliers_3px_fraction"] < found["outliers_1px_fraction"] < 1
    assert values(measured("flow", "mean-flow"))["updates"] == 0


@pytest.mark.parametrize(("suite", "network"), [("video", "evsnn"), ("flow", "adaptive-spikenet")])
def test_a_network_is_trained_and_its_spikes_are_counted(suite: str, network: str) -> None:
    answer = measured(suite, network)
    found = values(answer)
    assert found["updates"] >= 1
    assert found["parameters"] > 10_000
    assert found["multiply_accumulates_per_sample"] > 0
    energy = 0.9e-12 * found["accumulates_per_sample"] + 4.6e-12 * found["multiply_accumulates_per_sample"]
    assert found["synaptic_joules"] == pytest.approx(energy)
    assert found["spikes_per_neuron"] > 0
    assert len(answer.details["losses"]) == answer.details["epochs"] == 1
    if suite == "flow":
        assert min(answer.details["layer_rates"]) == found["deepest_firing_rate"]
        assert len(answer.details["learned_in_neurons"]) == 2 * len(answer.details["layer_rates"])
        assert values(measured(suite, network)) == found, "the same again"


def test_an_ann_has_operations_and_no_spikes() -> None:
    found = values(measured("flow", "adaptive-spikenet-ann"))
    assert "spikes_per_neuron" not in found
    assert found["multiply_accumulates_per_sample"] > found["accumulates_per_sample"]


def test_a_network_that_looks_at_its_neighbours_gets_no_figure(monkeypatch: pytest.MonkeyPatch) -> None:
    whole = EVSNN.answer

    def mixed(self: EVSNN, x: Tensor, states: object = None) -> dense.DenseAnswer:
        answer = whole(self, x, states)  # type: ignore[arg-type]
        return answer._replace(image=answer.image + x.mean(1, keepdim=True))

    monkeypatch.setattr(EVSNN, "answer", mixed)
    with pytest.raises(DivergedError, match="depends on its batch"):
        measured("video", "evsnn")


def test_a_loss_that_is_not_finite_ends_the_run(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("harness.suites.video._loss", lambda answer, _batch: answer.image.sum() * torch.nan)
    with pytest.raises(DivergedError, match="the loss became nan in epoch 1") as caught:
        measured("video", "evsnn")
    assert caught.value.answer is not None
    assert caught.value.answer.details == {"epochs_before": 0, "updates_before": 0}


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({}, None),
        ({"task": "digits"}, "video is asked of tasks with frames|evsnn answers with frames of a video; digits"),
        ({"task": "textures-flow"}, "asks for optical flow"),
        (
            {"suite": "flow", "task": "textures-video"},
            "evsnn answers with frames of a video; flow is asked about optical flow",
        ),
        ({"neuron": "lif"}, "video is asked of systems (spikeboard list systems); lif is a neuron"),
        ({"method": "bptt"}, "it goes with no method bptt"),
        ({"topology": "mlp"}, "it goes with no topology mlp"),
        ({"neuron": "event-integration", "task": "textures-flow", "suite": "flow"}, "answers with frames"),
        ({"backend": "compiled"}, "not under compiled"),
        ({"suite": "accuracy"}, "accuracy is asked about classes"),
    ],
)
def test_what_cannot_be_has_a_sentence(changes: dict[str, str], said: str | None) -> None:
    cell = replace(Cell("video", "textures-video", "evsnn", budget="quick"), **changes)  # type: ignore[arg-type]
    reason = why_unsupported(cell, REGISTRY)
    if said is None:
        assert reason is None
    else:
        assert reason is not None
        assert any(part in reason for part in said.split("|")), reason


def test_the_preset_asks_every_network_that_answers() -> None:
    found = combinations(
        REGISTRY, preset=find_preset("video"), budget="quick", filters=Filters(), device="cpu", cores=1
    )
    rows = {(cell.suite, cell.neuron) for cell in found.possible}
    suites = {"frames": "video", "flow": "flow"}
    answering = {name: row.capabilities.answers for name, row in REGISTRY.systems.items()}
    asked = {(suites[answers], name) for name, answers in answering.items() if answers in suites}
    assert {row for row in rows if row[0] in suites.values()} == asked
    assert {("system_conformance", name) for _, name in asked} <= rows, "or no row would be verified"
    assert {cell.seed for cell in found.possible} == {0, 1, 2}
    assert {(cell.method, cell.topology, cell.backend) for cell in found.possible} == {("-", "-", "-")}
    narrowed = combinations(
        REGISTRY,
        preset=None,
        budget="quick",
        filters=Filters(suite=("flow",), neuron=("zero-flow",), seed=(7,)),
        device="cpu",
        cores=1,
    )
    assert [(cell.neuron, cell.seed) for cell in narrowed.possible] == [("zero-flow", 7)]


def test_a_cell_is_built_from_card_task_and_seed() -> None:
    cells = [Cell("video", "textures-video", "evsnn-ann", budget="quick", seed=seed) for seed in (0, 0, 1)]
    one, same, other = (dense.dense_network(Workload(cell, REGISTRY)) for cell in cells)
    weights = [network.state_dict()["trunk.head.conv.map.weight"] for network in (one, same, other)]
    assert weights[0].shape[0] == REGISTRY.task("textures-video").networks["evsnn"]["base"]
    assert torch.equal(weights[0], weights[1])
    assert not torch.equal(weights[0], weights[2])
    assert SimpleNamespace(**REGISTRY.systems["evsnn-ann"].params).neuron == "relu"
