"""What contributors get wrong: a good file of each kind, and mistakes as replacements in it."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path

from reference_impls.discovery import ENTRY_POINT_GROUP

__all__ = ["METHOD", "NEURON", "Mistake", "install", "line_with"]

NEURON = '''"""A neuron of somebody."""

from typing import NamedTuple

import torch

from reference_impls.api import SequentialNeuron
from reference_impls.surrogate import make_surrogate

CARD = {
    "name": "mine",
    "kind": "neuron",
    "version": 1,
    "title": "Mine",
    "summary": "A leaky integrator.",
    "capabilities": {
        "parallel": "sequential",
        "causal": True,
        "stochastic": False,
        "needs_T": False,
        "output": "binary",
        "membrane": "linear",
        "reset": "soft",
    },
    "defaults": {"tau": 2.0, "detach_reset": True},
    "space": {"tau": {"low": 1.1, "high": 8.0, "scale": "log"}},
    "variants": {
        "mine-slow": {"title": "Slow", "params": {"tau": 4.0}},
        "mine-slower": {"title": "Slower", "of": "mine-slow", "params": {"tau": 6.0}},
    },
}


class State(NamedTuple):
    v: torch.Tensor


class Mine(SequentialNeuron):
    def __init__(self, tau=2.0, detach_reset=True):
        super().__init__()
        self.tau, self.detach_reset = tau, detach_reset
        self.surrogate = make_surrogate("atan")

    def init_state(self, like):
        return State(torch.zeros_like(like))

    def step(self, x, state, params):
        h = state.v * (1 - 1 / self.tau) + x
        s = self.surrogate(h - 1.0)
        r = s.detach() if self.detach_reset else s
        return s, State(h - r)
'''
METHOD = '''"""A training method of somebody."""

import torch

from reference_impls.api import TrainingMethod, UpdateReport

CARD = {
    "name": "my-method",
    "kind": "training",
    "version": 1,
    "title": "Mine",
    "summary": "Backpropagation through time, once more.",
    "capabilities": {
        "updates": "per_batch",
        "structures": ["chain"],
        "memory_in_T": "O(T)",
        "spiking_backward": True,
        "neuron": {"parallel": ["sequential"], "reset": ["soft"]},
    },
    "defaults": {"weight": 1.0},
}


class MyMethod(TrainingMethod):
    def __init__(self, weight=1.0):
        super().__init__()
        self.weight = weight

    def accumulate(self, x, target):
        with self._stage("forward", len(x)) as stages:
            loss = self.weight * torch.nn.functional.cross_entropy(self.network(x).mean(0), target)
            loss.backward()
        return UpdateReport(loss.item(), stages=tuple(stages))

    def predict(self, x):
        with torch.no_grad():
            return self.network(x).mean(0)
'''


@dataclass(frozen=True)
class Mistake:
    """A slip in a file that is right otherwise."""

    name: str
    instead: tuple[tuple[str, str], ...]
    """Pairs of what stands in the good file and what stands there now."""
    says: tuple[str, ...]
    """What must be said of it."""
    at: str = ""
    """What stands on the line that must be named; empty: none, for there is no such line."""
    base: str = NEURON

    @property
    def text(self) -> str:
        """The file."""
        text = self.base
        for before, after in self.instead:
            assert text.count(before) >= 1, f"{self.name}: {before!r} is not in the file"
            text = text.replace(before, after, 1)
        return text

    def numbered(self, number: int) -> Mistake:
        """Return it in a file of another name's entry, so that many can be read at once."""
        return replace(
            self,
            base=_renamed(self.base, number),
            instead=tuple((_renamed(before, number), _renamed(after, number)) for before, after in self.instead),
            says=tuple(_renamed(words, number) for words in self.says),
            at=_renamed(self.at, number),
        )

    def __str__(self) -> str:
        return self.name


def _renamed(text: str, number: int) -> str:
    return text.replace("mine", f"mine{number}").replace("my-method", f"my-method{number}")


def install(folder: Path, text: str, module: str = "contributed") -> Path:
    """Write a module with its entry point the way pip leaves them, and return its file."""
    path = folder / f"{module}.py"
    path.write_text(text)
    info = folder / f"{module}-1.0.dist-info"
    info.mkdir()
    (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {module}\nVersion: 1.0\n")
    (info / "entry_points.txt").write_text(f"[{ENTRY_POINT_GROUP}]\n{module} = {module}\n")
    return path


def line_with(path: Path, text: str) -> str:
    """Return ``file:line`` of the first line that has `text`."""
    lines = path.read_text().splitlines()
    return f"{path}:{next(number for number, line in enumerate(lines, start=1) if text in line)}"
