"""Is this machine quiet enough to time anything on it; what is not, and what its user can do about each.

For runs that must not begin otherwise (``--require-quiet``). Must not measure, nor know what will be.
"""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from harness.execute.leases import Gpu
from harness.measure.neighbours import Load, Watch
from harness.results.gpu import USUAL
from harness.results.record import GpuState, RunnerState
from harness.results.runner import processes_on, runner_state

__all__ = ["Disturbance", "Look", "disturbances", "look_around", "unknowns"]

LOOK_SECONDS = 1.0
STEADY = "performance"
"""The governor under which a processor's clock does not wait for load."""
WORKING_FRACTION = 0.05
"""Of its time, from which on a GPU works for somebody."""


@dataclass(frozen=True, slots=True)
class Look:
    """What was seen."""

    load: Load
    state: RunnerState
    names: Sequence[str]
    """Of the state's GPUs, for a reader: model and UUID."""
    processes: Sequence[Sequence[tuple[str, int]]]
    """(name, process id) of others on each of them."""


@dataclass(frozen=True, slots=True)
class Disturbance:
    """One thing that is not quiet."""

    what: str
    remedy: str
    """What to do about it, often a command."""


def look_around(gpus: Sequence[Gpu] = (), seconds: float = LOOK_SECONDS) -> Look:
    """Watch this machine for a while, with those of its GPUs that will be used."""
    watch = Watch()
    time.sleep(seconds)
    load = watch.load()
    state = runner_state(gpu.uuid for gpu in gpus)
    models = {gpu.uuid: gpu.name for gpu in gpus}
    seen = [gpu.uuid for gpu in state.gpus]
    return Look(load, state, [f"{models[uuid]} ({uuid})" for uuid in seen], [processes_on(uuid) for uuid in seen])


def disturbances(look: Look) -> list[Disturbance]:
    """Return what is not quiet; what the system does not tell is not held against it."""
    found = []
    if not look.load.quiet:
        found.append(Disturbance(f"{look.load}", "wait for them, or end them"))
    if others := [name for name in look.state.cpu_governors if name != STEADY]:
        found.append(
            Disturbance(
                f"the processors' governor is {' and '.join(others)}: their clock follows the load",
                f"sudo cpupower frequency-set --governor {STEADY}",
            )
        )
    for gpu, name, processes in zip(look.state.gpus, look.names, look.processes, strict=True):
        found += _of_gpu(gpu, name, processes)
    return found


def unknowns(look: Look) -> list[str]:
    """Return what of all this the system does not tell."""
    found = [] if look.state.cpu_governors else ["the processors' governor"]
    for gpu, name in zip(look.state.gpus, look.names, strict=True):
        if gpu.clocks_locked is None:
            found.append(f"whether the clocks of {name} are locked")
        if gpu.other_processes is None:
            found.append(f"what else is on {name}")
    return found


def _of_gpu(gpu: GpuState, name: str, processes: Sequence[tuple[str, int]]) -> Iterator[Disturbance]:
    named = ", ".join(f"{process} {pid}" for process, pid in processes)
    if processes:
        yield Disturbance(f"other processes are on {name}: {named}", "end them, or name another GPU with --device")
    elif (gpu.utilization_fraction or 0) > WORKING_FRACTION:
        yield Disturbance(
            f"{name} works {gpu.utilization_fraction:.0%} of the time, for processes that cannot be seen from here",
            "look for them from outside of this container (nvidia-smi), or name another GPU with --device",
        )
    if gpu.clocks_locked is False:
        yield Disturbance(
            f"the clocks of {name} are not locked: they follow load and temperature",
            f"sudo nvidia-smi -i {gpu.uuid} --persistence-mode=1, then sudo nvidia-smi -i {gpu.uuid} "
            "--lock-gpu-clocks=MHZ,MHZ with a clock that it can keep (nvidia-smi -q -d SUPPORTED_CLOCKS)",
        )
    if reasons := sorted(set(gpu.held_back_by).difference(USUAL)):
        warm = "" if gpu.temperature_celsius is None else f", at {gpu.temperature_celsius:.0f} degrees Celsius"
        yield Disturbance(
            f"{name} is held back ({', '.join(reasons)}{warm})",
            "let it cool down; if that does not help, look at its cooling and its power supply "
            "(nvidia-smi -q -d PERFORMANCE,TEMPERATURE,POWER)",
        )
