"""Every fused neuron equals eager: spikes exactly, states and gradients to rounding, for any shape.

The same tests run the Numba kernels, the printed CUDA C through a host shim, and (``-m gpu``) the CUDA kernels.
"""

from __future__ import annotations

import copy
import itertools
import math
from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from typing import Any

import host_kernels
import pytest
import torch
from cuda_eager import INEXACT, CudaArithmetic
from hypothesis import given, settings
from hypothesis import strategies as st
from own_neurons import Adaptive, Extreme, Graded, Offset, Stateless, Warm
from torch import Tensor

from harness.catalogue.loading import load_registry
from reference_impls import backends
from reference_impls.api import Neuron, SequentialNeuron, build_neuron
from reference_impls.backends.fused import kernels_numba
from reference_impls.backends.fused.kernels_cuda import CudaKernels

ROWS = load_registry().neurons
SEQUENTIAL = [name for name, row in ROWS.items() if row.capabilities.parallel == "sequential"]
LONGEST = 9
CORE = ("if", "lif", "klif-scaled", "cuba-lif", "glif", "se-adlif")
"""One of each kind: these are compiled at every run of the tests, the others with ``-m slow``."""
TOLERANCE = {torch.float64: 1e-10, torch.float32: 1e-5}
ATTACH: dict[str, Callable[[Neuron], None]] = {
    "numba": lambda neuron: backends.get("fused-numba").attach(neuron),
    "cuda-text": host_kernels.attach,
    "cupy": lambda neuron: backends.get("fused-cupy").attach(neuron),
}
WAYS = [pytest.param(way, marks=pytest.mark.gpu if way == "cupy" else ()) for way in ATTACH]


def _often(way: str, name: str, dtype: torch.dtype) -> bool:
    """Whether every run compiles it; the CUDA text of float32 is that of float64 but for its types: one is enough."""
    return name in CORE and ((way, dtype) != ("cuda-text", torch.float32) or name == "klif-scaled")


CARDS = [
    pytest.param(
        way,
        name,
        dtype,
        marks=[
            *([pytest.mark.gpu] if way == "cupy" else []),
            *([] if _often(way, name, dtype) else [pytest.mark.slow]),
        ],
        id=f"{way}-{name}-{dtype}",
    )
    for way, name, dtype in itertools.product(ATTACH, SEQUENTIAL, TOLERANCE)
]
FEATURES = ((), (1,), (5,), (0,), (3, 4), (1, 6))
"""Of neurons that have parameters of their own: each takes a trace, so they are few."""
SHAPES = st.lists(st.integers(0, 7), min_size=1, max_size=3).map(tuple)
_built: dict[tuple[Any, ...], tuple[Neuron, Neuron]] = {}


def build(name: str, features: tuple[int, ...] = (1,)) -> Neuron:
    torch.manual_seed(0)
    return build_neuron(name, shape=features, **({"T": LONGEST} if ROWS[name].capabilities.needs_T else {}))


def has_its_own(name: str) -> bool:
    """Whether a neuron, or a channel, of the card has parameters of its own."""
    return ROWS[name].capabilities.granularity != "layer"


def pair(way: str, name: str, dtype: torch.dtype, features: tuple[int, ...]) -> tuple[Neuron, Neuron]:
    """Return the neuron eager and fused, with the same parameters; built once, because compiling takes seconds."""
    key = way, name, dtype, features if has_its_own(name) else ()
    if key not in _built:
        _built[key] = both(way, build(name, features).to(dtype))
    return _built[key]


def both(way: str, eager: Neuron) -> tuple[Neuron, Neuron]:
    fused = copy.deepcopy(eager)
    ATTACH[way](fused)
    if way == "cupy":
        eager, fused = eager.cuda(), fused.cuda()
    return eager, fused


def answers(neuron: SequentialNeuron, x: Tensor, state: Any, upstream: list[Tensor]) -> list[Tensor]:
    """Return spikes, last state, and the gradients of input, first state and parameters."""
    x = x.detach().requires_grad_()
    leaves = [] if state is None else [part.detach().requires_grad_() for part in state]
    output = neuron.run(x, None if state is None else type(state)(*leaves))
    results = [output.spikes, *output.state]
    wanted = [x, *leaves, *neuron.parameters()]
    carried = [(out, up) for out, up in zip(results, upstream, strict=True) if out.requires_grad]
    gradients = torch.autograd.grad(
        [out for out, _ in carried], wanted, [up for _, up in carried], allow_unused=True, materialize_grads=True
    )
    return [out.detach() for out in results] + list(gradients)


def compare(
    eager: Neuron,
    fused: Neuron,
    x: Tensor,
    dtype: torch.dtype,
    with_state: bool,
    arithmetic: AbstractContextManager[object] | None = None,
    may_differ: float = 0.0,
) -> None:
    """Compare all that a neuron answers; eager runs in `arithmetic`, a fraction of spikes `may_differ`."""
    first = eager.init_state(x[0])
    state = type(first)(*(torch.rand_like(part) for part in first)) if with_state else None
    upstream = [torch.randn_like(x), *(torch.randn_like(part) for part in first)]
    with arithmetic or nullcontext():
        expected = answers(eager, x, state, upstream)
    found = answers(fused, x, state, upstream)
    if may_differ and not torch.equal(expected[0], found[0]):  # and then nothing after such a spike is the same
        assert (expected[0] != found[0]).double().mean() <= may_differ
        return
    assert torch.equal(expected[0], found[0])
    for one, other in zip(expected[1:], found[1:], strict=True):
        assert one.shape == other.shape
        scale = max(1.0, one.abs().max().item()) if one.numel() else 1.0
        if dtype is torch.float32 and 0 < one.numel() < x[0].numel():
            # A parameter's gradient is a sum over neurons and steps, taken in another order: its rounding adds up.
            scale *= math.sqrt(x.numel() / one.numel())
        torch.testing.assert_close(other, one, rtol=TOLERANCE[dtype], atol=TOLERANCE[dtype] * scale)


@pytest.mark.parametrize(("way", "name", "dtype"), CARDS)
@settings(max_examples=25)
@given(
    T=st.integers(1, LONGEST),
    shape=SHAPES,
    transposed=st.booleans(),
    broadcast=st.booleans(),
    with_state=st.booleans(),
    seed=st.integers(0, 2**31),
)
def test_every_card(
    way: str,
    name: str,
    dtype: torch.dtype,
    T: int,
    shape: tuple[int, ...],
    transposed: bool,
    broadcast: bool,
    with_state: bool,
    seed: int,
) -> None:
    if has_its_own(name):
        shape = (shape[0], *FEATURES[seed % len(FEATURES)])
    eager, fused = pair(way, name, dtype, shape[1:])
    torch.manual_seed(seed)
    device = "cuda" if way == "cupy" else "cpu"
    x = 1.5 * torch.randn(T, *shape, dtype=dtype, device=device)
    if transposed:
        x = 1.5 * torch.randn(*reversed(shape), T, dtype=dtype, device=device).permute(*reversed(range(len(shape) + 1)))
    if broadcast:
        x = x[:1].expand(x.shape)
    arithmetic = CudaArithmetic() if way == "cuda-text" else None
    compare(eager, fused, x, dtype, with_state, arithmetic, 0.01 if way == "cupy" and name in INEXACT else 0.0)


@pytest.mark.parametrize("dtype", TOLERANCE, ids=str)
@pytest.mark.parametrize("layout", [(), (1,), (5,), (4, 1, 1), (3, 4, 2, 5)], ids=str)
@pytest.mark.parametrize("way", WAYS)
def test_parameters_of_a_layer_a_channel_and_a_neuron(way: str, layout: tuple[int, ...], dtype: torch.dtype) -> None:
    torch.manual_seed(0)
    eager, fused = both(way, Adaptive(torch.randn(layout, dtype=dtype), 0.3 + torch.rand(layout, dtype=dtype)))
    x = torch.randn(6, 3, 4, 2, 5, dtype=dtype, device="cuda" if way == "cupy" else "cpu")
    for with_state in (False, True):
        compare(eager, fused, x, dtype, with_state)


@pytest.mark.parametrize("dtype", TOLERANCE, ids=str)
@pytest.mark.parametrize("way", WAYS)
def test_gradients_that_torch_writes_in_place(way: str, dtype: torch.dtype) -> None:
    torch.manual_seed(0)
    eager, fused = both(way, Graded(torch.tensor([0.4, 0.8, 1.6], dtype=dtype)))
    x = 2 * torch.randn(7, 5, 3, dtype=dtype, device="cuda" if way == "cupy" else "cpu")
    compare(eager, fused, x, dtype, with_state=True)


@pytest.mark.parametrize("way", WAYS)
def test_constants_that_are_no_ordinary_numbers(way: str) -> None:
    eager, fused = both(way, Extreme())
    x = 2 * torch.randn(4, 3, 5, device="cuda" if way == "cupy" else "cpu")
    compare(eager, fused, x, torch.float32, with_state=True)


@pytest.mark.parametrize("way", WAYS)
def test_a_neuron_without_state(way: str) -> None:
    eager, fused = both(way, Stateless())
    x = 2 * torch.randn(4, 3, 5, device="cuda" if way == "cupy" else "cpu")
    compare(eager, fused, x, torch.float32, with_state=False)


@pytest.mark.parametrize("kind", [Warm, Offset])
@pytest.mark.parametrize("way", WAYS)
def test_any_state_to_start_from(way: str, kind: type[SequentialNeuron]) -> None:
    eager, fused = both(way, kind())
    x = torch.randn(4, 3, 5, dtype=torch.float64, device="cuda" if way == "cupy" else "cpu")
    for with_state in (False, True):
        compare(eager, fused, x, torch.float64, with_state)


def test_nothing_is_kept_where_no_gradient_can_be_asked_for(monkeypatch: pytest.MonkeyPatch) -> None:
    kept: list[int] = []
    forward = CudaKernels.forward

    def counted(*arguments: Any) -> Any:
        answer = forward(*arguments)
        kept.append(len(answer[-1]))
        return answer

    monkeypatch.setattr(CudaKernels, "forward", counted)
    _, fused = both("cuda-text", Adaptive(torch.zeros(()), torch.ones(())))
    x = torch.randn(4, 3, 5)
    fused(x)
    with torch.no_grad():
        fused(x)
    assert kept[0] > 0
    assert kept[1] == 0


@pytest.mark.parametrize("way", WAYS)
def test_a_gradient_of_the_last_state_alone(way: str) -> None:
    eager, fused = both(way, build_neuron("cuba-lif"))
    x = torch.randn(5, 2, 9, device="cuda" if way == "cupy" else "cpu", requires_grad=True)
    (expected,), (found,) = (torch.autograd.grad(neuron.run(x).state.i.sum(), [x]) for neuron in (eager, fused))
    torch.testing.assert_close(found, expected)


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize(
    "params",
    [
        {"tau": 1.0},
        {"decay": 1.0, "v_threshold": 1e-3},
        {"decay": 0.0, "v_reset": -2.0, "reset_mode": "hard"},
        {"reset_mode": "none", "fire_rule": "gt"},
    ],
    ids=str,
)
def test_parameters_on_the_edge(way: str, params: dict[str, Any]) -> None:
    eager, fused = both(way, build_neuron("lif", **params))
    x = torch.randint(-2, 3, (8, 3, 7), device="cuda" if way == "cupy" else "cpu").float()  # ties with the threshold
    compare(eager, fused, x, torch.float32, with_state=False)


@pytest.mark.parametrize("way", WAYS)
def test_a_gradient_of_the_gradient_is_refused(way: str) -> None:
    _, fused = both(way, build_neuron("lif"))
    x = torch.rand(3, 4, device="cuda" if way == "cupy" else "cpu", requires_grad=True)
    (gradient,) = torch.autograd.grad(fused.run(x).spikes.square().sum(), [x], create_graph=True)
    with pytest.raises(RuntimeError, match="once_differentiable"):
        gradient.sum().backward()


@pytest.mark.parametrize("way", WAYS)
def test_a_sequence_in_pieces_is_the_sequence(way: str) -> None:
    _, fused = both(way, build_neuron("lif"))
    x = torch.randn(9, 2, 33, device="cuda" if way == "cupy" else "cpu")
    whole = fused.run(x)
    first = fused.run(x[:4])
    second = fused.run(x[4:], first.state)
    assert torch.equal(whole.spikes, torch.cat([first.spikes, second.spikes]))
    assert torch.equal(whole.state.v, second.state.v)


@pytest.mark.parametrize("way", WAYS)
def test_gradients_are_the_same_at_every_run(way: str) -> None:
    torch.manual_seed(0)
    _, fused = both(way, Adaptive(torch.randn(()), torch.rand(())))
    x = torch.randn(16, 8, 1031, device="cuda" if way == "cupy" else "cpu")

    def gradients() -> list[Tensor]:
        return list(torch.autograd.grad(fused.run(x).spikes.sum(), list(fused.parameters())))

    assert all(torch.equal(one, other) for one, other in zip(gradients(), gradients(), strict=True))


@pytest.mark.parametrize("way", WAYS)
def test_an_attribute_that_training_changes_is_seen(way: str) -> None:
    eager, fused = both(way, build_neuron("lif"))
    x = torch.rand(6, 3, 5, device="cuda" if way == "cupy" else "cpu")
    compare(eager, fused, x, torch.float32, with_state=False)
    for neuron in (eager, fused):
        neuron.v_threshold = neuron.reset_amount = 0.3
    compare(eager, fused, x, torch.float32, with_state=False)


@pytest.mark.parametrize("dtype", TOLERANCE, ids=str)
@pytest.mark.parametrize("neurons", [1, 7, 8, 131, 2048, 2048 + 3])
def test_rows_past_the_cache_are_the_rows(neurons: int, dtype: torch.dtype, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(kernels_numba, "PAST_CACHE_BYTES", 0)
    torch.manual_seed(0)
    eager, fused = pair("numba", "se-adlif", dtype, (neurons,))
    for with_state in (False, True):
        compare(eager, fused, 2 * torch.randn(5, 1, neurons, dtype=dtype), dtype, with_state)
