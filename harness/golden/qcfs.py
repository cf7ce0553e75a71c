"""Golden comparison of QCFS: activation and its gradients in both orders, the ANN, and the spiking network."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor

from harness.golden import Comparison
from harness.golden.converted import compare_gradients, compare_spiking, network_of, recorded
from reference_impls.api import build_method
from reference_impls.conversion.activations import qcfs
from reference_impls.conversion.spiking import ann_logits

if TYPE_CHECKING:
    from harness.golden import Case

__all__ = ["compare", "with_ups"]

GRADIENTS = {"gradients": "clamp_then_floor", "gradients_floor_then_clamp": "floor_then_clamp"}


def compare(case: Case, backend: str) -> Iterator[Comparison]:
    """Yield what each part gives beside the authors' layers."""
    data = case.data
    yield from _activation(data["activation"])
    frame, target = torch.tensor(data["input"]), torch.tensor(data["targets"])
    for key, order in GRADIENTS.items():
        method = _method(data, backend, order)
        loss = method.accumulate(frame.unsqueeze(0), target).loss
        yield Comparison(f"loss, {order}", torch.tensor(loss), data["ann"]["loss"])
        yield from compare_gradients(method.network, method.ups(), data["ann"][key], order)
    method = _method(data, backend, "clamp_then_floor")
    yield from _ann(method, frame, data["ann"])
    yield from compare_spiking(method, frame, data["snn"])


def with_ups(method: Any, ups: Any) -> Any:
    """Return `method` with the clipping points `ups`."""
    with torch.no_grad():
        for up, value in zip(method.ups(), ups, strict=True):
            up.fill_(value)
    method.stale = True
    return method


def _method(data: Mapping[str, Any], backend: str, order: str) -> Any:
    method: Any = build_method("qcfs", levels=data["levels"], order=order, start=data["snn"]["start_in_thresholds"])
    method.prepare(network_of(data["layers"], backend))
    return with_ups(method, data["lambda"])


def _activation(expected: Mapping[str, Any]) -> Iterator[Comparison]:
    for order in GRADIENTS.values():
        x = torch.tensor(expected["input"], requires_grad=True)
        up = torch.tensor(expected["clip_lambda"], requires_grad=True)
        y = qcfs(x, up, expected["levels"], order)
        yield Comparison(f"activation, {order}", y, expected[order]["output"])
        by_x, by_up = torch.autograd.grad(y, (x, up), torch.tensor(expected["upstream_gradient"]))
        yield Comparison(f"activation, {order}: gradient of the input", by_x, expected[order]["gradient_input"])
        yield Comparison(f"activation, {order}: gradient of lambda", by_up, expected[order]["gradient_lambda"])


def _ann(method: Any, frame: Tensor, expected: Mapping[str, Any]) -> Iterator[Comparison]:
    seen: list[tuple[Tensor, Tensor]] = []
    logits = ann_logits(method.network, frame, recorded(method.activation, seen))
    for i, (z, a) in enumerate(seen):
        yield Comparison(f"ANN: pre-activation {i + 1}", z, expected["pre_activations"][i])
        yield Comparison(f"ANN: activation {i + 1}", a, expected["activations"][i])
    yield Comparison("ANN: logits", logits, expected["logits"])
    yield Comparison("ANN: prediction", method.predict_ann(frame.unsqueeze(0)), expected["logits"])
