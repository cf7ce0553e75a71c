"""DFT: ReL-PSP neurons with a falling threshold in the window of their layer, trained through their spike times.

Must not know the budget.
"""

from __future__ import annotations

from torch import Tensor

from reference_impls.conversion.timed import ClippedTimed
from reference_impls.method import Epoch, OptimizerFactory, PretrainingReport, UpdateReport
from reference_impls.network import Network

CARD = {
    "name": "dft",
    "kind": "training",
    "version": 1,
    "title": "DFT: spike times under a dynamic firing threshold",
    "summary": (
        "A quarter of the budget trains an ANN of clipped ReLUs. With its weights begins a network whose potentials "
        "rise linearly (ReL-PSP) and whose threshold falls to 0 over the window of its layer, so that most neurons "
        "that got any input fire; it learns through the exact derivatives of its spike times."
    ),
    "equations": (
        "V(t) = sum_i w_i (t - t_i) over inputs that fired, t_i in [0, 1]; theta(t) = 2 - t in [1, 2]: t = (2 + sum "
        "w_i t_i) / (1 + sum w_i), 1 if sum w_i (1 - t_i) >= 1, silent if t > 2; as activations a = 2 - t: a = (S + "
        "sum w_i a_i) / (1 + S), S = sum of w_i over a_i > 0; logits = S + sum w_i a_i; dt/d(sum w_i t_i) = 1 / "
        "(1 + S), dt/dS = -(2 + sum w_i t_i) / (1 + S)^2"
    ),
    "citations": [
        {
            "authors": "W. Wei, M. Zhang, H. Qu, A. Belatreche, J. Zhang, H. Chen",
            "title": (
                "Temporal-Coded Spiking Neural Networks with Dynamic Firing Threshold: Learning with Event-Driven "
                "Backpropagation"
            ),
            "venue": "ICCV",
            "year": 2023,
            "code": "https://github.com/Wenjie-Wei/DTA-TTFS (commit 9c3d78a)",
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
        "passes_times": True,
    },
    "defaults": {"steepest": 11.0, "pretraining_share": 0.25},
    "space": {
        "steepest": {"low": 1.0, "high": 1000.0, "scale": "log"},
        "pretraining_share": {"low": 0.0, "high": 0.75},
    },
    "divergences": [
        "A pixel fires at 1 minus its value; the authors' first layer is a convolution of the analog image whose "
        "clipped result fires so.",
        "A membrane that falls relative to its threshold (1 + S <= 0) fires as the window begins or not at all. The "
        "released code divides all the same, and takes times of the wrong sign that land in the window.",
        "The logits are those of the released spiking model, S + sum w a, in training too; the released training "
        "takes sum w a.",
        "The derivatives by the membrane and by S are clipped to 11, as in the authors' training; an independent "
        "re-implementation clips to 1.",
        "T steps of a sample are T steps of every window, and times are rounded to the nearest; in continuous time the "
        "network is read by the suite spike_times.",
        "Inputs are clipped to [0, 1]. Biases are set to 0 and not trained; there is no batch normalisation.",
        "The authors pretrain a whole ANN with SGD and then train 300 epochs with AdamW at 1e-4 and augmentation, and "
        "their evaluation drops the last incomplete batch; here the task's optimizer, budget and whole test split.",
        "The authors' code has no form that gives vectors without its data sets; its equations are restated in the "
        "tests and integrated step by step beside them.",
    ],
}


class DFT(ClippedTimed):
    """Spike times of ReL-PSP neurons under a threshold that falls over their window.

    Parameters
    ----------
    steepest : what the derivatives of a time are clipped to.
    pretraining_share, calibration_samples : as in :class:`Conversion`; pretraining trains an ANN of clipped ReLUs.

    Counters: as in :meth:`Timed.accumulate_times`. Shapes: ``x[T, B, ...]``, classes ``[B]``.
    """

    gathers = True

    def __init__(self, steepest: float = 11.0, pretraining_share: float = 0.25, calibration_samples: int = 512) -> None:
        if not steepest > 0:
            raise ValueError(f"steepest must be positive, got {steepest}")
        super().__init__(pretraining_share, calibration_samples)
        self.steepest = steepest
        self.pretrains = False

    def prepare(self, network: Network, optimizer: OptimizerFactory | None = None) -> None:
        """Take over a chain of IF neurons: drop its biases, which are no spikes."""
        for name, parameter in network.named_parameters():
            if name.endswith("bias"):
                parameter.requires_grad_(False).zero_()
        super().prepare(network, optimizer)

    def pretrain(self, epoch: Epoch, epochs: int) -> PretrainingReport:
        """Train the ANN whose weights the spiking network begins with."""
        self.pretrains = True
        try:
            return super().pretrain(epoch, epochs)
        finally:
            self.pretrains = False

    def accumulate(self, x: Tensor, target: Tensor) -> UpdateReport:
        """Differentiate the cross-entropy through spike times in continuous time (while it pretrains: the ANN's)."""
        if self.pretrains:
            return super().accumulate(x, target)
        report, _ = self.accumulate_times(x, target, self.windows_now())
        return report
