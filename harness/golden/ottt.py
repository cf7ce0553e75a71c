"""Golden comparison of OTTT-A and OTTT-O: logits, losses, spikes, gradients and updated parameters."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from functools import partial
from typing import TYPE_CHECKING, Any

import torch

from harness.golden import EXACT, Comparison
from harness.golden.networks import assign, chain, layer_gradients
from reference_impls.api import build_method, build_neuron
from reference_impls.training.ottt import OTTT

if TYPE_CHECKING:
    from harness.golden import Case

__all__ = ["compare"]


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
    seen: list[list[Any]] = [[] for _ in network.neurons()]
    logits: list[Any] = []
    hook = network.readout.register_forward_hook(lambda _m, _i, out: logits.append(out.detach()))
    method.network.zero_grad(set_to_none=True)
    losses, steps = [], []
    with network.observed_by(lambda layer, spikes: seen[layer].append(spikes[0].detach())):
        for loss in method._walk(x, target):
            losses.append(loss)
            if method.online:
                steps.append({n: p.grad.clone() for n, p in network.named_parameters()})
                assert method.optimizer is not None
                method.optimizer.step()
                method.optimizer.zero_grad(set_to_none=True)
    hook.remove()
    yield Comparison(f"{kind}: loss_per_step", torch.stack(losses), expected["loss_per_step"])
    # The read-out runs twice a step, on the spikes and on the trace; its value is that of the spikes.
    yield Comparison(f"{kind}: logits_per_step", torch.stack(logits[::2]), expected["logits_per_step"])
    for layer, spikes in enumerate(seen):
        yield Comparison(
            f"{kind}: spikes of layer {layer + 1}", torch.stack(spikes), expected["hidden_spikes"][layer], EXACT
        )
    for t, gradients in enumerate(steps):
        for label, _, found in layer_gradients(gradients, len(seen) + 1):
            yield Comparison(
                f"{kind}: gradient {label} at step {t}", found, expected["gradients_at_each_step"][t][label]
            )


def _parameters(kind: str, method: OTTT, expected: Mapping[str, Any]) -> Iterator[Comparison]:
    values = {name: parameter.detach() for name, parameter in method.network.named_parameters()}
    for label, _, found in layer_gradients(values, len(method.network.neurons()) + 1):
        yield Comparison(f"{kind}: {label} after the update", found, expected["parameters_after_update"][label])
