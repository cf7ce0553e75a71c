"""What CuPy is asked for, on which device and stream and in which order: seen without a GPU."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from fake_cupy import THREADS, FakeGpus, gpus  # noqa: F401  # a fixture
from torch import Tensor

from reference_impls.api import Neuron, UnsupportedError, build_neuron
from reference_impls.backends import fused_cupy
from reference_impls.backends.fused.cuda_multistep import attach_cuda


def attached(neuron: Neuron) -> Neuron:
    """Run a neuron through CuPy, on tensors of the CPU that stands in for a GPU."""
    from reference_impls.backends.fused.kernels_cupy import CupyKernels

    attach_cuda(neuron, CupyKernels, "cpu")
    return neuron


def test_a_neuron_is_compiled_and_loaded_when_it_is_built(gpus: FakeGpus) -> None:  # noqa: F811
    attached(build_neuron("plif"))
    assert gpus.loaded == [(0, (9, 0))]
    assert sorted(gpus.ready) == sorted(f"{name}_{n}" for name in ("inference", "forward", "backward") for n in (1, 4))


def test_arguments_are_in_order_and_of_their_type(gpus: FakeGpus) -> None:  # noqa: F811
    torch.manual_seed(0)
    eager, fused = build_neuron("plif"), attached(build_neuron("plif"))
    x = torch.randn(6, 3, 200)
    answers: list[list[Tensor]] = []
    for neuron in (eager, fused):
        given = x.clone().requires_grad_()
        spikes = neuron(given)
        answers.append([spikes.detach(), *torch.autograd.grad(spikes.sum(), [given, *neuron.parameters()])])
    for found, wanted in zip(*reversed(answers), strict=True):
        torch.testing.assert_close(found, wanted, rtol=1e-5, atol=1e-4)
    forward, backward = gpus.launches
    assert (forward.kernel, backward.kernel) == ("forward_4", "backward_4")
    for launch in (forward, backward):
        assert (launch.device, launch.stream, launch.grid, launch.block) == (0, 77, (2,), (THREADS,))
        *pointers, steps, neurons = launch.arguments
        assert (type(steps), int(steps)) == (np.int32, 6)
        assert (type(neurons), int(neurons)) == (np.uint32, 600)
        assert all(type(pointer) is int for pointer in pointers)
    assert forward.arguments[1] == 0  # at rest
    assert backward.arguments[1] == forward.arguments[-3]  # the membrane, kept for the way back


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16], ids=str)
def test_half_precision_is_compiled_at_its_first_call(gpus: FakeGpus, dtype: torch.dtype) -> None:  # noqa: F811
    neuron = attached(build_neuron("lif"))
    x = torch.randn(5, 16).to(dtype)
    assert torch.equal(neuron(x), build_neuron("lif")(x.float()).to(dtype))
    assert [one.kernel for one in gpus.launches] == ["inference_8"]
    assert len(gpus.sources) == 2


def test_another_device_gets_its_own_code_and_stream(gpus: FakeGpus) -> None:  # noqa: F811
    neuron = attached(build_neuron("lif"))
    x = torch.randn(5, 16)
    neuron(x)
    with torch.cuda.device(1):
        neuron(x)
        neuron(x)
    neuron(x)
    assert [(one.device, one.stream) for one in gpus.launches] == [(0, 77), (1, 78), (1, 78), (0, 77)]
    assert gpus.loaded == [(0, (9, 0)), (1, (9, 1))]


def test_input_elsewhere_is_run_there(gpus: FakeGpus) -> None:  # noqa: F811
    from reference_impls.backends.fused.kernels_cuda import Variant
    from reference_impls.backends.fused.kernels_cupy import CupyKernels
    from reference_impls.backends.fused.program import trace_step

    kernels = CupyKernels(trace_step(build_neuron("lif"), torch.float32), "float32", ())
    x, spikes, last = torch.randn(2, 3), torch.empty(2, 3), torch.empty(3)
    arguments = [x.data_ptr(), 0, spikes.data_ptr(), last.data_ptr(), np.int32(2), np.uint32(3)]
    kernels._launch(Variant((), narrow=True), "inference_1", torch.device("cuda", 1), 1, arguments)
    assert [(one.device, one.stream) for one in gpus.launches] == [(1, 78)]
    assert gpus.current == 0
    assert torch.equal(spikes, build_neuron("lif")(x))


def test_nothing_is_loaded_while_a_graph_is_recorded(gpus: FakeGpus) -> None:  # noqa: F811
    neuron = attached(build_neuron("lif"))
    gpus.capturing = True
    neuron(torch.randn(5, 16))
    with pytest.raises(UnsupportedError, match="before a CUDA graph is recorded"):
        neuron(torch.randn(5, 16).half())
    with pytest.raises(UnsupportedError, match="before a CUDA graph is recorded"):
        attached(build_neuron("if"))


def test_the_backend_takes_a_gpu_and_nothing_else(gpus: FakeGpus) -> None:  # noqa: F811
    neuron = build_neuron("lif")
    fused_cupy.attach(neuron)
    with pytest.raises(UnsupportedError, match="float32, float64, float16, bfloat16 on cuda; this input is float32 on"):
        neuron(torch.randn(5, 16))


def test_fused_takes_a_cpu_beside_a_gpu(gpus: FakeGpus) -> None:  # noqa: F811
    x = torch.randn(5, 16)
    assert torch.equal(build_neuron("lif", backend="fused")(x), build_neuron("lif")(x))
    assert gpus.loaded == [(0, (9, 0))]
    assert not gpus.launches


def test_fused_takes_a_cpu_where_a_gpu_has_no_cupy(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(fused_cupy, "find_spec", lambda _: None)
    x = torch.randn(5, 16)
    neuron = build_neuron("lif", backend="fused")
    assert torch.equal(neuron(x), build_neuron("lif")(x))
    with pytest.raises(UnsupportedError, match=r"cannot take input on meta: it has no kernels for meta"):
        neuron(x.to("meta"))


def test_fused_without_any_means_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    from reference_impls.backends import fused_numba

    monkeypatch.setattr(fused_numba, "find_spec", lambda _: None)
    with pytest.raises(UnsupportedError, match=r"spikeboard\[fused\]"):
        build_neuron("lif", backend="fused")
