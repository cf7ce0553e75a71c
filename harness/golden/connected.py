"""Golden comparison of layers whose connections are part of the recorded file: delays, lateral maps, gates.

Such files hold a neuron and what joins its layer, so the comparison builds the topology's own maps around the neuron.
Must not know equations.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor, nn

from harness.golden import EXACT, Comparison
from harness.golden.networks import assign
from harness.golden.vocabulary import parameters
from reference_impls.api import NeuronOutput, SequentialNeuron, build_neuron
from reference_impls.delays import one_hot_delay, response_slope, spaced_kernel, taps
from reference_impls.topologies.gated import GatedLayer
from reference_impls.topologies.lateral import LateralMap, PopulationReadout

if TYPE_CHECKING:
    from harness.golden import Case

__all__ = ["COMPARED_BY"]


def _sequence(values: Any) -> Tensor:
    """A sequence ``T x N`` as a batch of one: ``[T, 1, N]``."""
    return torch.tensor(values).unsqueeze(1)


def _leaf(values: Any) -> Tensor:
    return torch.tensor(values).requires_grad_()


def _grad(leaf: Tensor) -> Tensor:
    return torch.zeros_like(leaf) if leaf.grad is None else leaf.grad


def _gradients(data: Mapping[str, Any], x: Tensor, got: Mapping[str, Tensor]) -> Iterator[Comparison]:
    """What the input and the parameters (under the names of the file) got, once the loss is differentiated."""
    yield Comparison("grad_input", _grad(x), data["grad_input"])
    for name, expected in data["grad_params"].items():
        yield Comparison(f"grad_params.{name}", got[name], expected)


def _grads(learned: Mapping[str, Tensor]) -> dict[str, Tensor]:
    return {name: _grad(tensor) for name, tensor in learned.items()}


def compare_spaced(case: Case, backend: str) -> Iterator[Comparison]:
    """A layer with delays as positions along a kernel, and the LIF behind it."""
    data = case.data
    params = parameters(case.slug, data, sequential=True)
    weight, position, sigma = _leaf(params.pop("weight")), _leaf(params.pop("position")), params.pop("raw_sigma")
    length, version, padding = params.pop("kernel_size"), params.pop("version"), params.pop("right_padding")
    kernel = spaced_kernel(weight, position, torch.tensor(sigma), length, version)
    yield Comparison("kernel", kernel, data["params"]["kernel"])
    x = _sequence(data["input"]).requires_grad_()
    lines, _ = taps(torch.cat([x, x.new_zeros(padding, *x.shape[1:])]), length)
    current = torch.einsum("tbik,oik->tbo", lines, kernel)
    yield Comparison("i_syn", current, data["i_syn"])
    neuron = build_neuron("lif", backend=backend, **params)
    spikes = neuron(current)
    yield Comparison("spikes", spikes, data["spikes"], EXACT)
    yield Comparison("v_post", _walked(neuron, current)[1]["v"], data["v_post"])
    (spikes * _sequence(data["grad_output"])).sum().backward()
    yield from _gradients(data, x, _grads({"weight": weight, "position": position}))


def _walked(neuron: nn.Module, currents: Tensor) -> tuple[Tensor, dict[str, Tensor]]:
    """Spikes, and the state's parts after every step, of a neuron that is driven step by step."""
    assert isinstance(neuron, SequentialNeuron)
    state, outputs = neuron.init_state(currents[0]), []
    for current in currents:
        spikes, state = neuron.advance(current, state)
        outputs.append(NeuronOutput(spikes, state))
    return torch.stack([out.spikes for out in outputs]), _traces([out.state for out in outputs])


def _traces(states: list[Any]) -> dict[str, Tensor]:
    return {name: torch.stack([getattr(state, name) for state in states]) for name in states[0]._fields}


def compare_graph(case: Case, backend: str) -> Iterator[Comparison]:
    """A graph whose edges have rounded delays, one neuron a node; `input` goes straight into the membranes."""
    data = case.data
    params = parameters(case.slug, data, sequential=True)
    edges, longest, scale = torch.tensor(params.pop("edges")), params.pop("longest"), params.pop("linear_scale")
    names = ("edge_weight", "raw_delay", "linear_weight", "linear_bias")
    learned = {name: _leaf(params.pop(name)) for name in names}
    tau = params["tau"]
    neuron: Any = build_neuron("alpha-lif", backend=backend, **params)
    length = int(longest) + 2
    smooth = longest * torch.sigmoid(learned["raw_delay"])
    tap = one_hot_delay(1 + torch.round(smooth), length)  # a spike needs one step and its delay
    g = _sequence(data["input"]).requires_grad_()
    state, current = neuron.init_state(g[0]), torch.zeros_like(g[0])
    emitted: list[Tensor] = []
    states, slopes = [], torch.zeros_like(g)
    for t, injected in enumerate(g):
        if t:
            slopes = response_slope(torch.stack(emitted).detach(), tau)
            lines, slope_lines = (
                taps(torch.cat([past, past[:1]]), length)[0][-1][:, edges[:, 0]]
                for past in (torch.stack(emitted), slopes)
            )
            message = (lines * tap).sum(-1) + (slope_lines * tap).sum(-1) * (smooth - smooth.detach())
            summed = torch.zeros_like(injected).index_add(1, edges[:, 1], message * learned["edge_weight"])
            current = scale * (learned["linear_weight"] * summed + learned["linear_bias"])
        spikes, state = neuron.inject(current, injected, state)
        emitted.append(spikes)
        states.append(state)
    spikes, traces = torch.stack(emitted), _traces(states)
    yield Comparison("delay_steps", torch.round(smooth), data["params"]["delay_steps"], EXACT)
    yield Comparison("spikes", spikes, data["spikes"], EXACT)
    yield Comparison("v_post", traces["v"], data["v_post"])
    yield Comparison("i_syn", traces["i"], data["i_syn"])
    yield Comparison("trace", response_slope(spikes.detach(), tau), data["trace"])
    (spikes * _sequence(data["grad_output"])).sum().backward()
    yield from _gradients(data, g, _grads(learned))


def compare_lateral(case: Case, backend: str) -> Iterator[Comparison]:
    """Populations with connections inside and the integrators that read them."""
    data = case.data
    params = parameters(case.slug, data, sequential=True)
    populations, size, decay = params.pop("act_dim"), params.pop("pop_dim"), params.pop("readout_decay")
    given = {name: params.pop(name, None) for name in ("lateral_weight", "lateral_bias")}
    read = {name: params.pop(f"decoder_{name}") for name in ("weight", "bias")}
    lateral, readout = LateralMap(populations, size, params.pop("lateral")), PopulationReadout(populations, size)
    weight = torch.tensor(given.pop("lateral_weight") or lateral.weight.tolist())
    diagonal = weight.dim() == 1  # self-connections only, one number a neuron
    assign(lateral, weight=weight.unsqueeze(1) * lateral.mask if diagonal else weight)
    if given["lateral_bias"] is not None:
        assign(lateral, bias=given["lateral_bias"])
    assign(readout, **read)
    neuron: Any = build_neuron(case.slug, backend=backend, **params)
    x = _sequence(data["input"]).requires_grad_()
    state, spikes, potential = neuron.init_state(x[0]), torch.zeros_like(x[0]), x.new_zeros(1, populations)
    emitted, states, potentials = [], [], []
    for current in x:
        spikes, state = neuron.advance(current + lateral(spikes), state)
        potential = decay * potential + readout(spikes)
        emitted.append(spikes)
        states.append(state)
        potentials.append(potential)
    output, traces, action = torch.stack(emitted), _traces(states), torch.tanh(potential)
    yield Comparison("spikes", output, data["spikes"], EXACT)
    yield Comparison("i_syn", traces["i"], data["i_syn"])
    if "v_pre_spike" in data:
        before = torch.cat([torch.zeros_like(traces["v"][:1]), traces["v"][:-1]])
        yield Comparison("v_pre_spike", neuron.decay * before + traces["i"], data["v_pre_spike"])
    yield Comparison("readout", torch.stack(potentials), data["readout"])
    yield Comparison("action", action, data["action"])
    ((output * _sequence(data["grad_output"])).sum() + (action * torch.tensor(data["grad_action"])).sum()).backward()
    got = {
        "ilc_weight": _grad(lateral.weight).sum(1) if diagonal else _grad(lateral.weight),
        "decoder_weight": _grad(readout.weight),
        "decoder_bias": _grad(readout.bias),
    }
    if lateral.bias is not None:
        got["ilc_bias"] = _grad(lateral.bias)
    yield from _gradients(data, x, got)


def compare_gated(case: Case, backend: str) -> Iterator[Comparison]:
    """An encoding accumulator and a layer with a gated current, in evaluation mode."""
    data = case.data
    params = parameters(case.slug, data)
    bits = {"n_bits": params["n_bits"], "level_threshold": params["level_threshold"]}
    encoder = build_neuron("multilevel-if", backend=backend, max_abs=params["input_max_abs"], **bits)
    x = _sequence(data["input"]).requires_grad_()
    encoded = encoder(x)
    yield Comparison("input_spikes", encoded, data["input_spikes"])
    gate, weight = params["gate"], torch.tensor(params["weight"])
    row = {"current_decay": params["current_decay"]} if gate == "none" else {}
    name = "multilevel-lif" if gate == "none" else "multilevel-if"
    units = weight.shape[0] // (1 if gate == "none" else 2)
    neuron: Any = build_neuron(name, backend, (units,), max_abs=params["hidden_max_abs"], **bits, **row)
    layer = GatedLayer(weight.shape[1], units, neuron, gate, dropout=0.0, track_range=False).eval()
    assign(layer.input_map, weight=weight)
    learned: dict[str, Tensor] = {"weight": layer.input_map.weight}
    if gate == "input+recurrent":
        assign(layer.recurrent_map, weight=params["recurrent_weight"])
        learned["recurrent_weight"] = layer.recurrent_map.weight
    if gate == "none":
        learned["tau"] = neuron.current_decay
    membranes: list[Tensor] = []
    spikes = _with_membranes(layer, encoded, membranes)
    yield Comparison("spikes", spikes, data["spikes"])
    yield Comparison("v_pre_spike", torch.stack(membranes), data["v_pre_spike"])
    (spikes * _sequence(data["grad_output"])).sum().backward()
    yield from _gradients(data, x, _grads(learned))


def _with_membranes(layer: GatedLayer, x: Tensor, membranes: list[Tensor]) -> Tensor:
    """Run `layer` step by step and keep the membrane before every spike: what it left and what it emitted."""
    state, emitted = None, []
    for step in x.split(1):
        spikes, state = layer.run(step, state)
        emitted.append(spikes)
        membranes.append(state[0].v + spikes[0])
    return torch.cat(emitted)


COMPARED_BY = {
    "raw_sigma": compare_spaced,
    "edges": compare_graph,
    "pop_dim": compare_lateral,
    "hidden_max_abs": compare_gated,
}
"""A parameter that only files of this form have, and what compares them."""
