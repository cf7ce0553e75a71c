"""Golden comparison of noisy quantisation: residual error of each layer, a noisy training step, the spiking network."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor
from torch.nn import functional

from harness.golden import Comparison
from harness.golden.converted import compare_gradients, compare_spiking, network_of, recorded
from harness.golden.qcfs import with_ups
from reference_impls.api import build_method
from reference_impls.conversion.activations import noisy
from reference_impls.conversion.spiking import ann_layers, ann_logits, spike_rates

if TYPE_CHECKING:
    from harness.golden import Case

__all__ = ["compare"]


def compare(case: Case, backend: str) -> Iterator[Comparison]:
    """Yield what each part gives beside the authors' layers."""
    data = case.data
    frame, target = torch.tensor(data["input"]), torch.tensor(data["targets"])
    method = _method(data, backend)
    yield from _calibration(method, data["calibration"], data["T_val"])
    noise = [torch.tensor(layer) for layer in data["noise"]]
    for name, step in data["training_step"].items():
        yield from _training_step(_method(data, backend), frame, target, noise, step, name)
    yield from compare_spiking(_method(data, backend), frame, data["snn"])


def _method(data: Mapping[str, Any], backend: str) -> Any:
    start = data["snn"]["start_in_thresholds"]
    params = {"levels": data["levels"], "steps": data["T_val"], "start": start, "calibration_samples": 1_000_000}
    method: Any = build_method("noisy-quantisation", **params)
    method.prepare(network_of(data["layers"], backend))
    return with_ups(method, data["lambda"])


def _calibration(method: Any, expected: Mapping[str, Any], steps: int) -> Iterator[Comparison]:
    for index, batch in enumerate(expected["batches"], start=1):
        frame = torch.tensor(batch["batch"])
        method.recent.add(frame)
        method.predict(frame.unsqueeze(0))  # lets the network follow the ANN
        quantised, _ = ann_layers(method.network, frame, method.activation)
        rates, _ = spike_rates(method.network, frame.unsqueeze(0).expand(steps, *frame.shape))
        for i, (q, rate) in enumerate(zip(quantised, rates, strict=True)):
            yield Comparison(f"batch {index}: quantised {i + 1}", q, batch["quantised"][i])
            yield Comparison(f"batch {index}: rates {i + 1}", rate, batch["rates"][i])
            yield Comparison(f"batch {index}: mean gap {i + 1}", (q - rate).mean(), batch["gap_mean"][i])
        yield Comparison(f"batch {index}: variances", method.gap_variances(frame), batch["gap_variance"])
    method.stale = True
    method.synapses()  # calibrates on all batches
    yield Comparison("sigma", torch.tensor(method.sigma), expected["sigma"])
    yield Comparison("mean variance", torch.tensor(method.sigma).square(), expected["mean_gap_variance"])


def _training_step(
    method: Any, frame: Tensor, target: Tensor, noise: Sequence[Tensor], expected: Mapping[str, Any], name: str
) -> Iterator[Comparison]:
    method.sigma = list(expected["sigma"])
    loss = functional.cross_entropy(method.training_logits(frame, noise), target)
    loss.backward()
    yield Comparison(f"{name}: loss", loss, expected["loss"])
    yield from compare_gradients(method.network, method.ups(), expected["gradients"], name)
    seen: list[tuple[Tensor, Tensor]] = []

    def disturbed(layer: int, z: Tensor) -> Tensor:
        return noisy(method.activation(layer, z), method.sigma[layer], noise[layer])

    logits = ann_logits(method.network, frame, recorded(disturbed, seen))
    yield Comparison(f"{name}: logits", logits, expected["logits"])
    for i, (z, a) in enumerate(seen):
        yield Comparison(f"{name}: pre-activation {i + 1}", z, expected["pre_activations"][i])
        yield Comparison(f"{name}: activation {i + 1}", a, expected["activations"][i])
