"""What a record says of its GPU, with a stand-in for NVML: neither a GPU nor every sensor of one is needed."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pynvml
import pytest

from harness.results import provenance
from harness.results.gpu import gpu_clocks, gpu_setting, held_back_by

UUID = "0af3"


@pytest.fixture
def nvml(monkeypatch: pytest.MonkeyPatch) -> dict[str, Any]:
    """One GPU that is asked by its UUID, and what it answers."""
    answers: dict[str, Any] = {"reasons": 0, "open": 0}

    def handle(uuid: str) -> str:
        if uuid != f"GPU-{UUID}":
            raise pynvml.NVMLError(pynvml.NVML_ERROR_NOT_FOUND)
        return uuid

    def no_mig(gpu: str) -> None:
        raise pynvml.NVMLError(pynvml.NVML_ERROR_NOT_SUPPORTED)

    replacements = {
        "nvmlInit": lambda: answers.update(open=answers["open"] + 1),
        "nvmlShutdown": lambda: answers.update(open=answers["open"] - 1),
        "nvmlDeviceGetHandleByUUID": handle,
        "nvmlDeviceGetUUID": lambda gpu: gpu,
        "nvmlDeviceGetName": lambda _: "NVIDIA Example",
        "nvmlDeviceGetMemoryInfo": lambda _: SimpleNamespace(total=2**34),
        "nvmlDeviceGetEnforcedPowerLimit": lambda _: 700_000,
        "nvmlDeviceGetMigMode": no_mig,
        "nvmlSystemGetCudaDriverVersion": lambda: 13020,
        "nvmlDeviceGetClockInfo": lambda _, which: {pynvml.NVML_CLOCK_SM: 1980, pynvml.NVML_CLOCK_MEM: 3201}[which],
        "nvmlDeviceGetCurrentClocksThrottleReasons": lambda _: answers["reasons"],
    }
    for name, replacement in replacements.items():
        monkeypatch.setattr(pynvml, name, replacement)
    return answers


def test_which_gpu_and_how_it_was_set(nvml: dict[str, Any]) -> None:
    assert gpu_setting(UUID) == {
        "uuid": f"GPU-{UUID}",
        "name": "NVIDIA Example",
        "memory_bytes": 2.0**34,
        "power_limit_watts": 700.0,
        "driver_cuda": "13.2",
    }
    assert nvml["open"] == 0


def test_what_holds_it_back(nvml: dict[str, Any]) -> None:
    assert held_back_by(gpu_clocks(UUID)) == []
    nvml["reasons"] = pynvml.nvmlClocksThrottleReasonSwPowerCap | pynvml.nvmlClocksThrottleReasonHwThermalSlowdown
    clocks = gpu_clocks(UUID)
    assert (clocks["gpu_hertz"], clocks["gpu_memory_hertz"]) == (1.98e9, 3.201e9)
    assert clocks["gpu_throttle_SwPowerCap"] == 1
    assert held_back_by(clocks) == ["HwThermalSlowdown"]
    assert held_back_by({f"{name}_before": value for name, value in clocks.items()}) == ["HwThermalSlowdown"]
    assert provenance.clocks(UUID) is not None


def test_a_gpu_that_nobody_knows(nvml: dict[str, Any]) -> None:
    assert gpu_clocks("other") == {}
    assert gpu_setting("other") == {"uuid": "other"}
    assert nvml["open"] == 0
