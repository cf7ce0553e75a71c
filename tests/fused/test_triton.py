"""The printed Triton computes what eager does: in Triton's interpreter on a CPU, and by what it becomes for a GPU."""

from __future__ import annotations

import copy
import math
import re
from collections.abc import Iterator, Mapping
from typing import Any

import pytest
import torch
from cuda_eager import CudaArithmetic
from own_neurons import Adaptive, Charge, Extreme, Graded, Stateless, Warm
from test_fused_equals_eager import CORE, SEQUENTIAL, TOLERANCE, build, compare
from torch import Tensor

from harness.golden import load
from reference_impls.api import Neuron, UnsupportedError, build_neuron
from reference_impls.backends import fused_triton
from reference_impls.backends.fused import kernels_triton
from reference_impls.backends.fused.program import trace_step
from reference_impls.backends.fused.triton_source import triton_source

triton = pytest.importorskip("triton", reason="needs Triton: pip install 'spikeboard[triton]'")

EVERYWHERE = pytest.mark.parametrize(
    "name", [pytest.param(name, marks=() if name in CORE else pytest.mark.slow) for name in SEQUENTIAL]
)
POINTERS = {"float32": "*fp32", "float64": "*fp64", "float16": "*fp16", "bfloat16": "*bf16"}


@pytest.fixture(autouse=True)
def _interpreted(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    kernels_triton._loaded.cache_clear()
    if "ptx" not in request.node.name:
        monkeypatch.setenv(fused_triton.INTERPRETED, "1")
    yield
    kernels_triton._loaded.cache_clear()


def both(eager: Neuron) -> tuple[Neuron, Neuron]:
    fused = copy.deepcopy(eager)
    fused_triton.attach(fused)
    return eager, fused


@EVERYWHERE
def test_it_equals_eager(name: str) -> None:
    for dtype in TOLERANCE:
        eager, fused = both(build(name, (5,)).to(dtype))
        torch.manual_seed(0)
        for with_state in (False, True):
            x = 1.5 * torch.randn(5, 3, 5, dtype=dtype)
            compare(eager, fused, x, dtype, with_state, CudaArithmetic())


@pytest.mark.filterwarnings("ignore:.*encountered:RuntimeWarning")  # numpy tells of infinities, which are meant
@pytest.mark.parametrize("kind", [Extreme, Graded, Stateless, Warm])
def test_odd_neurons(kind: type[Any]) -> None:
    eager, fused = both(kind(torch.tensor(0.4)) if kind is Graded else kind())
    for shape in ((1, 3, 5), (4, 300), (3, 0)):  # one step; more than a block; none
        compare(eager, fused, 2 * torch.randn(*shape), torch.float32, False, CudaArithmetic())


class Floored(Warm):
    """Puts out its input, rounded down."""

    def init_state(self, like: Tensor) -> Charge:
        return Charge(torch.zeros_like(like))

    def step(self, x: Tensor, state: Charge, params: Mapping[str, Tensor]) -> tuple[Tensor, Charge]:
        return x.floor(), state


@pytest.mark.filterwarnings("ignore:.*encountered:RuntimeWarning")
@pytest.mark.parametrize("dtype", TOLERANCE, ids=str)
def test_rounding_down_knows_every_number(dtype: torch.dtype) -> None:
    _, fused = both(Floored())
    odd = [-1e-40, 1e-40, -0.0, 0.0, -0.5, 1.5, -3.0, 8388609.0, -(2.0**60), math.inf, -math.inf, math.nan]
    x = torch.tensor([odd], dtype=dtype)
    assert fused.sequence(x)[0].view(torch.uint8).tolist() == x.floor().view(torch.uint8).tolist()


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16], ids=str)
def test_half_precision_is_a_way_of_storing(dtype: torch.dtype) -> None:
    """Arithmetic, parameters and their gradients are float32's: only what is stored between is rounded."""
    torch.manual_seed(0)
    eager, fused = both(build_neuron("plif"))
    x = torch.randn(6, 3, 50).to(dtype)
    answers = []
    for neuron, given in ((eager, x.float()), (fused, x)):
        leaf = given.clone().requires_grad_()
        spikes = neuron(leaf)
        answers.append([spikes.detach(), *torch.autograd.grad(spikes.sum(), [leaf, *neuron.parameters()])])
    (spikes, dx, dw), (their_spikes, their_dx, their_dw) = answers
    assert torch.equal(spikes.to(dtype), their_spikes)
    assert their_dw.dtype == torch.float32
    assert their_dx.dtype == dtype
    precision = 2 * torch.finfo(dtype).eps
    torch.testing.assert_close(their_dx.float(), dx, rtol=8 * precision, atol=precision)
    torch.testing.assert_close(their_dw, dw, rtol=8 * precision, atol=precision * x.numel())


def test_compiled_code_goes_through_it() -> None:
    eager, fused = both(build_neuron("plif"))
    x = torch.randn(4, 2, 5, requires_grad=True)
    wanted = fused(x)
    compiled = torch.compile(lambda x: 2 * fused(x), backend="aot_eager", fullgraph=True)
    found = compiled(x)
    assert torch.equal(found, 2 * wanted)
    leaves = [x, *fused.parameters()]
    for one, other in zip(
        torch.autograd.grad(found.sum(), leaves), torch.autograd.grad(2 * wanted.sum(), leaves), strict=True
    ):
        torch.testing.assert_close(one, other)
    broken = torch.compile(fused, backend="aot_eager")
    assert torch.equal(broken(x), eager(x))
    for neuron in (eager, fused):
        neuron.v_threshold = neuron.reset_amount = 0.3
    assert torch.equal(broken(x), eager(x)), "an attribute that training changes is seen"


GOLDEN = {case.slug: case for case in load() if case.kind == "neurons" and (case.implementation or "") in CORE}.values()


@pytest.mark.parametrize("case", GOLDEN, ids=[f"{case.slug}-{case.name}" for case in GOLDEN])
def test_it_equals_the_authors_numbers(case: Any) -> None:
    with CudaArithmetic():
        differences = case.differences(backend="fused-triton")
    assert not differences, "\n".join(map(str, differences))


def test_what_it_cannot_take_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(UnsupportedError, match="parallel neuron"):
        build_neuron("psn", T=4, backend="fused-triton")
    with pytest.raises(UnsupportedError, match="Triton has no form of the operation 'tanh'"):
        both(Adaptive(torch.zeros(()), torch.ones(())))
    _, fused = both(build_neuron("lif"))
    with pytest.raises(UnsupportedError, match="this input is int64 on cpu"):
        fused(torch.ones(3, 2, dtype=torch.int64))
    x = torch.rand(3, 4, requires_grad=True)
    (gradient,) = torch.autograd.grad(fused(x).square().sum(), [x], create_graph=True)
    with pytest.raises(RuntimeError, match="no autograd formula"):
        gradient.sum().backward()
    monkeypatch.delenv(fused_triton.INTERPRETED)
    if not torch.cuda.is_available():
        with pytest.raises(UnsupportedError, match="needs a CUDA device"):
            build_neuron("lif", backend="fused-triton")


def ptx_of(name: str, dtype: str) -> dict[str, str]:
    """Return what Triton makes of the kernels of a row for compute capability 9.0, which needs no GPU."""
    from triton.backends.compiler import GPUTarget
    from triton.compiler import ASTSource

    real = "float64" if dtype == "float64" else "float32"
    module = kernels_triton._loaded(triton_source(trace_step(build(name), getattr(torch, real)), dtype))
    made = {}
    for kernel in ("forward", "backward"):
        function = getattr(module, kernel)
        given = {"AT_REST": True, "KEEP": True, "BLOCK": kernels_triton.BLOCK}
        constants = {argument: given[argument] for argument in function.arg_names if argument in given}
        kinds = {
            argument: "constexpr"
            if argument in constants
            else "i32"
            if argument in ("steps", "neurons")
            else POINTERS[real if argument.startswith(("param", "dparam")) else dtype]
            for argument in function.arg_names
        }
        source = ASTSource(function, kinds, constants)
        made[kernel] = triton.compile(source, GPUTarget("cuda", 90, 32), kernels_triton.OPTIONS).asm["ptx"]
    return made


@pytest.mark.parametrize(
    ("name", "dtype"),
    [
        ("adaptive-spikenet-lif", "float32"),
        ("lif", "bfloat16"),
        ("ilif", "float32"),
        *(pytest.param(name, dtype, marks=pytest.mark.cuda_compile) for name in SEQUENTIAL for dtype in POINTERS),
    ],
)
def test_the_ptx_rounds_as_torch_does(name: str, dtype: str) -> None:
    found = ptx_of(name, dtype)
    if dtype == "float64" and re.search("exp|sigmoid", triton_source(trace_step(build(name), torch.float64), dtype)):
        return  # the exponential of CUDA's library, which is made of both
    for ptx in found.values():
        assert not re.search(r"\bfma\.", ptx)
        assert ".ftz" not in ptx
    if name == "adaptive-spikenet-lif":
        assert "div.rn.f32" in found["forward"], "a division that decides a spike"
        assert "div.full.f32" not in found["forward"]
