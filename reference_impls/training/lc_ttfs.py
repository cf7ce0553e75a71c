"""LC-TTFS: a clipped ReLU network becomes one of ReL-PSP neurons that fire once, each in the window of its layer.

A membrane rises by the sum of its weights, so time is stretched where that sum is not 1: a regulariser pulls it there
while the ANN learns. Must not know the budget.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, cast

import torch
from torch import Tensor

from reference_impls.conversion.spiking import affine
from reference_impls.conversion.timed import ClippedTimed, Windows
from reference_impls.method import OptimizerFactory, UpdateReport
from reference_impls.network import Network

CARD = {
    "name": "lc-ttfs",
    "kind": "training",
    "version": 1,
    "title": "LC-TTFS: conversion to one spike a neuron",
    "summary": (
        "Trains an ANN of clipped ReLUs whose weights are pulled to a sum of 1 at every neuron, and replaces each by a "
        "neuron with a linearly rising potential (ReL-PSP) and a threshold that lets it fire in its layer's window "
        "only. Where the sum is 1, a spike's time is the activation."
    ),
    "equations": (
        "a = min(1, max(0, z)); L = CE + lambda_r sum_j (S_j - 1)^2, S_j = sum_i w_ij + b_j; V(t) = sum_i w_ij max(0, "
        "t - t_i), silent inputs at the end of their window, threshold 1 inside the window, infinite before: t_j = "
        "(1 + sum_i w_ij t_i) / S_j, a_j = 1 - (1 - z_j) / S_j; above 1 as the window begins: a_j = 1"
    ),
    "citations": [
        {
            "authors": "Q. Yang, M. Zhang, J. Wu, K. C. Tan, H. Li",
            "title": "LC-TTFS: Towards Lossless Network Conversion for Spiking Neural Networks with TTFS Coding",
            "venue": "arXiv",
            "year": 2023,
            "arxiv": "2310.14978",
        }
    ],
    "capabilities": {
        "updates": "per_batch",
        "structures": ["chain"],
        "neuron": {"parallel": ["sequential"], "output": ["binary"], "reset": ["soft"], "leak": [False]},
        "memory_in_T": "O(1)",
        "spiking_backward": False,
        "keeps_neuron": False,
        "convolutions": False,
        "pretraining": True,
        "anytime": True,
        "converts": True,
        "passes_times": True,
    },
    "defaults": {"sum_weight": 1e-3, "pretraining_share": 0.75},
    "space": {
        "sum_weight": {"low": 1e-4, "high": 1.0, "scale": "log"},
    },
    "variants": {
        "lc-ttfs-warped": {
            "title": "LC-TTFS without its regulariser",
            "summary": "As lc-ttfs, with weights that may add up to anything: what the time-warping problem costs.",
            "params": {"sum_weight": 0.0},
        },
    },
    "divergences": [
        "No code of the authors was found, and their abstract is what could be read: the equations are this project's "
        "reading of it, restated in the tests and integrated step by step beside them.",
        "A bias is an input that fires as the window below begins, and its weight is in the sum.",
        "T steps of a sample are T steps of every window, and times are rounded to the nearest; in continuous time the "
        "network is read by the suite spike_times.",
        "Inputs are clipped to [0, 1], where those of images are. There is no normalisation of pre-activations.",
        "The weight of the regulariser was not found; it is 1e-3 of the sum over a layer's neurons.",
        "Fully connected layers only: with padding, the sum of a kernel's weights is another one at the borders.",
        "After the share of the budget that is called pretraining the ANN is trained on, and the spiking network is "
        "judged after each epoch: that chooses the epoch.",
    ],
}


class LCTTFS(ClippedTimed):
    """Conversion of an ANN of clipped ReLUs to ReL-PSP neurons in windows of length 1.

    Parameters
    ----------
    sum_weight : lambda_r, of the squared distance of each neuron's sum of weights from 1.
    pretraining_share, calibration_samples : as in :class:`Conversion`.

    Counter: ``sum_distance``, mean of ``abs(S - 1)``. Shapes: ``x[T, B, ...]``, classes ``[B]``.
    """

    def __init__(
        self, sum_weight: float = 1e-3, pretraining_share: float = 0.75, calibration_samples: int = 512
    ) -> None:
        if not sum_weight >= 0:
            raise ValueError(f"sum_weight must not be negative, got {sum_weight}")
        super().__init__(pretraining_share, calibration_samples)
        self.sum_weight = sum_weight

    def prepare(self, network: Network, optimizer: OptimizerFactory | None = None) -> None:
        """Take over a chain of fully connected layers of IF neurons."""
        chain: Any = network
        super().prepare(network, optimizer)
        for block in chain.layers():
            if cast(Any, affine(block.synapse)).weight.dim() != 2:
                raise ValueError(f"LC-TTFS adds up the weights of fully connected layers; this is {block.synapse}")

    def sums(self) -> list[Tensor]:
        """Return S of every layer, ``[N]``: its weights, and its bias, added up."""
        network: Any = self.network
        maps = [cast(Any, affine(block.synapse)) for block in network.layers()]
        return [own.weight.sum(1) + own.bias for own in maps]

    def rise(self, layer: int, windows: Windows) -> Tensor:
        """Return S: the slope of a membrane that all inputs have reached."""
        return self.sums()[layer].detach()

    def accumulate(self, x: Tensor, target: Tensor) -> UpdateReport:
        """Differentiate the ANN's cross-entropy and the distance of the sums from 1; nothing is simulated."""
        report = super().accumulate(x, target)
        off = [total - 1 for total in self.sums()]
        penalty = self.sum_weight * torch.stack([part.square().sum() for part in off]).sum()
        penalty.backward()
        distance = torch.cat([part.detach().abs() for part in off]).mean()
        return UpdateReport(report.loss + float(penalty.detach()), counters={"sum_distance": float(distance)})

    @torch.no_grad()
    def conversion_residuals(self, x: Tensor) -> Mapping[str, Sequence[float]]:
        """Return what keeps each layer from the ANN's; ``warped``: mean distance of the sums from 1."""
        warped = [float((total - 1).abs().mean()) for total in self.sums()]
        return {**super().conversion_residuals(x), "warped": warped}
