"""Scripts written against the names that modules had before they moved into folders go on working."""

from __future__ import annotations

import importlib
import subprocess
import sys

import pytest

from harness._former_names import MEMBERS, MOVED


@pytest.mark.parametrize("former", MOVED)
def test_a_former_name_is_the_module_of_today(former: str) -> None:
    sys.modules.pop(former, None)
    with pytest.warns(DeprecationWarning, match=f"{former} is now {MOVED[former]}"):
        module = importlib.import_module(former)
    assert module is importlib.import_module(MOVED[former])
    assert module.__spec__ is not None
    assert module.__spec__.name == MOVED[former]


@pytest.mark.parametrize("module", MEMBERS)
def test_a_former_module_has_its_former_members(module: str) -> None:
    former = next(name for name, today in MOVED.items() if today == module)
    sys.modules.pop(former, None)
    with pytest.warns(DeprecationWarning, match=former):
        found = importlib.import_module(former)
    for name, today in MEMBERS[module].items():
        home, _, member = today.rpartition(".")
        assert getattr(found, name) is getattr(importlib.import_module(home), member)


def test_nothing_in_the_project_uses_one() -> None:
    """Importing every module with former names as errors: listing and reporting as well as work."""
    code = (
        "import warnings; warnings.simplefilter('error', DeprecationWarning)\n"
        "import harness.cli.running, harness.cli.reporting, harness.execute.worker, harness.report.site\n"
        "from harness._former_names import MOVED; import sys; assert not MOVED.keys() & sys.modules.keys()"
    )
    said = subprocess.run([sys.executable, "-W", "ignore", "-c", code], capture_output=True, text=True)
    assert said.returncode == 0, said.stderr
