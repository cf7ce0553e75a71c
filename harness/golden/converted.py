"""What the golden comparisons of conversion share: the files' networks, and the spiking network beside its numbers."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import torch
from torch import Tensor, nn

from harness.golden import EXACT, Comparison
from harness.golden.networks import assign
from reference_impls.api import build_neuron
from reference_impls.conversion.spiking import spike_rates
from reference_impls.topologies._chain import Block, Chain

__all__ = ["compare_gradients", "compare_spiking", "network_of", "recorded"]


def network_of(layers: Sequence[Mapping[str, Any]], backend: str) -> Chain:
    """Build the chain that a file lists, with its weights: what stands before an activation is one linear map."""
    blocks: list[Block] = []
    parts: list[nn.Module] = []
    for layer in layers:
        if layer["kind"] == "activation":
            blocks.append(Block(nn.Sequential(*parts), build_neuron("if", backend=backend)))
            parts = []
        else:
            parts.append(_module(layer))
    return Chain(blocks, nn.Sequential(*parts))


def _module(layer: Mapping[str, Any]) -> nn.Module:
    if layer["kind"] == "flatten":
        return nn.Flatten()
    if layer["kind"] == "avgpool2d":
        return nn.AvgPool2d(layer["size"])
    weight = torch.tensor(layer["weight"])
    module: nn.Module
    if layer["kind"] == "linear":
        module = nn.Linear(weight.shape[1], weight.shape[0])
    else:
        options = {name: layer[name] for name in ("stride", "padding") if name in layer}
        height, width = weight.shape[2:]
        module = nn.Conv2d(weight.shape[1], weight.shape[0], (height, width), **options)
    assign(module, weight=weight, bias=layer["bias"])
    return module


def recorded(activation: Any, into: list[tuple[Tensor, Tensor]]) -> Any:
    """Return `activation`, which keeps (pre-activation, activation) of every layer in `into`."""

    def kept(layer: int, z: Tensor) -> Tensor:
        a: Tensor = activation(layer, z)
        into.append((z, a))
        return a

    return kept


def compare_gradients(
    network: Chain, ups: Sequence[Tensor], expected: Mapping[str, Any], label: str = "gradient"
) -> Iterator[Comparison]:
    """Yield the gradients of all maps and clipping points beside the file's."""
    maps = [*[block.synapse for block in network.layers()], network.readout]
    for kind, name in (("weights", "weight"), ("biases", "bias")):
        for i, (module, value) in enumerate(zip(maps, expected[kind], strict=True)):
            found = next(p.grad for key, p in module.named_parameters() if key.endswith(name))
            assert found is not None
            yield Comparison(f"{label}: {name} {i + 1}", found, value)
    for i, (up, value) in enumerate(zip(ups, expected["lambda"], strict=True)):
        assert up.grad is not None
        yield Comparison(f"{label}: lambda {i + 1}", up.grad, value)


def compare_spiking(method: Any, frame: Tensor, expected: Mapping[str, Any]) -> Iterator[Comparison]:
    """Yield spikes, membranes and logits of the method's spiking network, fed with `frame` at every step."""
    network, steps = method.network, len(expected["logits_per_step_T_B_C"])
    x = frame.unsqueeze(0).expand(steps, *frame.shape)
    method.predict(x)  # lets the network follow the ANN
    thresholds = [neuron.v_threshold for neuron in network.neurons()]
    yield Comparison("thresholds", torch.tensor(thresholds), expected.get("thresholds", thresholds))
    seen: list[Tensor] = []
    with network.observed_by(lambda _layer, spikes: seen.append(spikes)):
        logits = network.run(x).logits
    for i, (spikes, value) in enumerate(zip(seen, expected["spikes_T_B_n"], strict=True)):
        yield Comparison(f"spikes of layer {i + 1}", spikes, value, EXACT)
    yield Comparison("logits of each step", logits, expected["logits_per_step_T_B_C"])
    name = next(key for key in expected if key.startswith(f"membrane_after_T{steps}") and "in_thresholds" not in key)
    for i, (membrane, value) in enumerate(zip(spike_rates(network, x)[1], expected[name], strict=True)):
        yield Comparison(f"membrane of layer {i + 1}", membrane, value)
    counts = sorted(map(int, expected["logits_summed_over_time"]))
    for count, mean in zip(counts, method.read_outs(x, counts), strict=True):
        yield Comparison(f"sum of {count} logits", mean * count, expected["logits_summed_over_time"][str(count)])
        if "logits_mean_over_time" in expected:
            yield Comparison(f"mean of {count} logits", mean, expected["logits_mean_over_time"][str(count)])
