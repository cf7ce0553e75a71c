"""TTFS with a constant slope at the threshold: spike times that stand for the activations of a ReLU network, exactly.

The weights of the spiking network are those of the ReLU network. It is trained as one (and mapped), or by passing
spike times, whose gradients are the same. Must not know the budget.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import torch
from torch import Tensor

from reference_impls.conversion.method import unclipped
from reference_impls.conversion.spiking import ann_layers, time_mean
from reference_impls.conversion.statistics import LEAST, STATISTICS, threshold_of
from reference_impls.conversion.timed import Timed, Windows
from reference_impls.method import UpdateReport
from reference_impls.names import check_name

CARD = {
    "name": "ttfs",
    "kind": "training",
    "version": 1,
    "title": "TTFS: one spike a neuron, mapped from a ReLU network (B1)",
    "summary": (
        "Trains a ReLU network of the same shape. Each layer has a window in which its neurons fire at most once, the "
        "earlier the larger the activation; there the membrane rises with slope 1 whatever the weights, so that the "
        "spiking network with the same weights is that ReLU network, but for the activations that are too large for "
        "their window (1 %)."
    ),
    "equations": (
        "V_i(t_min) = sum_j J_ij (t_min - t_j) + D_i; dV_i/dt = 1 in [t_min, t_max]; t_i = t_max - V_i(t_min), silent "
        "if t_i >= t_max; t_min of a layer = t_max of the one below; x_i = t_max - t_i = relu(sum_j J_ij x_j + D_i); "
        "t_max - t_min = P99(x), or (1 + zeta) max x; logits = V(t_min) of the outputs; dt_i/dt_j = J_ij, dt_i/dJ_ij "
        "= t_j - t_min, dt_i/dD_i = -1"
    ),
    "citations": [
        {
            "authors": "A. Stanojevic, S. Wozniak, G. Bellec, G. Cherubini, A. Pantazi, W. Gerstner",
            "title": "High-performance deep spiking neural networks with 0.3 spikes per neuron",
            "venue": "Nature Communications 15:6793",
            "year": 2024,
            "arxiv": "2306.08744",
            "code": "https://github.com/IBM/equivalent-training-ReLUnetwork-SNN (commit 079607f)",
        },
        {
            "authors": "B. Rueckauer, S.-C. Liu",
            "title": "Conversion of analog to spiking neural networks using sparse temporal coding",
            "venue": "ISCAS",
            "year": 2018,
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
        "passes_times": True,
    },
    "defaults": {"statistic": "percentile", "q": 99.0, "zeta": 0.0, "by_times": False, "pretraining_share": 0.75},
    "space": {
        "zeta": {"low": -0.6, "high": 1.0},
    },
    "variants": {
        "ttfs-scratch": {
            "title": "TTFS: one spike a neuron, trained from scratch by its spike times (B1)",
            "summary": (
                "As ttfs, but nothing is mapped: forward the network passes spike times, and their exact derivatives "
                "back. Windows grow during training, so that no neuron has to fire before its own."
            ),
            "params": {"by_times": True},
        },
        "ttfs-wide": {
            "title": "TTFS: one spike a neuron, windows as published (B1)",
            "summary": (
                "As ttfs, with windows 1.5 times as long as the largest activation: nothing is too large for them, and "
                "in continuous time the network is its ReLU network to the last digits. A step stands for more."
            ),
            "params": {"statistic": "max", "zeta": 0.5},
        },
    },
    "divergences": [
        "T steps of a sample are T steps of every window, and times are rounded to the nearest; the released code is "
        "in continuous time (float64). The suite spike_times reads the network so, in the cell's number format.",
        "Windows are as long as the 99th percentile of the layer's activations on the last 512 training samples, for "
        "those of the paper, 1.5 times the largest activation (ttfs-wide), make a step of a few too coarse: what is "
        "larger fires as its window begins. The released code loads the largest activations and does not use them: its "
        "windows are 1,500 times the input's.",
        "Training by times begins with windows that hold 10 times the largest activation of the first batch; the "
        "released code begins with 1,500.",
        "The bias enters the membrane as a current that sums up to it over the window of the inputs; the paper "
        "lowers the threshold by it, which gives the same times.",
        "The input's window is as long as its largest value, and a negative input is a spike of the other sign; the "
        "released code maps the range to [0, 1] and lets the first layer absorb that.",
        "Pooling is by averages, which are linear, where the released networks take the earliest spike. Networks here "
        "have no batch normalisation to fold.",
        "After the share of the budget that is called pretraining the network is trained on in the same way, and "
        "judged after each epoch: that chooses the epoch.",
        "The authors train with batches of 8 and Adam at 5e-4, decayed by 0.9 every 5,000 steps; here the task's "
        "optimizer and budget.",
        "No official vectors: the released code is for TensorFlow. Its equations are restated in the tests, and the "
        "membrane is integrated step by step beside them.",
    ],
}

GAMMA = 10.0
"""A window in training is this many times as long as the largest activation seen."""
TRAINING = "spike_time_training_windows"


class TTFS(Timed):
    """B1: spike times that are an affine function of the spike times below.

    Parameters
    ----------
    statistic, q : of each layer's activations that sets its window: ``max``, or the `q`-th ``percentile``.
    zeta : a window is ``1 + zeta`` times as long; below 0 it is shorter, and large activations come too early.
    by_times : whether training passes spike times, in place of the activations that they stand for.
    pretraining_share, calibration_samples : as in :class:`Conversion`.

    Counters of training by times: as in :meth:`Timed.accumulate_times`. Shapes: ``x[T, B, ...]``, classes ``[B]``.
    """

    def __init__(
        self,
        statistic: str = "percentile",
        q: float = 99.0,
        zeta: float = 0.0,
        by_times: bool = False,
        pretraining_share: float = 0.75,
        calibration_samples: int = 512,
    ) -> None:
        super().__init__(pretraining_share, calibration_samples)
        self.statistic = check_name("statistic", statistic, STATISTICS)
        if not 0 < q <= 100:
            raise ValueError(f"q is a percentile in (0, 100], got {q}")
        if not zeta > -1:
            raise ValueError(f"zeta must be above -1, so that there is a window; got {zeta}")
        self.q = q
        self.zeta = zeta
        self.by_times = by_times
        self.grown: list[float] = []

    def activation(self, layer: int, z: Tensor) -> Tensor:
        """ReLU."""
        return z.relu()

    @torch.no_grad()
    def windows_now(self) -> Windows:
        """Return windows from the activations on the samples seen last."""
        if not self.recent.frames:
            return self.windows
        frame = self.recent.all()
        layers, _ = ann_layers(self.network, frame, unclipped)
        lengths = [(1 + self.zeta) * threshold_of(a, self.statistic, self.q) for a in layers]
        return Windows(_longest(frame), lengths)

    def accumulate(self, x: Tensor, target: Tensor) -> UpdateReport:
        """Differentiate the cross-entropy: through the ReLU network, or through spike times in continuous time."""
        if not self.by_times:
            return super().accumulate(x, target)
        report, found = self.accumulate_times(x, target, self._training_windows(time_mean(x)))
        self._grow(found.shares)
        return report

    def state_dict(self) -> dict[str, Tensor]:
        """Return network, windows, and those of training."""
        return super().state_dict() | {TRAINING: torch.tensor(self.grown, dtype=torch.float64)}

    def load_state_dict(self, state: Mapping[str, Tensor]) -> None:
        """Take over all of it."""
        super().load_state_dict({name: value for name, value in state.items() if name != TRAINING})
        self.grown = state[TRAINING].tolist()

    @torch.no_grad()
    def _training_windows(self, frame: Tensor) -> Windows:
        """Return windows in which the network learns; at first as the ReLU network's activations have them."""
        if not self.grown:
            layers, _ = ann_layers(self.network, frame, unclipped)
            self.grown = [GAMMA * max(float(a.max()), LEAST) for a in layers]
        return Windows(_longest(frame), self.grown)

    def _grow(self, shares: Sequence[Tensor]) -> None:
        """Make windows longer, where a spike came in the last of them but for 1 / GAMMA of its length."""
        earliest = [float(share.detach().min()) for share in shares[1:]]
        self.grown = [max(length, GAMMA * length * (1 - t)) for length, t in zip(self.grown, earliest, strict=True)]


def _longest(frame: Tensor) -> float:
    return max(float(frame.abs().max()), LEAST)
