"""Golden comparison of e-prop: spikes, states, traces, learning signals and gradients, BPTT's beside them."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor
from torch.nn import functional

from harness.golden import EXACT, Comparison
from harness.golden.networks import assign
from reference_impls.api import Network, build_method, build_network, build_neuron

if TYPE_CHECKING:
    from harness.golden import Case

__all__ = ["compare"]


def compare(case: Case, backend: str) -> Iterator[Comparison]:
    """Yield what one pass gives, step by step, then the gradients; a file's layout is ``[B, T, n]`` and [pre, post]."""
    data, hyper, inputs = case.data, case.data["hyper_parameters"], case.data["inputs"]
    x, target = (torch.tensor(inputs[name]).transpose(0, 1) for name in ("inputs", "y_target"))
    network = _network(hyper, inputs, backend)
    method = _method(network, hyper, inputs)

    seen, loss = _walk(method, x, target)
    forward, traces = data["forward"], data["traces"]
    expected = {
        "spikes": forward["spikes_B_T_N"],
        "v": forward["v_B_T_N"],
        "adaptation b": forward["adaptation_b_B_T_N"],
        "filtered spikes": forward["filtered_spikes"],
        "read-out": forward["readout"],
        "psi": traces["psi_B_T_N"],
        "learning signal": traces["learning_signal_B_T_N"],
        "eligibility, recurrent": traces["eligibility_rec_unfiltered_B_T_pre_post"],
        "filtered eligibility, recurrent": traces["eligibility_rec_filtered_B_T_pre_post"],
    }
    for name, values in expected.items():
        yield Comparison(name, seen[name], values, **({"tolerance": EXACT} if name == "spikes" else {}))
    yield Comparison("loss", loss, forward["loss"])
    yield from _gradients(method.gradients(x, target), data["eprop_gradients_pre_post"], "e-prop")
    yield from _bptt(network, x, target, data["bptt_gradients_for_comparison_pre_post"], method)


def _network(hyper: Mapping[str, Any], inputs: Mapping[str, Any], backend: str) -> Network:
    dt = hyper["dt"]

    def neuron() -> Any:
        return build_neuron(
            "alif-eprop",
            backend=backend,
            tau=hyper["tau_v"] / dt,
            tau_adapt=hyper["tau_a"] / dt,
            adapt_gain=hyper["beta"],
            v_threshold=hyper["thr"],
            n_refractory=hyper["n_refractory"],
            gamma=hyper["dampening_factor"],
        )

    kappa = float(torch.exp(torch.tensor(-dt / hyper["tau_out"])))
    shape = {"hidden": [hyper["n_rec"]], "readout_decay": kappa}
    network: Any = build_network("recurrent", (hyper["n_in"],), hyper["n_out"], neuron, **shape)
    (block,) = network.layers()
    maps = {"w_in": block.synapse, "w_rec": block.lateral, "w_out": network.readout}
    for name, module in maps.items():
        assign(module, weight=torch.tensor(inputs[name]).t())
    for module in (block.synapse, network.readout):
        assign(module, bias=0.0)
    return network


def _method(network: Network, hyper: Mapping[str, Any], inputs: Mapping[str, Any]) -> Any:
    method: Any = build_method("eprop", feedback=hyper["feedback"], loss="squared_error")
    method.prepare(network)
    if method.feedback_weight is not None:
        with torch.no_grad():
            method.feedback_weight.copy_(torch.tensor(inputs["b_random"]).t())
    return method


@torch.no_grad()
def _walk(method: Any, x: Tensor, target: Tensor) -> tuple[dict[str, Tensor], Tensor]:
    """Take one pass and return what was seen of it, ``[B, T, ...]``, and the loss."""
    walk = method.begin(x)
    layer = walk.layer
    (neuron,) = method.network.neurons()
    others = 1 - torch.eye(layer.lateral.in_features)
    rows: dict[str, list[Tensor]] = {}
    spikes: list[Tensor] = []
    total, rest = torch.zeros(()), None
    with neuron.observed_by(lambda fired: spikes.append(fired[0].clone())):
        for loss in walk.losses(target):
            total = total + loss
            state, recurrent = layer.traces.state, slice(-layer.lateral.in_features, None)
            above = state.v - neuron.v_threshold - neuron.step_params()["adapt_gain"] * state.b
            blocked = torch.zeros_like(above) if rest is None else rest
            found = {
                "v": state.v,
                "adaptation b": state.b,
                "filtered spikes": walk.seen,
                "read-out": walk.y,
                "psi": neuron.surrogate.derivative(above) * (blocked <= 0),
                "learning signal": walk.signal,
                "eligibility, recurrent": _traces(layer.traces.synapses.eligibility, state.v)[:, recurrent] * others,
                "filtered eligibility, recurrent": _traces(layer.traces.synapses.filtered, state.v)[:, recurrent]
                * others,
            }
            for name, value in found.items():
                rows.setdefault(name, []).append(value)
            rest = state.rest
    return {name: torch.stack(values, 1) for name, values in {**rows, "spikes": spikes}.items()}, total


def _traces(found: Tensor | None, like: Tensor) -> Tensor:
    """Return traces ``[B, p, n]``; as long as all of them are 0 there is none."""
    return like.new_zeros(len(like), like.shape[1], 1) if found is None else found


NAMES = {"w_in": "blocks.0.synapse.weight", "w_rec": "blocks.0.lateral.weight", "w_out": "readout.weight"}


def _gradients(found: Mapping[str, Tensor], expected: Mapping[str, Any], by: str) -> Iterator[Comparison]:
    for name, values in expected.items():
        yield Comparison(f"{by} gradient of {name}", found[NAMES[name]].t(), values)


def _bptt(
    network: Network, x: Tensor, target: Tensor, expected: Mapping[str, Any], method: Any
) -> Iterator[Comparison]:
    """Compare with backpropagation through all of it, the reset too; there are no weights on the diagonal."""
    eprop = method.gradients(x, target)
    neuron: Any = network.neurons()[0]
    neuron.detach_reset = False
    (0.5 * (network.run(x).logits - target).pow(2).sum()).backward()
    exact = {name: parameter.grad for name, parameter in network.named_parameters() if parameter.grad is not None}
    yield from _gradients(exact, {"w_in": expected["w_in"]}, "BPTT")
    recurrent = torch.tensor(expected["w_rec_diagonal_unused"])
    yield from _gradients(exact, {"w_rec": recurrent - recurrent.diag().diag()}, "BPTT")
    cosine = functional.cosine_similarity(exact[NAMES["w_rec"]].flatten(), eprop[NAMES["w_rec"]].flatten(), dim=0)
    yield Comparison("cosine of e-prop with BPTT, w_rec", cosine, expected["cosine_w_rec_eprop_vs_bptt"])
