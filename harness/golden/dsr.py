"""Golden comparison of DSR: currents, scaled spikes, representation, and gradients of currents and parameters."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor

from harness.golden import Comparison
from harness.golden.networks import chain
from reference_impls.api import Neuron, build_method, build_neuron

if TYPE_CHECKING:
    from harness.golden import Case

__all__ = ["compare"]


def compare(case: Case, backend: str) -> Iterator[Comparison]:
    """Yield what a batch gives beside the authors' classes."""
    hyper, inputs = case.data["hyper_parameters"], case.data["inputs"]
    x, target = torch.tensor(inputs["input"]), torch.tensor(inputs["targets"])
    if hyper["static_input"]:
        x = x.unsqueeze(0).expand(hyper["T"], *x.shape)
    method = _method(hyper, inputs["parameters"], backend)
    method.layers = layers = [_Recorded(layer) for layer in method.layers]
    loss = torch.tensor(method.accumulate(x, target).loss)
    for i, layer in enumerate(layers):
        label = f"layer {i + 1}"
        yield Comparison(f"{label}: current", layer.current, case.data["input_current_T_B_N_per_layer"][i])
        yield Comparison(f"{label}: scaled spikes", layer.spikes, case.data["scaled_spikes_T_B_N_per_layer"][i])
        assert layer.current.grad is not None
        gradient = case.data["gradient_wrt_input_current_T_B_N_per_layer"][i]
        yield Comparison(f"{label}: gradient of the current", layer.current.grad, gradient)
    yield Comparison("loss", loss, case.data["loss"])
    yield Comparison("output representation", method.predict(x), case.data["output_representation"])
    parameters = _parameters(method)
    for name, value in case.data["gradients"].items():
        found = parameters[name].grad
        assert found is not None
        yield Comparison(f"gradient {name}", found, value)


def _method(hyper: Mapping[str, Any], parameters: Mapping[str, Any], backend: str) -> Any:
    """Build the method on the file's network, with the file's thresholds."""

    def neuron() -> Neuron:
        if hyper["neuron"] == "IF":
            return build_neuron("if", backend=backend)
        steps = hyper["tau"] / hyper["delta_t"]
        return build_neuron("lif", backend=backend, tau=steps, decay_rule="exp", decay_input=True)

    layers = range(1, len(hyper["layer_sizes"]))
    weights, biases = ([parameters[f"layer{i}.{part}"] for i in layers] for part in ("weight", "bias"))
    method: Any = build_method(
        "dsr",
        v_threshold=hyper["v_threshold"],
        alpha=hyper["alpha"],
        v_threshold_bound=hyper["v_threshold_lower_bound"],
        tau=hyper["tau"],
        output_bias=0.0,
    )
    method.prepare(chain(hyper["layer_sizes"], neuron, weights, biases))
    with torch.no_grad():
        for i in layers:
            method.thresholds[i - 1].fill_(parameters[f"layer{i}.v_threshold"])
    return method


class _Recorded:
    """A layer of DSR that keeps what goes in, with its gradient, and what comes out."""

    def __init__(self, layer: Any) -> None:
        self.layer = layer

    def __getattr__(self, name: str) -> Any:
        return getattr(self.layer, name)

    def __call__(self, current: Tensor, threshold: Tensor) -> Tensor:
        # A current that is broadcast over time would collect one gradient for all steps.
        self.current = current.contiguous()
        if self.current.requires_grad:
            self.current.retain_grad()
        out: Tensor = self.layer(self.current, threshold)
        self.spikes = out.detach()
        return out


def _parameters(method: Any) -> dict[str, Tensor]:
    network = method.network
    maps = [*[block.synapse for block in network.layers()], network.readout]
    found: dict[str, Tensor] = {}
    for i, (module, v) in enumerate(zip(maps, method.thresholds, strict=True), start=1):
        found |= {f"layer{i}.weight": module.weight, f"layer{i}.bias": module.bias, f"layer{i}.v_threshold": v}
    return found
