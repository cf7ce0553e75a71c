"""What NVML says of one GPU: which it is, how it is set, how fast it runs now and what holds it back.

Asked of the GPU by its UUID, because NVML's numbers are not those of a process that sees only some GPUs. Must not
import torch.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from typing import Any

__all__ = ["THROTTLES", "USUAL", "asked_of_gpu", "gpu_clocks", "gpu_setting", "held_back_by"]

THROTTLES = ("SwPowerCap", "HwSlowdown", "SwThermalSlowdown", "HwThermalSlowdown", "HwPowerBrakeSlowdown")
"""NVML's reasons for a lower clock that a reader must know of."""
USUAL = ("SwPowerCap",)
"""Of these the one that a GPU at full work runs into anyway: noted, but no reason to doubt a time."""
_PREFIX = "gpu_throttle_"


def gpu_clocks(uuid: str) -> dict[str, float]:
    """Return clock rates in hertz and throttle flags of the GPU `uuid`, as torch names it; empty if nobody tells."""
    with asked_of_gpu(uuid) as (nvml, gpu):
        if nvml is None:
            return {}
        found: dict[str, float] = {}
        with suppress(nvml.NVMLError):
            found["gpu_hertz"] = nvml.nvmlDeviceGetClockInfo(gpu, nvml.NVML_CLOCK_SM) * 1e6
            found["gpu_memory_hertz"] = nvml.nvmlDeviceGetClockInfo(gpu, nvml.NVML_CLOCK_MEM) * 1e6
            reasons = nvml.nvmlDeviceGetCurrentClocksThrottleReasons(gpu)
            for name in THROTTLES:
                found[_PREFIX + name] = float(bool(reasons & getattr(nvml, f"nvmlClocksThrottleReason{name}")))
        return found


def gpu_setting(uuid: str) -> dict[str, str | float]:
    """Return identity, memory, power limit, MIG and driver's CUDA of the GPU `uuid`, as far as it tells."""
    with asked_of_gpu(uuid) as (nvml, gpu):
        if nvml is None:
            return {"uuid": uuid}
        asked: Mapping[str, Callable[[], str | float]] = {
            "uuid": lambda: str(nvml.nvmlDeviceGetUUID(gpu)),
            "name": lambda: str(nvml.nvmlDeviceGetName(gpu)),
            "memory_bytes": lambda: float(nvml.nvmlDeviceGetMemoryInfo(gpu).total),
            "power_limit_watts": lambda: nvml.nvmlDeviceGetEnforcedPowerLimit(gpu) / 1e3,
            "mig": lambda: float(nvml.nvmlDeviceGetMigMode(gpu)[0]),
            "driver_cuda": lambda: _version(nvml.nvmlSystemGetCudaDriverVersion()),
        }
        found = {}
        for name, ask in asked.items():
            with suppress(nvml.NVMLError):
                found[name] = ask()
        return found


def held_back_by(clocks: Mapping[str, float]) -> list[str]:
    """Return the reasons among `clocks` for which a GPU ran slower than it could, but for the usual ones."""
    reasons = {name.removeprefix(_PREFIX).partition("_")[0] for name, set_ in clocks.items() if _is_flag(name) and set_}
    return sorted(reasons.difference(USUAL))


def _is_flag(name: str) -> bool:
    return name.startswith(_PREFIX)


def _version(number: int) -> str:
    return f"{number // 1000}.{number % 1000 // 10}"


@contextmanager
def asked_of_gpu(uuid: str) -> Iterator[tuple[Any, Any]]:
    """Yield NVML and its handle of a GPU; None and None where there is no such GPU, or nobody to ask."""
    import pynvml

    try:
        pynvml.nvmlInit()
    except pynvml.NVMLError:
        yield None, None
        return
    try:
        found: tuple[Any, Any] = None, None
        with suppress(pynvml.NVMLError):
            name = uuid if uuid.startswith(("GPU-", "MIG-")) else f"GPU-{uuid}"
            found = pynvml, pynvml.nvmlDeviceGetHandleByUUID(name)
        yield found
    finally:
        pynvml.nvmlShutdown()
