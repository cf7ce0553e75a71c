"""Golden comparison of rate-based backpropagation: spikes, rates, sensitivities, logits and gradients."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor

from harness.golden import EXACT, Comparison
from harness.golden.networks import chain
from reference_impls.api import Neuron, build_method, build_neuron

if TYPE_CHECKING:
    from harness.golden import Case

__all__ = ["compare"]


def compare(case: Case, backend: str) -> Iterator[Comparison]:
    """Yield what both orders of simulation, and BPTT on the same network, give."""
    hyper, inputs = case.data["hyper_parameters"], case.data["inputs"]
    x, target = torch.tensor(inputs["input_T_B_N"]), torch.tensor(inputs["targets"])
    network, places = _network(hyper, inputs["parameters"], backend)
    for row in ("rate-based-bp", "rate-based-bp-single-step"):
        method: Any = build_method(row)
        method.prepare(network)
        yield from _simulated(row, method, x, case.data["rate_based"])
        yield from _gradients(row, method, x, target, places, case.data["rate_based"])
        yield Comparison(f"{row}: prediction", method.predict(x), case.data["rate_based"]["logits"])
    bptt = build_method("bptt", loss="rate_ce")
    bptt.prepare(network)
    yield from _gradients("bptt", bptt, x, target, places, case.data["bptt_same_network"])


def _network(hyper: Mapping[str, Any], parameters: Mapping[str, Any], backend: str) -> tuple[Any, dict[str, str]]:
    """Build the file's network, and map its names to the parameters here."""

    def neuron() -> Neuron:
        surrogate, sharpness = hyper["surrogate"].split()
        return build_neuron(
            "lif",
            backend=backend,
            decay=hyper["decay"],
            v_threshold=hyper["v_threshold"],
            reset_mode="soft" if hyper["v_reset"] is None else "hard",
            v_reset=hyper["v_reset"],
            detach_reset=hyper["detach_reset"],
            surrogate={"name": surrogate, "params": {"alpha": float(sharpness.removeprefix("alpha="))}},
        )

    maps = [f"body.{2 * i}" for i in range(len(hyper["layer_sizes"]) - 2)] + ["head"]
    weights, biases = ([parameters[f"{name}.{part}"] for name in maps] for part in ("weight", "bias"))
    here = {name: f"blocks.{i}.synapse" for i, name in enumerate(maps[:-1])} | {"head": "readout"}
    return chain(hyper["layer_sizes"], neuron, weights, biases), here


def _simulated(row: str, method: Any, x: Tensor, expected: Mapping[str, Any]) -> Iterator[Comparison]:
    layers = range(len(method.network.neurons()))
    seen: list[list[Tensor]] = [[] for _ in layers]
    with method.network.observed_by(lambda layer, spikes: seen[layer].append(spikes[0].detach())):
        responses = method.simulate(x)
    for i in layers:
        label = f"{row}: layer {i + 1}"
        yield Comparison(f"{label} spikes", torch.stack(seen[i]), expected["spikes_T_B_N_per_layer"][i], EXACT)
        yield Comparison(f"{label} rate", responses[i].rate, expected["mean_spikes_per_layer"][i])
        yield Comparison(f"{label} sensitivity", responses[i].sensitivity, expected["mean_sensitivity_per_layer"][i])
    yield Comparison(f"{row}: logits", method.rate_pass(x, responses), expected["logits"])


def _gradients(
    row: str, method: Any, x: Tensor, target: Tensor, places: Mapping[str, str], expected: Mapping[str, Any]
) -> Iterator[Comparison]:
    gradients = method.gradients(x, target)
    for name, value in expected["gradients"].items():
        place, part = name.rsplit(".", 1)
        yield Comparison(f"{row}: gradient {name}", gradients[f"{places[place]}.{part}"], value)
    yield Comparison(f"{row}: loss", torch.tensor(method.accumulate(x, target).loss), expected["loss"])
