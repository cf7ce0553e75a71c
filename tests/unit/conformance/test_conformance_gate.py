"""The gate is no formality: a neuron that breaks one clause fails that clause, and a good one passes all."""

from __future__ import annotations

import sys
import textwrap
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from harness.catalogue.loading import load_registry
from harness.conformance import run_checks
from harness.conformance.neurons import NEURON_CHECKS, NeuronSubject
from reference_impls import discovery

Install = Callable[..., NeuronSubject]

HEADER = """
import torch
from typing import NamedTuple
from torch import nn
from reference_impls.api import ParallelNeuron, SequentialNeuron
from reference_impls.surrogate import make_surrogate

class State(NamedTuple):
    v: torch.Tensor

CARD = {{
    "name": "subject", "kind": "neuron", "version": 1, "title": "Subject", "summary": "Breaks one clause.",
    "capabilities": {{
        "parallel": "{parallel}", "causal": True, "stochastic": False, "needs_T": False,
        "output": "binary", "membrane": "linear", "reset": "soft", "learnable": {learnable},
    }},
}}
"""
SEQUENTIAL = """
class Subject(SequentialNeuron):
    def __init__(self):
        super().__init__()
        self.surrogate = make_surrogate("atan")
        {setup}

    def init_state(self, like):
        return State(torch.zeros_like(like))

    def step(self, x, state, params):
        h = 0.5 * state.v + x
        s = self.surrogate(h - 1.0)
        {body}
        return s, State(h - s)
"""
PARALLEL = """
class Subject(ParallelNeuron):
    def __init__(self):
        super().__init__()
        self.surrogate = make_surrogate("atan")

    def forward(self, x):
        {body}
"""


@pytest.fixture
def subject(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Install]:
    """Install a neuron written by the test and return it as the checks see it."""

    def install(
        body: str, setup: str = "pass", parallel: bool = False, learnable: tuple[str, ...] = ()
    ) -> NeuronSubject:
        template = PARALLEL if parallel else SEQUENTIAL
        code = template.format(body=textwrap.indent(textwrap.dedent(body), " " * 8).strip(), setup=setup)
        header = HEADER.format(parallel="closed_form" if parallel else "sequential", learnable=list(learnable))
        (tmp_path / "subject_neuron.py").write_text(header + code)
        info = tmp_path / "subject-1.0.dist-info"
        info.mkdir()
        (info / "METADATA").write_text("Metadata-Version: 2.1\nName: subject\nVersion: 1.0\n")
        (info / "entry_points.txt").write_text(f"[{discovery.ENTRY_POINT_GROUP}]\nsubject = subject_neuron\n")
        monkeypatch.syspath_prepend(str(tmp_path))
        _forget()
        registry = load_registry()
        assert not registry.problems
        return NeuronSubject(registry.neurons["subject"])

    yield install
    sys.modules.pop("subject_neuron", None)
    _forget()


def _forget() -> None:
    discovery.discover.cache_clear()
    load_registry.cache_clear()


def failing(subject: NeuronSubject) -> dict[str, str]:
    return {outcome.name: outcome.problem for outcome in run_checks(NEURON_CHECKS, subject) if not outcome.passed}


def test_a_good_neuron_passes(subject: Install) -> None:
    assert failing(subject("pass")) == {}


@pytest.mark.parametrize(
    ("clause", "body", "options"),
    [
        ("shapes", "s = s.float()", {}),
        ("shapes", "s = s.sum(-1)", {}),
        ("output", "s = s * 0.5", {}),
        ("output", "s = s * 0", {}),
        ("output", "s = s * float('nan')", {}),
        ("deterministic", "s = s * (self.calls < 6); self.calls += 1", {"setup": "self.calls = 0"}),
        ("isolated", "s = s * (self.calls < 12); self.calls += 1", {"setup": "self.calls = 0"}),
        ("batch-invariant", "s = s * (x > x.mean()).to(s)", {}),
        ("stepwise", "s = s * (self.t % 5); self.t += 1", {"setup": "self.t = 0"}),
        ("causal", "return (x.flip(0) > 0.7).to(x)", {"parallel": True}),
        ("gradient", "s = s + (h.detach() * 0.1 - h.detach() * 0.1) + 0 * x; h = h + 0.3 * s.detach()", {}),
        ("state-dict", "s = self.surrogate(h - self.scale * 1.0)", {"setup": "self.scale = torch.rand(()).item()"}),
        ("declared", "s = self.surrogate(h - self.theta)", {"setup": "self.theta = nn.Parameter(torch.ones(()))"}),
        ("declared", "pass", {"learnable": ("theta",)}),
    ],
)
def test_a_broken_clause_is_found(subject: Install, clause: str, body: str, options: dict[str, object]) -> None:
    assert clause in failing(subject(body, **options))


def test_a_neuron_that_raises_fails_every_clause_with_its_own_words(subject: Install) -> None:
    problems = failing(subject("raise RuntimeError('out of sodium')"))
    assert "RuntimeError: out of sodium" in problems["shapes"]
    assert len(problems) >= 8
