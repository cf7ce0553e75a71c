"""Golden comparison of SPIDE: both stages' spikes, rates, masks, errors and gradients at several lengths."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor

from harness.golden import EXACT, Comparison
from harness.golden.ide import constant_input, spikes_and_rates
from harness.golden.networks import feedback, named_as_in_file
from reference_impls.api import build_method, build_neuron
from reference_impls.training.spide import Adjoint

if TYPE_CHECKING:
    from harness.golden import Case

__all__ = ["compare"]


def compare(case: Case, backend: str) -> Iterator[Comparison]:
    """Yield everything that the authors' classes gave, gradients unscaled."""
    data, hyper, inputs = case.data, case.data["hyper_parameters"], case.data["inputs"]
    x, target = constant_input(inputs, hyper["T_F"]), torch.tensor(inputs["targets"])

    def neuron() -> Any:
        decay = 1.0 if hyper["leaky"] is None else hyper["leaky"]
        return build_neuron("lif", backend=backend, decay=decay, v_threshold=hyper["v_threshold"])

    network = feedback(hyper, inputs["parameters"], neuron)
    method: Any = _method(hyper, hyper["T_B_recorded"])
    method.prepare(network)
    stage1, stage2 = data["stage1"], data["stage2"]
    yield from spikes_and_rates(network, x, stage1["spikes_TF_B_N_per_layer"], "stage 1")
    rates, masks = method.first_stage(x)
    for layer in range(len(masks)):
        label = f"stage 1 layer {layer + 1}"
        yield Comparison(f"{label} rate", rates.weighted[layer], stage1["average_firing_rate_per_layer"][layer])
        yield Comparison(f"{label} frequency", rates.plain[layer], stage1["plain_spike_frequency_per_layer"][layer])
        yield Comparison(f"{label} mask", masks[layer], stage1["masks_per_layer"][layer], EXACT)
    yield Comparison("logits", method.predict(x), stage1["logits"])
    yield Comparison("loss", torch.tensor(method.accumulate(x, target).loss), stage1["loss_unscaled"])
    yield from _second_stage(method, rates, masks, stage2)
    yield from _gradients("", method, x, target, data["official_gradients_scaled_loss"])
    for longer in data["official_gradients_for_larger_T_B"]:
        other = _method(hyper, longer["T_B"])
        other.prepare(network)
        yield from _gradients(f"T_B={longer['T_B']}: ", other, x, target, longer["gradients_scaled_loss"])
        q = torch.tensor(stage2["injected_gradient_of_scaled_loss"])
        backward = other.second_stage(q, rates, masks).rates
        for layer, expected in enumerate(longer.get("backward_firing_rate_last_to_first", [])[::-1]):
            yield Comparison(f"T_B={longer['T_B']}: rate of layer {layer + 1}", backward[layer], expected)
    method.prepare(network)
    yield from _limit(method, rates, masks, x, target, data)


def _method(hyper: Mapping[str, Any], steps: int) -> Any:
    return build_method(
        "spide",
        T_B=steps,
        v_threshold_backward=hyper["v_threshold_backward"],
        u_rest=hyper["u_rest"],
        u_rest_backward=hyper["u_rest_backward"],
        loss_scale_factor=hyper["loss_scale_factor"],
    )


def _second_stage(method: Any, rates: Any, masks: Any, expected: Mapping[str, Any]) -> Iterator[Comparison]:
    seen: list[list[Tensor]] = [[] for _ in masks]
    q = torch.tensor(expected["injected_gradient_of_scaled_loss"])
    adjoint = method.second_stage(q, rates, masks, lambda layer, spikes: seen[layer].append(spikes[0].clone()))
    for layer, spikes in enumerate(seen):
        label = f"stage 2 layer {layer + 1}"
        wanted = expected["ternary_spikes_TB_B_N_per_layer_first_to_last"][layer]
        yield Comparison(f"{label} spikes", torch.stack(spikes), wanted, EXACT)
        yield Comparison(f"{label} beta", adjoint.beta[layer], expected["beta_per_layer_first_to_last"][layer])
        backward = expected["backward_firing_rate_last_to_first"][::-1][layer]
        yield Comparison(f"{label} rate", adjoint.rates[layer], backward)


def _limit(
    method: Any, rates: Any, masks: Any, x: Tensor, target: Tensor, data: Mapping[str, Any]
) -> Iterator[Comparison]:
    """Solve for the errors that an endless second stage of IF neurons has, and compare with the file's.

    ``max_abs_error_by_T_B`` says how far the gradients of finite stages are from that limit.
    """
    expected = data["derived_limit_T_B_to_infinity"]
    q, back = torch.tensor(data["stage2"]["injected_gradient_of_scaled_loss"]), method._adjoint_maps(rates)

    def around(last: Tensor) -> list[Tensor]:
        """Return the last layer's error after one turn, then every layer's on the way."""
        beta = [last]
        for i in reversed(range(len(masks) - 1)):
            beta.insert(0, back[i](masks[i + 1] * beta[0]) / method.amplitude)
        return [back[-1](masks[0] * beta[0]) / method.amplitude, *beta]

    units = torch.eye(q.shape[1])
    turned = torch.stack([around(unit.expand_as(q).contiguous())[0] for unit in units], dim=-1)
    _, *beta = around(torch.linalg.solve(units - turned, q.unsqueeze(-1)).squeeze(-1))
    for layer, found in enumerate(beta):
        yield Comparison(f"limit: beta of layer {layer + 1}", found, expected["beta_per_layer_first_to_last"][layer])
    method.network.zero_grad()
    method._add_local_gradients(rates, masks, Adjoint(tuple(beta), (), 0.0, 0.0), x[0])
    gradients = {
        n: p.grad * method.loss_scale_factor for n, p in method.network.named_parameters() if p.grad is not None
    }
    limit = named_as_in_file(gradients, list(expected["gradients_scaled_loss"]))
    for name, gradient in limit.items():
        yield Comparison(f"limit: gradient {name}", gradient, expected["gradients_scaled_loss"][name])
    for steps, error in expected["max_abs_error_by_T_B"].items():
        method.T_B = int(steps)
        finite = named_as_in_file(method.gradients(x, target), list(limit))
        distances = [(finite[name] * method.loss_scale_factor - value).abs().max() for name, value in limit.items()]
        yield Comparison(f"limit: distance at T_B={steps}", torch.stack(distances).max(), error)


def _gradients(label: str, method: Any, x: Tensor, target: Tensor, expected: Mapping[str, Any]) -> Iterator[Comparison]:
    found = named_as_in_file(method.gradients(x, target), list(expected))
    for name, gradient in found.items():
        yield Comparison(f"{label}gradient {name}", gradient * method.loss_scale_factor, expected[name])
