"""Which cell has which GPU of this machine, and its share of the cores: leases, kept across runs by locks.

A cell that measures time or memory has its GPU to itself; others share one as far as their measured memory goes. A
lock on a file named by the GPU's UUID holds off other runs on this machine. Must not import torch, nor initialise CUDA:
the table of devices comes from NVML, or from a test.
"""

from __future__ import annotations

import contextlib
import fcntl
import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

from harness.errors import UserError
from harness.execute.job import Job
from harness.results.resources import allowed_cpus

__all__ = ["Gpu", "Lease", "Leases", "chosen_gpus", "gpu_indices", "visible_gpus"]

CUDA = "cuda"
VISIBLE = "CUDA_VISIBLE_DEVICES"
LOCKS = Path("/tmp")
"""Not the user's own: another user's run shall find the lock too."""
CONTEXT_BYTES = 1 << 30
"""What a process's CUDA context and libraries take beside what torch's allocator counts, generously."""
MARGIN = 1.25
"""Of the memory that cells of a kind held so far, which the next one may exceed."""


@dataclass(frozen=True, slots=True)
class Gpu:
    """A GPU as NVML sees it."""

    uuid: str
    name: str
    memory_bytes: int


@dataclass(frozen=True, slots=True)
class Lease:
    """A cell's right to a GPU."""

    gpu: Gpu
    cpus: tuple[int, ...] | None
    """Processors that go with the GPU; None: all, where it is the only one."""
    exclusive: bool
    memory_bytes: int
    """Of the GPU."""


@dataclass(slots=True)
class _Device:
    """A GPU, the cells on it, and this run's end of its lock."""

    gpu: Gpu
    cpus: tuple[int, ...] | None
    lock: int | None = None
    leases: dict[Job, Lease] = field(default_factory=dict)

    @property
    def free_bytes(self) -> int:
        return self.gpu.memory_bytes - sum(lease.memory_bytes for lease in self.leases.values())


class Leases:
    """The GPUs of one run.

    Parameters
    ----------
    gpus : that may be used; each gets the same share of the processors.
    folder : of the locks.
    cpus : processors to share out; None: those that this process may use.
    """

    def __init__(self, gpus: Sequence[Gpu] = (), folder: Path = LOCKS, cpus: Sequence[int] | None = None) -> None:
        shares = _shares(allowed_cpus() if cpus is None else cpus, len(gpus))
        self._devices = [_Device(gpu, share) for gpu, share in zip(gpus, shares, strict=True)]
        self._folder = folder
        self._peaks: dict[object, int] = {}
        """Most device memory that a cell of a kind has held, in this run."""

    @property
    def gpus(self) -> tuple[Gpu, ...]:
        """The GPUs, whoever has them now."""
        return tuple(device.gpu for device in self._devices)

    def governs(self, job: Job) -> bool:
        """Whether `job` needs a lease."""
        return bool(self._devices) and job.cell.device == CUDA

    def reserve(self, job: Job) -> bool:
        """Take a lease for `job`, if one can be had now; the same job may ask again."""
        if self.of(job) is not None:
            return True
        wanted = self._bytes(job)
        # The fullest that has room: large gaps are kept for what needs a GPU to itself.
        for device in sorted(self._devices, key=lambda device: device.free_bytes):
            need = device.gpu.memory_bytes if wanted is None else min(wanted, device.gpu.memory_bytes)
            if self._fits(job, device, need) and self._locked(device, job.exclusive):
                device.leases[job] = Lease(device.gpu, device.cpus, job.exclusive, need)
                return True
        return False

    def of(self, job: Job) -> Lease | None:
        """Return the lease of `job`."""
        return next((device.leases[job] for device in self._devices if job in device.leases), None)

    def give_back(self, job: Job, peak_bytes: int | None = None) -> None:
        """End the lease of `job`; `peak_bytes` is the device memory that it has held, if that was measured."""
        if peak_bytes is not None:
            kind = _kind(job)
            self._peaks[kind] = max(peak_bytes, self._peaks.get(kind, 0))
        for device in self._devices:
            if device.leases.pop(job, None) is not None and not device.leases:
                _unlock(device)

    def close(self) -> None:
        """End all leases."""
        for device in self._devices:
            device.leases.clear()
            _unlock(device)

    def _bytes(self, job: Job) -> int | None:
        """Return the device memory to set aside for `job`; None: all of a GPU, until one of its kind was measured."""
        peak = None if job.exclusive else self._peaks.get(_kind(job))
        return None if peak is None else int(MARGIN * peak) + CONTEXT_BYTES

    def _fits(self, job: Job, device: _Device, need: int) -> bool:
        if job.exclusive or any(lease.exclusive for lease in device.leases.values()):
            return not device.leases
        threads = sum(other.cell.threads for other in device.leases) + job.cell.threads
        crowded = device.leases and device.cpus is not None and threads > len(device.cpus)
        return need <= device.free_bytes and not crowded

    def _locked(self, device: _Device, exclusive: bool) -> bool:
        """Take the lock of a device, or have it already; False if another run holds it."""
        if device.leases:
            return True
        handle = _opened(self._folder / f"spikeboard-{device.gpu.uuid}.lock")
        try:
            fcntl.flock(handle, (fcntl.LOCK_EX if exclusive else fcntl.LOCK_SH) | fcntl.LOCK_NB)
        except BlockingIOError:
            os.close(handle)
            return False
        device.lock = handle
        return True


def gpu_indices(device: str) -> Sequence[int] | None:
    """Return the numbers of the GPUs that `device` names (``cuda``: the first); None: all of them (``cuda:all``).

    For ``cpu`` there are none.

    Raises
    ------
    UserError
        If it names nothing that there could be.
    """
    names = [name.strip() for name in device.split(",")]
    if names == ["cpu"]:
        return ()
    if names == [f"{CUDA}:all"]:
        return None
    found = []
    for name in names:
        kind, colon, number = name.partition(":")
        if kind != CUDA or (colon and not (number.isascii() and number.isdigit())):
            raise UserError(
                f"unknown device {name!r}",
                "--device cpu, cuda (the first GPU), cuda:1, cuda:0,cuda:3 or cuda:all",
            )
        found.append(int(number) if colon else 0)
    if len(set(found)) < len(found):
        raise UserError(f"{device!r} names a GPU twice", "name each once")
    return found


def chosen_gpus(device: str, visible: Sequence[Gpu]) -> tuple[Gpu, ...]:
    """Return the GPUs among the `visible` that `device` names.

    Raises
    ------
    UserError
        If there are not so many, or they are of several models, which a run must not mix.
    """
    indices = gpu_indices(device)
    if indices == ():
        return ()
    if not visible:
        raise UserError(f"no CUDA device on this machine, and {device!r} was asked for", "say --device cpu")
    beyond = [index for index in indices or () if index >= len(visible)]
    if beyond:
        there = ", ".join(f"cuda:{index} ({gpu.name})" for index, gpu in enumerate(visible))
        raise UserError(f"there is no GPU cuda:{beyond[0]} on this machine", f"there is {there}")
    chosen = tuple(visible) if indices is None else tuple(visible[index] for index in indices)
    models = sorted({gpu.name for gpu in chosen})
    if len(models) > 1:
        raise UserError(
            f"{device} is of several models ({', '.join(models)}), and figures of one run are of one machine",
            "name the GPUs of one model: --device cuda:0,cuda:1",
        )
    return chosen


def visible_gpus(environment: Mapping[str, str] = os.environ) -> tuple[Gpu, ...]:
    """Return the GPUs that this process may use, in the order of NVML, or that of CUDA_VISIBLE_DEVICES if it is set."""
    import pynvml

    try:
        pynvml.nvmlInit()
    except pynvml.NVMLError:
        return ()
    try:
        handles = [pynvml.nvmlDeviceGetHandleByIndex(index) for index in range(pynvml.nvmlDeviceGetCount())]
        gpus = [
            Gpu(
                str(pynvml.nvmlDeviceGetUUID(handle)),
                str(pynvml.nvmlDeviceGetName(handle)),
                int(pynvml.nvmlDeviceGetMemoryInfo(handle).total),
            )
            for handle in handles
        ]
    except pynvml.NVMLError:
        return ()
    finally:
        pynvml.nvmlShutdown()
    return _allowed(gpus, environment.get(VISIBLE))


def _allowed(gpus: Sequence[Gpu], listed: str | None) -> tuple[Gpu, ...]:
    """Return those of `gpus` that CUDA_VISIBLE_DEVICES lists: as CUDA reads it, up to the first that is none."""
    if listed is None:
        return tuple(gpus)
    found: list[Gpu] = []
    for name in map(str.strip, listed.split(",")):
        by_number = name.isascii() and name.isdigit() and int(name) < len(gpus)
        if name.startswith("MIG-") and gpus:  # a part of one of them; which one only the driver knows
            gpu: Gpu | None = replace(gpus[0], uuid=name)
        else:
            by_uuid = (one for one in gpus if name and one.uuid.startswith(name))
            gpu = gpus[int(name)] if by_number else next(by_uuid, None)
        if gpu is None:
            break
        found.append(gpu)
    return tuple(found)


def _shares(cpus: Sequence[int], parts: int) -> list[tuple[int, ...] | None]:
    """Share processors out evenly; a single part is not bounded."""
    size = len(cpus) // parts if parts > 1 else 0
    return [tuple(cpus[part * size : (part + 1) * size]) if size else None for part in range(parts)]


def _kind(job: Job) -> object:
    """Return what cells that need the same memory have in common: all but the seed."""
    return replace(job.cell, seed=0)


def _opened(path: Path) -> int:
    """Open a lock file, which may be another user's."""
    with contextlib.suppress(FileExistsError):
        os.close(os.open(path, os.O_RDONLY | os.O_CREAT | os.O_EXCL, 0o444))
    try:
        return os.open(path, os.O_RDONLY)
    except OSError as error:
        raise UserError(f"the lock of a GPU cannot be opened: {error}", f"remove {path}") from error


def _unlock(device: _Device) -> None:
    if device.lock is not None:
        os.close(device.lock)
        device.lock = None
