"""Writes a network as a NIR graph whose equations, stepped by forward Euler with the stated dt, are the network's own.

What NIR's equations cannot give is refused, of neurons (a soft reset, a late one) and of connections (skips, delays,
gates). Must not know who trained the network.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from reference_impls.exchange.errors import NirError
from reference_impls.exchange.expressing import nir_neuron
from reference_impls.network import Network
from reference_impls.synapses import effective_weight
from reference_impls.topologies._chain import Chain
from reference_impls.topologies.feedback import FeedbackNetwork
from reference_impls.topologies.recurrent import LateralLinear, RecurrentNetwork

__all__ = ["to_nir", "write_nir"]

DT = 1e-4
"""Step in s that SpikingJelly's and snnTorch's exports take for granted."""


def write_nir(path: str | Path, network: Network, sample_shape: tuple[int, ...] | None = None, dt: float = DT) -> None:
    """Write `network` as a NIR graph into the HDF5 file at `path`; see `to_nir`."""
    import nir

    nir.write(path, to_nir(network, sample_shape, dt))


def to_nir(network: Network, sample_shape: tuple[int, ...] | None = None, dt: float = DT) -> Any:
    """Translate `network` into a ``nir.NIRGraph``.

    Parameters
    ----------
    network : a chain (mlp, conv), or a recurrent or feedback network.
    sample_shape : of one sample at one step. Needed by convolutions; a fully connected network whose samples have
        several axes is written for the flattened sample without it.
    dt : length of a step in s, which every time constant is counted in; it stands in the graph's metadata.

    Returns
    -------
    A graph whose output is the read-out of every step. Spikes come from ``v > v_threshold``, as NIR has it: where the
    neuron fires on a tie too, the threshold is the next smaller number of its precision, so the same spikes come out.

    Raises
    ------
    NirError
        If a neuron or a connection has no expression in NIR; the message says why, and what would have one.
    """
    import nir

    if not dt > 0:
        raise NirError(f"dt must be positive, got {dt} s")
    write = next((write for kind, write in _TOPOLOGIES.items() if isinstance(network, kind)), None)
    if write is None:
        raise NirError(
            f"a {type(network).__name__} cannot be written to NIR: its connections (skips, delays, gates, ...) are "
            "more than edges between maps and neurons; chains (mlp, conv), recurrent and feedback networks can"
        )
    like = next(iter(network.parameters()))
    draft = _Draft(dt, _first_shape(network, sample_shape), like)
    with torch.no_grad():
        write(draft, network)
    graph = nir.NIRGraph(draft.nodes, draft.edges, metadata={"dt": dt, "written_by": "spikeboard"}, type_check=False)
    graph.infer_types()
    return graph


@dataclass
class _Draft:
    """A graph while it is written: its nodes, and where the signal has come to."""

    dt: float
    shape: tuple[int, ...]
    """Of the signal."""
    like: Tensor
    """A parameter: type and device of the network's numbers."""
    nodes: dict[str, Any] = field(default_factory=dict)
    edges: list[tuple[str, str]] = field(default_factory=list)
    at: str = "input"

    def __post_init__(self) -> None:
        import nir

        self.nodes["input"] = nir.Input(np.array(self.shape))

    def add(self, name: str, node: Any, shape: tuple[int, ...] | None = None) -> None:
        """Append a node; `shape` is that of what it gives, None: as before."""
        self.nodes[name] = node
        self.edges.append((self.at, name))
        self.at = name
        self.shape = self.shape if shape is None else shape

    def map(self, name: str, module: nn.Module) -> None:
        """Append a linear map with what reshapes and pools before it."""
        leaves = list(_leaves(module))
        for place, leaf in enumerate(leaves):
            if isinstance(leaf, nn.Flatten) and len(self.shape) == 1:
                continue
            last = place == len(leaves) - 1
            node, shape = _node_of(name, leaf, self.shape, self.like)
            self.add(name if last else f"{name}_{type(leaf).__name__.lower()}{place}", node, shape)

    def neuron(self, name: str, neuron: nn.Module) -> None:
        """Append a layer of neurons."""
        self.add(name, nir_neuron(neuron, self.shape, self.dt, self.like.dtype))

    def close(self) -> None:
        """Append the output."""
        import nir

        self.add("output", nir.Output(np.array(self.shape)))


def _chain(draft: _Draft, network: Chain) -> None:
    import nir

    for index, block in enumerate(network.layers(), start=1):
        draft.map(f"layer{index}", block.synapse)
        draft.neuron(f"neuron{index}", block.neuron)
        if block.scale != 1:
            draft.add(f"scale{index}", nir.Scale(np.full(draft.shape, block.scale, dtype=np.float32)))
    draft.map("readout", network.readout)
    draft.close()


def _recurrent(draft: _Draft, network: RecurrentNetwork) -> None:
    import nir

    for index, block in enumerate(network.layers(), start=1):
        draft.map(f"layer{index}", block.synapse)
        shape = np.array(draft.shape)
        inner = {
            "input": nir.Input(shape),
            "neuron": nir_neuron(block.neuron, draft.shape, draft.dt, draft.like.dtype),
            "recurrent": nir.Linear(_values(_lateral_weight(block.lateral))),
            "output": nir.Output(shape),
        }
        edges = [("input", "neuron"), ("neuron", "recurrent"), ("recurrent", "neuron"), ("neuron", "output")]
        draft.add(f"neuron{index}", nir.NIRGraph(inner, edges, metadata={}, type_check=False))
    if network.readout_decay == 0:
        draft.map("readout", network.readout)
    else:
        _leaky_readout(draft, network)
    draft.close()


def _leaky_readout(draft: _Draft, network: RecurrentNetwork) -> None:
    """Write a filter that rests at the bias: NIR's begins at 0, so the bias is added behind it, which is the same."""
    import nir

    weight, bias = _values(network.readout.weight), _values(network.readout.bias)
    one = np.ones(len(bias))
    leak = 1 - network.readout_decay
    draft.add("readout", nir.Linear(weight), (len(bias),))
    draft.add("filter", nir.LI(tau=one * draft.dt / leak, r=one, v_leak=0 * one))
    draft.add("bias", nir.Affine(np.eye(len(bias), dtype=bias.dtype), bias))


def _feedback(draft: _Draft, network: FeedbackNetwork) -> None:
    draft.map("input_map", network.input_map)
    first = ""
    for index, neuron in enumerate(network.neurons()):
        if index:
            draft.map(f"layer{index + 1}", network.forward_maps[index - 1])
        draft.neuron(f"neuron{index + 1}", neuron)
        first = first or draft.at
    last, shape = draft.at, draft.shape
    draft.map("feedback", network.feedback_map)
    draft.edges.append(("feedback", first))
    draft.at, draft.shape = last, shape
    draft.map("readout", network.classifier)
    draft.close()


_TOPOLOGIES: Mapping[type[Network], Callable[[_Draft, Any], None]] = {
    Chain: _chain,
    RecurrentNetwork: _recurrent,
    FeedbackNetwork: _feedback,
}


def _first_shape(network: Network, given: tuple[int, ...] | None) -> tuple[int, ...]:
    """Return the shape of a sample: what is given, else what a fully connected first map takes."""
    if given is not None:
        return tuple(given)
    weighted = next(leaf for leaf in _leaves(network.synapses()[0].module) if hasattr(leaf, "weight"))
    if isinstance(weighted, nn.Linear):
        return (weighted.in_features,)
    raise NirError("a convolution does not know how large its samples are: give sample_shape=(channels, height, width)")


def _leaves(module: nn.Module) -> Iterator[nn.Module]:
    if isinstance(module, nn.Sequential):
        for child in module:
            yield from _leaves(child)
    else:
        yield module


def _node_of(name: str, leaf: nn.Module, shape: tuple[int, ...], like: Tensor) -> tuple[Any, tuple[int, ...]]:
    """Return the node of one module and the shape behind it."""
    import nir

    try:
        behind = tuple(leaf(like.new_zeros(1, *shape)).shape[1:])
    except RuntimeError as error:
        raise NirError(f"{name} cannot take a sample of shape {shape}: {error}") from error
    if isinstance(leaf, nn.Flatten):
        return nir.Flatten(np.array(shape), start_dim=0, end_dim=-1), behind
    if isinstance(leaf, nn.AvgPool2d):
        sizes = (np.array(_pair(size)) for size in (leaf.kernel_size, leaf.stride, leaf.padding))
        return nir.AvgPool2d(*sizes), behind
    if not hasattr(leaf, "weight") and not hasattr(leaf, "effective_weight"):
        raise NirError(f"{name}: a {type(leaf).__name__} cannot be written to NIR")
    weight, bias = _values(effective_weight(leaf)), getattr(leaf, "bias", None)
    if weight.ndim == 2:
        return (nir.Linear(weight) if bias is None else nir.Affine(weight, _values(bias))), behind
    if not isinstance(leaf, nn.Conv2d):
        raise NirError(f"{name}: a {type(leaf).__name__} cannot be written to NIR")
    padding = leaf.padding if isinstance(leaf.padding, str) else _pair(leaf.padding)
    zeros = np.zeros(weight.shape[0], dtype=weight.dtype)
    node = nir.Conv2d(
        input_shape=tuple(shape[1:]),
        weight=weight,
        stride=_pair(leaf.stride),
        padding=padding,
        dilation=_pair(leaf.dilation),
        groups=leaf.groups,
        bias=zeros if bias is None else _values(bias),
    )
    return node, behind


def _lateral_weight(lateral: nn.Linear) -> Tensor:
    return lateral.effective_weight() if isinstance(lateral, LateralLinear) else lateral.weight


def _values(tensor: Tensor) -> Any:
    return tensor.detach().cpu().numpy().copy()


def _pair(size: Any) -> tuple[int, int]:
    return (size, size) if isinstance(size, int) else (int(size[0]), int(size[1]))
