"""Bytes by hand, and BPTT against OTTT."""

from __future__ import annotations

import functools
import shutil
from collections.abc import Callable

import pytest
import torch
from torch import Tensor, nn
from torch.utils.checkpoint import checkpoint

from harness.measure.memory import (
    KeptBytes,
    live_bytes,
    model_bytes,
    saved_bytes,
    slope_over_steps,
    state_bytes,
)
from reference_impls.api import Network, build_method, build_network, build_neuron

FLOAT = 4
STEPS = (4, 8, 16, 32)


def leaf(n: int = 100) -> Tensor:
    return torch.rand(n, requires_grad=True)


def test_saves_what_the_derivative_needs_and_nothing_else() -> None:
    x = leaf()
    assert saved_bytes(lambda: x.sin().sum().backward()) == KeptBytes(400, 400)
    assert saved_bytes(lambda: x.exp().sum().backward()) == KeptBytes(400, 400)
    assert saved_bytes(lambda: (x + 1).sum().backward()) == KeptBytes(0, 0)
    assert saved_bytes(lambda: x.sin().exp().sum().backward()) == KeptBytes(800, 800)


def test_a_storage_counts_once_however_many_views_are_saved() -> None:
    x = leaf()
    assert saved_bytes(lambda: (x * x).sum().backward()).peak_bytes == 400
    y = x.detach().clone().requires_grad_()
    assert saved_bytes(lambda: (y[:50] * y[50:]).sum().backward()).peak_bytes == 400
    step = torch.rand(100)
    broadcast = step.expand(8, 100)
    assert saved_bytes(lambda: (broadcast * leaf(1)).sum().backward()).peak_bytes == 400


def test_parameters_and_input_can_be_left_out() -> None:
    layer, x = nn.Linear(10, 5), torch.rand(3, 10)

    def step() -> None:
        layer(x).square().sum().backward()

    output = 3 * 5 * FLOAT
    assert saved_bytes(step, layer.parameters()).peak_bytes == 3 * 10 * FLOAT + output
    assert saved_bytes(step, (*layer.parameters(), x)).peak_bytes == output


def test_peak_is_what_is_kept_at_the_same_time() -> None:
    def each_step_by_itself() -> None:
        for _ in range(3):
            leaf().sin().sum().backward()

    def all_steps_together() -> None:
        sum(leaf().sin().sum() for _ in range(3)).backward()

    assert saved_bytes(each_step_by_itself) == KeptBytes(400, 1200)
    assert saved_bytes(all_steps_together) == KeptBytes(1200, 1200)


def test_a_graph_that_is_dropped_without_backward_is_let_go() -> None:
    def drop() -> None:
        for _ in range(3):
            leaf().sin()

    assert saved_bytes(drop) == KeptBytes(400, 1200)


def test_an_operator_that_saves_its_own_output_does_not_keep_itself() -> None:
    def steps(count: int) -> None:
        for _ in range(count):
            torch.relu(torch.ones(8, requires_grad=True) * 2)

    once, often = (saved_bytes(functools.partial(steps, count)).peak_bytes for count in (1, 20))
    assert once == often > 0


def test_a_retained_graph_is_kept_until_it_goes() -> None:
    def retain() -> None:
        kept = leaf().sin().sum()
        kept.backward(retain_graph=True)
        leaf(50).sin().sum().backward()

    assert saved_bytes(retain) == KeptBytes(600, 600)


def test_gradients_are_the_same_under_the_hooks() -> None:
    x = leaf()
    (x * x).sin().sum().backward()
    expected, x.grad = x.grad, None
    saved_bytes(lambda: (x * x).sin().sum().backward())
    assert expected is not None
    assert x.grad is not None
    torch.testing.assert_close(x.grad, expected, rtol=0, atol=0)


def test_lives_from_birth_to_death() -> None:
    def region() -> None:
        a = torch.ones(100)
        b = a + 1
        del a
        c = b * 2
        c.view(10, 10).add_(b.view(10, 10))

    assert live_bytes(region) == KeptBytes(800, 1200)


def test_what_was_there_before_does_not_count_as_live() -> None:
    x = torch.ones(100)
    assert live_bytes(lambda: x.add_(1)) == KeptBytes(0, 0)
    assert live_bytes(lambda: x[:10].mul_(2)) == KeptBytes(0, 0)
    assert live_bytes(lambda: x + 1) == KeptBytes(400, 400)


def test_what_only_a_graph_holds_is_alive() -> None:
    x = leaf()

    def region() -> None:
        loss = x.sin().exp().sum()
        # sin's and exp's results live on: exp saved its own, sin's died with the expression.
        assert loss.grad_fn is not None
        torch.zeros(1000)

    assert live_bytes(region).peak_bytes == 4000 + 400 + FLOAT


def test_checkpoints_save_less_and_their_segments_are_alive_while_run_again() -> None:
    x = leaf()

    def function(x: Tensor) -> Tensor:
        for _ in range(10):
            x = x.sin()
        return x

    def plain() -> None:
        function(x).sum().backward()

    def checkpointed() -> None:
        checkpoint(function, x, use_reentrant=False).sum().backward()

    assert saved_bytes(plain) == KeptBytes(4000, 4000)
    assert saved_bytes(checkpointed) == KeptBytes(400, 400)
    x.grad = None
    assert live_bytes(checkpointed).peak_bytes >= 4000


def trained(method: str, T: int, neuron: str = "lif", **params: object) -> tuple[Network, Callable[[], object], Tensor]:
    """Return a network, one of its training steps (warmed up) and the input."""
    torch.manual_seed(0)
    network = build_network("mlp", (20,), 5, functools.partial(build_neuron, neuron), hidden=[64])
    trainer = build_method(method, **params)
    trainer.prepare(network, functools.partial(torch.optim.SGD, lr=0.1))
    x, target = torch.rand(T, 6, 20), torch.arange(6) % 5
    trainer.update(x, target)
    return network, lambda: trainer.update(x, target), x


def saved_by(method: str, T: int) -> KeptBytes:
    network, step, x = trained(method, T)
    return saved_bytes(step, (*network.parameters(), *network.buffers(), x))


def test_bptt_saves_a_straight_line_over_time() -> None:
    slope = slope_over_steps(STEPS, [saved_by("bptt", T).peak_bytes for T in STEPS])
    assert slope.r_squared > 0.99
    # The membrane before the reset, for the surrogate, and the spikes, for the next map's weight.
    assert slope.per_step == pytest.approx(2 * 6 * 64 * FLOAT, rel=0.01)


@pytest.mark.parametrize("method", ["ottt-a", "ottt-o"])
def test_ottt_saves_no_more_for_more_steps(method: str) -> None:
    saved = [saved_by(method, T) for T in STEPS]
    assert len({kept.peak_bytes for kept in saved}) == 1
    assert saved[0].peak_bytes > 0
    assert slope_over_steps(STEPS, [kept.total_bytes for kept in saved]).per_step == saved[0].peak_bytes


def test_truncation_saves_one_window() -> None:
    saved = [saved_by("tbptt", T) for T in STEPS]
    assert len({kept.peak_bytes for kept in saved}) == 1
    assert saved[-1].total_bytes == 8 * saved[-1].peak_bytes


def test_checkpointed_bptt_saves_and_takes_less_than_plain() -> None:
    T = 32
    assert saved_by("bptt-checkpointed", T).peak_bytes < saved_by("bptt", T).peak_bytes / 2
    live = {method: live_bytes(trained(method, T)[1]).peak_bytes for method in ("bptt", "bptt-checkpointed")}
    assert live["bptt-checkpointed"] < live["bptt"] / 2


def test_checkpointed_bptt_saves_with_the_root_of_the_steps() -> None:
    saved = [saved_by("bptt-checkpointed", T * T).peak_bytes for T in (4, 8, 16)]
    assert slope_over_steps([4, 8, 16], saved).r_squared > 0.99


def test_live_bytes_of_bptt_exceed_what_is_saved_and_grow_with_it() -> None:
    live = [live_bytes(trained("bptt", T)[1]).peak_bytes for T in STEPS]
    saved = [saved_by("bptt", T).peak_bytes for T in STEPS]
    assert all(more > less for more, less in zip(live, saved, strict=True))
    assert slope_over_steps(STEPS, live).r_squared > 0.99


@pytest.mark.parametrize("method", ["bptt", "ottt-a"])
def test_exact_figures_are_the_same_every_time(method: str) -> None:
    _, step, _ = trained(method, 8)
    held = [torch.empty(n) for n in range(1, 200, 7)]
    first = saved_bytes(step), live_bytes(step)
    del held
    assert (saved_bytes(step), live_bytes(step)) == first


@pytest.mark.slow
@pytest.mark.skipif(not any(map(shutil.which, ("g++", "clang++"))), reason="needs a C++ compiler")
def test_compiled_neurons_are_seen_through_the_hooks() -> None:
    torch.manual_seed(0)
    network = build_network("mlp", (20,), 5, functools.partial(build_neuron, "lif", "compiled"), hidden=[64])
    trainer = build_method("bptt")
    trainer.prepare(network, functools.partial(torch.optim.SGD, lr=0.1))
    x, target = torch.rand(8, 6, 20), torch.arange(6) % 5
    kept = saved_bytes(lambda: trainer.update(x, target), (*network.parameters(), x))
    assert kept.peak_bytes >= 8 * 6 * 64 * FLOAT
    assert saved_bytes(lambda: trainer.update(x, target), (*network.parameters(), x)) == kept


def test_model_bytes_count_parameters_and_persistent_buffers_once() -> None:
    model = nn.Sequential(nn.Linear(10, 10, bias=False), nn.Linear(10, 10, bias=False), nn.BatchNorm1d(10))
    weights, norm = 2 * 100 * FLOAT, 4 * 10 * FLOAT + 8
    assert model_bytes(model) == weights + norm
    model[1].weight = model[0].weight
    assert model_bytes(model) == weights / 2 + norm
    model.register_buffer("scratch", torch.zeros(1000), persistent=False)
    assert model_bytes(model) == weights / 2 + norm
    assert model_bytes(model.half()) == weights / 4 + norm / 2 + 4


def test_state_bytes_are_those_of_one_sample() -> None:
    chain = build_network("mlp", (20,), 5, functools.partial(build_neuron, "lif"), hidden=[64, 32])
    assert state_bytes(chain, torch.rand(4, 7, 20)) == (64 + 32) * FLOAT
    feedback = build_network("feedback", (20,), 5, functools.partial(build_neuron, "if"), hidden=[64, 32])
    assert state_bytes(feedback, torch.rand(4, 7, 20)) == (64 + 32 + 32) * FLOAT
    parallel = build_network("mlp", (20,), 5, functools.partial(build_neuron, "psn", T=4), hidden=[64])
    assert state_bytes(parallel, torch.rand(4, 7, 20)) == 0
    assert state_bytes(chain.double(), torch.rand(4, 7, 20, dtype=torch.float64)) == (64 + 32) * 8


def test_slope_of_a_line_and_of_nothing() -> None:
    slope = slope_over_steps([2, 4, 8], [1060, 1120, 1240])
    assert slope == pytest.approx((30.0, 1000.0, 1.0))
    assert slope_over_steps([2, 4, 8], [7, 7, 7]) == (0.0, 7.0, 1.0)
    assert slope_over_steps([1, 2, 3, 4], [0, 1, 0, 1]).r_squared == pytest.approx(0.2)
    with pytest.raises(ValueError, match="at least two different T"):
        slope_over_steps([4, 4], [1, 2])
