"""Golden comparison of OTTT-A and OTTT-O: logits, losses, spikes, gradients and updated parameters."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from functools import partial
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor

from harness.golden import CLOSE, EXACT, Comparison
from harness.golden.networks import assign, chain, layer_gradients
from reference_impls.api import build_method, build_neuron
from reference_impls.training.ottt import OTTT

if TYPE_CHECKING:
    from harness.golden import Case

__all__ = ["compare"]

PER_LAYER = {"hidden_spikes": EXACT, "hidden_traces": CLOSE, "membrane_after_reset": CLOSE}
"""What the files hold of every layer and step, and how closely it must agree."""


def compare(case: Case, backend: str) -> Iterator[Comparison]:
    """Yield what both kinds of update give beside the authors' classes."""
    hyper, inputs = case.data["hyper_parameters"], case.data["inputs"]
    x, target = torch.tensor(inputs["input_T_B_N"]), torch.tensor(inputs["targets"])
    optimizer = partial(torch.optim.SGD, lr=hyper["optimizer"]["lr"], momentum=hyper["optimizer"]["momentum"])

    accumulated = _method("ottt-a", hyper, inputs, backend)
    accumulated.prepare(accumulated.network, optimizer)
    gradients = accumulated.gradients(x, target)
    for label, _, found in layer_gradients(gradients, len(hyper["layer_sizes"]) - 1):
        yield Comparison(f"A: gradient {label}", found, case.data["ottt_a"]["accumulated_gradients"][label])
    yield from _walked("A", accumulated, x, target, case.data["ottt_a"])
    accumulated.update(x, target)
    yield from _parameters("A", accumulated, case.data["ottt_a"])

    online = _method("ottt-o", hyper, inputs, backend)
    online.prepare(online.network, optimizer)
    yield from _walked("O", online, x, target, case.data["ottt_o"])
    yield from _parameters("O", online, case.data["ottt_o"])


def _method(name: str, hyper: Mapping[str, Any], inputs: Mapping[str, Any], backend: str) -> Any:
    def neuron() -> Any:
        surrogate, sharpness = hyper["surrogate"].split()
        return build_neuron(
            "lif",
            backend=backend,
            decay=hyper["lambda"],
            v_threshold=hyper["v_threshold"],
            surrogate={"name": surrogate, "params": {"alpha": float(sharpness.removeprefix("alpha="))}},
        )

    start, layers = inputs["initial_parameters"], range(1, len(hyper["layer_sizes"]))
    standardise = hyper["scaled_weight_standardisation"]
    weights, biases = ([start[f"layer{i}.{part}"] for i in layers] for part in ("weight", "bias"))
    network = chain(hyper["layer_sizes"], neuron, weights, biases, weight_standardisation=standardise)
    for i, block in enumerate(network.layers(), start=1):
        if standardise:
            assign(block.synapse, gain=start[f"layer{i}.gain"])
    method = build_method(name, mse_weight=hyper["loss_mse_weight"])
    method.network = network
    return method


def _walked(kind: str, method: OTTT, x: Any, target: Any, expected: Mapping[str, Any]) -> Iterator[Comparison]:
    """Walk over time as `update` does, comparing what every step gives (OTTT-O steps its optimizer on the way)."""
    network: Any = method.network
    layers = range(len(network.neurons()))
    seen: dict[str, list[list[Tensor]]] = {key: [[] for _ in layers] for key in PER_LAYER}
    network.zero_grad(set_to_none=True)
    losses, logits, gradients = [], [], []
    with network.observed_by(lambda layer, emitted: seen["hidden_spikes"][layer].append(emitted[0].detach())):
        for step in method.walk(x, target):
            losses.append(step.loss)
            logits.append(step.logits)
            for layer, memory in enumerate(step.layers):
                assert memory.state is not None
                seen["hidden_traces"][layer].append(torch.as_tensor(memory.trace))
                seen["membrane_after_reset"][layer].append(memory.state.v)
            if method.online:
                gradients.append({n: p.grad.clone() for n, p in network.named_parameters()})
                assert method.optimizer is not None
                method.optimizer.step()
                method.optimizer.zero_grad(set_to_none=True)
    yield Comparison(f"{kind}: loss_per_step", torch.stack(losses), expected["loss_per_step"])
    yield Comparison(f"{kind}: logits_per_step", torch.stack(logits), expected["logits_per_step"])
    for key, tolerance in PER_LAYER.items():
        for layer in layers:
            label = f"{kind}: {key} of layer {layer + 1}"
            yield Comparison(label, torch.stack(seen[key][layer]), expected[key][layer], tolerance)
    for t, of_step in enumerate(gradients):
        for label, _, gradient in layer_gradients(of_step, len(layers) + 1):
            yield Comparison(
                f"{kind}: gradient {label} at step {t}", gradient, expected["gradients_at_each_step"][t][label]
            )


def _parameters(kind: str, method: OTTT, expected: Mapping[str, Any]) -> Iterator[Comparison]:
    values = {name: parameter.detach() for name, parameter in method.network.named_parameters()}
    for label, _, found in layer_gradients(values, len(method.network.neurons()) + 1):
        yield Comparison(f"{kind}: {label} after the update", found, expected["parameters_after_update"][label])
