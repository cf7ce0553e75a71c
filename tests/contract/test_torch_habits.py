"""What users of torch do with any module, done with a neuron under every backend: it works, or says why it cannot."""

from __future__ import annotations

import copy
import functools
import io
import itertools
import pickle
from collections.abc import Callable

import pytest
import torch
from torch import Tensor, nn
from torch._subclasses import FakeTensorMode
from torch.autograd import forward_ad
from torch.func import functional_call, grad, jvp, stack_module_state, vmap
from torch.fx.experimental.proxy_tensor import make_fx

from harness.catalogue.loading import load_registry
from reference_impls.api import Network, Neuron, UnsupportedError, build_network, build_neuron

BACKENDS = ("eager", "fused-numba", "compiled")
FASTER = BACKENDS[1:]
REGISTRY = load_registry()
X = 6 * torch.rand(6, 2, 8, generator=torch.Generator().manual_seed(0))
OTHER = 6 * torch.rand(6, 2, 8, generator=torch.Generator().manual_seed(1))


def plif(backend: str, tau: float | None = None) -> Neuron:
    """A neuron that learns one number; `tau` is set where it is kept."""
    neuron = build_neuron("plif", backend=backend)
    if tau is not None:
        fill(neuron, tau)
    return neuron


def fill(module: nn.Module, value: float) -> None:
    with torch.no_grad():
        for parameter in module.parameters():
            parameter.fill_(value)


def replica_of(neuron: Neuron, value: float) -> nn.Module:
    """What DataParallel makes of a module for one of its devices: a shallow copy with tensors of its own."""
    replica = neuron._replicate_for_data_parallel()
    for name, parameter in neuron.named_parameters():
        setattr(replica, name, torch.full_like(parameter, value))
    return replica


@pytest.mark.parametrize("backend", BACKENDS)
def test_a_replica_computes_with_its_own_tensors(backend: str) -> None:
    neuron = plif(backend)
    expected = plif("eager", -3.0)(X)
    assert not torch.equal(neuron(X), expected)
    for _ in range(12):  # more often than torch.compile compiles one function anew
        assert torch.equal(replica_of(neuron, -3.0)(X), expected)
    assert torch.equal(neuron(X), plif("eager")(X))


@pytest.mark.parametrize("backend", BACKENDS)
def test_what_a_replica_learns_reaches_the_neuron(backend: str) -> None:
    neuron, expected = plif(backend), plif("eager")
    replica = neuron._replicate_for_data_parallel()
    for name, parameter in neuron.named_parameters():
        setattr(replica, name, parameter * 1)  # a copy that is part of the graph, as DataParallel makes them
    replica(X).sum().backward()
    expected(X).sum().backward()
    (learned,), (wanted,) = neuron.parameters(), expected.parameters()
    assert learned.grad is not None
    torch.testing.assert_close(learned.grad, wanted.grad)


def through_pickle(neuron: Neuron) -> Neuron:
    copied: Neuron = pickle.loads(pickle.dumps(neuron))
    return copied


def through_a_file(neuron: Neuron) -> Neuron:
    file = io.BytesIO()
    torch.save(neuron, file)
    file.seek(0)
    copied: Neuron = torch.load(file, weights_only=False)
    return copied


@pytest.mark.parametrize("backend", BACKENDS)
@pytest.mark.parametrize("copied", [copy.deepcopy, through_pickle, through_a_file])
def test_a_copy_is_on_its_own(copied: Callable[[Neuron], Neuron], backend: str) -> None:
    neuron = plif(backend)
    other = copied(neuron)
    fill(other, -3.0)
    assert torch.equal(other(X), plif("eager", -3.0)(X))
    assert torch.equal(neuron(X), plif("eager")(X))


@pytest.mark.parametrize("backend", BACKENDS)
def test_functional_call_takes_the_tensors_it_is_given(backend: str) -> None:
    given = {name: torch.full_like(value, -3.0) for name, value in plif(backend).named_parameters()}
    assert torch.equal(functional_call(plif(backend), given, (X,)), plif("eager", -3.0)(X))


def over_batch(neuron: Neuron) -> Tensor:
    return vmap(neuron, in_dims=1, out_dims=1)(X)


def gradient_of_input(neuron: Neuron) -> Tensor:
    return grad(lambda x: neuron(x).sum())(X)


def gradient_of_parameters(neuron: Neuron) -> Tensor:
    given = {name: value.detach() for name, value in neuron.named_parameters()}
    (found,) = grad(lambda named: functional_call(neuron, named, (X,)).sum())(given).values()
    return found


def ensemble(neuron: Neuron) -> Tensor:
    members = [copy.deepcopy(neuron) for _ in range(3)]
    for number, member in enumerate(members):
        fill(member, number - 2.0)
    return vmap(lambda named, buffers: functional_call(neuron, (named, buffers), (X,)))(*stack_module_state(members))


def tangent(neuron: Neuron) -> Tensor:
    return jvp(neuron, (X,), (OTHER,))[1]


def dual(neuron: Neuron) -> Tensor:
    with forward_ad.dual_level():
        return forward_ad.unpack_dual(neuron(forward_ad.make_dual(X, OTHER))).tangent


def traced(neuron: Neuron) -> Tensor:
    return torch.jit.trace(neuron, (OTHER,), check_trace=False)(X)


def written_down(neuron: Neuron) -> Tensor:
    return make_fx(neuron)(OTHER)(X)


def exported(neuron: Neuron) -> Tensor:
    return torch.export.export(neuron, (OTHER,), strict=False).module()(X)


def pretended(neuron: Neuron) -> Tensor:
    with FakeTensorMode(allow_non_fake_inputs=True) as mode:
        return torch.zeros(neuron(mode.from_tensor(X)).shape)


TRANSFORMS = (over_batch, gradient_of_input, gradient_of_parameters, ensemble, tangent, dual)
DISGUISES = (*TRANSFORMS, traced, written_down, exported, pretended)


def by_hand(transform: Callable[[Neuron], Tensor]) -> Tensor:
    """The same without a transform."""
    if transform is ensemble:
        return torch.stack([plif("eager", number - 2.0)(X) for number in range(3)])
    if transform in (tangent, dual):
        # The whole Jacobian, backwards, times the direction.
        jacobian = torch.autograd.functional.jacobian(plif("eager"), X)
        return torch.einsum("tbnscm,scm->tbn", jacobian, OTHER)
    if transform is over_batch:
        return plif("eager")(X)
    x, neuron = X.clone().requires_grad_(), plif("eager")
    neuron(x).sum().backward()
    found = x.grad if transform is gradient_of_input else next(neuron.parameters()).grad
    assert found is not None
    return found


@pytest.mark.parametrize("transform", TRANSFORMS)
def test_transforms_see_through_the_eager_loop(transform: Callable[[Neuron], Tensor]) -> None:
    torch.testing.assert_close(transform(plif("eager")), by_hand(transform))


@pytest.mark.parametrize("disguise", [traced, written_down, exported])
def test_the_eager_loop_can_be_written_down(disguise: Callable[[Neuron], Tensor]) -> None:
    assert torch.equal(disguise(plif("eager")), plif("eager")(X))


@pytest.mark.parametrize("backend", FASTER)
@pytest.mark.parametrize("disguise", DISGUISES)
def test_compiled_code_refuses_what_it_would_not_see(disguise: Callable[[Neuron], Tensor], backend: str) -> None:
    neuron = plif(backend)
    if (disguise, backend) == (exported, "compiled"):  # torch.compile inside of an export is looked into
        assert torch.equal(disguise(neuron), plif("eager")(X))
        return
    with pytest.raises(UnsupportedError, match=rf"'{backend}' cannot run .*backend='eager': it computes the same"):
        disguise(neuron)


@pytest.mark.parametrize("backend", BACKENDS)
@pytest.mark.parametrize("name", ["plif", "psn"])
def test_scripting_is_refused_in_our_words(name: str, backend: str) -> None:
    if name == "psn" and backend != "eager":
        pytest.skip("a parallel neuron has no step to compile")
    neuron = build_neuron(name, backend=backend, **({"T": 3} if name == "psn" else {}))
    network = build_network("mlp", (4,), 2, lambda **_: neuron)
    for module in (neuron, torch.nn.Sequential(torch.nn.Linear(4, 4), neuron), network):
        with pytest.raises(UnsupportedError, match=r"torch\.jit\.script cannot read \w+: .*torch\.jit\.trace"):
            torch.jit.script(module)


@pytest.mark.parametrize("backend", BACKENDS)
def test_torch_compile_may_stand_around_a_neuron(backend: str) -> None:
    x, expected = X.clone().requires_grad_(), X.clone().requires_grad_()
    outer = torch.compile(plif(backend))(x)
    outer.sum().backward()
    plif("eager")(expected).sum().backward()
    assert torch.equal(outer, plif("eager")(X))
    torch.testing.assert_close(x.grad, expected.grad)


SIZES = [(5, 1), (1, 5), (5, 3)]


@pytest.mark.parametrize(
    ("before", "now", "backend"),
    [
        # Each size is compiled anew; what is refused is refused before that, by the same line for all backends.
        pytest.param(*sizes, backend, marks=[pytest.mark.slow] if backend == "compiled" and sizes != (5, 1) else [])
        for sizes, backend in itertools.product(SIZES, BACKENDS)
    ],
)
def test_a_state_of_another_batch_is_refused_alike(before: int, now: int, backend: str) -> None:
    neuron = build_neuron("lif", backend=backend)
    state = neuron.run(torch.rand(4, before, 10)).state
    with pytest.raises(ValueError, match=rf"the state is one of \({before}, 10\), a step of this input has \({now}, "):
        neuron.run(torch.rand(4, now, 10), state)
    with pytest.raises(ValueError, match=r"a step of this input has \(\d, 7\)"):
        neuron.run(torch.rand(4, before, 7), state)
    assert neuron.run(torch.rand(4, before, 10), state).spikes.shape == (4, before, 10)


@pytest.mark.parametrize("backend", BACKENDS)
def test_a_state_of_another_dtype_is_refused_alike(backend: str) -> None:
    """Eager would promote the input, a fused kernel would cast the state."""
    neuron = build_neuron("lif", backend="eager")
    wide = neuron.run(torch.rand(4, 2, 10, dtype=torch.float64)).state
    with pytest.raises(
        ValueError, match=r"the state is torch.float64 on cpu, this input torch.float32 on cpu; give both"
    ):
        build_neuron("lif", backend=backend).run(torch.rand(4, 2, 10), wide)


@pytest.mark.parametrize(
    ("state", "x"),
    [(torch.float32, torch.float64), (torch.bfloat16, torch.float32), (torch.bfloat16, torch.float16)],
)
def test_states_that_would_be_promoted_are_refused(state: torch.dtype, x: torch.dtype) -> None:
    neuron = build_neuron("lif")
    rested = neuron.run(torch.rand(4, 2, 10).to(state)).state
    with pytest.raises(ValueError, match=f"the state is {state} on cpu, this input {x} on cpu"):
        neuron.run(torch.rand(4, 2, 10).to(x), rested)
    with pytest.raises(ValueError, match="give both the same dtype"):
        neuron.advance(torch.rand(2, 10).to(x), rested)


@pytest.mark.parametrize("name", ["lif", "se-adlif"])  # the second learns: its states are in its parameters' dtype
def test_half_precision_goes_on_from_where_it_stopped(name: str) -> None:
    neuron = build_neuron(name, shape=(10,))
    x = torch.rand(8, 2, 10).to(torch.bfloat16)
    first = neuron.run(x[:4])
    rest = neuron.run(x[4:], first.state).spikes
    assert torch.equal(torch.cat([first.spikes, rest]), neuron(x))


def test_a_state_on_another_device_is_refused() -> None:
    neuron = build_neuron("lif")
    away = type(neuron.init_state(torch.zeros(2, 10)))(torch.zeros(2, 10, device="meta"))
    with pytest.raises(ValueError, match=r"the state is torch.float32 on meta, this input torch.float32 on cpu"):
        neuron.run(torch.rand(4, 2, 10), away)


SEQUENTIAL = [name for name, row in REGISTRY.neurons.items() if row.capabilities.parallel == "sequential"]


@pytest.mark.parametrize("name", SEQUENTIAL)
def test_every_neuron_refuses_a_state_of_another_batch(name: str) -> None:
    neuron = build_neuron(name, shape=(7,), **({"T": 3} if REGISTRY.neurons[name].capabilities.needs_T else {}))
    for before, now in SIZES:
        state = neuron.run(torch.rand(3, before, 7)).state
        assert state is not None
        with pytest.raises(ValueError, match="the state is one of"):
            neuron.run(torch.rand(3, now, 7), state)


def network(topology: str) -> tuple[Network, tuple[int, ...]]:
    """Build a network with the plainest neuron that the topology takes."""
    shape = (4,) if 1 in REGISTRY.topologies[topology].capabilities.sample_dims else (1, 4, 4)
    return build_network(topology, shape, 2, functools.partial(build_neuron, "lif")), shape


@pytest.mark.parametrize("topology", REGISTRY.topologies)
def test_every_network_refuses_states_of_another_batch(topology: str) -> None:
    built, shape = network(topology)
    for before, now in SIZES:
        states = built.run(torch.rand(3, before, *shape)).states
        with pytest.raises(ValueError, match=r"batch|a step of this input has"):
            built.run(torch.rand(3, now, *shape), states)
        assert built.run(torch.rand(3, before, *shape), states).logits.shape == (3, before, 2)
