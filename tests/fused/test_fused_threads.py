"""The fused backend works with the threads that torch was given, and gives it no others."""

from __future__ import annotations

import os
import subprocess
import sys

import pytest

FIRST_USE = """
import os
os.environ["OMP_NUM_THREADS"] = "1"
import torch
from reference_impls.api import build_neuron
lif = build_neuron("lif", backend="fused-numba")
started = len(os.listdir("/proc/self/task"))
for threads in (1, 2):
    torch.set_num_threads(threads)
    lif(torch.rand(4, 2000))
    print(torch.get_num_threads(), len(os.listdir("/proc/self/task")) - started)
"""


@pytest.mark.skipif((os.cpu_count() or 1) < 2, reason="one core: there is nothing to change to")
@pytest.mark.skipif(not os.path.isdir("/proc/self/task"), reason="only Linux lists the threads of a process")
def test_kernels_take_the_threads_of_torch() -> None:
    # Starting Numba's threads sets those of OpenMP, which are torch's too; that happens once a process.
    ended = subprocess.run([sys.executable, "-c", FIRST_USE], capture_output=True, text=True, check=True)
    assert ended.stdout.split() == ["1", "0", "2", "1"]


AT_ONCE = """
import threading, torch
from reference_impls.api import build_neuron
torch.set_num_threads(2)
neuron = build_neuron("lif", backend="fused-numba")
inputs = [3 * torch.rand(8, 16, 300 * (number + 1)) for number in range(4)]
expected = [neuron(x) for x in inputs]
wrong = []
def call(x, spikes):
    wrong.extend(None for _ in range(100) if not torch.equal(neuron(x), spikes))
threads = [threading.Thread(target=call, args=pair) for pair in zip(inputs, expected)]
[thread.start() for thread in threads]
[thread.join() for thread in threads]
print(len(wrong))
"""


@pytest.mark.parametrize("layer", [pytest.param("default", marks=pytest.mark.slow), "workqueue"])
def test_threads_may_call_kernels_at_once(layer: str) -> None:
    # Numba's own layer, which it falls back to where there is no OpenMP, ends a process that does.
    environment = {**os.environ, "NUMBA_THREADING_LAYER": layer}
    command = [sys.executable, "-c", AT_ONCE]
    ended = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=200)
    assert ended.stdout.split() == ["0"], ended.stderr
