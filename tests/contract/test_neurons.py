"""The contract of a neuron, clause by clause, for every neuron row there is: a new file is covered by existing."""

from __future__ import annotations

import pytest
from structures import marks_of

from harness.catalogue.loading import load_registry
from harness.conformance import Check
from harness.conformance.neurons import NEURON_CHECKS, NeuronSubject

SUBJECTS = [NeuronSubject(row) for row in load_registry().neurons.values()]
CLAUSES = [
    pytest.param(subject, check, id=f"{subject.row.name}-{check.name}", marks=marks_of(subject.row))
    for subject in SUBJECTS
    for check in NEURON_CHECKS
    if check.applies(subject)
]


@pytest.mark.parametrize(("subject", "check"), CLAUSES)
def test_contract(subject: NeuronSubject, check: Check[NeuronSubject]) -> None:
    check.run(subject)


FASTER = [
    # A minute each for torch's compiler; test_torch_habits holds what it makes of PLIF against eager on every run.
    *(pytest.param("compiled", name, marks=pytest.mark.slow) for name in ("lif", "klif", "psu", "mpe-psn")),
    # One whose output is no spike: the six kinds of test_fused_equals_eager have binary ones.
    *(("fused-numba", name) for name in ("lif", "multilevel-lif")),
    *(pytest.param("fused-numba", name, marks=pytest.mark.slow) for name in ("klif", "clif", "alif-lsnn")),
]


@pytest.mark.parametrize(("backend", "name"), FASTER)
def test_a_faster_backend_keeps_the_contract(backend: str, name: str) -> None:
    subject = NeuronSubject(load_registry().neurons[name], backend)
    for check in NEURON_CHECKS:
        if check.applies(subject):
            check.run(subject)
