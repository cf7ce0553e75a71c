"""Actors against their equations restated, their operations by hand, their contract, and what they learn."""

from __future__ import annotations

import math
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import pytest
import torch

from harness.catalogue.cell import Cell
from harness.catalogue.compatibility import why_unsupported
from harness.catalogue.loading import load_registry
from harness.conformance import run_checks
from harness.conformance.environment_tasks import ENVIRONMENT_CHECKS, EnvironmentSubject
from harness.conformance.systems import judged
from harness.data import environments
from harness.results.fingerprint import Fingerprints
from harness.suites.control import Control
from harness.workload import Workload
from reference_impls.building import build
from reference_impls.control import Actor
from reference_impls.systems.ilc_san import SpikingActor

ROWS = load_registry()
ACTORS = [name for name, row in ROWS.systems.items() if row.capabilities.answers == "control"]
simulated = pytest.mark.skipif(
    find_spec("gymnasium") is None or find_spec("stable_baselines3") is None,
    reason="gymnasium or stable-baselines3 is not installed: python -m pip install 'spikeboard[control]'",
)


def actor(name: str, hidden: tuple[int, ...] = (5, 4), **params: Any) -> SpikingActor:
    torch.manual_seed(3)
    given = {"observations": 2, "actions": 3, "hidden": hidden}
    found: SpikingActor = build("system", name, Actor, params, given)
    return found.double()


def restated(network: SpikingActor, observation: list[float]) -> tuple[list[float], list[int], int]:
    """The card's equations in plain Python: actions, spikes of every layer, and those of the encoder."""
    encoder, layers = network.encoder, network.network
    assert encoder is not None
    strengths = [
        math.exp(-((min(max(o, -3.0), 3.0) - mu) ** 2) / (2 * sd**2))
        for o, means, deviations in zip(observation, encoder.mean.tolist(), encoder.deviation.tolist(), strict=True)
        for mu, sd in zip(means, deviations, strict=True)
    ]
    maps = [(layer.weight.tolist(), layer.bias.tolist()) for layer in layers.maps]
    sizes = [len(bias) for _, bias in maps]
    membrane, c, v, s = [0.0] * len(strengths), *([[0.0] * size for size in sizes] for _ in range(3))
    lateral, lateral_bias = layers.lateral.weight.tolist(), layers.lateral.bias
    P, y = layers.lateral.size, [0.0] * network.actions
    fired, entered = [0] * len(sizes), 0
    for _ in range(network.T):
        membrane = [m + a for m, a in zip(membrane, strengths, strict=True)]
        sent = [float(m > 0.999) for m in membrane]
        membrane = [m - 0.999 * e for m, e in zip(membrane, sent, strict=True)]
        entered += int(sum(sent))
        for index, (weight, bias) in enumerate(maps):
            into = [sum(w * e for w, e in zip(row, sent, strict=True)) + b for row, b in zip(weight, bias, strict=True)]
            if index == len(maps) - 1 and layers.joined:
                before = list(s[index])
                assert lateral_bias is not None
                for k in range(len(into)):
                    block = k // P
                    into[k] += sum(lateral[k][j] * before[block * P + j] for j in range(P)) + lateral_bias.tolist()[k]
            for k in range(sizes[index]):
                c[index][k] = 0.5 * c[index][k] + into[k]
                v[index][k] = 0.75 * v[index][k] * (1 - s[index][k]) + c[index][k]
            s[index] = [float(value > 0.5) for value in v[index]]
            fired[index] += int(sum(s[index]))
            sent = s[index]
        for a in range(network.actions):
            weights = layers.readout.weight.tolist()[a]
            y[a] += sum(w * x for w, x in zip(weights, sent[a * P : a * P + P], strict=True))
            y[a] += layers.readout.bias.tolist()[a]
    scale = 1 if network.decoder == "membrane" else network.T
    return [math.tanh(value / scale) for value in y], fired, entered


@pytest.mark.parametrize("name", ["ilc-san", "pop-san"])
@pytest.mark.parametrize("observation", [[0.3, -1.2], [2.9, 8.0], [0.0, 0.0]])
def test_actions_are_those_of_the_equations(name: str, observation: list[float]) -> None:
    network = actor(name, population=3, receptive=6)
    with torch.no_grad():  # so that every layer fires
        for layer in network.network.maps:
            layer.weight.mul_(3.0)
    wanted, fired, entered = restated(network, observation)
    observed = torch.tensor([observation], dtype=torch.float64)
    assert network(observed)[0].tolist() == pytest.approx(wanted, abs=1e-9)
    assert all(fired)
    work = network.work(observed)
    within = 3 if name == "ilc-san" else 0
    assert work.spikes == sum(fired)
    assert work.accumulates == entered * 5 + 5 * 12 + fired[0] * 4 + fired[1] * 9 + fired[2] * (within + 1)
    assert work.multiply_accumulates == 12 * 13
    assert work.updates == 5 * (5 + 4 + 9)
    assert work.neurons == 5 + 4 + 9


def test_a_receptive_field_in_its_middle_fires_at_every_step() -> None:
    network = actor("ilc-san", receptive=3, T=4)
    assert network.encoder is not None
    spikes = network.encoder(torch.tensor([[0.0, 3.0]], dtype=torch.float64))
    assert spikes[:, 0, 1].tolist() == [1.0] * 4
    assert spikes[:, 0, 5].tolist() == [1.0] * 4
    assert spikes[:, 0, 3].tolist() == [0.0] * 4
    assert set(spikes.flatten().tolist()) == {0.0, 1.0}


def test_the_encoder_learns_through_its_spikes() -> None:
    network = actor("ilc-san")
    network(torch.randn(8, 2, dtype=torch.float64)).sum().backward()
    assert network.encoder is not None
    for parameter in (network.encoder.mean, network.encoder.deviation, network.network.lateral.weight):
        assert parameter.grad is not None
        assert parameter.grad.abs().sum() > 0


def test_a_plain_actor_multiplies_its_observation_once() -> None:
    work = actor("spiking-actor").work(torch.randn(7, 2, dtype=torch.float64))
    assert work.multiply_accumulates == 7 * 2 * 5


@pytest.mark.parametrize("name", ACTORS)
def test_every_actor_keeps_its_contract(name: str) -> None:
    assert [outcome.problem for outcome in judged(ROWS.systems[name]) if not outcome.passed] == []


def test_actors_of_a_task_have_layers_of_the_same_sizes() -> None:
    given = {"observations": 3, "actions": 1, "hidden": (64, 64)}
    ann = build("system", "ann-actor", Actor, {}, given)
    plain = build("system", "spiking-actor", Actor, {"population": 1}, given)
    sizes = [(layer.in_features, layer.out_features) for layer in ann.maps]
    assert sizes == [(layer.in_features, layer.out_features) for layer in plain.network.maps]


@pytest.mark.parametrize(
    ("cell", "said"),
    [
        (Cell("control", "pendulum", "grsnn"), "grsnn answers with facts to complete; control is asked about actions"),
        (Cell("link_prediction", "kinship", "ilc-san"), "ilc-san answers with actions; link_prediction is asked about"),
        (Cell("control", "pendulum", "lif"), "control is asked of systems"),
        (Cell("accuracy", "pendulum", "lif", "bptt", "mlp"), "pendulum asks for actions"),
    ],
)
def test_what_makes_no_sense_is_said_in_a_sentence(cell: Cell, said: str) -> None:
    assert said in (why_unsupported(cell, ROWS) or "")


def test_a_simulator_that_is_missing_is_said_before_anything_runs(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(environments, "find_spec", lambda _name: None)
    found = environments.GYMNASIUM.find(Path())
    assert not found.present
    assert found.missing == ("gymnasium", "stable-baselines3")
    assert "spikeboard[control]" in environments.GYMNASIUM.how_to_get


def test_figures_depend_on_the_version_of_the_simulator() -> None:
    def of(version: str) -> dict[str, str]:
        known = Fingerprints(ROWS, version_of=lambda name: version if name == "gymnasium" else "1")
        return dict(known.of(Cell("control", "pendulum", "ilc-san", backend="-", budget="quick")).inputs)

    one, other = of("1.0"), of("1.1")
    assert {name for name in one if one[name] != other[name]} == {"packages"}


@simulated
@pytest.mark.parametrize("task", [name for name in ROWS.tasks if ROWS.task(name).target == "control"])
def test_environments_keep_their_contract(task: str) -> None:
    if ROWS.task(task).data == "mujoco" and find_spec("mujoco") is None:
        pytest.skip("mujoco is not installed: python -m pip install 'spikeboard[mujoco]'")
    outcomes = run_checks(ENVIRONMENT_CHECKS, EnvironmentSubject(task, ROWS))
    assert [outcome.problem for outcome in outcomes if not outcome.passed] == []


def answered(name: str, task: str = "pendulum", budget: str = "smoke", seed: int = 0) -> Any:
    cell = Cell("control", task, name, backend="-", budget=budget, seed=seed)
    return Control(ROWS.suite("control")).run(Workload(cell, ROWS))


@simulated
@pytest.mark.parametrize("task", ["pendulum", "mountain-car"])
def test_chance_is_measured_without_training(task: str) -> None:
    found = answered("random-policy", task)
    assert set(found.figures) == {"mean_return", "environment_steps", "parameters"}
    assert found.figures["environment_steps"].value == 0
    assert found.details["returns"] == answered("random-policy", task).details["returns"]
    least, most = {"pendulum": (-16.3 * 200, 0.0), "mountain-car": (-99.9, 100.0)}[task]
    assert all(least <= value <= most for value in found.details["returns"])


@simulated
@pytest.mark.slow
def test_training_is_the_same_again() -> None:
    first, second = (answered("ilc-san") for _ in range(2))
    assert {name: one.value for name, one in first.figures.items()} == {
        name: one.value for name, one in second.figures.items()
    }
    assert first.figures["critic_updates"].value == 270
    assert 0 < first.figures["energy_joules"].value < 1e-6
    assert [at for at, _ in first.series["mean_return"].points] == [0.0, 300.0]


@simulated
@pytest.mark.slow
@pytest.mark.timeout(3600)
def test_spiking_actors_collect_more_than_chance() -> None:
    """Under `quick`: the upper end of chance's interval lies below the least of two seeds."""
    chance = answered("random-policy", budget="quick").figures["mean_return"].high
    for name in ("ilc-san", "spiking-actor"):
        assert min(answered(name, budget="quick", seed=seed).figures["mean_return"].value for seed in (0, 1)) > chance
