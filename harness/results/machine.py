"""What machine this is, under a name that stays the same: hardware is part of every record's key.

The name is made of processor, cores and GPU, never of a host name or a path. Must not import torch: a plan needs
the name long before anything runs.
"""

from __future__ import annotations

import functools
import os
import platform
import re
from pathlib import Path

import psutil

from harness.results.record import Machine

__all__ = ["MACHINE_VARIABLE", "this_machine"]

MACHINE_VARIABLE = "SPIKEBOARD_MACHINE"
"""Environment variable that replaces the name made from the hardware."""


@functools.lru_cache(maxsize=1)
def this_machine() -> Machine:
    """Describe this machine; the name is `SPIKEBOARD_MACHINE` if set, else made from the hardware."""
    cpu = _cpu_model()
    cores = psutil.cpu_count(logical=False) or os.cpu_count() or 1
    gpu, driver = _gpu()
    made = "-".join(part for part in (_slug(gpu or ""), _slug(cpu), f"{cores}c") if part)
    return Machine(
        name=_slug(os.environ.get(MACHINE_VARIABLE, "")) or made,
        cpu=cpu,
        physical_cores=cores,
        logical_cores=psutil.cpu_count() or cores,
        memory_bytes=psutil.virtual_memory().total,
        gpu=gpu,
        gpu_driver=driver,
        os=f"{platform.system()} {platform.machine()}",
        python=platform.python_version(),
    )


def _cpu_model() -> str:
    try:
        for line in Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines():
            if line.startswith("model name"):
                return " ".join(line.partition(":")[2].split())
    except OSError:
        pass
    return platform.processor() or platform.machine()


def _gpu() -> tuple[str | None, str | None]:
    """Return model and driver of the first GPU, or two Nones."""
    import pynvml

    try:
        pynvml.nvmlInit()
    except pynvml.NVMLError:
        return None, None
    try:
        if pynvml.nvmlDeviceGetCount() == 0:
            return None, None
        handle = pynvml.nvmlDeviceGetHandleByIndex(0)
        return str(pynvml.nvmlDeviceGetName(handle)), str(pynvml.nvmlSystemGetDriverVersion())
    except pynvml.NVMLError:
        return None, None
    finally:
        pynvml.nvmlShutdown()


def _slug(text: str) -> str:
    return re.sub(r"[^a-z0-9]+", "-", text.lower()).strip("-")
