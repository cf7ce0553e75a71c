"""The Ray cluster that a run is on: its nodes, what they are, and which machine is measured."""

from __future__ import annotations

import functools
import logging
import os
import socket
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

import ray
from ray.util.scheduling_strategies import NodeAffinitySchedulingStrategy

from harness.errors import UserError
from harness.execute.cluster.node import report
from harness.results.machine import this_machine
from harness.results.provenance import Origin
from harness.results.record import Machine

__all__ = ["Cluster", "NodeSite", "connect", "line_of"]

REPORT_SECONDS = 180.0
"""How long a node may take to start an interpreter and say what it is."""
KNOCK_SECONDS = 10.0
AUTO = "auto"


@dataclass(frozen=True, slots=True)
class NodeSite:
    """A node, as Ray knows it."""

    id: str
    name: str
    cpus: float
    gpus: float
    origin: Origin

    @property
    def here(self) -> NodeAffinitySchedulingStrategy:
        """Return what makes Ray run something there and nowhere else."""
        return NodeAffinitySchedulingStrategy(self.id, soft=False)


@dataclass(frozen=True, slots=True)
class Cluster:
    """The nodes that answered."""

    nodes: tuple[NodeSite, ...]

    @property
    def origin(self) -> Origin:
        """Return what is on the nodes that are measured: the driver's kind of machine if there is one, else most."""
        names = Counter(node.origin.machine.name for node in self.nodes)
        own = this_machine().name
        name = own if own in names else names.most_common(1)[0][0]
        return next(node.origin for node in self.nodes if node.origin.machine.name == name)

    @property
    def machine(self) -> Machine:
        """Return the machine that is measured; nodes of another kind take no part."""
        return self.origin.machine

    @property
    def gpus(self) -> int:
        """Return how many GPUs every node of that machine has."""
        return int(min(node.gpus for node in self.alike))

    @property
    def alike(self) -> tuple[NodeSite, ...]:
        """Return the nodes that are that machine."""
        return tuple(node for node in self.nodes if node.origin.machine.name == self.machine.name)


@functools.lru_cache(maxsize=1)
def connect(address: str | None = None) -> Cluster:
    """Connect to the cluster at `address`, unless this process is connected already, and ask its nodes what they are.

    Raises
    ------
    UserError
        If there is none, or none of its nodes answers.
    """
    if not ray.is_initialized():
        try:
            _knock(address or os.environ.get("RAY_ADDRESS") or AUTO)
            ray.init(address=address or AUTO, log_to_driver=False, logging_level=logging.ERROR)
        except (ConnectionError, ValueError, OSError, RuntimeError) as error:
            raise UserError(
                f"no Ray cluster at {address or AUTO!r}: {line_of(error, 0)}",
                "start one with: ray start --head; then say --address HOST:6379, or set RAY_ADDRESS",
            ) from error
    return Cluster(tuple(_answering(node for node in ray.nodes() if node["Alive"])))


def _knock(address: str) -> None:
    """Raise OSError where nobody listens: Ray itself would try for minutes."""
    host, colon, port = address.rpartition(":")
    if colon and port.isdigit():
        socket.create_connection((host, int(port)), KNOCK_SECONDS).close()


def _answering(nodes: Iterable[dict[str, Any]]) -> list[NodeSite]:
    known = list(nodes)
    hosts = Counter(node["NodeManagerHostname"] for node in known)
    ask = ray.remote(report)
    asked = {
        ask.options(
            num_cpus=0, scheduling_strategy=NodeAffinitySchedulingStrategy(node["NodeID"], soft=False)
        ).remote(): (node)
        for node in known
    }
    answered, _ = ray.wait(list(asked), num_returns=len(asked), timeout=REPORT_SECONDS)
    found, failures = [], []
    for reference in answered:
        node = asked[reference]
        host, number = node["NodeManagerHostname"], node["NodeID"]
        try:
            origin = ray.get(reference)
        except ray.exceptions.RayError as error:
            failures.append(f"{host}: {line_of(error, -1)}")
            continue
        name = host if hosts[host] == 1 else f"{host}/{number[:6]}"
        resources = node["Resources"]
        found.append(NodeSite(number, name, resources.get("CPU", 0.0), resources.get("GPU", 0.0), origin))
    if not found:
        why = "; ".join(failures) or f"no answer within {REPORT_SECONDS:g} s"
        raise UserError(
            f"no node of the Ray cluster can run spikeboard: {why}",
            "install the same commit of spikeboard on every node, in the environment that ray start runs in",
        )
    return sorted(found, key=lambda site: site.name)


def line_of(error: BaseException, number: int) -> str:
    """Return a line of what an error says, or its type where it says nothing."""
    return (str(error).strip().splitlines() or [type(error).__name__])[number].strip()
