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
build_neuron("lif", backend="fused-numba")(torch.rand(4, 2))
import numba
print(torch.get_num_threads(), numba.get_num_threads())
"""


@pytest.mark.skipif((os.cpu_count() or 1) < 2, reason="one core: there is nothing to change to")
def test_torch_keeps_its_threads() -> None:
    # Starting Numba's threads sets those of OpenMP, which are torch's too; that happens once a process.
    ended = subprocess.run([sys.executable, "-c", FIRST_USE], capture_output=True, text=True, check=True)
    assert ended.stdout.split() == ["1", "1"]
