"""The reason of a cell that failed in somebody's file names the file and the line."""

from __future__ import annotations

from pathlib import Path
from types import ModuleType

import pytest

from harness.execute.worker import LONGEST_REASON, _outcome_of


@pytest.fixture
def broken(tmp_path: Path) -> ModuleType:
    """A module that raises, two calls deep."""
    path = tmp_path / "somebodys.py"
    path.write_text("def outer(words):\n    return inner(words)\n\n\ndef inner(words):\n    raise ValueError(words)\n")
    module = ModuleType("somebodys")
    module.__file__ = str(path)
    exec(compile(path.read_text(), path, "exec"), vars(module))
    return module


@pytest.mark.parametrize("words", ["no", "no " * 1000])
def test_the_innermost_line_of_the_file_is_named(broken: ModuleType, words: str) -> None:
    with pytest.raises(ValueError) as raised:
        broken.outer(words)
    reason = _outcome_of(raised.value, [Path(broken.__file__ or "")]).reason
    assert reason is not None
    assert reason.startswith("ValueError: no")
    assert reason.endswith("somebodys.py:6)")
    assert len(reason) <= LONGEST_REASON


def test_what_went_through_other_files_names_none(broken: ModuleType) -> None:
    with pytest.raises(ValueError) as raised:
        broken.outer("no")
    assert _outcome_of(raised.value, [Path("elsewhere.py")]).reason == "ValueError: no"
