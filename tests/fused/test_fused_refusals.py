"""What cannot be fused is refused when the neuron is built, and the message says what and why."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from own_neurons import Adaptive, Mixing, Special

from reference_impls import backends
from reference_impls.api import UnsupportedError, build_neuron
from reference_impls.backends.fused.cache import CACHE_VARIABLE, kept_source
from reference_impls.backends.fused.numba_source import numba_source
from reference_impls.backends.fused.program import trace_step


def test_a_parallel_neuron_has_no_loop_to_replace() -> None:
    with pytest.raises(UnsupportedError, match="parallel neuron"):
        build_neuron("psn", T=4, backend="fused-numba")


@pytest.mark.parametrize(("kind", "says"), [(Mixing, "Mixing"), (Special, "special_bessel_j0")])
def test_an_operation_without_a_form_is_named(kind: type[Adaptive], says: str) -> None:
    neuron = kind(torch.zeros(()), torch.ones(()))
    with pytest.raises(UnsupportedError, match=says):
        backends.get("fused-numba").attach(neuron)


def test_another_dtype_or_device_is_named() -> None:
    neuron = build_neuron("lif", backend="fused-numba")
    with pytest.raises(UnsupportedError, match="takes float32, float64 on cpu; this input is bfloat16 on cpu"):
        neuron(torch.rand(3, 2, dtype=torch.bfloat16))


@pytest.mark.skipif(torch.cuda.is_available(), reason="there is a GPU")
def test_without_a_gpu_cupy_is_refused() -> None:
    with pytest.raises(UnsupportedError, match="CUDA device"):
        build_neuron("lif", backend="fused-cupy")
    assert build_neuron("lif", backend="fused")(torch.rand(4, 2)).shape == (4, 2)


def test_kernels_are_kept_by_content(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(CACHE_VARIABLE, str(tmp_path))
    one = kept_source("text", ".py")
    assert one.read_text() == "text"
    assert kept_source("text", ".py") == one
    assert kept_source("other", ".py") != one
    same, other = (
        numba_source(trace_step(build_neuron("lif", tau=tau), torch.float32), "float32") for tau in (2.0, 3.0)
    )
    assert kept_source(same, ".py") != kept_source(other, ".py")
