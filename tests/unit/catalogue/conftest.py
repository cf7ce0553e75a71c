"""What tests of cards share."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from harness.catalogue.loading import load_registry
from reference_impls import discovery


@pytest.fixture
def elsewhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A folder on the path; what is remembered of cards is forgotten before and after."""
    monkeypatch.syspath_prepend(str(tmp_path))
    for cached in (discovery.discover, load_registry):
        cached.cache_clear()
    yield tmp_path
    for cached in (discovery.discover, load_registry):
        cached.cache_clear()
