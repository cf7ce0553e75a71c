"""Golden comparison of neurons that compute with spike times instead of spikes."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

import torch
from torch import Tensor

from harness.golden import Comparison
from harness.golden.vocabulary import parameters
from reference_impls.api import build_neuron

__all__ = ["compare_spike_times"]

NEVER = -1.0
"""Stands for "no spike" in a comparison, which takes finite numbers only."""


def compare_spike_times(slug: str, data: Mapping[str, Any]) -> Iterator[Comparison]:
    """Yield output times, causal sets and gradients beside those of the file."""
    neuron = build_neuron(slug, **parameters(slug, data))
    times = _times(data["input_spike_times"], float("inf")).requires_grad_()
    weight = torch.tensor(data["params"]["weight"]).requires_grad_()
    out = neuron.spike_times(times, weight)  # type: ignore[operator]
    fired = torch.isfinite(out)
    yield Comparison("output_spike_times", out.where(fired, NEVER), _times(data["output_spike_times"], NEVER))
    upstream = torch.tensor(data["grad_output"]).unsqueeze(0)
    by_time, by_weight = torch.autograd.grad(out[fired], (times, weight), upstream[fired], retain_graph=True)
    yield Comparison("grad_input", by_time, data["grad_input"])
    yield Comparison("grad_params.weight", by_weight, data["grad_params"]["weight"])
    yield Comparison("causal_mask", _causal(out, times), data["causal_mask"])


def _times(values: list[float | None], never: float) -> Tensor:
    """A list of times as a batch of one."""
    return torch.tensor([never if value is None else value for value in values]).unsqueeze(0)


def _causal(out: Tensor, times: Tensor) -> Tensor:
    """Which inputs each output waited for, ``[O, I]``: none for an output that never fires."""
    before = times.detach()[0][None, :] < out.detach()[0][:, None]
    return (before & torch.isfinite(out.detach()[0])[:, None]).to(out.dtype)
