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
import unicodedata
from pathlib import Path

from harness.defaults import defaults
from harness.errors import UserError
from harness.results.record import Machine
from harness.results.resources import this_process_may_use

__all__ = ["MACHINE_VARIABLE", "this_machine"]

MACHINE_VARIABLE = "SPIKEBOARD_MACHINE"
"""Environment variable that replaces the name made from the hardware."""
LONGEST_NAME = 64


@functools.lru_cache(maxsize=1)
def this_machine() -> Machine:
    """Describe what this process may use; the name is the one given, else made from the hardware.

    It is given by `SPIKEBOARD_MACHINE`, or by ``spikeboard.toml``.

    Where that is fewer cores than the machine has, the name ends in "1of2c", also one that is set.

    Raises
    ------
    UserError
        If the name that is set has no letter or digit, or too many.
    """
    cpu = _cpu_model()
    usable = this_process_may_use()
    part_of = f"{usable.physical_cores}of{usable.machine_cores}c" if usable.restricted else ""
    cores = part_of or f"{usable.physical_cores}c"
    gpu, driver = _gpu()
    made = "-".join(part for part in (_slug(gpu or ""), _slug(cpu), cores) if part)
    given = _given()
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
        for line in Path("/proc/cpuinfo").read_text(encoding="utf-8", errors="replace").splitlines():
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


def _given() -> str:
    """Return the name that the user gave, in whatever script, as one word; empty: none."""
    # Bytes first: where the locale is not that of the name, Python has not understood it.
    given = os.fsencode(os.environ.get(MACHINE_VARIABLE, "")).decode("utf-8", "replace").strip()
    said_by = MACHINE_VARIABLE
    if not given and (own := defaults()).machine:
        given, said_by = own.machine or "", f"{own.path}: machine"
    name = _slug(given)
    if given and not 0 < len(name) <= LONGEST_NAME:
        raise UserError(
            f"{said_by} is {given!r}: a name of a machine has 1 to {LONGEST_NAME} letters and digits",
            "choose another, or leave it unset: the name is then made from the hardware",
        )
    return name


def _slug(text: str) -> str:
    """Return the letters and digits of any script, in lower case, with single hyphens for all between them."""
    return re.sub(r"[\W_]+", "-", unicodedata.normalize("NFKC", text).casefold()).strip("-")
