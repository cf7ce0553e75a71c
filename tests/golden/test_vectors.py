"""Every golden file of ``--golden DIR`` against the implementations here."""

from __future__ import annotations

import pytest

from harness.golden import Case, load


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    if "case" in metafunc.fixturenames:
        cases = load(metafunc.config.getoption("--golden"))
        metafunc.parametrize("case", cases, ids=[f"{case.slug}-{case.name}" for case in cases])


def test_equals_authors_numbers(case: Case) -> None:
    if case.implementation is None:
        pytest.skip(f"nothing here implements {case.slug!r} ({case.path.name}) yet")
    differences = case.differences()
    assert not differences, "\n".join(map(str, differences))
