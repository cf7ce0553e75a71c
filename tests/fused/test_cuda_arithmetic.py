"""Printed CUDA kernels compute what torch's CUDA kernels compute; where they may not, it is said for which neuron."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from pathlib import Path

import host_kernels
import pytest
import torch
from cuda_eager import INEXACT, CudaArithmetic, Scaled
from own_neurons import Charge, Warm
from test_fused_equals_eager import SEQUENTIAL, both, build
from torch import Tensor

from reference_impls.api import build_neuron
from reference_impls.backends.fused.cuda_arithmetic import NEAR, ROUNDED, as_on_cuda
from reference_impls.backends.fused.cuda_source import NARROW_OFFSETS, cuda_source
from reference_impls.backends.fused.kernels_cuda import Variant
from reference_impls.backends.fused.program import Traced, trace_step

HALVES = {torch.float16: 2.0**-11, torch.bfloat16: 2.0**-8}
"""dtype -> half a unit in the last place of one."""
DOCS = Path(__file__).parents[2] / "docs/backends.md"


class Applying(Warm):
    """Puts out a function of its input; its charge stays as it is."""

    def __init__(self, function: Callable[[Tensor], Tensor]) -> None:
        super().__init__()
        self.function = function

    def init_state(self, like: Tensor) -> Charge:
        return Charge(torch.zeros_like(like))

    def step(self, x: Tensor, state: Charge, params: Mapping[str, Tensor]) -> tuple[Tensor, Charge]:
        return self.function(x), state


def decisive(traced: Traced) -> set[str]:
    outputs = ["s", *(f"n{i}" for i in range(len(traced.states)))]
    return {one.operation for one in traced.forward.only(outputs).body}


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_a_number_divides_as_on_a_gpu(dtype: torch.dtype) -> None:
    eager, fused = both("cuda-text", Applying(lambda v: v / 3.1 / 0.7))
    x = torch.randn(5, 501, dtype=dtype)
    with CudaArithmetic():
        expected, state = eager.sequence(x)
    found, _ = fused.sequence(x)
    assert torch.equal(found, expected)
    assert not torch.equal(found, eager.sequence(x)[0])  # a CPU divides
    assert isinstance(state, Charge)


def test_only_what_a_gradient_alone_hangs_on_is_rounded_otherwise() -> None:
    traced = as_on_cuda(trace_step(build_neuron("clif"), torch.float32), "float32")
    assert decisive(traced).isdisjoint(NEAR.values())
    assert {one.operation for one in traced.backward.body} & set(NEAR.values())
    exact = as_on_cuda(trace_step(build_neuron("clif"), torch.float64), "float64")
    assert {one.operation for one in (*exact.forward.body, *exact.backward.body)}.isdisjoint(NEAR.values())


def test_neurons_that_may_differ_in_the_last_bit_are_named() -> None:
    found = {}
    for name in SEQUENTIAL:
        neuron = build(name)
        inexact = decisive(trace_step(neuron, torch.float32)) - ROUNDED
        with Scaled() as scaled:
            x = torch.zeros(1)
            neuron.step(x, neuron.init_state(x), neuron.step_params())
        if inexact or scaled.found:
            found[name] = ", ".join(sorted(inexact)) or "add(alpha)"
    assert found == INEXACT
    told = re.search(r"may differ in the last bit: (.*?)\.", " ".join(DOCS.read_text(encoding="utf-8").split()))
    assert told is not None
    assert set(re.findall(r"`([a-z-]+)`", told[1])) == set(INEXACT)


@pytest.mark.parametrize("dtype", HALVES, ids=str)
@pytest.mark.parametrize("name", ["lif", "plif", "klif"])
def test_half_precision_is_a_way_of_storing(name: str, dtype: torch.dtype) -> None:
    torch.manual_seed(0)
    T, unit = 48, HALVES[dtype]
    single = build(name)
    fused = build(name)
    host_kernels.attach(fused)
    exact = build(name).double()
    x = (1.5 * torch.randn(T, 8, 96)).to(dtype)
    upstream = torch.rand(T, 8, 96).to(dtype)
    expected = single(x.float())
    answers: list[list[Tensor]] = []
    for neuron, given in ((exact, x.double()), (fused, x)):
        given = given.requires_grad_()
        spikes = neuron(given)
        assert spikes.dtype is given.dtype
        assert (spikes != expected).double().mean() <= (0.0 if neuron is fused else 1e-3)
        wanted = [given, *neuron.parameters()]
        answers.append(list(torch.autograd.grad(spikes, wanted, upstream.to(spikes.dtype))))
    (dx64, *dparams64), (dx, *dparams) = answers
    assert dx.dtype is dtype
    assert ((dx.double() - dx64).abs() > 8 * unit * dx64.abs().max()).double().mean() < 1e-2
    for found, wanted in zip(dparams, dparams64, strict=True):
        assert found.dtype is torch.float32
        torch.testing.assert_close(found.double(), wanted, rtol=8 * unit, atol=8 * unit * wanted.abs().max().item())


@pytest.mark.parametrize("dtype", HALVES, ids=str)
def test_a_gradient_is_added_up_in_float32(dtype: torch.dtype) -> None:
    """A sum of so many ones does not exist in half precision: float16 stays at 2,048, bfloat16 at 256."""

    class Shifted(Applying):
        def __init__(self) -> None:
            super().__init__(lambda v: v)
            self.shift = torch.nn.Parameter(torch.zeros(()))

        def step_params(self) -> dict[str, Tensor]:
            return {"shift": self.shift}

        def step(self, x: Tensor, state: Charge, params: dict[str, Tensor]) -> tuple[Tensor, Charge]:
            return x + params["shift"], state

    neuron = Shifted()
    host_kernels.attach(neuron)
    x = torch.zeros(300, 40, 8, dtype=dtype)
    neuron(x).sum().backward()
    assert neuron.shift.grad is not None
    assert neuron.shift.grad.item() == x.numel()


def test_long_tensors_have_long_offsets(monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[Variant] = []
    prepared = host_kernels.HostKernels._library

    def noted(kernels: host_kernels.HostKernels, variant: Variant) -> object:
        asked.append(variant)
        return prepared(kernels, variant)

    monkeypatch.setattr(host_kernels.HostKernels, "_library", noted)
    eager, fused = both("cuda-text", build_neuron("plif"))
    x = torch.randn(4, 3, 8)
    assert torch.equal(fused(x), eager(x))
    assert asked[-1].narrow
    monkeypatch.setattr("reference_impls.backends.fused.kernels_cuda.NARROW_OFFSETS", x.numel())
    assert torch.equal(fused(x), eager(x))
    assert not asked[-1].narrow
    source = cuda_source(trace_step(build_neuron("plif"), torch.float32), "float32", (True,), narrow=False)
    assert "typedef unsigned long long offset;" in source
    assert NARROW_OFFSETS < 2**32


def test_rows_that_are_no_whole_packs_are_read_one_by_one(monkeypatch: pytest.MonkeyPatch) -> None:
    called: list[str] = []
    launch = host_kernels.launch

    def noted(made: object, name: str, *more: object) -> None:
        called.append(name)
        launch(made, name, *more)  # type: ignore[arg-type]

    monkeypatch.setattr(host_kernels, "launch", noted)
    eager, fused = both("cuda-text", build_neuron("lif"))
    for x, kernels in (
        (torch.randn(5, 3, 4), ["forward_4", "backward_4"]),
        (torch.randn(5, 3, 3), ["forward_1", "backward_1"]),
        (torch.randn(61)[1:].view(5, 3, 4), ["forward_1", "backward_4"]),  # begins between two packs
    ):
        called.clear()
        x = x.requires_grad_()
        (found,) = torch.autograd.grad(fused(x).sum(), x)
        assert called == kernels
        (wanted,) = torch.autograd.grad(eager(x).sum(), x)
        torch.testing.assert_close(found, wanted)
    called.clear()
    fused(torch.randn(5, 4))
    with torch.no_grad():
        fused(torch.randn(5, 4, requires_grad=True))
    assert called == ["inference_4", "inference_4"]
