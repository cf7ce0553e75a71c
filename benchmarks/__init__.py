"""asv's view of the suites: the ruler is the working tree's, what is measured is the commit's.

asv installs a commit with both packages. So that old commits are measured with today's suites and clock, ``harness``
is taken from the folder that this file lies in, through a folder that holds nothing else: ``reference_impls`` must
stay the commit's. The folder is on the import path, which the processes of a run take over.
"""

import importlib.util
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]


def _use_ruler_of(root: Path) -> None:
    """Make ``import harness`` find the package in `root`, here and in processes that are started from here."""
    found = importlib.util.find_spec("harness")
    if found is not None and found.origin and Path(found.origin).resolve().parent == root / "harness":
        return
    if "harness" in sys.modules:
        raise ImportError(f"harness was imported from {found and found.origin} before the benchmarks in {root}")
    folder = root / ".asv" / "ruler"
    folder.mkdir(parents=True, exist_ok=True)
    link = folder / "harness"
    if not link.is_symlink():
        link.symlink_to(Path("../../harness"), target_is_directory=True)
    sys.path.insert(0, str(folder))
    importlib.invalidate_caches()


_use_ruler_of(ROOT)
