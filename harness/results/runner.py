"""The state of a machine before something is timed: governor, boost, load; clocks, heat and company of its GPUs.

It explains a figure afterwards, and says beforehand whether there is any sense in measuring. Nothing here decides
whether a figure counts. Must not import torch, nor initialise CUDA: a GPU is asked through NVML.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any, TypeVar

import psutil

from harness.results.gpu import THROTTLES, asked_of_gpu
from harness.results.record import GpuState, RunnerState
from harness.results.resources import allowed_cpus

__all__ = ["gpu_state", "processes_on", "runner_state"]

SYSFS = Path("/sys/devices/system/cpu")
T = TypeVar("T")


def runner_state(gpus: Iterable[str] = (), locked: Mapping[str, bool | None] | None = None) -> RunnerState:
    """Look at this machine now.

    Parameters
    ----------
    gpus : UUIDs of the GPUs to ask; one that nobody knows is left out.
    locked : what was found of the clocks of GPUs while they were idle, by UUID: a busy one does not tell any more.
    """
    known = locked or {}
    states = [state for uuid in gpus if (state := gpu_state(uuid)) is not None]
    return RunnerState(
        cpu_governors=_governors(),
        cpu_boost=_boost(),
        load_average=_load_average(),
        gpus=tuple(
            state.model_copy(update={"clocks_locked": known[state.uuid]}) if state.uuid in known else state
            for state in states
        ),
    )


def gpu_state(uuid: str) -> GpuState | None:
    """Return what NVML says of the GPU `uuid` now; None if there is none, or nobody to ask."""
    with asked_of_gpu(uuid) as (nvml, gpu):
        if nvml is None:
            return None
        reasons = _told(nvml, lambda: int(nvml.nvmlDeviceGetCurrentClocksThrottleReasons(gpu)))
        hertz = _told(nvml, lambda: nvml.nvmlDeviceGetClockInfo(gpu, nvml.NVML_CLOCK_SM) * 1e6)
        used = _told(nvml, lambda: nvml.nvmlDeviceGetUtilizationRates(gpu).gpu / 100)
        others = _others(nvml, gpu)
        return GpuState(
            uuid=uuid,
            clocks_locked=_locked(nvml, gpu, reasons, idle=used == 0 and not others),
            sm_hertz=hertz,
            held_back_by=tuple(
                name for name in THROTTLES if (reasons or 0) & getattr(nvml, f"nvmlClocksThrottleReason{name}")
            ),
            temperature_celsius=_told(
                nvml, lambda: float(nvml.nvmlDeviceGetTemperature(gpu, nvml.NVML_TEMPERATURE_GPU))
            ),
            ecc=_told(nvml, lambda: bool(nvml.nvmlDeviceGetEccMode(gpu)[0])),
            uncorrected_errors=_told(
                nvml,
                lambda: int(
                    nvml.nvmlDeviceGetTotalEccErrors(
                        gpu, nvml.NVML_MEMORY_ERROR_TYPE_UNCORRECTED, nvml.NVML_VOLATILE_ECC
                    )
                ),
            ),
            persistence=_told(nvml, lambda: bool(nvml.nvmlDeviceGetPersistenceMode(gpu))),
            utilization_fraction=used,
            other_processes=None if others is None else len(others),
        )


def processes_on(uuid: str) -> list[tuple[str, int]]:
    """Return (name, process id) of the processes that are on the GPU `uuid` and not of this one's family."""
    with asked_of_gpu(uuid) as (nvml, gpu):
        return [] if nvml is None else [(_name(pid), pid) for pid in _others(nvml, gpu) or ()]


def _locked(nvml: Any, gpu: Any, reasons: int | None, idle: bool) -> bool | None:
    """Say whether the clocks were set by somebody; None where that cannot be told.

    NVML has no question for locked clocks. Application clocks that are not the default ones are set; and an idle GPU
    says that its clock has fallen for that reason, unless it is locked.
    """
    with suppress(nvml.NVMLError):
        now = nvml.nvmlDeviceGetApplicationsClock(gpu, nvml.NVML_CLOCK_SM)
        if now != nvml.nvmlDeviceGetDefaultApplicationsClock(gpu, nvml.NVML_CLOCK_SM):
            return True
    if reasons is None:
        return None
    if reasons & nvml.nvmlClocksThrottleReasonGpuIdle:
        return False
    return True if idle else None


def _others(nvml: Any, gpu: Any) -> list[int] | None:
    """Return the processes on a GPU but for this one and its descendants; None if the driver does not tell."""
    own = {os.getpid()}
    with suppress(psutil.Error):
        own |= {child.pid for child in psutil.Process().children(recursive=True)}
    found: set[int] | None = None
    for ask in (nvml.nvmlDeviceGetComputeRunningProcesses, nvml.nvmlDeviceGetGraphicsRunningProcesses):
        processes = _told(nvml, lambda ask=ask: ask(gpu))  # type: ignore[misc]
        if processes is not None:
            found = (found or set()) | {int(one.pid) for one in processes}
    return None if found is None else sorted(found - own)


def _name(pid: int) -> str:
    with suppress(psutil.Error):
        return str(psutil.Process(pid).name())
    return "process"  # of another container, or over meanwhile


def _told(nvml: Any, ask: Callable[[], T]) -> T | None:
    with suppress(nvml.NVMLError):
        return ask()
    return None


def _governors() -> tuple[str, ...]:
    texts = (_text(SYSFS / f"cpu{cpu}" / "cpufreq" / "scaling_governor") for cpu in allowed_cpus())
    return tuple(sorted({text for text in texts if text}))


def _boost() -> bool | None:
    if forbidden := _text(SYSFS / "intel_pstate" / "no_turbo"):
        return forbidden == "0"
    allowed = _text(SYSFS / "cpufreq" / "boost")
    return allowed == "1" if allowed else None


def _text(path: Path) -> str:
    try:
        return path.read_text(encoding="ascii", errors="replace").strip()
    except OSError:
        return ""


def _load_average() -> float | None:
    try:
        return float(os.getloadavg()[0])
    except (OSError, AttributeError):  # what is no Unix has none
        return None
