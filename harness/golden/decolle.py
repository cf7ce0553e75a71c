"""Golden comparison of DECOLLE: spikes, membranes, read-outs, losses, gradients and updated parameters."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor, nn

from harness.golden import EXACT, Comparison
from harness.golden.networks import assign, chain
from reference_impls.api import build_method, build_neuron

if TYPE_CHECKING:
    from harness.golden import Case

__all__ = ["compare"]


def compare(case: Case, backend: str) -> Iterator[Comparison]:
    """Yield what both kinds of update give beside the authors' classes, step by step."""
    hyper, inputs = case.data["hyper_parameters"], case.data["inputs"]
    x, target = torch.tensor(inputs["input_B_T_N"]).transpose(0, 1), torch.tensor(inputs["targets"])

    accumulated, expected = _method("accumulated", hyper, inputs, backend), case.data["accumulated"]
    yield from _walked("accumulated", accumulated, x, target, expected)
    yield from _named("accumulated", accumulated.gradients(x, target), expected["gradients"], "gradient")

    online, expected = _method("online", hyper, inputs, backend), case.data["online_sgd"]
    yield from _walked("online", online, x, target, expected)
    values = {name: value.detach() for name, value in online.network.named_parameters()}
    yield from _named("online", values, expected["parameters_after"], "updated")

    updated = _method("online", hyper, inputs, backend)
    updated.update(x, target)
    for name, value in updated.network.named_parameters():
        yield Comparison(f"update() as walked: {name}", value, values[name], EXACT)


def _method(update: str, hyper: Mapping[str, Any], inputs: Mapping[str, Any], backend: str) -> Any:
    if hyper["dropout"]:
        raise ValueError("DECOLLE here has no dropout; give a case without")
    given, layers = inputs["parameters"], range(len(hyper["hidden"]))
    biases = [given[f"LIF_layers.{index}.base_layer.bias"] for index in layers]
    bias = iter(biases)

    def neuron() -> Any:
        return build_neuron(
            "decolle-lif",
            backend=backend,
            decay=hyper["alpha"],
            current_decay=hyper["beta"],
            refractory_decay=hyper["alpha_refractory"],
            refractory_weight=hyper["w_refractory"],
            bias=next(bias),
        )

    sizes = [hyper["n_in"], *hyper["hidden"], hyper["classes"]]
    weights = [given[f"LIF_layers.{index}.base_layer.weight"] for index in layers]
    read = [(given[f"readout_layers.{index}.weight"], given[f"readout_layers.{index}.bias"]) for index in layers]
    # The authors' bias is added to the membrane, behind the filters: it is the neuron's, and the maps have none.
    network = chain(sizes, neuron, [*weights, read[-1][0]], [*[0.0] * len(weights), read[-1][1]])
    for block in network.layers():
        block.synapse.bias.requires_grad_(False)
    method: Any = build_method("decolle", update=update, burn_in=hyper["burn_in"], start="released")
    method.prepare(network, lambda parameters: torch.optim.SGD(parameters, lr=hyper["lr"]))
    for size, (weight, offset) in zip(sizes[1:-1], read, strict=True):
        readout = nn.Linear(size, hyper["classes"]).requires_grad_(False)
        assign(readout, weight=weight, bias=offset)
        method.readouts.append(readout)
    assign(network.readout, weight=read[-1][0], bias=read[-1][1])
    return method


def _walked(kind: str, method: Any, x: Tensor, target: Tensor, expected: Mapping[str, Any]) -> Iterator[Comparison]:
    """Walk over time as `update` does; OTTT-like, an online run steps its optimizer on the way."""
    method.network.zero_grad(set_to_none=True)
    spikes: list[list[Tensor]] = []
    membranes, losses, readouts, gradients = [], [], [], []
    latest: dict[int, Tensor] = {}
    with method.network.observed_by(lambda layer, fired: latest.update({layer: fired[0].clone()})):
        for step in method.walk(x, target):
            neurons = [layer.block.neuron for layer in step.layers]
            states = [layer.traces.state for layer in step.layers]
            membranes.append([s.p + n.bias.detach() + s.r for s, n in zip(states, neurons, strict=True)])
            spikes.append([latest[index] for index in range(len(neurons))])
            losses.append(step.losses)
            readouts.append(step.readouts)
            step.settle()
            if method.online:
                gradients.append(
                    {n: p.grad.clone() for n, p in method.network.named_parameters() if p.grad is not None}
                )
                method.optimizer.step()
                method.optimizer.zero_grad(set_to_none=True)
    for layer in range(len(spikes[0])):
        found = {"spikes": spikes, "membrane": membranes, "readout": readouts}
        for name, values in found.items():
            given = [row[layer] for row in expected[name]]
            tolerance = {"tolerance": EXACT} if name == "spikes" else {}
            yield Comparison(
                f"{kind}: {name} of layer {layer}", torch.stack([row[layer] for row in values]), given, **tolerance
            )
    yield Comparison(f"{kind}: losses", torch.stack(losses), expected["losses"])
    for t, gradient in enumerate(gradients):
        yield from _named(f"{kind}, step {t}", gradient, expected["gradients"][t], "gradient")


def _named(kind: str, found: Mapping[str, Tensor], expected: Mapping[str, Any], what: str) -> Iterator[Comparison]:
    for name, values in expected.items():
        _, layer, _, parameter = name.split(".")
        ours = f"blocks.{layer}.{'synapse.weight' if parameter == 'weight' else 'neuron.bias'}"
        yield Comparison(f"{kind}: {what} {name}", found[ours], values)
