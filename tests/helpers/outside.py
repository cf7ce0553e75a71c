"""A package of somebody else: two neurons, a training method and a private task, offered through entry points.

Written against the documented contract only: one neuron derives from a row of the project, the other from the contract
and from a module of the package's own; the task reads a file that comes with the package.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np

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
    "summary": "Sequences with a high or a low rate, which nobody else has.",
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
        """Read what lies beside this file; the data root is not looked at."""
        with np.load(Path(__file__).with_name("noise.npz")) as data:
            spikes, labels = data["spikes"], data["labels"]
        return split_of(spikes, labels, held_out(labels, test_fraction=0.2))

    def encode(self, inputs: Tensor) -> Tensor:
        """Step t of the sequence at step t."""
        return steps_first(inputs)
'''
SHARED = '''"""What the package's neurons share."""

from torch import Tensor


def half(v: Tensor) -> Tensor:
    """Forget half."""
    return 0.5 * v
'''
LEARNED = '''"""A neuron whose threshold is learned, written against the contract and a module beside it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple

import torch
from torch import Tensor, nn

from outside_package.shared.membrane import half
from reference_impls.api import SequentialNeuron
from reference_impls.surrogate import make_surrogate

CARD = {
    "name": "outside-learned",
    "kind": "neuron",
    "version": 1,
    "title": "Learned threshold, from outside",
    "summary": "The threshold is a parameter.",
    "capabilities": {
        "parallel": "sequential",
        "causal": True,
        "stochastic": False,
        "needs_T": False,
        "output": "binary",
        "membrane": "linear",
        "reset": "soft",
        "learnable": ["threshold"],
    },
    "defaults": {"threshold": 1.0, "detach_reset": True},
}


class State(NamedTuple):
    v: Tensor


class OutsideLearned(SequentialNeuron):
    """A LIF that learns when to fire."""

    def __init__(self, threshold: float = 1.0, detach_reset: bool = True) -> None:
        super().__init__()
        self.threshold = nn.Parameter(torch.tensor(float(threshold)))
        self.detach_reset = detach_reset
        self.surrogate = make_surrogate("atan")

    def init_state(self, like: Tensor) -> State:
        return State(torch.zeros_like(like))

    def step_params(self) -> dict[str, Tensor]:
        return {"threshold": self.threshold}

    def step(self, x: Tensor, state: State, params: Mapping[str, Tensor]) -> tuple[Tensor, State]:
        h = half(state.v) + x
        s = self.surrogate(h - params["threshold"])
        return s, State(h - params["threshold"] * (s.detach() if self.detach_reset else s))
'''
METHOD = '''"""A training method of one's own."""

import torch
from torch import Tensor
from torch.nn import functional

from reference_impls.api import TrainingMethod, UpdateReport

CARD = {
    "name": "outside-late",
    "kind": "training",
    "version": 1,
    "title": "BPTT on the later half, from outside",
    "summary": "The loss sees the later half of the read-outs.",
    "capabilities": {
        "updates": "per_batch",
        "structures": ["chain"],
        "neuron": {},
        "memory_in_T": "O(T)",
        "spiking_backward": False,
    },
}


class OutsideLate(TrainingMethod):
    """Averages the read-out over the later half of the steps."""

    def accumulate(self, x: Tensor, target: Tensor) -> UpdateReport:
        with self._stage("forward", x.shape[0]) as stages:
            logits = self.network.run(x).logits
        loss = functional.cross_entropy(logits[x.shape[0] // 2 :].mean(0), target)
        loss.backward()
        return UpdateReport(float(loss.detach()), stages=tuple(stages))

    @torch.no_grad()
    def predict(self, x: Tensor) -> Tensor:
        return self.network.run(x).logits[x.shape[0] // 2 :].mean(0)
'''
PYPROJECT = """[build-system]
requires = ["setuptools>=80"]
build-backend = "setuptools.build_meta"

[project]
name = "outside-package"
version = "1.0"

[project.entry-points."spikeboard.implementations"]
outside-lif = "outside_package.lif"
outside-learned = "outside_package.neurons.learned"
outside-late = "outside_package.late"
secret-noise = "outside_package.noise"

[tool.setuptools]
packages = ["outside_package", "outside_package.neurons", "outside_package.shared"]

[tool.setuptools.package-data]
outside_package = ["*.npz"]
"""


def write_package(folder: Path) -> Path:
    """Write the package's source tree."""
    package = folder / "outside_package"
    files = {
        "__init__.py": "",
        "lif.py": NEURON,
        "late.py": METHOD,
        "noise.py": TASK,
        "neurons/__init__.py": "",
        "neurons/learned.py": LEARNED,
        "shared/__init__.py": "",
        "shared/membrane.py": SHARED,
        "../pyproject.toml": PYPROJECT,
    }
    for name, text in files.items():
        (package / name).parent.mkdir(parents=True, exist_ok=True)
        (package / name).write_text(text)
    random = np.random.RandomState(0)
    labels = (np.arange(200) % 2).astype(np.int64)
    rate = np.where(labels, 0.7, 0.2)[:, None, None]
    spikes = (random.random_sample((200, 5, 6)) < rate).astype(np.uint8)
    np.savez(package / "noise.npz", spikes=spikes, labels=labels)
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
