"""Threshold balancing: a ReLU network whose layers become IF neurons with thresholds from its own activations.

No training of its own: the ANN learns, and a statistic of its activations on training samples is the threshold. Must
not know the budget.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from reference_impls.conversion.method import Conversion
from reference_impls.conversion.spiking import ann_layers
from reference_impls.conversion.statistics import STATISTICS, threshold_of
from reference_impls.names import check_name

CARD = {
    "name": "threshold-balancing",
    "kind": "training",
    "version": 1,
    "title": "Conversion by threshold balancing",
    "summary": (
        "Trains a ReLU network of the same shape and replaces each ReLU by an IF neuron whose threshold is the 99.9th "
        "percentile of the layer's activations on training samples. Membranes start at half a threshold."
    ),
    "equations": (
        "lambda_l = statistic of relu(z_l); theta_l = lambda_l; v[0] = theta / 2; m[t] = v[t-1] + W theta' s'[t] + b; "
        "s = 1 if m >= theta; v = m - theta s; read-out: mean over t of W_o theta s[t] + b_o"
    ),
    "citations": [
        {
            "authors": "B. Rueckauer, I.-A. Lungu, Y. Hu, M. Pfeiffer, S.-C. Liu",
            "title": (
                "Conversion of Continuous-Valued Deep Networks to Efficient Event-Driven Networks for Image "
                "Classification"
            ),
            "venue": "Frontiers in Neuroscience 11:682",
            "year": 2017,
            "arxiv": "1612.04052",
            "code": "https://github.com/fangwei123456/spikingjelly (activation_based.ann2snn)",
        },
        {
            "authors": "P. U. Diehl, D. Neil, J. Binas, M. Cook, S.-C. Liu, M. Pfeiffer",
            "title": ("Fast-classifying, high-accuracy spiking deep networks through weight and threshold balancing"),
            "venue": "IJCNN",
            "year": 2015,
        },
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
    "defaults": {"statistic": "percentile", "q": 99.9, "start": 0.5, "most": 1, "pretraining_share": 0.75},
    "space": {
        "start": {"low": 0.0, "high": 0.9},
    },
    "variants": {
        "threshold-balancing-max": {
            "title": "Conversion by threshold balancing, largest activation",
            "summary": "As threshold-balancing; nothing is clipped, and more steps are needed.",
            "params": {"statistic": "max"},
        },
        "threshold-balancing-p99": {
            "title": "Conversion by threshold balancing, 99th percentile",
            "summary": "As threshold-balancing; more is clipped, and fewer steps are needed.",
            "params": {"q": 99.0},
        },
        "threshold-balancing-mmse": {
            "title": "Conversion by threshold balancing, least squared error",
            "summary": "As threshold-balancing, with the threshold that rounds the activations best at 16 steps.",
            "params": {"statistic": "mmse", "steps": 16},
        },
        "burst": {
            "title": "Conversion to bursts",
            "summary": (
                "As threshold-balancing-mmse, with neurons that may emit up to 5 spikes in one step: what comes too "
                "late, or is more than the threshold, is made up for at once."
            ),
            "params": {"statistic": "mmse", "steps": 16, "most": 5},
        },
    },
    "aliases": {"ann2snn_threshold_balancing": {}},
    "divergences": [
        "Statistics are taken over the last 512 training samples at once, zeros included. SpikingJelly keeps a moving "
        'average of the statistics of batches, so that its "max" is not the largest and depends on their order.',
        "SpikingJelly scales by lambda before and after a neuron of threshold 1; here the threshold is lambda and "
        "spikes are as high, which gives the same spikes and lets counters see them.",
        "Membranes start at half a threshold (0 in the older papers): with the same weights, that is the difference "
        "between 16 and 4 usable steps.",
        "A threshold serves a layer; the statistics know channels as well.",
        "The ANN sees the mean over time of a sample that moves; samples are repeated where more steps are asked for "
        "than they have.",
        "The first map gets the analog input at every step.",
        "After the share of the budget that is called pretraining the ANN is trained on, and the spiking network is "
        "judged after each epoch: that chooses the epoch.",
        "Networks here have no batch normalisation to fold, and pool by averages.",
        "The burst neuron is that of hybrid coding (arXiv 2305.16594), with its grid of thresholds but a start of "
        "half a threshold.",
    ],
}


class ThresholdBalancing(Conversion):
    """Conversion with thresholds from a statistic of the activations.

    Parameters
    ----------
    statistic : ``max``, ``percentile`` or ``mmse``.
    q : of the percentile, in percent.
    steps : T for which ``mmse`` rounds best.
    pretraining_share, calibration_samples, start, most : as in :class:`Conversion`.

    Before the first update thresholds are 1. Golden vectors from SpikingJelly's converter and, for what that has not,
    from the equations. Shapes: ``x[T, B, ...]``, classes ``[B]``.
    """

    def __init__(
        self,
        statistic: str = "percentile",
        q: float = 99.9,
        steps: int = 16,
        pretraining_share: float = 0.75,
        calibration_samples: int = 512,
        start: float = 0.5,
        most: int = 1,
    ) -> None:
        check_name("statistic", statistic, STATISTICS)
        if not 0 < q <= 100:
            raise ValueError(f"q is a percentile in (0, 100], got {q}")
        if steps < 1:
            raise ValueError(f"steps must be at least 1, got {steps}")
        super().__init__(pretraining_share, calibration_samples, start, most)
        self.statistic = statistic
        self.q = q
        self.steps = steps

    def activation(self, layer: int, z: Tensor) -> Tensor:
        """ReLU."""
        return z.relu()

    def calibrated(self) -> Sequence[float]:
        """Return the statistic of every layer on the samples seen last."""
        if not self.recent.frames:
            return [1.0] * len(self.network.neurons())
        return self.thresholds_on(self.recent.all())

    @torch.no_grad()
    def thresholds_on(self, frame: Tensor) -> list[float]:
        """Return the threshold of every layer from samples ``frame[B, ...]``."""
        layers, _ = ann_layers(self.network, frame, self.activation)
        return [threshold_of(a, self.statistic, self.q, self.steps) for a in layers]
