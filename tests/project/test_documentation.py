"""The documentation builds without a warning and without a network, and its tutorials do what they say."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest
from documents import ROOT
from tutorials import BLOCK, FOLDER, follow

TUTORIALS = sorted(FOLDER.glob("*.md"))
NEEDS = {"nir": "nir"}


QUICK = ("library",)
"""Tutorials that every run follows; the others, ten seconds each, go with the slow tests. The files and commands of
"neuron" are those of CONTRIBUTING.md, which test_contributing follows on every run."""
PAGES = [pytest.param(page, id=page.stem, marks=() if page.stem in QUICK else pytest.mark.slow) for page in TUTORIALS]


@pytest.mark.parametrize("page", PAGES)
def test_a_tutorial_does_what_it_says(page: Path, tmp_path: Path) -> None:
    pytest.importorskip(NEEDS.get(page.stem, "torch"))
    assert follow(page, tmp_path)


def test_a_tutorial_that_promises_too_much_is_found(tmp_path: Path) -> None:
    page = tmp_path / "page.md"
    page.write_text("```python\nprint('one')\n```\n\n```text\ntwo\n```\n")
    with pytest.raises(AssertionError, match="promises 'two'"):
        follow(page, tmp_path / "there")


def test_there_is_a_tutorial_for_everything_asked_for() -> None:
    assert [page.stem for page in TUTORIALS] == ["board", "library", "method", "neuron", "nir", "regressions", "task"]
    assert all(any(block["kind"] == "text" for block in BLOCK.finditer(page.read_text())) for page in TUTORIALS)


def test_the_site_builds_without_a_warning(tmp_path: Path) -> None:
    for library in ("mkdocs", "material", "mkdocstrings"):
        pytest.importorskip(library, reason="python -m nox -s docs builds the documentation")
    # Whatever is fetched would have to go through this.
    nowhere = dict.fromkeys(("http_proxy", "https_proxy", "HTTP_PROXY", "HTTPS_PROXY"), "http://127.0.0.1:9")
    environment = {**os.environ, **nowhere, "NO_MKDOCS_2_WARNING": "1"}
    command = [sys.executable, "-m", "mkdocs", "build", "--strict", "--site-dir", str(tmp_path / "site")]
    said = subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True)
    assert said.returncode == 0, said.stderr
    assert "WARNING" not in said.stderr
    reference = (tmp_path / "site" / "reference" / "library.html").read_text()
    for name in ("build_network", "run_cells", "load_records", "state variable"):
        assert name in reference
    for page in (tmp_path / "site").rglob("*.html"):
        fetched = re.findall(r'<(?:script|img|link)[^>]+(?:src|href)="(https?://[^"]+)"', page.read_text())
        assert [address for address in fetched if "canonical" not in address] == [], page.name
