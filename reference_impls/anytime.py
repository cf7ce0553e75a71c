"""Reading a network before its last step: read-outs at several numbers of steps, and a rule that stops a sample early.

Conversion and the training method ``cutoff`` share it, and the suite that asks after every number of steps. Must not
know how a network was trained.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import pairwise
from typing import Any, NamedTuple

import torch
from torch import Tensor

from reference_impls.network import over_time
from reference_impls.neuron import State

__all__ = [
    "EarlyPrediction",
    "first_right_step",
    "gap_thresholds",
    "gaps",
    "right_from_here",
    "running_means",
    "segments",
    "stop_early",
]

BINS = 100
LONGEST_SEGMENT = 16
"""Steps that are simulated at once: what a layer emits in them is all that is kept."""


class EarlyPrediction(NamedTuple):
    """What the rule reads out."""

    logits: Tensor
    """Read-out at the step where each sample stops, ``[B, C]``."""
    steps: Tensor
    """Which of the read-outs that is, ``[B]``, from 1."""


def segments(steps: Sequence[int]) -> Iterator[tuple[int, int]]:
    """Yield (begin, end) of pieces that end at every one of `steps` and are short enough to be kept."""
    for begin, end in pairwise((0, *steps)):
        for start in range(begin, end, LONGEST_SEGMENT):
            yield start, min(start + LONGEST_SEGMENT, end)


def running_means(network: Any, x: Tensor, steps: Sequence[int]) -> Tensor:
    """Run a chain once and return the mean of its read-out after each number of `steps`, ``[len(steps), B, C]``.

    Parameters
    ----------
    network : a chain of layers (`layers`, `readout`).
    x : ``[T, B, ...]``, T at least the last of `steps`; the first map sees a constant one once.
    steps : growing.
    """
    blocks = network.layers()
    constant = over_time(blocks[0].synapse, x[: steps[-1]]) if x.stride(0) == 0 else None
    states: list[State | None] = [None] * len(blocks)
    total: Tensor | None = None
    found = []
    for begin, end in segments(steps):
        z = x[begin:end]
        for layer, block in enumerate(blocks):
            current = over_time(block.synapse, z) if layer or constant is None else constant[begin:end]
            out = block.neuron.run(current, states[layer])
            states[layer] = out.state
            z = block.passed_on(out.spikes)
        piece = over_time(network.readout, z).sum(0)
        total = piece if total is None else total + piece
        if end in steps:
            found.append(total / end)
    return torch.stack(found)


def right_from_here(read_outs: Tensor, target: Tensor) -> Tensor:
    """Whether the read-out ``[K, B, C]`` names the right class at the k-th step and at every later one, ``[K, B]``."""
    right = (read_outs.argmax(-1) == target).to(torch.uint8)
    return right.flip(0).cumprod(0).flip(0).bool()


def gaps(read_outs: Tensor) -> Tensor:
    """Return largest minus second largest entry of the read-outs, ``[K, B]`` from ``[K, B, C]``."""
    best = read_outs.topk(2, dim=-1).values
    return best[..., 0] - best[..., 1]


def gap_thresholds(read_outs: Tensor, target: Tensor, epsilon: float = 0.0, bins: int = BINS) -> Tensor:
    """Return the gap ``[K]`` beyond which at least ``1 - epsilon`` of the samples stay right.

    Parameters
    ----------
    read_outs, target : ``[K, B, C]`` and ``[B]`` of calibration samples.
    epsilon : share of errors that is accepted for stopping earlier.
    bins : candidates for the threshold, evenly from 0 up to (without) the largest gap.
    """
    gap, stays = gaps(read_outs), right_from_here(read_outs, target)
    edges = torch.arange(bins, dtype=gap.dtype, device=gap.device) * gap.max() / bins
    beyond = gap > edges[:, None, None]
    confidence = (beyond & stays).sum(-1).to(gap.dtype) / beyond.sum(-1)
    enough = confidence >= 1 - epsilon
    enough[-1] = True
    return edges[enough.to(torch.uint8).argmax(0)]


def stop_early(read_outs: Tensor, thresholds: Tensor | Sequence[float]) -> EarlyPrediction:
    """Stop each sample of ``[K, B, C]`` at the first read-out whose gap exceeds its threshold (or at the last)."""
    limits = torch.as_tensor(thresholds, dtype=read_outs.dtype, device=read_outs.device)
    stops = gaps(read_outs) > limits[:, None]
    stops[-1] = True
    step = stops.to(torch.uint8).argmax(0)
    return EarlyPrediction(read_outs[step, torch.arange(read_outs.shape[1], device=read_outs.device)], step + 1)


def first_right_step(read_outs: Tensor, target: Tensor) -> Tensor:
    """Return each sample's first step from which on it stays right, ``[B]``, from 1 (K for one that never is)."""
    stays = right_from_here(read_outs, target)
    stays[-1] = True
    return stays.to(torch.uint8).argmax(0) + 1
