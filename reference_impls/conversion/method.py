"""The training method that is an ANN while it learns and a spiking network when it is asked.

Threshold balancing, QCFS and noisy quantisation differ in the ANN's activation and in where the thresholds come from;
everything else is here. Must not know how much of a budget there is, only which share of it is pretraining.
"""

from __future__ import annotations

from abc import abstractmethod
from collections import deque
from collections.abc import Callable, Mapping, Sequence

import torch
from torch import Tensor
from torch.nn import functional

from reference_impls.anytime import running_means
from reference_impls.conversion.spiking import (
    ann_logits,
    become_spiking,
    put_bursts,
    refuse_unless_convertible,
    residuals,
    time_mean,
)
from reference_impls.method import Epoch, OptimizerFactory, PretrainingReport, TrainingMethod, UpdateReport
from reference_impls.network import Network, Synapse

__all__ = ["Conversion", "Recent", "check_share", "trained_epochs", "unclipped"]

THRESHOLDS = "conversion_thresholds"


def check_share(pretraining_share: float) -> None:
    """Refuse a share of the budget that would leave no update."""
    if not 0 <= pretraining_share < 1:
        raise ValueError(f"pretraining_share must lie in [0, 1), so that updates are left; got {pretraining_share}")


def trained_epochs(
    epoch: Epoch, epochs: int, learn: Callable[[Tensor, Tensor], float], ended: Callable[[], None] | None = None
) -> PretrainingReport:
    """Go `epochs` times through the training data, hand every batch to `learn`, and report the losses it returns."""
    updates, losses = 0, []
    for _ in range(epochs):
        total, samples = 0.0, 0
        for x, target in epoch():
            total, samples, updates = total + learn(x, target) * len(target), samples + len(target), updates + 1
        losses.append(total / samples)
        if ended is not None:
            ended()
    return PretrainingReport(epochs, updates, tuple(losses))


def unclipped(_layer: int, z: Tensor) -> Tensor:
    """Return the activation that thresholds cut off: ReLU."""
    return z.relu()


class Recent:
    """The training samples that were seen last, as the ANN sees them: what is calibrated on."""

    def __init__(self, samples: int) -> None:
        if samples < 1:
            raise ValueError(f"calibration_samples must be at least 1, got {samples}")
        self.samples = samples
        self.frames: deque[Tensor] = deque()

    def add(self, frame: Tensor) -> None:
        """Keep ``frame[B, ...]``; drop what is older than enough."""
        self.frames.append(frame.detach())
        while sum(map(len, self.frames)) - len(self.frames[0]) >= self.samples:
            self.frames.popleft()

    def all(self) -> Tensor:
        """Return them as one batch, the newest last; at most `samples`."""
        return torch.cat(tuple(self.frames))[-self.samples :]


class Conversion(TrainingMethod):
    """An ANN whose layers become integrate-and-fire neurons.

    `update` and `pretrain` train the ANN with cross-entropy; thresholds follow when the network is next asked for a
    prediction or for its state.

    Parameters
    ----------
    pretraining_share : part of the budget's epochs that is called pretraining (rounded down). The rest trains the ANN
        on, and after each of its epochs the spiking network is judged.
    calibration_samples : training samples, the last that were seen, of which statistics are taken.
    start : membrane at the first step, in thresholds.
    most : spikes that a neuron may emit in one step.
    """

    def __init__(
        self,
        pretraining_share: float = 0.75,
        calibration_samples: int = 512,
        start: float = 0.5,
        most: int = 1,
    ) -> None:
        check_share(pretraining_share)
        if not 0 <= start < 1:
            raise ValueError(f"start must lie in [0, 1) thresholds, got {start}")
        if most < 1:
            raise ValueError(f"most must be at least 1 spike a step, got {most}")
        self.pretraining_share = pretraining_share
        self.recent = Recent(calibration_samples)
        self.start = start
        self.most = most

    @abstractmethod
    def activation(self, layer: int, z: Tensor) -> Tensor:
        """Return what layer `layer` of the ANN makes of the pre-activation `z`."""

    @abstractmethod
    def calibrated(self) -> Sequence[float]:
        """Return the threshold of every layer, as the present weights have it."""

    def prepare(self, network: Network, optimizer: OptimizerFactory | None = None) -> None:
        """Take over a chain of IF neurons with soft reset."""
        refuse_unless_convertible(network, type(self).__name__)
        put_bursts(network, self.most)
        super().prepare(network, optimizer)
        self.recent.frames.clear()
        self.thresholds: Sequence[float] = [1.0] * len(network.neurons())
        self.stale = True
        self._settle()

    def pretrain(self, epoch: Epoch, epochs: int) -> PretrainingReport:
        """Train the ANN for this method's share of the epochs."""
        spent = int(self.pretraining_share * epochs)
        return trained_epochs(epoch, spent, lambda x, target: self.update(x, target).loss, self.epoch_ended)

    def epoch_ended(self) -> None:
        """Do what is due after an epoch of pretraining: here, nothing."""

    def update(self, x: Tensor, target: Tensor) -> UpdateReport:
        """Make one optimizer step of the ANN."""
        report = super().update(x, target)
        self.recent.add(time_mean(x))
        self.stale = True
        return report

    def accumulate(self, x: Tensor, target: Tensor) -> UpdateReport:
        """Differentiate the ANN's cross-entropy on the mean of ``x[T, B, ...]`` over time; nothing is simulated."""
        self.network.begin_batch()
        loss = functional.cross_entropy(self.training_logits(time_mean(x)), target)
        loss.backward()
        return UpdateReport(float(loss.detach()))

    def training_logits(self, frame: Tensor) -> Tensor:
        """Return the ANN's logits ``[B, C]`` that are differentiated."""
        return ann_logits(self.network, frame, self.activation)

    @torch.no_grad()
    def predict(self, x: Tensor) -> Tensor:
        """Return the mean read-out of the spiking network over ``x[T, B, ...]``."""
        return self.read_outs(x, [x.shape[0]])[0]

    @torch.no_grad()
    def read_outs(self, x: Tensor, steps: Sequence[int]) -> Tensor:
        """Return the mean read-out after each number of steps, from one run."""
        self._settle()
        return running_means(self.network, x, steps)

    @torch.no_grad()
    def predict_ann(self, x: Tensor) -> Tensor:
        """Return the logits of the ANN as it is now."""
        return ann_logits(self.network, time_mean(x), self.activation)

    def conversion_residuals(self, x: Tensor) -> Mapping[str, Sequence[float]]:
        """Return the shares of clipped outputs and of unsettled membranes, layer by layer."""
        self._settle()
        return residuals(self.network, x, unclipped, self.most)

    def synapses(self) -> tuple[Synapse, ...]:
        """Return the linear maps; spikes are as high as the present thresholds."""
        self._settle()
        return super().synapses()

    def state_dict(self) -> dict[str, Tensor]:
        """Return the network and its thresholds."""
        self._settle()
        return super().state_dict() | {THRESHOLDS: torch.tensor(list(self.thresholds), dtype=torch.float64)}

    def load_state_dict(self, state: Mapping[str, Tensor]) -> None:
        """Take over network and thresholds."""
        super().load_state_dict({name: value for name, value in state.items() if name != THRESHOLDS})
        self.thresholds = state[THRESHOLDS].tolist()
        self.stale = False
        become_spiking(self.network, self.thresholds, self.start)

    @torch.no_grad()
    def _settle(self) -> None:
        """Let the spiking network follow the ANN, if that has moved."""
        if self.stale:
            self.thresholds = list(self.calibrated())
            become_spiking(self.network, self.thresholds, self.start)
            self.stale = False
