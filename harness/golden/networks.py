"""Small networks with given weights, for the golden comparison of training methods."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

import torch
from torch import Tensor, nn

from reference_impls.api import Neuron, NeuronFactory, build_network

__all__ = ["assign", "chain", "feedback", "layer_gradients"]


AnyFactory = NeuronFactory | Callable[[], Neuron]
"""The neurons of these files have the same parameters in a layer of any shape."""


@torch.no_grad()
def assign(module: nn.Module, **values: Any) -> None:
    """Copy `values` into the parameters of `module` that bear their names."""
    for name, value in values.items():
        getattr(module, name).copy_(torch.as_tensor(value))


def chain(sizes: Sequence[int], neuron: AnyFactory, weights: Any, biases: Any, **options: Any) -> Any:
    """Build an ``mlp`` of `sizes` (input to classes) with the given weight and bias of every map."""
    network: Any = build_network("mlp", (sizes[0],), sizes[-1], neuron, hidden=list(sizes[1:-1]), **options)
    maps = [*[block.synapse for block in network.layers()], network.readout]
    for module, weight, bias in zip(maps, weights, biases, strict=True):
        assign(module, weight=weight, bias=bias)
    return network


def layer_gradients(gradients: Mapping[str, Tensor], maps: int) -> Iterator[tuple[str, str, Tensor]]:
    """Yield ("layer<i>.<parameter>", parameter, gradient) of a chain, the read-out as the last layer."""
    for name, gradient in gradients.items():
        head, *_, parameter = name.split(".")
        layer = maps if head == "readout" else int(name.split(".")[1]) + 1
        yield f"layer{layer}.{parameter}", parameter, gradient


FEEDBACK_NAMES = {"input": "input_map", "feedback": "feedback_map", "classifier": "classifier"}


def feedback(hyper: Mapping[str, Any], parameters: Mapping[str, Any], neuron: AnyFactory) -> Any:
    """Build an unrestricted ``feedback`` network with the given parameters."""
    network: Any = build_network(
        "feedback",
        (hyper["input_size"],),
        hyper["classes"],
        neuron,
        hidden=hyper["layer_sizes"],
        restriction="none",
    )
    for name, value in parameters.items():
        assign(network.get_submodule(_path(name).rpartition(".")[0]), **{name.split(".")[1]: value})
    return network


def named_as_in_file(gradients: Mapping[str, Tensor], names: Sequence[str]) -> dict[str, Tensor]:
    """Pick the gradients that a golden file lists, under the file's names."""
    return {name: gradients[_path(name)] for name in names}


def _path(name: str) -> str:
    module, parameter = name.split(".")
    if module.startswith("forward"):
        return f"forward_maps.{int(module.removeprefix('forward')) - 1}.{parameter}"
    return f"{FEEDBACK_NAMES[module]}.{parameter}"
