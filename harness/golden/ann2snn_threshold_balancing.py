"""Golden comparison of threshold balancing: the ANN, its statistics, the spiking network and its form by weights."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor

from harness.golden import EXACT, Comparison
from harness.golden.converted import compare_spiking, network_of
from reference_impls.api import build_method
from reference_impls.conversion.spiking import ann_layers, weight_form
from reference_impls.conversion.statistics import best_rounding, largest

if TYPE_CHECKING:
    from harness.golden import Case

__all__ = ["compare"]


def compare(case: Case, backend: str) -> Iterator[Comparison]:
    """Yield what each part gives beside SpikingJelly's converter and, where it has none, the equations."""
    data = case.data
    method: Any = build_method(
        "threshold-balancing", start=data["start_in_thresholds"], calibration_samples=1_000_000, **_statistic(data)
    )
    method.prepare(network_of(data["layers"], backend))
    frame = torch.tensor(data["input"])
    layers, logits = ann_layers(method.network, frame, method.activation)
    for i, (a, value) in enumerate(zip(layers, data["ann"]["activations"], strict=True)):
        yield Comparison(f"ANN: activation {i + 1}", a, value)
    yield Comparison("ANN: logits", logits, data["ann"]["logits"])
    yield Comparison("ANN: prediction", method.predict_ann(frame.unsqueeze(0)), data["ann"]["logits"])
    yield from _statistics(method, data)
    method.recent.add(torch.tensor(data["calibration_batches"][0]))
    method.stale = True
    yield from compare_spiking(method, frame, data["snn"] | {"thresholds": data["thresholds"]})
    yield from _by_weights(method, frame, data)


def _statistic(data: Mapping[str, Any]) -> dict[str, Any]:
    """Return the keywords for "max" or a percentile such as "99.9%"."""
    said = data["statistic"]
    return {"statistic": "percentile", "q": float(said.rstrip("%"))} if said.endswith("%") else {"statistic": said}


def _statistics(method: Any, data: Mapping[str, Any]) -> Iterator[Comparison]:
    batches = [torch.tensor(batch) for batch in data["calibration_batches"]]
    yield Comparison("thresholds", torch.tensor(method.thresholds_on(batches[0])), data["thresholds"])
    every = data["thresholds_of_all_batches"]["statistic_over_all_samples_from_restatement"]
    yield Comparison("thresholds of all batches", torch.tensor(method.thresholds_on(torch.cat(batches))), every)
    others = data["other_statistics_of_first_batch_from_restatement"]
    layers, _ = ann_layers(method.network, batches[0], method.activation)
    for i, a in enumerate(layers):
        yield Comparison(f"largest of each channel {i + 1}", largest(a, 1), others["max_per_channel"][i])
        for steps, value in others["mmse_by_T"].items():
            yield Comparison(f"best rounding {i + 1}, T = {steps}", best_rounding(a, int(steps)), value[i])


def _by_weights(method: Any, frame: Tensor, data: Mapping[str, Any]) -> Iterator[Comparison]:
    folded, expected = (
        weight_form(method.network, data["thresholds"], method.start),
        data["weight_form_from_restatement"],
    )
    maps = [*[block.synapse for block in folded.layers()], folded.readout]
    for i, module in enumerate(maps):
        for name, kind in (("weight", "weights"), ("bias", "biases")):
            found = next(p for key, p in module.named_parameters() if key.endswith(name))
            yield Comparison(f"weight form: {name} {i + 1}", found, expected[kind][i])
    seen: list[Tensor] = []
    steps = len(data["snn"]["logits_per_step_T_B_C"])
    with folded.observed_by(lambda _layer, spikes: seen.append(spikes)):
        logits = folded.run(frame.unsqueeze(0).expand(steps, *frame.shape)).logits
    for i, (spikes, value) in enumerate(zip(seen, data["snn"]["spikes_T_B_n"], strict=True)):
        yield Comparison(f"weight form: spikes of layer {i + 1}", spikes, value, EXACT)
    yield Comparison("weight form: logits", logits, data["snn"]["logits_per_step_T_B_C"])
