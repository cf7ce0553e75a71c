"""Peak memory of real processes whose peak is known, sampled or read off, on CPU and GPU."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import textwrap
import threading
from collections.abc import Callable
from pathlib import Path

import pytest
import torch

from harness.errors import UserError
from harness.measure import peak
from harness.measure.peak import PeakMemory, peak_bytes, repeated

SIZE = 200 * 2**20
REGIONS = {
    "one large tensor": """
        def region():
            torch.ones(200 * 2**18)
    """,
    "many small tensors that an earlier run has freed": """
        def region():
            [torch.ones(2**10) for _ in range(200 * 2**8)]
        region()
    """,
    "after a larger region": """
        torch.ones(400 * 2**18)
        def region():
            torch.ones(200 * 2**18)
    """,
}


def peak_in_fresh_process(region: str, before: str = "") -> PeakMemory:
    # A first tensor, large enough for all threads: the code that it makes the system load is no memory of the region.
    script = (
        "import torch\nfrom harness.measure import peak\ntorch.ones(2**20)\n"
        + textwrap.dedent(before)
        + textwrap.dedent(region)
    )
    done = subprocess.run(
        [sys.executable, "-c", script + "\nprint(repr(peak.peak_bytes(region)))"],
        capture_output=True,
        text=True,
        check=True,
        timeout=120,
    )
    found = eval(done.stdout, {"PeakMemory": PeakMemory})
    assert isinstance(found, PeakMemory)
    return found


@pytest.mark.skipif(not Path("/proc/self/clear_refs").exists(), reason="needs Linux's high-water mark")
@pytest.mark.parametrize("region", list(REGIONS))
def test_peak_of_a_process_is_what_the_region_touched(region: str) -> None:
    found = peak_in_fresh_process(REGIONS[region])
    assert found.how == "high-water mark"
    # A small tensor weighs more than its data: its Python object and the allocator's header.
    assert found.peak_bytes == pytest.approx(SIZE, rel=0.15 if "small" in region else 0.03)
    assert found.baseline_bytes > 20 * 2**20
    assert found.reserved_bytes is None


def test_peak_is_sampled_where_there_is_no_high_water_mark() -> None:
    elsewhere = """
        from pathlib import Path
        peak.PROCESS = Path("nowhere")
    """
    region = """
        import time
        def region():
            held = torch.ones(200 * 2**18)
            time.sleep(0.1)
    """
    found = peak_in_fresh_process(region, elsewhere)
    assert found.how == "sampled resident set"
    assert found.peak_bytes == pytest.approx(SIZE, rel=0.03)


def test_sampling_stops_when_the_region_fails() -> None:
    reads: list[int] = []
    threads = threading.active_count()

    def read() -> int:
        reads.append(len(reads))
        return len(reads)

    with pytest.raises(ZeroDivisionError), peak._sampling(read):
        1 / 0  # noqa: B018
    assert threading.active_count() == threads
    assert len(reads) >= 2, "one before and one after at least"


def test_gpu_peak_is_the_allocators_above_the_baseline(monkeypatch: pytest.MonkeyPatch) -> None:
    log: list[str] = []

    def note(name: str, value: int | None = None) -> Callable[..., int | None]:
        def call(*_: object) -> int | None:
            log.append(name)
            return value

        return call

    for name, value in {
        "synchronize": None,
        "empty_cache": None,
        "reset_peak_memory_stats": None,
        "memory_allocated": 1000,
        "max_memory_allocated": 5000,
        "max_memory_reserved": 8192,
    }.items():
        monkeypatch.setattr(torch.cuda, name, note(name, value))
    found = peak_bytes(note("region"), "cuda")
    assert found == PeakMemory(4000, 1000, "CUDA allocator", 8192)
    assert log == [
        *("synchronize", "empty_cache", "reset_peak_memory_stats", "memory_allocated", "region"),
        *("synchronize", "max_memory_allocated", "max_memory_reserved"),
    ]


@pytest.mark.gpu
def test_gpu_peak_of_a_known_region() -> None:
    found = peak_bytes(lambda: torch.empty(SIZE, dtype=torch.int8, device="cuda"), "cuda")
    assert found.peak_bytes == SIZE
    assert found.reserved_bytes is not None
    assert found.reserved_bytes >= SIZE


def test_every_repetition_sees_a_process_of_its_own() -> None:
    def measured() -> PeakMemory:
        return PeakMemory(os.getpid(), 0, "high-water mark")

    found = [peak.peak_bytes for peak in repeated(measured, 3)]
    assert len({*found, os.getpid()}) == 4


def test_what_a_repetition_raises_is_raised_here() -> None:
    def refused() -> PeakMemory:
        raise UserError("no", "do something else")

    with pytest.raises(UserError, match="no"):
        repeated(refused, 2)


def test_a_repetition_that_is_killed_is_out_of_memory() -> None:
    def killed() -> PeakMemory:
        os.kill(os.getpid(), signal.SIGKILL)
        raise AssertionError

    with pytest.raises(MemoryError, match="was killed"):
        repeated(killed, 1)


def test_a_repetition_that_ends_without_a_word_is_an_error() -> None:
    def silent() -> PeakMemory:
        os._exit(3)

    with pytest.raises(RuntimeError, match="ended with 3"):
        repeated(silent, 1)
