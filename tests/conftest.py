"""Options and fixtures that every test may use."""

from __future__ import annotations

import gc
from pathlib import Path

import hypothesis
import pytest

from harness.data import data_root as resolve_data_root
from harness.data import data_set
from harness.errors import UserError
from harness.golden import VECTORS

# An example has no time limit: what it takes on a busy machine says nothing of the code. The same examples every time.
hypothesis.settings.register_profile(
    "spikeboard", deadline=None, derandomize=True, suppress_health_check=[hypothesis.HealthCheck.too_slow]
)
hypothesis.settings.load_profile("spikeboard")


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption(
        "--golden",
        type=Path,
        default=VECTORS,
        metavar="DIR",
        help="folder of golden vectors to run (default: the copies in the project)",
    )
    parser.addoption(
        "--data-root",
        type=Path,
        default=None,
        metavar="DIR",
        help="folder of data sets for the tests that need one (default: SPIKEBOARD_DATA)",
    )


def pytest_runtest_setup(item: pytest.Item) -> None:
    """Skip what needs a GPU where there is none: the slow tests of the fused backend are chosen with ``-m slow``."""
    if item.get_closest_marker("gpu") is not None:
        import torch

        if not torch.cuda.is_available():
            pytest.skip("needs a CUDA device")


@pytest.fixture(scope="module", autouse=True)
def _garbage_of_others() -> None:
    """Set aside what stays: thousands of tests, and torch, which every look for garbage would go through again."""
    gc.collect()
    gc.freeze()


@pytest.fixture
def set_aside(monkeypatch: pytest.MonkeyPatch) -> None:
    """Keep it aside where a test times many functions: the clock would give it back after each of them."""
    gc.freeze()
    # The clock asks whether anything is aside, and leaves it there then; to count it goes through all of it.
    monkeypatch.setattr(gc, "get_freeze_count", lambda: 1)


@pytest.fixture(scope="session")
def data_root(request: pytest.FixtureRequest) -> Path:
    """Folder of data sets: ``--data-root``, SPIKEBOARD_DATA or the default; what it holds is not checked."""
    return resolve_data_root(request.config.getoption("--data-root"))


@pytest.fixture(scope="session")
def mnist_root(data_root: Path) -> Path:
    """Folder of data sets that holds MNIST."""
    return _holding("mnist", data_root)


@pytest.fixture(scope="session")
def nmnist_root(data_root: Path) -> Path:
    """Folder of data sets that holds the first 1,100 recordings of N-MNIST."""
    return _holding("nmnist-1100", data_root)


@pytest.fixture(scope="session")
def fsdd_root(data_root: Path) -> Path:
    """Folder of data sets that holds the spoken digits."""
    return _holding("fsdd", data_root)


@pytest.fixture(scope="session")
def fashion_root(data_root: Path) -> Path:
    """Folder of data sets that holds Fashion-MNIST, unless the system has it anyway."""
    return _holding("fashion-mnist", data_root)


def _holding(name: str, root: Path) -> Path:
    try:
        data_set(name).require(root)
    except UserError as error:
        pytest.skip(str(error))
    return root
