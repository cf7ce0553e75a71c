"""robustness: what a trained network still gets right with a noisy input, lost events, or coarse weights.

It trains nothing: the weights are those that the cell's accuracy run left, and every disturbance meets the same test
samples, so that what it costs is a paired difference.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager

import torch
from torch import Tensor, nn

from harness.results.record import Series
from harness.suites.common.base import Answer, Measurement, Suite, share_missed
from harness.suites.common.train import EVALUATION_BATCH, batches, limited
from harness.suites.common.weights import trained_method
from harness.workload import Workload
from reference_impls.api import TrainingMethod

CARD = {
    "name": "robustness",
    "kind": "suite",
    "version": 1,
    "title": "Robustness",
    "summary": (
        "Disturbs what the trained network of the cell's accuracy run is given, or its weights, on the same test "
        "samples: noise on the input (analog: normal, standard deviation 0.1; events: 2 % of the empty entries gain "
        "one), a quarter of the entries lost, and weights rounded to 8 and to 4 bits, one scale a map, untrained since."
    ),
    "exclusive": False,
    "timeout_seconds": 7200.0,
    "typical_seconds": 3.0,
    "metrics": {
        "error_fraction": {
            "short": "undisturbed",
            "title": "test error, undisturbed",
            "unit": "fraction",
            "direction": "lower",
            "judged": False,
        },
        "noise_error_fraction": {
            "short": "noise",
            "title": "test error with noise on the input",
            "unit": "fraction",
            "direction": "lower",
        },
        "noise_loss_fraction": {
            "title": "what noise on the input adds to the error",
            "unit": "fraction",
            "direction": "lower",
            "bounds": [-1.0, 1.0],
        },
        "dropped_error_fraction": {
            "short": "a quarter lost",
            "title": "test error with a quarter of the input lost",
            "unit": "fraction",
            "direction": "lower",
        },
        "dropped_loss_fraction": {
            "title": "what losing a quarter of the input adds to the error",
            "unit": "fraction",
            "direction": "lower",
            "bounds": [-1.0, 1.0],
        },
        "int8_error_fraction": {
            "short": "8 bits",
            "title": "test error with weights of 8 bits",
            "unit": "fraction",
            "direction": "lower",
        },
        "int8_loss_fraction": {
            "title": "what weights of 8 bits add to the error",
            "unit": "fraction",
            "direction": "lower",
            "bounds": [-1.0, 1.0],
        },
        "int4_error_fraction": {
            "short": "4 bits",
            "title": "test error with weights of 4 bits",
            "unit": "fraction",
            "direction": "lower",
        },
        "int4_loss_fraction": {
            "title": "what weights of 4 bits add to the error",
            "unit": "fraction",
            "direction": "lower",
            "bounds": [-1.0, 1.0],
        },
    },
}

NOISE: Mapping[str, Sequence[float]] = {"analog": (0.05, 0.1, 0.2), "events": (0.01, 0.02, 0.05)}
"""Levels by kind of input; that in the middle is a figure of its own."""
LOST = (0.1, 0.25, 0.5)
BITS = (8, 6, 5, 4, 3)
NAMED_BITS = (8, 4)
Z = 1.959963984540054

Disturb = Callable[[Tensor, torch.Generator], Tensor]
"""(sequence ``[T, B, ...]``, random stream) -> the sequence as the network is given it."""


class Robustness(Suite):
    """Disturb, and count errors."""

    def run(self, workload: Workload) -> Answer:
        """Count the errors of the trained network under every disturbance."""
        method = trained_method(workload)
        kind = workload.task_card.input_kind
        clean = missed(method, workload)
        noise = {level: missed(method, workload, _noise(kind, level)) for level in NOISE[kind]}
        lost = {share: missed(method, workload, _losing(share)) for share in LOST}
        coarse = {}
        for bits in BITS:
            with rounded_weights(method, bits, workload):
                coarse[bits] = missed(method, workload)
        figures = {
            "error_fraction": _error(clean),
            **_beside("noise", clean, noise[NOISE[kind][1]]),
            **_beside("dropped", clean, lost[LOST[1]]),
        }
        for bits in NAMED_BITS:
            figures |= _beside(f"int{bits}", clean, coarse[bits])
        series = {
            "error_over_noise": _over("noise", {0.0: clean, **noise}),
            "error_over_lost": _over("lost_fraction", {0.0: clean, **lost}),
            "error_over_bits": _over("bits", coarse),
        }
        details = {"input_kind": kind, "noise_levels": list(NOISE[kind]), "lost": list(LOST), "bits": list(BITS)}
        return Answer(figures, series, details)


def missed(method: TrainingMethod, workload: Workload, disturb: Disturb | None = None) -> Tensor:
    """Return which test samples `method` misses, ``[N]``, in evaluation mode; the same disturbance at every call."""
    test = limited(workload.split.test, workload.budget.test_limit)
    random = torch.Generator(workload.device).manual_seed(workload.cell.seed)
    wrong = []
    method.network.eval()
    try:
        for x, labels in batches(test, EVALUATION_BATCH, workload, None):
            given = x if disturb is None else disturb(x, random)
            wrong.append((method.predict(given).detach().argmax(1) != labels).cpu())
    finally:
        method.network.train()
    return torch.cat(wrong)


@contextmanager
def rounded_weights(method: TrainingMethod, bits: int, workload: Workload) -> Iterator[None]:
    """Round the weights of every map to `bits` bits inside the block: whole multiples of a scale, one a map.

    The largest weight of a map is the largest multiple. Biases, and what neurons learn of their own, stay as they are;
    the weights among the units of a gated layer are those of a map.
    """
    own = () if workload.registry.neurons[workload.cell.neuron].capabilities.connected else method.network.neurons()
    spared = {id(parameter) for neuron in own for parameter in neuron.parameters()}
    chosen = [one for one in method.network.parameters() if one.dim() > 1 and id(one) not in spared]
    before = [weight.detach().clone() for weight in chosen]
    try:
        for weight in chosen:
            _round(weight, bits)
        yield
    finally:
        with torch.no_grad():
            for weight, value in zip(chosen, before, strict=True):
                weight.copy_(value)


@torch.no_grad()
def _round(weight: nn.Parameter, bits: int) -> None:
    scale = weight.abs().max() / (2 ** (bits - 1) - 1)
    if scale > 0:
        weight.copy_((weight / scale).round() * scale)


def _noise(kind: str, level: float) -> Disturb:
    """Return normal noise of standard deviation `level`, or events that are not there with that probability."""
    if kind == "analog":
        return lambda x, random: _once(x, lambda one: one + level * _normal(one, random))
    return lambda x, random: _once(x, lambda one: one + ((one == 0) & (_uniform(one, random) < level)).to(one.dtype))


def _losing(share: float) -> Disturb:
    """Return what sets that share of the entries to 0."""
    return lambda x, random: _once(x, lambda one: one * (_uniform(one, random) >= share).to(one.dtype))


def _normal(like: Tensor, random: torch.Generator) -> Tensor:
    return torch.randn(like.shape, generator=random, device=like.device, dtype=like.dtype)


def _uniform(like: Tensor, random: torch.Generator) -> Tensor:
    return torch.rand(like.shape, generator=random, device=like.device, dtype=like.dtype)


def _once(x: Tensor, disturb: Callable[[Tensor], Tensor]) -> Tensor:
    """Disturb every step by itself; of a constant input (a broadcast) the one picture that is shown at every step."""
    if len(x) > 1 and x.stride(0) == 0:
        return disturb(x[0]).expand(x.shape)
    return disturb(x)


def _error(wrong: Tensor) -> Measurement:
    return share_missed(int(wrong.sum()), len(wrong))


def _beside(name: str, clean: Tensor, disturbed: Tensor) -> dict[str, Measurement]:
    """Return the error under a disturbance, and what it adds: a paired difference over the same samples."""
    return {f"{name}_error_fraction": _error(disturbed), f"{name}_loss_fraction": paired_loss(clean, disturbed)}


def paired_loss(clean: Tensor, disturbed: Tensor) -> Measurement:
    """Return the difference of two errors on the same samples, with the 95 % interval of its discordant pairs."""
    size = len(clean)
    lost, won = int((~clean & disturbed).sum()), int((clean & ~disturbed).sum())
    value = (lost - won) / size
    half = Z * math.sqrt(max(lost + won - (lost - won) ** 2 / size, 0.0)) / size
    return Measurement(value, n=size, low=max(-1.0, value - half), high=min(1.0, value + half), covers="test samples")


def _over(x: str, wrong: Mapping[float, Tensor] | Mapping[int, Tensor]) -> Series:
    points = tuple((float(level), float(one.float().mean())) for level, one in wrong.items())
    return Series(x=x, x_unit="", y="error_fraction", y_unit="fraction", points=points)
