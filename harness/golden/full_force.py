"""Golden comparison of full-FORCE: spikes, rates and read-out of both pools, and what least squares makes of them."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from functools import partial
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor

from harness.golden import EXACT, Comparison
from harness.golden.networks import assign
from reference_impls.api import build_method, build_network, build_neuron
from reference_impls.training.full_force import Generator

if TYPE_CHECKING:
    from harness.golden import Case

__all__ = ["compare"]

POOLS = ("gen", "per")


def compare(case: Case, backend: str) -> Iterator[Comparison]:
    """Yield what warm-up and training give beside the authors' classes; the TTFS file also lists who had to wait."""
    hyper, inputs = case.data["hyper_parameters"], case.data["inputs"]
    method = _method(case, backend)
    x = torch.tensor(inputs["input_T"]).reshape(-1, hyper["n_in"])
    target = torch.tensor(inputs["target_T"]).reshape(-1, hyper["n_out"])
    warmup, steps = hyper["warmup_steps"], hyper["steps"]
    seen = _Seen(method)
    for t in range(warmup):
        seen.step(x[t], target[t], learn=False)
    for number, name in enumerate(POOLS):
        yield Comparison(
            f"{name}: rates after warm-up", method.pools.rate[number], case.data["warmup"][f"{name}_r_after_warmup"]
        )
    yield Comparison("per: membrane after warm-up", method.pools.neuron.v[1], case.data["warmup"]["per_v_after_warmup"])
    for t in range(warmup, warmup + steps):
        seen.step(x[t], target[t], learn=True)
    records = case.data["records_over_warmup_then_training"]
    for number, name in enumerate(POOLS):
        yield Comparison(f"{name}: spikes", torch.stack(seen.spikes)[:, number], records[f"{name}_spikes"], EXACT)
        if f"{name}_suppressed" in records:
            waiting = torch.stack(seen.waiting)[:, number]
            yield Comparison(f"{name}: suppressed", waiting, records[f"{name}_suppressed"], EXACT)
    yield Comparison("readout", torch.stack(seen.readout[warmup:]), case.data["training_records"]["readout"])
    rates = torch.stack(seen.rates[warmup:])
    yield Comparison("per: rates", rates, case.data["training_records"]["per_filtered_rate"])
    yield from _afterwards(method, case.data["after_training"])


def _afterwards(method: Any, expected: Mapping[str, Any]) -> Iterator[Comparison]:
    yield Comparison("J", method.network.recurrent.weight, expected["per_J"])
    yield Comparison("w", method.network.readout.weight, expected["per_w"])
    yield Comparison("P", method.P, expected["P"])
    for number, name in enumerate(POOLS):
        yield Comparison(f"{name}: membrane", method.pools.neuron.v[number], expected[f"{name}_v"])
        yield Comparison(f"{name}: rates at the end", method.pools.rate[number], expected[f"{name}_r"])


class _Seen:
    """Both pools step by step, and what they did; an update comes before its step, as in the authors' loop."""

    def __init__(self, method: Any) -> None:
        self.method = method
        self.spikes: list[Tensor] = []
        self.waiting: list[Tensor] = []
        self.rates: list[Tensor] = []
        self.readout: list[Tensor] = []

    @torch.no_grad()
    def step(self, x: Tensor, target: Tensor, learn: bool) -> None:
        self.method.advance(x, target, learn)
        network, pools = self.method.network, self.method.pools
        self.readout.append(network.readout(pools.rate[1] * network.dt))
        self.rates.append(pools.rate[1])
        self.spikes.append(pools.spikes)
        at_threshold = pools.neuron.v >= network.neuron.v_threshold
        self.waiting.append((at_threshold & (pools.spikes == 0)).to(x.dtype))


def _method(case: Case, backend: str) -> Any:
    """Build the method on the file's performer, with the file's generator and states."""
    hyper, inputs = case.data["hyper_parameters"], case.data["inputs"]
    dt, rise, decay = hyper["dt"], hyper["tau_r"], hyper["tau_d"]
    neuron = partial(
        build_neuron,
        "lif-double-exponential",
        backend=backend,
        dt=dt,
        tau=hyper["tau_m"],
        tau_rise=rise,
        tau_decay=decay,
        v_threshold=hyper["v_act"],
        v_reset=hyper["E_L"],
        bias=hyper["bias"],
    )
    filters = {"dt": dt, "tau_rise": rise, "tau_decay": decay}
    size = hyper["N_neurons"]
    network: Any = build_network("reservoir", (hyper["n_in"],), hyper["n_out"], neuron, size=size, **filters)
    method: Any = build_method(
        case.slug, rls_gain="raw", alpha=hyper["alpha"], target_gain=hyper["Q"], probability=hyper["update_probability"]
    )
    method.prepare(network)
    assign(network.input_map, weight=inputs["per_u_in"])
    assign(network.recurrent, weight=inputs["per_J"])
    assign(network.readout, weight=inputs["per_w"])
    method.generator = Generator(*(torch.tensor(inputs[f"gen_{name}"]) for name in ("J", "u_in", "u_out")))
    method.P = torch.tensor(inputs["P"])
    v, spikes = (torch.tensor([inputs[f"{pool}_{name}"] for pool in POOLS]).double() for name in ("v", "spikes"))
    method.pools = method.pools._replace(neuron=method.pools.neuron._replace(v=v), spikes=spikes)
    return method
