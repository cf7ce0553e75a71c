"""Noisy quantisation: QCFS that learns with noise as large as the error that its conversion will make.

Must not know the budget.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import torch
from torch import Tensor

from reference_impls.conversion.activations import noisy
from reference_impls.conversion.quantised import QuantisedConversion
from reference_impls.conversion.spiking import ann_layers, ann_logits, become_spiking, spike_rates
from reference_impls.method import OptimizerFactory
from reference_impls.network import Network

CARD = {
    "name": "noisy-quantisation",
    "kind": "training",
    "version": 1,
    "title": "Noisy quantisation: conversion that models its residual error",
    "summary": (
        "As qcfs; after each epoch the gap between the ANN's activations and the rates of its spiking form at 4 steps "
        "is measured, and noise of that size is added to the activations of the next."
    ),
    "equations": (
        "a = q(z) - sigma_l xi, q(z) = lambda floor(clip(z / lambda, 0, 1) L + 1/2) / L, xi ~ N(0, 1); gap_l = q_l - "
        "lambda_l count_l / T_val, each network end to end, no noise; sigma_l^2 = mean over batches of var(gap_l)"
    ),
    "citations": [
        {
            "authors": "Z. Huang, J. Ding, Z. Pan, H. Li, Y. Fang, Z. Yu, J. K. Liu",
            "title": (
                "Converting High-Performance and Low-Latency SNNs through Explicit Modelling of Residual Error in ANNs"
            ),
            "venue": "IEEE Transactions on Neural Networks and Learning Systems",
            "year": 2025,
            "arxiv": "2404.17456",
            "code": "https://github.com/hzp2022/ANN2SNN_NQ (commit b402965)",
        }
    ],
    "capabilities": {
        "updates": "per_batch",
        "structures": ["chain"],
        "neuron": {"parallel": ["sequential"], "output": ["binary"], "reset": ["soft"], "leak": [False]},
        "memory_in_T": "O(1)",
        "spiking_backward": False,
        "keeps_neuron": False,
        "pretraining": True,
        "anytime": True,
        "converts": True,
    },
    "defaults": {"levels": 4, "up": 2.0, "steps": 4, "start": 0.5, "pretraining_share": 0.75},
    "space": {
        "up": {"low": 0.5, "high": 8.0, "scale": "log"},
        "start": {"low": 0.0, "high": 0.9},
    },
    "aliases": {"residual_error_noisy_quantisation": {}},
    "divergences": [
        "The gap is measured on the last 512 training samples, for a training method here sees no other split; the "
        "released code measures it on a validation split.",
        "It is measured after each epoch of pretraining, and later whenever the network is asked for a prediction.",
        "The ANN's error is its error without noise; the released code reports it with.",
        "Where the input is constant and the steps are as many as the levels, the first layer has no residual error "
        "and so no noise: a network of one hidden layer then learns exactly as under qcfs.",
        "The clipping points start at 2 and are kept above 1e-3, as in qcfs; the released 8 is much for few epochs.",
        "The released recipe is SGD with a cosine for 400 epochs; here the task's optimizer and budget.",
    ],
}

SIGMA = "conversion_sigma"


class NoisyQuantisation(QuantisedConversion):
    """QCFS with layer-wise noise.

    Parameters
    ----------
    steps : T at which the residual error is measured.
    others : as in :class:`QuantisedConversion`.

    The first epoch has no noise. Golden vectors from the authors' layers. Shapes: ``x[T, B, ...]``, classes ``[B]``.
    """

    def __init__(
        self,
        levels: int = 4,
        up: float = 2.0,
        steps: int = 4,
        pretraining_share: float = 0.75,
        calibration_samples: int = 512,
        start: float = 0.5,
    ) -> None:
        if steps < 1:
            raise ValueError(f"steps must be at least 1, got {steps}")
        super().__init__(levels, up, "clamp_then_floor", pretraining_share, calibration_samples, start)
        self.steps = steps

    def prepare(self, network: Network, optimizer: OptimizerFactory | None = None) -> None:
        """Take over a chain of IF neurons with soft reset; no noise yet."""
        self.sigma: list[float] = [0.0] * len(network.neurons())
        super().prepare(network, optimizer)

    def training_logits(self, frame: Tensor, noise: Sequence[Tensor] | None = None) -> Tensor:
        """Return the logits ``[B, C]`` of the noisy ANN; `noise` is one tensor a layer, drawn where it is None."""

        def disturbed(layer: int, z: Tensor) -> Tensor:
            return noisy(self.activation(layer, z), self.sigma[layer], None if noise is None else noise[layer])

        return ann_logits(self.network, frame, disturbed)

    def epoch_ended(self) -> None:
        """Measure the residual error."""
        self._settle()

    def calibrated(self) -> Sequence[float]:
        """Return the clipping points, and measure what the conversion to them leaves."""
        thresholds = super().calibrated()
        if self.recent.frames:
            become_spiking(self.network, thresholds, self.start)
            variances = [self.gap_variances(frame) for frame in self.recent.frames]
            self.sigma = torch.stack(variances).mean(0).sqrt().tolist()
        return thresholds

    @torch.no_grad()
    def gap_variances(self, frame: Tensor) -> Tensor:
        """Return the variance (unbiased) of quantised activation minus rate over ``frame[B, ...]``, one a layer."""
        quantised, _ = ann_layers(self.network, frame, self.activation)
        rates, _ = spike_rates(self.network, frame.unsqueeze(0).expand(self.steps, *frame.shape))
        return torch.stack([(q - rate).var() for q, rate in zip(quantised, rates, strict=True)])

    def state_dict(self) -> dict[str, Tensor]:
        """Return network, thresholds and the size of the noise."""
        return super().state_dict() | {SIGMA: torch.tensor(self.sigma, dtype=torch.float64)}

    def load_state_dict(self, state: Mapping[str, Tensor]) -> None:
        """Take over network, thresholds and the size of the noise."""
        super().load_state_dict({name: value for name, value in state.items() if name != SIGMA})
        self.sigma = state[SIGMA].tolist()
