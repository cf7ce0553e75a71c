"""STDP and its reward-modulated form: rules restated sample by sample, what is read out, and what is refused."""

from __future__ import annotations

import functools
import math
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
from harness.measure.activity import count_activity
from harness.measure.training_energy import training_work
from reference_impls.api import build_method, build_network, build_neuron

INPUTS, UNITS, CLASSES, BATCH, T = 9, 6, 3, 4, 10
Array = np.ndarray


@pytest.fixture(autouse=True)
def _float64() -> Iterator[None]:
    with float64_default():
        yield


def prepared(name: str, neuron: str = "if", hidden: tuple[int, ...] = (UNITS,), **params: Any) -> Any:
    torch.manual_seed(3)
    net = build_network("mlp", (INPUTS,), CLASSES, functools.partial(build_neuron, neuron), hidden=hidden)
    method: Any = build_method(name, **params)
    method.prepare(net)
    return method


def batch() -> tuple[Tensor, Tensor]:
    generator = torch.Generator().manual_seed(1)
    grey = torch.rand(1, BATCH, INPUTS, generator=generator).expand(T, -1, -1)
    shown = (torch.rand(T, BATCH, INPUTS, generator=generator) < 0.6).double()
    return shown * grey, torch.arange(BATCH) % CLASSES


def walked(method: Any, sample: Array) -> Array:
    """Return the spikes ``[T, N]`` of IF neurons that compete, for ``[T, I]``."""
    weight, theta = method.weight.detach().numpy(), method.thresholds.numpy()
    v, spikes = np.zeros(len(weight)), []
    for given in sample:
        h = v + weight @ given * (1 + theta.mean()) / (1 + theta)
        firing = np.flatnonzero(h >= 1)
        if len(firing):
            first = firing[np.argmax(h[firing])]
            others = np.arange(len(h)) != first
            h = h - method.inhibition * others
        s = (h >= 1).astype(float)
        v = h - s
        spikes.append(s)
    return np.stack(spikes)


def offset_rule(w: Array, sample: Array, spikes: Array) -> Array:
    change, pre = np.zeros_like(w), np.zeros(w.shape[1])
    for given, s in zip(sample, spikes, strict=True):
        pre = np.maximum(pre * math.exp(-1 / 20), given)
        for j in np.flatnonzero(s):
            change[j] += (pre - 0.4) * (1 - w[j]) ** 0.2
    return change


def triplet_rule(w: Array, sample: Array, spikes: Array) -> Array:
    change, pre = np.zeros_like(w), np.zeros(w.shape[1])
    post_1, post_2 = np.zeros(len(w)), np.zeros(len(w))
    for given, s in zip(sample, spikes, strict=True):
        pre = np.maximum(pre * math.exp(-1 / 20), given)
        post_1, post_2 = post_1 * math.exp(-1 / 20), post_2 * math.exp(-1 / 40)
        for j in range(len(w)):
            change[j] += s[j] * pre * post_2[j] - 0.01 * given * post_1[j]
        post_1[s > 0] = 1
        post_2[s > 0] = 1
    return change


@pytest.mark.parametrize(("name", "rule"), [("stdp", offset_rule), ("stdp-triplet", triplet_rule)])
def test_an_update_follows_the_rule(name: str, rule: Any) -> None:
    method, (x, target) = prepared(name, together=2, threshold_step=0.1, drive=2.0), batch()
    largest = 10 * 2.0 / INPUTS
    answers = np.zeros((UNITS, CLASSES))
    restated = prepared(name, drive=2.0)
    for group in (0, 2):
        w, change, raised = restated.weight.detach().numpy() / largest, 0.0, 0.0
        for b in (group, group + 1):
            sample = x[:, b].numpy()
            spikes = walked(restated, sample)
            change = change + 0.02 * rule(w, sample, spikes)
            raised = raised + 0.1 * spikes.sum(0)
            answers[:, int(target[b])] += spikes.sum(0)
        w = np.clip(w + change, 0, 1) * largest
        restated.weight.data.copy_(torch.tensor(w / w.sum(1, keepdims=True) * 2.0))
        restated.thresholds += torch.tensor(raised)
    before = method.weight.detach().clone()
    report = method.update(x, target)
    np.testing.assert_allclose(method.weight.detach().numpy(), restated.weight.detach().numpy(), atol=1e-12)
    np.testing.assert_allclose(method.thresholds.numpy(), restated.thresholds.numpy(), atol=1e-12)
    assert not torch.equal(before, method.weight)
    mean = answers / np.bincount(target.numpy(), minlength=CLASSES)
    speaks = np.eye(CLASSES)[mean.argmax(1)] * (mean.max(1) > 0)[:, None]
    np.testing.assert_allclose(method.readout.weight.detach().numpy(), (speaks / speaks.sum(0).clip(1)).T)
    assert report.counters["speaking"] == (mean.max(1) > 0).mean() > 0


def test_what_is_read_out_are_the_assigned_neurons_spikes() -> None:
    method, (x, target) = prepared("stdp", drive=2.0), batch()
    for _ in range(3):
        method.update(x, target)
    logits = method.predict(x)
    for b in range(BATCH):
        rates = walked(method, x[:, b].numpy()).mean(0)
        np.testing.assert_allclose(logits[b].numpy(), method.readout.weight.detach().numpy() @ rates, atol=1e-12)
    assert logits.any()


def test_labels_decide_the_read_out_and_nothing_else() -> None:
    x, target = batch()
    method, other = prepared("stdp", drive=2.0), prepared("stdp", drive=2.0)
    method.update(x, target)
    other.update(x, (target + 1) % CLASSES)
    assert torch.equal(method.weight, other.weight)
    assert torch.equal(method.thresholds, other.thresholds)
    assert not torch.equal(method.readout.weight, other.readout.weight)


def test_one_neuron_fires_at_a_time_and_thresholds_pass_the_turn_on() -> None:
    """The same picture again and again: without thresholds one neuron keeps it, with them others have it too."""
    x, target = batch()
    alone = x[:, :1].expand(-1, BATCH, -1)
    won = []
    for step in (0.0, 0.5):
        method = prepared("stdp", threshold_step=step, together=1)
        winners = []
        for _ in range(8):
            spikes = torch.stack([moment.spikes for moment in method.moments(alone[:, :1])])
            assert spikes.sum(2).max() <= 1
            winners += spikes.sum((0, 1)).nonzero().flatten().tolist()
            method.update(alone[:, :1], target[:1])
        won.append(len(set(winners)))
    assert won[0] == 1
    assert won[1] > 2


def test_an_eligibility_follows_the_pairs_of_spikes() -> None:
    method, (x, target) = prepared("r-stdp", drive=2.0, a_minus=0.7, eligibility_steps=5.0), batch()
    method.expected.fill_(0.25)
    w = method.weight.detach().clone().numpy()
    total = np.zeros_like(w)
    kept, decay = math.exp(-1 / 5), math.exp(-1 / 20)
    rewards = []
    for b in range(BATCH):
        sample = x[:, b].numpy()
        spikes = walked(method, sample)
        trace, before, after = np.zeros_like(w), np.zeros(INPUTS), np.zeros(UNITS)
        for given, s in zip(sample, spikes, strict=True):
            before, after = decay * before + given, decay * after - 0.7 * s
            trace = kept * trace + (1 - kept) * (np.outer(s, before) + np.outer(after, given))
        votes = [spikes[:, c::CLASSES].sum() for c in range(CLASSES)]
        rewards.append(float(np.argmax(votes) == int(target[b]) and max(votes) > 0))
        total += (rewards[-1] - 0.25) * trace
    change, _, reward = method.change(x, target)
    np.testing.assert_allclose(reward.numpy(), rewards)
    np.testing.assert_allclose(change.numpy(), 0.1 * method.largest * total, atol=1e-12)
    assert {0.0, 1.0} == set(rewards), "both a reward and a missing one"
    gradient = method.gradients(x, target)
    np.testing.assert_allclose(gradient["blocks.0.synapse.weight"].numpy(), -change.numpy())
    method.update(x, target)
    after_update = (torch.tensor(w) + change).clamp(0, method.largest)
    torch.testing.assert_close(method.weight.detach(), 2.0 * after_update / after_update.sum(1, keepdim=True))
    expected = 0.25 + (1 - 0.98**BATCH) * (np.mean(rewards) - 0.25)
    assert float(method.expected) == pytest.approx(expected)


def test_a_reward_that_was_expected_changes_nothing() -> None:
    method, (x, _) = prepared("r-stdp", drive=2.0), batch()
    method.expected.fill_(1.0)
    right = method.predict(x).argmax(1)
    change, spikes, reward = method.change(x, right)
    assert reward.all()
    assert spikes.any()
    assert not change.any()


@pytest.mark.parametrize("name", ["stdp", "r-stdp"])
def test_spikes_and_operations_are_those_of_what_it_reads_out(name: str) -> None:
    method, (x, target) = prepared(name, drive=2.0), batch()
    method.update(x, target)
    activity = count_activity(method.network, [x], method.predict)
    spikes = np.stack([walked(method, x[:, b].numpy()) for b in range(BATCH)])
    assert activity.events == spikes.sum() > 0
    assert activity.coverage == 1
    hidden, readout = activity.synapses
    assert hidden.cached.dense == T * BATCH * INPUTS * UNITS
    speaking = (method.readout.weight != 0).sum(0).numpy()
    assert readout.cached.accumulates == (spikes.sum((0, 1)) * speaking).sum()


@pytest.mark.parametrize("name", ["stdp", "stdp-triplet", "r-stdp"])
def test_energy_of_learning_is_known_and_has_no_backward_pass(name: str) -> None:
    method, (x, target) = prepared(name, drive=2.0), batch()
    work = training_work(lambda: method.accumulate(x, target), x)
    assert work.reason is None
    assert {part.split()[0] for part in work.parts} == {"forward"}


@pytest.mark.parametrize(
    ("name", "params", "said"),
    [
        ("stdp", {"rule": "ofset"}, "did you mean 'offset'"),
        ("stdp", {"rate": 0.0}, "rate must be positive"),
        ("stdp", {"together": 0}, "together must be at least 1"),
        ("stdp", {"drive": -1.0}, "drive must be positive"),
        ("stdp", {"threshold_step": -1.0}, "threshold_step must be at least 0"),
        ("r-stdp", {"eligibility_steps": 0.0}, "eligibility_steps must be positive"),
    ],
)
def test_bad_parameters_are_named(name: str, params: dict[str, Any], said: str) -> None:
    with pytest.raises(ValueError, match=said):
        build_method(name, **params)


@pytest.mark.parametrize("name", ["stdp", "r-stdp"])
def test_networks_that_it_cannot_train_are_refused(name: str) -> None:
    with pytest.raises(ValueError, match="this network has 2"):
        prepared(name, hidden=(4, 4))
    with pytest.raises(ValueError, match="must be sequential"):
        prepared(name, "prf-layer")
    net = build_network("conv", (1, 4, 4), CLASSES, functools.partial(build_neuron, "if"), channels=[4])
    with pytest.raises(ValueError, match="fully connected"):
        build_method(name).prepare(net)
    registry = load_registry()
    for cell in (
        Cell("accuracy", "digits", "if", name, "conv"),
        Cell("accuracy", "digits", "if", name, "mlp-depth-2"),
        Cell("accuracy", "digits", "tc-lif", name, "mlp"),
        Cell("accuracy", "digits", "psn", name, "mlp"),
    ):
        sentence = why_unsupported(cell, registry)
        assert sentence is not None
        assert name in sentence
    for neuron in ("if", "lif", "lif-hard"):
        assert why_unsupported(Cell("accuracy", "digits", neuron, name, "mlp"), registry) is None


def test_a_population_for_every_class_is_needed() -> None:
    with pytest.raises(ValueError, match="a neuron for each of 3 classes"):
        prepared("r-stdp", hidden=(2,))
