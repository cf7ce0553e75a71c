"""Event-driven linear maps give what the dense product gives, whatever the input, and train what it trains."""

from __future__ import annotations

import copy
import pickle
from collections.abc import Callable

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor, nn
from torch.nn import functional

from reference_impls.api import UnsupportedError, build_method, build_network, build_neuron
from reference_impls.events import event_driven, event_linear, paying_density

pytest.importorskip("numba", reason="events are listed and added up by Numba's kernels")

VALUES: dict[str, Callable[[Tensor], Tensor]] = {
    "spikes": lambda x: torch.ones_like(x),
    "counts": lambda x: 1 + (3 * x.abs()).floor(),
    "ternary": lambda x: x.sign(),
    "analog": lambda x: x,
}
EVENTS = {"largest_density": 1.0, "least_products": 0}
"""Whatever there is, it is listed."""


def drawn(rows: int, inputs: int, density: float, values: str, seed: int = 0) -> Tensor:
    generator = torch.Generator().manual_seed(seed)
    where = torch.rand(rows, inputs, generator=generator) < density
    numbers = torch.randn(rows, inputs, generator=generator, dtype=torch.float64)
    return VALUES[values](numbers) * where


def both(x: Tensor, outputs: int, bias: bool = True) -> tuple[list[Tensor], list[Tensor]]:
    """Return output and gradients of input, weight and bias: along events, and of torch's own product."""
    generator = torch.Generator().manual_seed(1)
    weight = torch.randn(outputs, x.shape[-1], generator=generator, dtype=x.dtype)
    given_bias = torch.randn(outputs, generator=generator, dtype=x.dtype) if bias else None
    upstream = torch.randn(*x.shape[:-1], outputs, generator=generator, dtype=x.dtype)
    answers = []
    for apply in (lambda *args: event_linear(*args, **EVENTS), functional.linear):
        leaves = [tensor.clone().requires_grad_() for tensor in (x, weight, given_bias) if tensor is not None]
        out = apply(*leaves)
        answers.append([out.detach(), *torch.autograd.grad(out, leaves, upstream)])
    return answers[0], answers[1]


def assert_same_sums(found: list[Tensor], expected: list[Tensor], tolerance: float = 1e-12) -> None:
    for ours, theirs in zip(found, expected, strict=True):
        assert ours.shape == theirs.shape
        assert torch.allclose(ours, theirs, rtol=tolerance, atol=tolerance * float(1 + theirs.abs().max()))


@settings(max_examples=25)
@given(
    rows=st.integers(1, 20),
    inputs=st.integers(1, 150),
    outputs=st.integers(1, 150),
    density=st.sampled_from([0.0, 0.02, 0.2, 0.6, 1.0]),
    values=st.sampled_from(sorted(VALUES)),
    bias=st.booleans(),
)
def test_output_and_gradients_are_those_of_the_dense_product(
    rows: int, inputs: int, outputs: int, density: float, values: str, bias: bool
) -> None:
    assert_same_sums(*both(drawn(rows, inputs, density, values), outputs, bias))


@pytest.mark.parametrize(("rows", "inputs", "outputs"), [(600, 10, 3), (3, 600, 70), (257, 257, 33), (256, 512, 64)])
@pytest.mark.parametrize("values", ["spikes", "analog"])
def test_sums_that_go_over_several_chunks_are_the_same(rows: int, inputs: int, outputs: int, values: str) -> None:
    assert_same_sums(*both(drawn(rows, inputs, 0.1, values), outputs))


def test_float32_sums_differ_by_rounding_only() -> None:
    assert_same_sums(*both(drawn(300, 400, 0.1, "spikes").float(), 70), 1e-5)


def test_a_sequence_keeps_its_axes_and_need_not_be_contiguous() -> None:
    x = drawn(4 * 6, 30, 0.3, "spikes").view(6, 4, 30).transpose(0, 1)
    found, expected = both(x, 7)
    assert found[0].shape == (4, 6, 7)
    assert_same_sums(found, expected)


@pytest.mark.parametrize("density", [0.0, 0.3])
def test_gradients_are_those_of_finite_differences(density: float) -> None:
    x = drawn(3, 4, density, "spikes")
    weight, bias = torch.randn(2, 4, dtype=torch.float64), torch.randn(2, dtype=torch.float64)
    leaves = [weight.requires_grad_(), bias.requires_grad_()]
    # A difference in the input is an event where there was none, and lists are made anew: that is checked, too.
    leaves.insert(0, x.requires_grad_())
    assert torch.autograd.gradcheck(lambda *given: event_linear(*given, **EVENTS), leaves)


def test_what_is_not_finite_travels_with_its_event() -> None:
    x = torch.zeros(4, 20, dtype=torch.float64)
    x[1, 3], x[2, 19] = torch.nan, torch.inf
    out = event_linear(x, torch.ones(2, 20, dtype=torch.float64), **EVENTS)
    assert out[1].isnan().all()
    assert out[2].isinf().all()
    assert (out[[0, 3]] == 0).all()


def is_event_driven(out: Tensor) -> bool:
    return "EventLinear" in type(out.grad_fn).__name__


def test_dense_input_and_small_products_are_left_to_torch_bit_for_bit() -> None:
    weight = torch.randn(9, 40, requires_grad=True)
    dense, sparse = drawn(50, 40, 0.9, "spikes").float(), drawn(50, 40, 0.05, "spikes").float()
    assert is_event_driven(event_linear(sparse, weight, **EVENTS))
    for x, options in (
        (dense, {"least_products": 0}),
        (sparse, {"least_products": 50 * 40 * 9 + 1}),
        (sparse, {"least_products": 0, "largest_density": 0.0}),
        (sparse.bfloat16(), {"least_products": 0}),
        (sparse[:0], {"least_products": 0}),
    ):
        out = event_linear(x, weight.to(x.dtype), **options)
        assert not is_event_driven(out)
        assert torch.equal(out, functional.linear(x, weight.to(x.dtype)))


def test_the_more_outputs_the_more_events_pay() -> None:
    assert [round(paying_density(outputs), 2) for outputs in (10, 128, 256, 400)] == [0.03, 0.16, 0.21, 0.23]
    for density, outputs, expected in ((0.1, 300, True), (0.4, 300, False), (0.1, 10, False), (0.0, 10, True)):
        weight = torch.randn(outputs, 40, requires_grad=True)
        x = drawn(100, 40, density, "spikes").float()
        assert is_event_driven(event_linear(x, weight, least_products=0)) == expected


def test_a_transform_of_torch_func_sees_the_dense_product() -> None:
    x, weight = drawn(6 * 5, 8, 0.2, "spikes").view(6, 5, 8), torch.randn(4, 8, dtype=torch.float64)
    mapped = torch.vmap(lambda one: event_linear(one, weight, **EVENTS))(x)
    assert torch.allclose(mapped, functional.linear(x, weight))


def test_a_second_gradient_is_refused_where_events_gave_the_first() -> None:
    weight = torch.randn(3, 8, dtype=torch.float64, requires_grad=True)
    out = event_linear(drawn(5, 8, 0.3, "spikes").requires_grad_(), weight, **EVENTS)
    (first,) = torch.autograd.grad(out.square().sum(), weight, create_graph=True)
    with pytest.raises(RuntimeError, match="once_differentiable"):
        first.sum().backward()


def test_sums_do_not_depend_on_the_number_of_threads() -> None:
    x, before = drawn(700, 130, 0.15, "analog"), torch.get_num_threads()
    answers = []
    try:
        for threads in (1, 2):
            torch.set_num_threads(threads)
            answers.append(both(x, 90)[0])
    finally:
        torch.set_num_threads(before)
    assert all(torch.equal(*pair) for pair in zip(*answers, strict=True))


def test_events_are_kept_in_place_of_the_input() -> None:
    x, kept = drawn(500, 200, 0.05, "spikes").float(), 0
    events = int((x != 0).sum())

    def note(tensor: Tensor) -> Tensor:
        nonlocal kept
        kept += tensor.nbytes
        return tensor

    with torch.autograd.graph.saved_tensors_hooks(note, lambda tensor: tensor):
        event_linear(x, torch.randn(8, 200, requires_grad=True), **EVENTS)
    rows_and_chunks = (501 + 2 * 500) * 8
    assert kept == events * 8 + rows_and_chunks < x.nbytes / 5


@pytest.mark.parametrize("density", [-0.1, 1.1, float("nan")])
def test_a_share_is_a_share(density: float) -> None:
    with pytest.raises(ValueError, match=r"largest_density is a share, 0 to 1, got"):
        event_linear(torch.zeros(1, 1), torch.zeros(1, 1), largest_density=density)


def network(standardised: bool = False) -> nn.Module:
    torch.manual_seed(3)
    made = build_network(
        "mlp", (40,), 5, lambda: build_neuron("lif", tau=1.5), hidden=[30, 20], weight_standardisation=standardised
    ).double()
    if not standardised:
        with torch.no_grad():
            for parameter in made.parameters():
                parameter *= 3
    return made


@pytest.mark.parametrize("method", ["bptt", "ottt-a", "ottt-exact", "sltt", "ndot-a"])
@pytest.mark.parametrize("standardised", [False, True])
def test_a_method_finds_the_gradients_that_it_finds_with_dense_products(method: str, standardised: bool) -> None:
    x = drawn(6 * 7, 40, 0.2, "spikes").view(6, 7, 40)
    target = torch.arange(7) % 5
    found = []
    for change in (lambda made: made, lambda made: event_driven(made, **EVENTS)):
        trained = build_method(method)
        trained.prepare(change(network(standardised)))
        found.append((trained.gradients(x, target), trained.predict(x)))
    assert any(gradient.any() for gradient in found[0][0].values())
    assert_same_sums(list(found[1][0].values()), list(found[0][0].values()), 1e-9)
    assert torch.allclose(found[1][1], found[0][1])


def test_updates_with_adam_lead_to_the_same_weights() -> None:
    x, target = drawn(6 * 7, 40, 0.2, "spikes").view(6, 7, 40), torch.arange(7) % 5
    learned = []
    for change, fused in ((lambda made: made, False), (lambda made: event_driven(made, **EVENTS), True)):
        method = build_method("bptt")
        method.prepare(change(network()), lambda given, fused=fused: torch.optim.Adam(given, lr=1e-2, fused=fused))
        for _ in range(5):
            method.update(x, target)
        learned.append(list(method.network.state_dict().values()))
    assert not torch.equal(learned[0][0], network().state_dict()["blocks.0.synapse.weight"])
    assert_same_sums(learned[1], learned[0], 1e-6)


def test_a_network_keeps_its_modules_its_weights_and_can_be_copied() -> None:
    plain = network()
    modules, weights = dict(plain.named_modules()), copy.deepcopy(plain.state_dict())
    changed = event_driven(plain, **EVENTS)
    assert changed is plain
    assert dict(changed.named_modules()) == modules
    assert sum(isinstance(one, nn.Linear) for one in modules.values()) == 3
    assert all(torch.equal(value, weights[key]) for key, value in changed.state_dict().items())
    x = drawn(6 * 2, 40, 0.2, "spikes").view(6, 2, 40)
    for duplicate in (copy.deepcopy(changed), pickle.loads(pickle.dumps(changed))):
        with torch.no_grad():
            for parameter in duplicate.parameters():
                parameter.zero_()
            assert not duplicate(x).any(), "a copy uses its own weights"
            assert changed(x).any()
        assert is_event_driven(duplicate.readout(drawn(30, 20, 0.1, "spikes")))


def test_limits_can_be_set_anew() -> None:
    twice = event_driven(event_driven(network(), **EVENTS), largest_density=0.0)
    assert not is_event_driven(twice.readout(drawn(30, 20, 0.1, "spikes")))


def test_what_was_asked_to_be_in_half_precision_is() -> None:
    with torch.autocast("cpu", dtype=torch.bfloat16):
        out = event_linear(drawn(9, 20, 0.1, "spikes").float(), torch.randn(4, 20), **EVENTS)
    assert out.dtype == torch.bfloat16


def test_what_has_no_fully_connected_map_is_refused() -> None:
    with pytest.raises(ValueError, match=r"Sequential has no fully connected map that could be event-driven"):
        event_driven(nn.Sequential(nn.Conv2d(1, 2, 3)))


def test_without_numba_it_is_said_how_to_install_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("reference_impls.events.linear.find_spec", lambda _name: None)
    with pytest.raises(UnsupportedError, match=r"pip install 'spikeboard\[fused\]'"):
        event_driven(network())
