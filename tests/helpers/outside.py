"""A package of somebody else: a neuron and a private task, offered through entry points."""

from __future__ import annotations

from pathlib import Path

NEURON = '''"""A LIF of one's own."""

from reference_impls.neurons.lif import LIF

CARD = {
    "name": "outside-lif",
    "kind": "neuron",
    "version": 1,
    "title": "LIF from outside",
    "summary": "A LIF that leaks faster.",
    "capabilities": {
        "parallel": "sequential",
        "causal": True,
        "stochastic": False,
        "needs_T": False,
        "output": "binary",
        "membrane": "linear",
        "reset": "soft",
    },
    "defaults": {"tau": 1.5},
}


class OutsideLIF(LIF):
    """As LIF."""
'''
TASK = '''"""Two kinds of noise that nobody else has."""

from pathlib import Path

import numpy as np
from torch import Tensor

from harness.tasks.common.base import Split, Task
from harness.tasks.common.encoding import steps_first
from harness.tasks.common.split import held_out, split_of

CARD = {
    "name": "secret-noise",
    "kind": "task",
    "version": 1,
    "title": "Secret noise",
    "summary": "Sequences with a high or a low rate, made by the package itself.",
    "data": None,
    "T": 5,
    "sample_shape": [6],
    "classes": 2,
    "input_kind": "events",
    "encoding": "spikes as they are",
    "split": "a fifth is the test part",
    "networks": {"mlp": {"hidden": [12]}},
    "budgets": {"smoke": {"epochs": 2, "batch_size": 20, "learning_rate": 1e-2}},
}


class SecretNoise(Task):
    """Which rate was it."""

    def load(self, data_root: Path | None, seed: int) -> Split:
        """Make them; the data root is not looked at."""
        random = np.random.RandomState(0)
        labels = (np.arange(200) % 2).astype(np.int64)
        rate = np.where(labels, 0.7, 0.2)[:, None, None]
        inputs = (random.random_sample((200, 5, 6)) < rate).astype(np.uint8)
        return split_of(inputs, labels, held_out(labels, test_fraction=0.2))

    def encode(self, inputs: Tensor) -> Tensor:
        """Step t of the sequence at step t."""
        return steps_first(inputs)
'''
PYPROJECT = """[build-system]
requires = ["setuptools>=80"]
build-backend = "setuptools.build_meta"

[project]
name = "outside-package"
version = "1.0"

[project.entry-points."spikeboard.implementations"]
outside-lif = "outside_package.lif"
secret-noise = "outside_package.noise"

[tool.setuptools]
packages = ["outside_package"]
"""


def write_package(folder: Path) -> Path:
    """Write the package's source tree."""
    package = folder / "outside_package"
    package.mkdir(parents=True)
    (package / "__init__.py").write_text("")
    (package / "lif.py").write_text(NEURON)
    (package / "noise.py").write_text(TASK)
    (folder / "pyproject.toml").write_text(PYPROJECT)
    return folder


def installed(folder: Path) -> Path:
    """Write the package as an installer leaves it, ready to be put on the path."""
    write_package(folder)
    about = folder / "outside_package-1.0.dist-info"
    about.mkdir()
    (about / "METADATA").write_text("Metadata-Version: 2.1\nName: outside-package\nVersion: 1.0\n")
    entries = PYPROJECT.split('implementations"]\n')[1].split("\n\n")[0].replace('"', "")
    (about / "entry_points.txt").write_text(f"[spikeboard.implementations]\n{entries}\n")
    return folder
