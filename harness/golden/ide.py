"""Golden comparison of IDE: rates, equilibrium, gradients of every solver, spectral restriction."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor

from harness.golden import CLOSE, EXACT, Comparison
from harness.golden.networks import feedback, named_as_in_file
from reference_impls.api import build_method, build_neuron
from reference_impls.synapses import effective_weight, restrict
from reference_impls.training._equilibrium import simulate

if TYPE_CHECKING:
    from harness.golden import Case

__all__ = ["compare"]

SOLVED_TO = 1e-8
"""Broyden stops at a residual; two implementations agree to about that."""
EQUILIBRIUM_SWEEPS = 2000


def compare(case: Case, backend: str) -> Iterator[Comparison]:
    """Yield spikes, rates and gradients beside the authors' classes and the dense solve."""
    data, hyper, inputs = case.data, case.data["hyper_parameters"], case.data["inputs"]
    x, target = constant_input(inputs, hyper["T"]), torch.tensor(inputs["targets"])

    def neuron() -> Any:
        decay = 1.0 if hyper["leaky"] is None else hyper["leaky"]
        return build_neuron("lif", backend=backend, decay=decay, v_threshold=hyper["v_threshold"])

    network = feedback(hyper, inputs["parameters"], neuron)
    yield from spikes_and_rates(network, x, data["forward"]["spikes_T_B_N_per_layer"], "stage 1")
    for layer, rate in enumerate(simulate(network, x).weighted):
        yield Comparison(f"rate of layer {layer + 1}", rate, data["forward"]["rate_after_T_per_layer"][layer])
    yield Comparison("equilibrium", _equilibrium(network, x), data["forward"]["equilibrium_rate_of_last_layer"])
    threshold = hyper["solver_threshold"]
    solved = {
        f"official_broyden_threshold_{threshold}": ("broyden", threshold),
        f"official_iter_threshold_{threshold}": ("iter_official", threshold),
        "official_iter_threshold_3": ("iter_official", 3),
    }
    for key, (solver, iterations) in solved.items():
        if key in data:
            yield from _solved(key, network, x, target, solver, iterations, data[key])
    dense = data["derived_dense_solve_same_linearisation"]
    for solver in ("dense", "broyden"):
        yield from _solved(f"dense solve by {solver}", network, x, target, solver, threshold, dense)
    yield from _spectral(data["spectral_norm_parameterisation"])


def constant_input(inputs: Mapping[str, Any], steps: int) -> Tensor:
    """Broadcast ``constant_input_B_N`` over time."""
    sample = torch.tensor(inputs["constant_input_B_N"])
    return sample.unsqueeze(0).expand(steps, *sample.shape)


def spikes_and_rates(network: Any, x: Tensor, expected: Any, label: str) -> Iterator[Comparison]:
    """Yield the spikes of every layer and step."""
    seen: list[list[Tensor]] = [[] for _ in network.neurons()]
    with network.observed_by(lambda layer, spikes: seen[layer].append(spikes[0])):
        simulate(network, x)
    for layer, spikes in enumerate(seen):
        yield Comparison(f"{label} spikes of layer {layer + 1}", torch.stack(spikes), expected[layer], EXACT)


def _solved(
    label: str, network: Any, x: Tensor, target: Tensor, solver: str, iterations: int, expected: Mapping[str, Any]
) -> Iterator[Comparison]:
    method = build_method("ide", solver=solver, iterations=iterations)
    method.prepare(network)
    gradients = named_as_in_file(method.gradients(x, target), list(expected["gradients"]))
    for name, gradient in gradients.items():
        yield Comparison(f"{label}: gradient {name}", gradient, expected["gradients"][name], SOLVED_TO)
    yield from _adjoint(label, method, x, target, expected)
    if "logits" in expected:
        yield Comparison(f"{label}: logits", method.predict(x), expected["logits"])
        report = method.accumulate(x, target)
        yield Comparison(f"{label}: loss", torch.tensor(report.loss), expected["loss"])


def _adjoint(label: str, method: Any, x: Tensor, target: Tensor, expected: Mapping[str, Any]) -> Iterator[Comparison]:
    """Yield the rate that the classifier reads, the loss's gradient there and the adjoint, where the file has them."""
    rate = simulate(method.network, x).weighted[-1].requires_grad_()
    loss = torch.nn.functional.cross_entropy(method.network.classifier(rate), target)
    (q,) = torch.autograd.grad(loss, rate)
    beta, _ = method._adjoint(x[0], rate.detach(), q)
    found = {"output_rate": (rate, CLOSE), "loss_gradient_wrt_output_rate": (q, CLOSE), "adjoint": (beta, SOLVED_TO)}
    for key, (value, tolerance) in found.items():
        if key in expected:
            yield Comparison(f"{label}: {key}", value, expected[key], tolerance)


@torch.no_grad()
def _equilibrium(network: Any, x: Tensor) -> Tensor:
    method: Any = build_method("ide")
    method.prepare(network)
    drive, rate = network.input_map(x[0]), simulate(network, x).weighted[-1]
    for _ in range(EQUILIBRIUM_SWEEPS):
        rate = method._equilibrium_map(drive, rate)
    return rate


def _spectral(expected: Mapping[str, Any]) -> Iterator[Comparison]:
    weight = torch.tensor(expected["weight_w"])
    module: Any = restrict(
        torch.nn.Linear(weight.shape[1], weight.shape[0], bias=False), "spectral", expected["norm_range"]
    )
    raw = module.restriction
    with torch.no_grad():
        raw.w.copy_(weight)
        raw.g.copy_(torch.tensor(expected["weight_g"]))
        raw.u.copy_(torch.tensor(expected["u_before"]))
        raw.v.copy_(torch.tensor(expected["v_before"]))
    for _ in range(expected["n_power_iterations_per_reset"]):
        module.renew()
    yield Comparison("spectral: u", raw.u, expected["u_after"])
    yield Comparison("spectral: v", raw.v, expected["v_after"])
    yield Comparison("spectral: effective weight", effective_weight(module), expected["effective_weight"])
