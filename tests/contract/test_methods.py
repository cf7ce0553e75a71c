"""The contract of a training method, for every method row and every structure of network that it trains."""

from __future__ import annotations

import pytest
from structures import TOPOLOGY_OF, marks_of

from harness.catalogue.loading import load_registry
from harness.conformance import Check
from harness.conformance.methods import METHOD_CHECKS, MethodSubject
from harness.conformance.signals import SIGNAL_CHECKS, SignalSubject

REGISTRY = load_registry()
SUBJECTS = [
    MethodSubject(row, "if", TOPOLOGY_OF[structure], REGISTRY)
    for row in REGISTRY.methods.values()
    if "classes" in row.capabilities.targets
    for structure in row.capabilities.structures
]
SIGNALS = [
    SignalSubject(row, "lif-double-exponential", "reservoir")
    for row in REGISTRY.methods.values()
    if "signal" in row.capabilities.targets
]
SIGNAL_CLAUSES = [
    pytest.param(subject, check, id=f"{subject.row.name}-{check.name}", marks=marks_of(subject.row))
    for subject in SIGNALS
    for check in SIGNAL_CHECKS
    if check.applies(subject)
]
LONG = {("forward-gradient", "feedback")}
"""Eight simulations an update, to an equilibrium each; on the chain the same clauses are asked on every run."""


def _marks(subject: MethodSubject) -> list[pytest.MarkDecorator]:
    marks = marks_of(subject.row)
    return marks if marks or (subject.row.name, subject.topology) not in LONG else [pytest.mark.slow]


CLAUSES = [
    pytest.param(subject, check, id=f"{subject.row.name}-{subject.topology}-{check.name}", marks=_marks(subject))
    for subject in SUBJECTS
    for check in METHOD_CHECKS
    if check.applies(subject)
]


@pytest.mark.parametrize(("subject", "check"), CLAUSES)
def test_contract(subject: MethodSubject, check: Check[MethodSubject]) -> None:
    check.run(subject)


@pytest.mark.parametrize(("subject", "check"), SIGNAL_CLAUSES)
def test_contract_of_signals(subject: SignalSubject, check: Check[SignalSubject]) -> None:
    check.run(subject)
