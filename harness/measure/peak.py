"""Peak memory of a region: what the system (or the CUDA allocator) sees, above what was there before.

One region per process: the pages that an earlier one left behind would be reused unseen. So it is repeated in processes
of their own, forked before anything has run. Must not know what runs.
"""

from __future__ import annotations

import ctypes
import gc
import multiprocessing
import signal
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Literal

import psutil
import torch

__all__ = ["PeakMemory", "peak_bytes", "repeated"]

PROCESS = Path("/proc/self")
RESET_HIGH_WATER_MARK = "5"
SAMPLING_SECONDS = 0.001
LONGEST_SECONDS, GRACE_SECONDS = 300.0, 5.0
"""How long a repetition may take, and how long a process that has said nothing is waited for."""

How = Literal["high-water mark", "sampled resident set", "CUDA allocator"]


@dataclass(frozen=True, slots=True)
class PeakMemory:
    """The highest memory of a region."""

    peak_bytes: int
    """Above the baseline."""
    baseline_bytes: int
    """Held when the region began."""
    how: How
    """How it was seen; a sampled peak may miss what lives shorter than a millisecond."""
    reserved_bytes: int | None = None
    """On a GPU: the most that the caching allocator held, baseline included: what other users of the card lose."""


def peak_bytes(function: Callable[[], object], device: torch.device | str = "cpu") -> PeakMemory:
    """Run `function` once in this process and return its peak memory on `device`.

    Warm it up before: the first iteration of an optimizer allocates its state. On a CPU the heap is trimmed first, so
    that freed pages of the warm-up are not taken for the region's; the process should be a fresh one all the same.
    """
    where = torch.device(device)
    gc.collect()
    if where.type == "cuda":
        return _cuda_peak(function, where)
    _trim_heap()
    return _marked_peak(function) if _reset_high_water_mark() else _sampled_peak(function)


def repeated(measured: Callable[[], PeakMemory], times: int) -> list[PeakMemory]:
    """Call `measured` in `times` fresh processes, one after the other, and return what each of them saw.

    They are forks of this one, so call it before anything large, or anything on a GPU, has run here; where CUDA is at
    work already, which no fork may touch, or where there is no fork, it is called once, in this process. On a CPU they
    use one thread: a fork has none of the threads that a pool of OpenMP believes to have, and would wait for them.

    Raises
    ------
    MemoryError
        If a process was killed: for want of memory, as far as anybody can tell.
    Exception
        What `measured` raised, and RuntimeError if a process ended without a word.
    """
    if "fork" not in multiprocessing.get_all_start_methods() or torch.cuda.is_initialized():
        return [measured()]
    return [_in_a_fork(measured) for _ in range(times)]


def _in_a_fork(measured: Callable[[], PeakMemory]) -> PeakMemory:
    context = multiprocessing.get_context("fork")
    receiver, sender = context.Pipe(duplex=False)
    process = context.Process(target=_send, args=(measured, sender))
    process.start()
    sender.close()
    try:
        found = receiver.recv() if receiver.poll(LONGEST_SECONDS) else None
    except EOFError:
        found = None
    if found is None and process.is_alive():
        process.join(GRACE_SECONDS)
        process.terminate()
    process.join()
    if isinstance(found, PeakMemory):
        return found
    if isinstance(found, BaseException):
        raise found
    if process.exitcode == -signal.SIGKILL:
        raise MemoryError("a process that repeats the measurement of the peak was killed")
    raise RuntimeError(f"a process that repeats the measurement of the peak ended with {process.exitcode}")


def _send(measured: Callable[[], PeakMemory], sender: Connection) -> None:
    torch.set_num_threads(1)
    try:
        sender.send(measured())
    except BaseException as error:
        try:
            sender.send(error)
        except Exception:  # what cannot be pickled can at least be told
            sender.send(RuntimeError(f"{type(error).__name__}: {error}"))


def _cuda_peak(function: Callable[[], object], device: torch.device) -> PeakMemory:
    torch.cuda.synchronize(device)
    torch.cuda.empty_cache()
    torch.cuda.reset_peak_memory_stats(device)
    baseline = torch.cuda.memory_allocated(device)
    function()
    torch.cuda.synchronize(device)
    peak = torch.cuda.max_memory_allocated(device)
    return PeakMemory(peak - baseline, baseline, "CUDA allocator", torch.cuda.max_memory_reserved(device))


def _marked_peak(function: Callable[[], object]) -> PeakMemory:
    baseline = _status_bytes("VmRSS")
    function()
    return PeakMemory(max(0, _status_bytes("VmHWM") - baseline), baseline, "high-water mark")


def _sampled_peak(function: Callable[[], object]) -> PeakMemory:
    process = psutil.Process()
    baseline = int(process.memory_info().rss)
    with _sampling(lambda: int(process.memory_info().rss)) as seen:
        function()
    return PeakMemory(max(0, max(seen) - baseline), baseline, "sampled resident set")


@contextmanager
def _sampling(read: Callable[[], int]) -> Iterator[list[int]]:
    """Read in a thread every millisecond, and once before and after."""
    seen, done = [read()], threading.Event()

    def sample() -> None:
        while not done.wait(SAMPLING_SECONDS):
            seen.append(read())

    thread = threading.Thread(target=sample, daemon=True)
    thread.start()
    try:
        yield seen
    finally:
        done.set()
        thread.join()
        seen.append(read())


def _reset_high_water_mark() -> bool:
    """Set Linux's record of the largest resident set to the present one; whether that could be done."""
    try:
        (PROCESS / "clear_refs").write_text(RESET_HIGH_WATER_MARK)
        return _status_bytes("VmHWM") > 0
    except OSError:
        return False


def _status_bytes(name: str) -> int:
    for line in (PROCESS / "status").read_text().splitlines():
        key, _, value = line.partition(":")
        if key == name:
            return int(value.split()[0]) * 1024
    raise OSError(f"{PROCESS / 'status'} has no {name}")


def _trim_heap() -> None:
    """Give freed pages back to the system, where the allocator is one that can be asked (glibc)."""
    trim = getattr(ctypes.CDLL(None), "malloc_trim", None) if sys.platform == "linux" else None
    if trim is not None:
        trim(0)
