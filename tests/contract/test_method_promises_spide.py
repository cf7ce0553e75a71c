"""What SPIDE promises beyond its vectors: both resets, any depth, LIF's plateau, and the events of both stages."""

from __future__ import annotations

import functools
from collections.abc import Iterator
from typing import Any

import pytest
import torch
from torch import Tensor

from harness.golden import float64_default
from reference_impls.api import build_method, build_network, build_neuron

FEATURES, CLASSES, BATCH = 6, 3, 4
T_F = 2000


@pytest.fixture(autouse=True)
def _float64() -> Iterator[None]:
    with float64_default():
        yield


def network(hidden: tuple[int, ...], **params: Any) -> Any:
    torch.manual_seed(3)
    make = functools.partial(build_neuron, "lif", **({"decay": 1.0} | params))
    return build_network("feedback", (FEATURES,), CLASSES, make, hidden=list(hidden), restriction="none")


def sequence(T: int) -> tuple[Tensor, Tensor]:
    generator = torch.Generator().manual_seed(5)
    x = 2 * torch.rand((BATCH, FEATURES), generator=generator)
    return x.expand(T, *x.shape), torch.tensor([0, 1, 2, 1])


def gradient(name: str, net: Any, steps: int, **params: Any) -> Tensor:
    method = build_method(name, **params)
    method.prepare(net)
    return torch.cat([value.flatten() for value in method.gradients(*sequence(steps)).values()])


def distance(ours: Tensor, theirs: Tensor) -> float:
    return float((ours - theirs).norm() / theirs.norm())


RESETS = [(None, 2.0, None), (0.0, 1.0, None), (None, 2.0, 0.0), (0.0, 1.0, 0.0)]
DEEP = (9, 8, 7)


@pytest.mark.parametrize(
    ("hidden", "u_rest", "subtracts", "u_rest_backward"),
    [
        *(((8,), *reset) for reset in RESETS),
        # No reset knows of the depth: one of them shows that a deeper network has it too.
        (DEEP, *RESETS[-1]),
        *(pytest.param(DEEP, *reset, marks=pytest.mark.slow) for reset in RESETS[:-1]),
    ],
)
def test_every_reset_and_depth_tends_to_ide(
    hidden: tuple[int, ...], u_rest: float | None, subtracts: float, u_rest_backward: float | None
) -> None:
    """A spike of SPIDE subtracts D = v_threshold - u_rest; its equilibrium is IDE's with the threshold D."""
    exact = gradient("ide", network(hidden, v_threshold=subtracts), T_F, solver="dense")
    resets = {"u_rest": u_rest, "u_rest_backward": u_rest_backward, "loss_scale_factor": 1.0}
    short, long = (
        distance(gradient("spide", network(hidden), T_F, T_B=steps, **resets), exact) for steps in (30, 2000)
    )
    assert long < short / 5
    assert long < 2e-2


def test_lif_errors_stop_getting_better() -> None:
    """The average of a leaky stage has a finite window, so a longer one does not help."""
    exact = gradient("ide", network((8,), decay=0.95, v_threshold=2.0), 400, solver="dense")
    errors = [
        distance(gradient("spide", network((8,), decay=0.95), 400, T_B=steps, loss_scale_factor=2.0), exact)
        for steps in (300, 3000)
    ]
    assert errors[1] > errors[0] / 3
    assert errors[1] > 1e-3


def test_a_second_stage_without_leak_may_follow_a_leaky_first_one() -> None:
    leaky, plain = (
        gradient("spide", network((8,), decay=0.9), 60, T_B=200, leaky_backward=leaky) for leaky in (True, False)
    )
    assert not torch.equal(leaky, plain)


def test_the_events_of_both_stages_are_counted() -> None:
    net, (x, target) = network((8, 5)), sequence(20)
    method: Any = build_method("spide", T_B=50)
    method.prepare(net)
    method.count_spikes = True
    forward, backward = method.accumulate(x, target).stages
    rates, masks = method.first_stage(x)
    assert (forward.name, forward.steps, forward.ternary) == ("forward", 20, False)
    assert (backward.name, backward.steps, backward.ternary) == ("backward", 50, True)
    assert forward.neurons_per_layer == backward.neurons_per_layer == (8, 5)
    assert forward.spikes_per_layer == tuple(round(float(rate.sum()) * 20) for rate in rates.plain)
    output = rates.weighted[-1].clone().requires_grad_()
    torch.nn.functional.cross_entropy(net.classifier(output), target).backward()
    events = [0, 0]

    def add(layer: int, spikes: Tensor) -> None:
        events[layer] += int(spikes.abs().sum())

    adjoint = method.second_stage(method.loss_scale_factor * output.grad, rates, masks, add)
    assert backward.spikes_per_layer == tuple(events)
    assert tuple(events) == tuple(round(float(rate.sum()) * 50) for rate in adjoint.rates)
    assert min(events) > 0
