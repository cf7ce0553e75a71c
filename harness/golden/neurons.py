"""Golden comparison of neurons and surrogates: one file format for all of them."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor

from harness.golden import EXACT, SURROGATES, Comparison
from harness.golden.circuit import Circuit
from harness.golden.connected import COMPARED_BY
from harness.golden.spike_times import compare_spike_times
from harness.golden.vocabulary import STATES, SYNAPSES, fire_rule, parameters, renamed, surrogate
from reference_impls.api import Neuron, SequentialNeuron, build_neuron
from reference_impls.discovery import resolve
from reference_impls.surrogate import make_surrogate

if TYPE_CHECKING:
    from harness.golden import Case

__all__ = ["compare"]

# psu.json holds twice the derivative of its own equations for these two parameters, and the plain derivative for
# the input and for alpha: two backward passes were summed there. tests/golden/test_errata.py shows by central
# differences that half is right. A file without the mistake passes as well.
SUMMED_TWICE = {("psu", "weight"), ("psu", "bias")}


def compare(case: Case, backend: str) -> Iterator[Comparison]:
    """Yield spikes, states, gradients and auxiliary losses beside the authors'."""
    if case.slug == SURROGATES:
        yield from _compare_surrogate(case.data)
        return
    data = case.data
    if "input_spike_times" in data:
        yield from compare_spike_times(case.slug, data)
        return
    for mark, compared in COMPARED_BY.items():
        if mark in data["params"]:
            yield from compared(case, backend)
            return
    circuit = _build(case.slug, data, backend)
    x = _leaf(data["input"])
    noise = _noise(data)
    spikes = circuit(x) if noise is None else circuit(x, noise=noise)
    # Files hold spikes of height 1; a neuron may emit them scaled.
    if data.get("grad_output_on") == "v_post":  # a neuron that emits its membrane
        yield Comparison("v_post", spikes, data["v_post"])
    else:
        yield Comparison("spikes", spikes / getattr(circuit.neuron, "amplitude", 1.0), data["spikes"], EXACT)
    yield from _states(circuit, x.detach(), data)
    yield from _averages(circuit.neuron, spikes, data)
    if "grad_output" in data:
        (spikes * _sequence(data["grad_output"])).sum().backward()
        yield from _gradients("", case.slug, circuit, x, data)
    if "membrane_loss" in data:
        circuit.zero_grad()
        x = _leaf(data["input"])
        loss = circuit.neuron.forward_with_loss(x, noise)[1]  # type: ignore[operator]
        loss.backward()
        yield Comparison("membrane_loss", loss, data["membrane_loss"])
        yield from _gradients("membrane_loss_", case.slug, circuit, x, data)


def _build(slug: str, data: Mapping[str, Any], backend: str) -> Circuit:
    source, _ = resolve("neuron", slug)
    params = parameters(slug, data, source.literal["capabilities"]["parallel"] == "sequential")
    synapses = {key: params.pop(key) for key in SYNAPSES if key in params}
    if not _depends_on_steps(source.literal, params):
        params.pop("T", None)
    neurons = len((data.get("spikes") or data["v_post"])[0])
    return Circuit(build_neuron(slug, backend=backend, shape=(neurons,), **params), synapses)


def _depends_on_steps(literal: Mapping[str, Any], params: Mapping[str, Any]) -> bool:
    """Whether the row that `params` describe (the card's, or a variant's) has parameters that depend on T."""
    matching = [row for row in literal.get("variants", {}).values() if row.get("params", {}).items() <= params.items()]
    rows = [row.get("capabilities", {}) for row in matching]
    return any(row.get("needs_T", literal["capabilities"]["needs_T"]) for row in [*rows, {}])


def _noise(data: Mapping[str, Any]) -> Tensor | None:
    noise = data["params"].get("uniform_noise")
    return None if noise is None else _sequence(noise)


def _sequence(values: Any) -> Tensor:
    """A sequence ``T x N`` as a batch of one: ``[T, 1, N]``."""
    return torch.tensor(values).unsqueeze(1)


def _leaf(values: Any) -> Tensor:
    return _sequence(values).requires_grad_()


def _states(circuit: Circuit, x: Tensor, data: Mapping[str, Any]) -> Iterator[Comparison]:
    neuron = circuit.neuron
    if not isinstance(neuron, SequentialNeuron):
        yield from (Comparison(key, circuit.membrane(x), data[key]) for key in ("h", "v_no_reset") if key in data)
        return
    fields = {key: field for key, field in STATES.items() if key in data}
    if "v_pre_spike" in data and getattr(neuron, "reset_timing", "same_step") == "next_step":
        fields["v_pre_spike"] = "v"
    states = [state for _, state in circuit.walk(x)]
    for key, field in fields.items():
        yield Comparison(key, torch.stack([getattr(state, field) for state in states]), data[key])
    if "theta" in data:
        yield Comparison("theta", torch.stack([neuron.threshold(state) for state in states]), data["theta"])  # type: ignore[operator]


def _averages(neuron: Neuron, spikes: Tensor, data: Mapping[str, Any]) -> Iterator[Comparison]:
    """What a read-out makes of the emitted spikes, ``[N]``."""
    if "weighted_average_signed_output" in data:
        yield Comparison("average", neuron.average(spikes), data["weighted_average_signed_output"])  # type: ignore[operator]
    if "mean_abs_spikes" in data:
        yield Comparison("mean_abs_spikes", spikes.sign().abs().mean(0), data["mean_abs_spikes"])


def _gradients(prefix: str, slug: str, circuit: Circuit, x: Tensor, data: Mapping[str, Any]) -> Iterator[Comparison]:
    yield Comparison(f"{prefix}grad_input", _grad(x), data[f"{prefix}grad_input"])
    learned = circuit.learned()
    for name, expected in data[f"{prefix}grad_params"].items():
        got = _grad(learned[name if name in learned else renamed(slug, name)])
        if (slug, name) in SUMMED_TWICE:
            half = torch.as_tensor(expected).reshape(got.shape) / 2
            expected = half if torch.allclose(got, half) else expected
        yield Comparison(f"{prefix}grad_params.{name}", got, expected)


def _grad(leaf: Tensor) -> Tensor:
    return torch.zeros_like(leaf) if leaf.grad is None else leaf.grad


def _compare_surrogate(data: Mapping[str, Any]) -> Iterator[Comparison]:
    x = _leaf(data["input"])
    spikes = make_surrogate(surrogate(data) or {})(x, fire_rule(data))
    yield Comparison("spikes", spikes, data["spikes"], EXACT)
    (spikes * _sequence(data["grad_output"])).sum().backward()
    yield Comparison("grad_input", _grad(x), data["grad_input"])
