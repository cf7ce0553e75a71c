"""A Ray cluster of three nodes of one processor each, all of them this machine, with the misbehaving package on them.

A plugin of pytest: a module of tests names it in `pytest_plugins`.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import misbehaving
import pytest

from harness.catalogue.loading import load_registry
from reference_impls.discovery import discover

HELPERS = Path(misbehaving.__file__).parents[1]
NODE = {"num_cpus": 1, "object_store_memory": 80 << 20}
"""Little memory for objects: records are small, and all nodes share this machine."""


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """Install the misbehaving package for this process, and for what it starts; there are no data sets."""
    folder = tmp_path_factory.mktemp("site")
    misbehaving.install(folder)
    with pytest.MonkeyPatch.context() as patch:
        patch.syspath_prepend(str(folder))
        path = [str(folder), str(HELPERS), *filter(None, [os.environ.get("PYTHONPATH")])]
        patch.setenv("PYTHONPATH", os.pathsep.join(path))
        patch.setenv("RAY_worker_niceness", "0")
        patch.setenv("FLAG", str(folder / "flag"))
        patch.setenv("SPIKEBOARD_DATA", str(tmp_path_factory.mktemp("no data")))
        for known in (discover, load_registry):
            known.cache_clear()
        yield folder
    for known in (discover, load_registry):
        known.cache_clear()


@pytest.fixture(scope="module")
def nodes(site: Path) -> Iterator[Any]:
    """Start a `ray.cluster_utils.Cluster`, and connect nobody to it."""
    if find_spec("ray") is None:
        pytest.skip("Ray is not installed")
    import ray
    from ray.cluster_utils import Cluster

    from harness.execute.cluster.connection import connect

    cluster = Cluster(initialize_head=True, head_node_args={**NODE, "include_dashboard": False})
    try:
        cluster.add_node(**NODE)
        cluster.add_node(**NODE)
        yield cluster
    finally:
        connect.cache_clear()
        ray.shutdown()
        cluster.shutdown()


@pytest.fixture(scope="module")
def nodes_address(nodes: Any) -> str:
    return str(nodes.address)


@pytest.fixture
def another_node(nodes: Any) -> Callable[[], Any]:
    """Return what adds a node; those who want it connect anew."""
    return lambda: nodes.add_node(**NODE)
