"""The script for Slurm does what the documentation says of it, with real Ray and an allocation of this machine."""

from __future__ import annotations

import os
import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path

import pytest

from harness.results.store import Store

SCRIPT = Path(__file__).parents[3] / "docs" / "spikeboard.slurm"
pytestmark = [
    pytest.mark.ray,
    pytest.mark.slow,
    pytest.mark.skipif(find_spec("ray") is None, reason="Ray is not installed"),
]


def test_the_slurm_script_starts_nodes_runs_on_them_and_stops_them(tmp_path: Path) -> None:
    """With an allocation of one node, whose `srun` runs the command here."""
    ray = f'exec {sys.executable} -m ray.scripts.scripts "$@"'
    for name, text in {"scontrol": "echo 127.0.0.1", "srun": 'exec "$@"', "ray": ray}.items():
        (tmp_path / name).write_text(f"#!/bin/bash\n{text}\n")
        (tmp_path / name).chmod(0o755)
    environment = {
        **os.environ,
        "SLURM_JOB_NODELIST": "here",
        "SLURM_JOB_NUM_NODES": "1",
        "SLURM_JOB_ID": "4711",
        "PATH": os.pathsep.join([str(tmp_path), str(Path(sys.executable).parent), os.environ["PATH"]]),
    }
    cells = ["--preset", "smoke", "--suite", "conformance", "--neuron", "lif", "--backend", "eager"]
    store = tmp_path / "store"
    subprocess.run(
        ["bash", str(SCRIPT), *cells, "--store", str(store)], env=environment, cwd=tmp_path, check=True, timeout=240
    )
    statuses = [found.status for found in Store(store).read().records]
    assert statuses
    assert set(statuses) == {"ok"}
