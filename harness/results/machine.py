"""What machine this is, under a name that stays the same: hardware is part of every record's key.

The name is made of processor, cores and GPU, never of a host name or a path. Fewer cores than the machine has, by
affinity or quota, make another machine of it. Must not import torch: a plan needs
the name long before anything runs.
"""

from __future__ import annotations

import functools
import os
import platform
import re
from pathlib import Path

from harness.results.record import Machine
from harness.results.resources import this_process_may_use

__all__ = ["MACHINE_VARIABLE", "this_machine"]

MACHINE_VARIABLE = "SPIKEBOARD_MACHINE"
"""Environment variable that replaces the name made from the hardware."""


@functools.lru_cache(maxsize=1)
def this_machine() -> Machine:
    """Describe what this process may use; the name is `SPIKEBOARD_MACHINE` if set, else made from the hardware.

    Where that is fewer cores than the machine has, the name ends in "1of2c", also one that is set.
    """
    cpu = _cpu_model()
    usable = this_process_may_use()
    part_of = f"{usable.physical_cores}of{usable.machine_cores}c" if usable.restricted else ""
    cores = part_of or f"{usable.physical_cores}c"
    gpu, driver = _gpu()
    made = "-".join(part for part in (_slug(gpu or ""), _slug(cpu), cores) if part)
    given = _slug(os.environ.get(MACHINE_VARIABLE, ""))
    return Machine(
        name="-".join(filter(None, (given, part_of))) if given else made,
        cpu=cpu,
        physical_cores=usable.physical_cores,
        logical_cores=usable.logical_cores,
        memory_bytes=usable.memory_bytes,
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
