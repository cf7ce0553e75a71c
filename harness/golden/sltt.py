"""Golden comparison of SLTT and SLTT-K: losses, logits, spikes, gradients and batch-norm buffers."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from itertools import pairwise
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor, nn

from harness.golden import EXACT, Comparison
from harness.golden.networks import assign
from reference_impls.api import build_method, build_neuron
from reference_impls.topologies._chain import Block, Chain

if TYPE_CHECKING:
    from harness.golden import Case

__all__ = ["compare"]


def compare(case: Case, backend: str) -> Iterator[Comparison]:
    """Yield what SLTT, SLTT-K with the file's steps, and BPTT on the same network give."""
    hyper, inputs = case.data["hyper_parameters"], case.data["inputs"]
    x, target = torch.tensor(inputs["input_T_B_N"]), torch.tensor(inputs["targets"])
    chosen = hyper["selected_steps_zero_based"]
    for row, options in (("sltt", {}), ("sltt_k", {"K": len(chosen), "chosen": chosen})):
        network, names = _network(hyper, inputs["initial_state"], backend)
        mse_target = hyper["mse_target"].removesuffix("_1")
        method: Any = build_method("sltt", mse_weight=hyper["loss_mse_weight"], mse_target=mse_target, **options)
        method.prepare(network)
        yield from _walked(row, method, x, target, case.data[row])
        yield from _named(f"{row}: gradient", names, case.data[row]["gradients"], gradient=True)
        buffers = case.data[row].get("batch_norm_buffers_after", {})
        yield from _named(f"{row}: buffer", names, buffers, gradient=False)
        yield from _membranes(row, network, x, case.data[row].get("membrane_after_reset", []))
    yield from _bptt(case, x, target, backend)


def _bptt(case: Case, x: Tensor, target: Tensor, backend: str) -> Iterator[Comparison]:
    """Yield what BPTT gives on the same network, step by step: batch norm would see T * B samples at once otherwise."""
    hyper, expected = case.data["hyper_parameters"], case.data["bptt_same_network_for_comparison"]
    network, names = _network(hyper, case.data["inputs"]["initial_state"], backend)
    tet_target = 1.0 if hyper["mse_target"] == "constant_1" else None
    method = build_method("bptt-tet", tet_weight=hyper["loss_mse_weight"], tet_target=tet_target, stepwise=True)
    method.prepare(network)
    loss = method.accumulate(x, target).loss
    yield Comparison("bptt: loss", torch.tensor(loss), torch.tensor(expected["loss_of_selected_steps"]).sum())
    yield from _named("bptt: gradient", names, expected["gradients"], gradient=True)
    yield from _named("bptt: buffer", names, expected.get("batch_norm_buffers_after", {}), gradient=False)


def _network(hyper: Mapping[str, Any], values: Mapping[str, Any], backend: str) -> tuple[Chain, dict[str, nn.Module]]:
    """Build the file's network, and map its positions (linear, norm, neuron, linear, ...) to modules."""
    sizes, names, blocks, position = hyper["layer_sizes"], {}, [], 0
    for before, after in pairwise(sizes[:-1]):
        synapse: nn.Module = nn.Linear(before, after)
        names[str(position)] = synapse
        if hyper["batch_norm"]:
            names[str(position + 1)] = norm = nn.BatchNorm1d(after)
            synapse = nn.Sequential(synapse, norm)
        neuron = build_neuron(
            "lif",
            backend=backend,
            tau=hyper["tau"],
            v_threshold=hyper["v_threshold"],
            detach_reset=False,
            surrogate=hyper["surrogate"],
        )
        blocks.append(Block(synapse, neuron))
        position += 3 if hyper["batch_norm"] else 2
    names[str(position)] = readout = nn.Linear(sizes[-2], sizes[-1])
    for name, value in values.items():
        place, part = name.split(".")
        assign(names[place], **{part: value})
    return Chain(blocks, readout), names


def _walked(row: str, method: Any, x: Tensor, target: Tensor, expected: Mapping[str, Any]) -> Iterator[Comparison]:
    """Walk over time as an update does; the gradient stays on the parameters."""
    network, chosen = method.network, method._draw(x.shape[0])
    spikes: list[list[Tensor]] = [[] for _ in network.neurons()]
    with network.observed_by(lambda layer, s: spikes[layer].append(s[0].detach())):
        losses, logits = zip(*method._walk(x, target, chosen), strict=True)
    kept = [loss for t, loss in enumerate(losses) if t in chosen]
    yield Comparison(f"{row}: losses", torch.stack(kept), expected["loss_of_selected_steps"])
    if "logits_per_step" in expected:
        yield Comparison(f"{row}: logits", torch.stack(logits), expected["logits_per_step"])
        for layer, found in enumerate(spikes):
            label = f"{row}: spikes of layer {layer + 1}"
            yield Comparison(label, torch.stack(found), expected["hidden_spikes"][layer], EXACT)


@torch.no_grad()
def _membranes(row: str, network: Chain, x: Tensor, expected: Any) -> Iterator[Comparison]:
    """Run again step by step, in training mode like the update, for the membrane after every step."""
    states, steps = None, []
    for x_t in x.split(1):
        states = network.run(x_t, states).states
        steps.append([state.v for state in states if state is not None])
    for layer, values in enumerate(expected):
        yield Comparison(f"{row}: membrane of layer {layer + 1}", torch.stack([step[layer] for step in steps]), values)


def _named(
    label: str, names: Mapping[str, nn.Module], expected: Mapping[str, Any], gradient: bool
) -> Iterator[Comparison]:
    for name, value in expected.items():
        place, part = name.split(".")
        tensor = getattr(names[place], part)
        yield Comparison(f"{label} {name}", tensor.grad if gradient else tensor, value)
