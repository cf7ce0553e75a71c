"""Measures cells of a submission again: what runs inside the sandbox, as any run does, in processes of the local pool.

Started as ``python -m harness.submissions.rerun REQUEST``. What it writes is a stranger's again, and is read as such.
"""

from __future__ import annotations

import json
import resource
import sys
from pathlib import Path

from harness.catalogue.cell import Cell
from harness.catalogue.loading import load_registry
from harness.execute.jobs import jobs_of
from harness.execute.pool import LocalPool
from harness.planning.plan import plan_cells
from harness.results.store import Store

__all__ = ["main"]


def main(request: Path) -> None:
    """Run the cells that the file `request` names."""
    asked = json.loads(request.read_text(encoding="utf-8"))
    resource.setrlimit(resource.RLIMIT_FSIZE, (asked["largest_file_bytes"],) * 2)
    registry = load_registry()
    cells = [Cell(**cell) for cell in asked["cells"]]
    jobs = jobs_of(plan_cells(cells, registry), registry)
    store, data_root = Store(Path(asked["store"])), asked["data_root"] and Path(asked["data_root"])
    with LocalPool(store, data_root, Path(asked["scratch"]), slots=1, registry=registry) as pool:
        summary = pool.run(jobs)
    print(json.dumps(dict(summary.counts)))


if __name__ == "__main__":
    main(Path(sys.argv[1]))
