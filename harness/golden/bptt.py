"""Golden comparison of BPTT: every variant of reset, detaching, surrogate, loss and window of a case."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor

from harness.golden import EXACT, Comparison
from harness.golden.networks import chain, layer_gradients
from reference_impls.api import Neuron, SequentialNeuron, build_method, build_neuron

if TYPE_CHECKING:
    from harness.golden import Case

__all__ = ["compare"]

SURROGATES = {
    "sigmoid_alpha4": {"name": "sigmoid", "params": {"alpha": 4.0}},
    "atan_alpha2": {"name": "atan", "params": {"alpha": 2.0}},
    "triangle_alpha1": {"name": "triangle", "params": {"alpha": 1.0}},
}


def compare(case: Case, backend: str) -> Iterator[Comparison]:
    """Yield losses, gradients, spikes and membranes beside the library's."""
    hyper, inputs = case.data["hyper_parameters"], case.data["inputs"]
    x, target = torch.tensor(inputs["input_T_B_N"]), torch.tensor(inputs["targets"])
    weights, biases = inputs["weights_out_in"], inputs["biases"]
    for name, expected in case.data["variants"].items():
        variant = dict(part.split("=") for part in name.split(";"))

        def neuron(variant: Mapping[str, str] = variant) -> Neuron:
            return build_neuron(
                "lif",
                backend=backend,
                tau=hyper["tau"],
                decay_input=hyper["decay_input"],
                v_threshold=hyper["v_threshold"],
                reset_mode=variant["reset"],
                detach_reset=variant["detach_reset"] == "True",
                surrogate=SURROGATES[variant["surrogate"]],
            )

        network = chain(hyper["layer_sizes"], neuron, weights, biases)
        method = build_method("bptt", **_options(variant, hyper))
        method.prepare(network)
        gradients = method.gradients(x, target)
        report = method.accumulate(x, target)
        yield Comparison(f"{name}: loss", torch.tensor(report.loss), expected["loss"])
        for label, key, found in layer_gradients(gradients, len(weights)):
            yield Comparison(f"{name}: {label}", found, expected[f"{key}_gradients"][int(label[5:].split(".")[0]) - 1])
    for reset, key in (("soft", "forward_soft_reset"), ("hard", "forward_hard_reset_to_0")):
        yield from _forward(case.data[key], reset, hyper, weights, biases, x)


def _options(variant: Mapping[str, str], hyper: Mapping[str, Any]) -> dict[str, Any]:
    options: dict[str, Any] = {"loss": variant["loss"]}
    if variant["loss"] == "tet":
        options |= {"tet_weight": hyper["tet_lambda"], "tet_target": hyper["tet_mse_mean"]}
    if "tbptt_window" in variant:
        options["window"] = int(variant["tbptt_window"])
    return options


def _forward(
    expected: Mapping[str, Any], reset: str, hyper: Mapping[str, Any], weights: Any, biases: Any, x: Tensor
) -> Iterator[Comparison]:
    """Step through the network and compare spikes, membranes and logits of every step."""

    def neuron() -> Neuron:
        wanted = ("tau", "decay_input", "v_threshold")
        return build_neuron("lif", reset_mode=reset, **{key: hyper[key] for key in wanted})

    network = chain(hyper["layer_sizes"], neuron, weights, biases)
    z = x
    for index, block in enumerate(network.layers()):
        layer: SequentialNeuron = block.neuron
        spikes, membrane, state = [], [], layer.init_state(block.synapse(z[0]))
        for step in z:
            s, state = layer.advance(block.synapse(step), state)
            spikes.append(s)
            membrane.append(state.v)
        z = torch.stack(spikes)
        label = f"{reset} reset: layer {index + 1}"
        yield Comparison(f"{label} spikes", z, expected["hidden_spikes"][index], EXACT)
        yield Comparison(f"{label} membrane", torch.stack(membrane), expected["membrane_after_reset"][index])
    yield Comparison(f"{reset} reset: logits", network.readout(z), expected["logits_per_step"])
