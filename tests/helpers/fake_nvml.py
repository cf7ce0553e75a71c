"""A stand-in for NVML: GPUs that are not there, and what they answer."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from types import SimpleNamespace
from typing import Any

import pynvml
import pytest

__all__ = ["FakeGpu", "install"]

SILENT = "silent"
"""Of an answer: the driver does not support the question."""


@dataclass
class FakeGpu:
    """A GPU; any answer may be `SILENT`."""

    uuid: str = "GPU-0af3"
    name: str = "NVIDIA Example"
    reasons: Any = 0
    clock: Any = 1980
    application_clocks: Any = SILENT
    """(set, default)."""
    temperature: Any = 41
    ecc: Any = (1, 1)
    errors: Any = 0
    persistence: Any = 1
    utilization: Any = 0
    compute: Any = field(default_factory=tuple)
    graphics: Any = field(default_factory=tuple)


def install(monkeypatch: pytest.MonkeyPatch, *gpus: FakeGpu) -> None:
    """Let pynvml know `gpus` and no others."""
    by_uuid = {gpu.uuid: gpu for gpu in gpus}

    def handle(uuid: str) -> FakeGpu:
        if uuid not in by_uuid:
            raise pynvml.NVMLError(pynvml.NVML_ERROR_NOT_FOUND)
        return by_uuid[uuid]

    def answer(of: Callable[[FakeGpu], Any], shape: Callable[[Any], Any] = lambda value: value) -> Callable[..., Any]:
        def ask(gpu: FakeGpu, *_: object) -> Any:
            value = of(gpu)
            if value == SILENT:
                raise pynvml.NVMLError(pynvml.NVML_ERROR_NOT_SUPPORTED)
            return shape(value)

        return ask

    def processes(pids: Any) -> list[SimpleNamespace]:
        return [SimpleNamespace(pid=pid) for pid in pids]

    replacements = {
        "nvmlInit": lambda: None,
        "nvmlShutdown": lambda: None,
        "nvmlDeviceGetCount": lambda: len(gpus),
        "nvmlDeviceGetHandleByIndex": lambda index: gpus[index],
        "nvmlDeviceGetHandleByUUID": handle,
        "nvmlDeviceGetUUID": answer(lambda gpu: gpu.uuid),
        "nvmlDeviceGetName": answer(lambda gpu: gpu.name),
        "nvmlDeviceGetMemoryInfo": answer(lambda _: SimpleNamespace(total=2**34)),
        "nvmlDeviceGetCurrentClocksThrottleReasons": answer(lambda gpu: gpu.reasons),
        "nvmlDeviceGetClockInfo": answer(lambda gpu: gpu.clock),
        "nvmlDeviceGetApplicationsClock": answer(lambda gpu: gpu.application_clocks, lambda pair: pair[0]),
        "nvmlDeviceGetDefaultApplicationsClock": answer(lambda gpu: gpu.application_clocks, lambda pair: pair[1]),
        "nvmlDeviceGetTemperature": answer(lambda gpu: gpu.temperature),
        "nvmlDeviceGetEccMode": answer(lambda gpu: gpu.ecc),
        "nvmlDeviceGetTotalEccErrors": answer(lambda gpu: gpu.errors),
        "nvmlDeviceGetPersistenceMode": answer(lambda gpu: gpu.persistence),
        "nvmlDeviceGetUtilizationRates": answer(lambda gpu: gpu.utilization, lambda value: SimpleNamespace(gpu=value)),
        "nvmlDeviceGetComputeRunningProcesses": answer(lambda gpu: gpu.compute, processes),
        "nvmlDeviceGetGraphicsRunningProcesses": answer(lambda gpu: gpu.graphics, processes),
    }
    for name, replacement in replacements.items():
        monkeypatch.setattr(pynvml, name, replacement)
