"""A NIR graph before anything is built of it: subgraphs opened, names and edges checked. Must not import torch."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from reference_impls.exchange.errors import NirError

__all__ = ["FlatGraph", "flattened", "kind_of", "read_graph"]


class Identity:
    """What Input and Output of a subgraph are: they hand on what they get. Named as NIR's own primitive."""


@dataclass(frozen=True, slots=True)
class FlatGraph:
    """Nodes by name, subgraphs opened (``sub.node``), and the edges among them."""

    nodes: Mapping[str, Any]
    edges: tuple[tuple[str, str], ...]
    dt: float | None
    """Seconds of a step, if the graph says so in its metadata."""

    def before(self, name: str) -> list[str]:
        """Return what feeds a node, in the order of the edges."""
        return [source for source, target in self.edges if target == name]

    def the(self, kind: str) -> str:
        """Return the one node of a kind (``Input``, ``Output``)."""
        found = [name for name, node in self.nodes.items() if kind_of(node) == kind]
        if len(found) != 1:
            names = f": {', '.join(found)}" if found else ""
            raise NirError(f"the graph has {len(found)} {kind} nodes{names}; one is needed")
        return found[0]


def kind_of(node: Any) -> str:
    """Return the name of a node's primitive."""
    return type(node).__name__


def read_graph(path: str | Path) -> Any:
    """Read the graph in the HDF5 file at `path`.

    Raises
    ------
    NirError
        If the file is no NIR graph.
    """
    import nir

    try:
        graph = nir.read(
            path, type_check=False
        )  # libraries write scalars for a layer; shapes are checked by running it
    except FileNotFoundError:
        raise
    except Exception as error:  # HDF5 and the graph's reader raise anything
        raise NirError(f"{path} cannot be read as a NIR graph: {error}") from error
    if kind_of(graph) != "NIRGraph":
        raise NirError(f"{path} holds a single {kind_of(graph)}, not a graph")
    return graph


def flattened(graph: Any) -> FlatGraph:
    """Return `graph` with its subgraphs opened.

    Raises
    ------
    NirError
        If an edge leads nowhere.
    """
    nodes: dict[str, Any] = {}
    edges = list(_opened("", graph, nodes))
    for source, target in edges:
        for name in (source, target):
            if name not in nodes:
                raise NirError(f"the edge {source!r} -> {target!r} names {name!r}, which is no node of the graph")
    return FlatGraph(nodes, tuple(dict.fromkeys(edges)), _dt(graph))


def _opened(prefix: str, graph: Any, nodes: dict[str, Any]) -> Iterator[tuple[str, str]]:
    """Enter the nodes of `graph` under `prefix` and yield its edges; a subgraph is its Input and its Output."""
    inside: dict[str, tuple[str, str]] = {}
    for name, node in graph.nodes.items():
        full = f"{prefix}{name}"
        if kind_of(node) == "NIRGraph":
            inside[name] = (_end(full, node, "Input"), _end(full, node, "Output"))
            yield from _opened(f"{full}.", node, nodes)
        else:
            inner = prefix and kind_of(node) in ("Input", "Output")
            nodes[full] = Identity() if inner else node
    for source, target in graph.edges:
        start = inside[source][1] if source in inside else f"{prefix}{source}"
        end = inside[target][0] if target in inside else f"{prefix}{target}"
        yield start, end


def _end(name: str, graph: Any, kind: str) -> str:
    found = [inner for inner, node in graph.nodes.items() if kind_of(node) == kind]
    if len(found) != 1:
        raise NirError(f"the subgraph {name!r} has {len(found)} {kind} nodes; one is needed")
    return f"{name}.{found[0]}"


def _dt(graph: Any) -> float | None:
    metadata: Iterable[str] | Any = getattr(graph, "metadata", None)
    if not isinstance(metadata, dict) or "dt" not in metadata:
        return None
    value = float(np.asarray(metadata["dt"]))
    if not value > 0:
        raise NirError(f"the graph's metadata say dt = {value}; it must be positive, in seconds")
    return value
