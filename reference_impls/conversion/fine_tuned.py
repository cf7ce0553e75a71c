"""Methods that train an ANN, convert it, and go on with the spiking network in a way of their own.

STDB, progressive tandem learning and hybrid coding share it: pretraining, the frozen ANN that stays beside, and
thresholds that are calibrated once. Must not know how the spiking network learns.
"""

from __future__ import annotations

import copy
from abc import abstractmethod
from collections.abc import Mapping, Sequence
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional

from reference_impls.conversion.method import Recent, check_share, trained_epochs, unclipped
from reference_impls.conversion.spiking import ann_logits, become_spiking, refuse_unless_convertible, time_mean
from reference_impls.conversion.statistics import LEAST
from reference_impls.method import Epoch, OptimizerFactory, PretrainingReport, TrainingMethod
from reference_impls.network import Network, Synapse, over_time

__all__ = ["FineTuned", "InStages"]

ANN, THRESHOLDS, CALIBRATED = "conversion_ann.", "conversion_thresholds", "conversion_calibrated"
PROGRESS = "conversion_progress"


class FineTuned(TrainingMethod):
    """A ReLU network that is trained first, converted, and trained on as a spiking one.

    Parameters
    ----------
    pretraining_share : part of the budget's epochs that trains the ANN (rounded down).
    calibration_samples : training samples, the last of pretraining, on which thresholds are set.
    rate_factor : learning rate of the updates after pretraining, as a share of the ANN's.

    What has not been pretrained sets its thresholds on the first batch that it learns from.
    """

    def __init__(self, pretraining_share: float, calibration_samples: int, rate_factor: float) -> None:
        check_share(pretraining_share)
        if not rate_factor > 0:
            raise ValueError(f"rate_factor must be positive, got {rate_factor}")
        self.pretraining_share = pretraining_share
        self.recent = Recent(calibration_samples)
        self.rate_factor = rate_factor

    @abstractmethod
    def calibrated_on(self, frame: Tensor) -> Sequence[float]:
        """Return the threshold of every layer from samples ``frame[B, ...]``."""

    @abstractmethod
    def spike_with(self, thresholds: Sequence[float]) -> None:
        """Set the network's neurons to their thresholds."""

    def fed(self, x: Tensor) -> Tensor:
        """Return what the spiking network is fed with for ``x[T, B, ...]`` when it predicts."""
        return x

    def seen(self, x: Tensor) -> Tensor:
        """Return what the ANN sees of ``x[T, B, ...]``: its mean over time, ``[B, ...]``."""
        return time_mean(x)

    def prepare(self, network: Network, optimizer: OptimizerFactory | None = None) -> None:
        """Take over a chain of IF neurons with soft reset."""
        refuse_unless_convertible(network, type(self).__name__)
        super().prepare(network, optimizer)
        self._make_optimizer = optimizer
        self.recent.frames.clear()
        self.calibrated = False
        self.thresholds: Sequence[float] = [1.0] * len(network.neurons())
        self.spike_with(self.thresholds)
        self._keep_ann()

    def pretrain(self, epoch: Epoch, epochs: int) -> PretrainingReport:
        """Train the ANN with cross-entropy for this method's share of the epochs, and convert it."""
        if self._make_optimizer is None:
            raise RuntimeError(
                f"{type(self).__name__} has no optimizer: call prepare(network, optimizer=...) before pretrain()"
            )
        optimizer = self._make_optimizer(self.network.parameters())
        report = trained_epochs(epoch, int(self.pretraining_share * epochs), self._learner(optimizer))
        self.network.zero_grad(set_to_none=True)
        self._keep_ann()
        if self.recent.frames:
            self.calibrate(self.recent.all())
        for group in self.optimizer.param_groups if self.optimizer else ():
            group["lr"] *= self.rate_factor
        self.planned(report, epochs)
        return report

    def planned(self, report: PretrainingReport, epochs: int) -> None:
        """Lay out what follows a pretraining in a budget of `epochs`: here, nothing."""

    def calibrate(self, frame: Tensor) -> None:
        """Set the thresholds on samples ``frame[B, ...]``."""
        self.thresholds = list(self.calibrated_on(frame))
        self.calibrated = True
        self.spike_with(self.thresholds)

    @torch.no_grad()
    def predict_ann(self, x: Tensor) -> Tensor:
        """Return the logits of the ANN as it was converted."""
        return ann_logits(self.ann, self.seen(x), unclipped)

    @torch.no_grad()
    def conversion_residuals(self, x: Tensor) -> Mapping[str, Sequence[float]]:
        """Return what keeps each layer from the ANN's.

        ``overdriven``: the share of neurons that are fed with more than they can fire. ``weights_moved``: the norm of
        the weights' change since the conversion over that of the ANN's weights.
        """
        network: Any = self.network
        z, overdriven, moved = self.fed(x), [], []
        for block, before in zip(network.layers(), self.ann.layers(), strict=True):
            current = over_time(block.synapse, z)
            most = getattr(block.neuron, "most", 1) * block.neuron.v_threshold
            overdriven.append(float((current.mean(0) > most).double().mean()))
            z = block.passed_on(block.neuron.run(current).spikes)
            pairs = zip(block.synapse.parameters(), before.synapse.parameters(), strict=True)
            changes = [(float((own - old).square().sum()), float(old.square().sum())) for own, old in pairs]
            moved.append((sum(change for change, _ in changes) / max(sum(old for _, old in changes), LEAST)) ** 0.5)
        return {"overdriven": overdriven, "weights_moved": moved}

    def state_dict(self) -> dict[str, Tensor]:
        """Return the network, its thresholds and the ANN."""
        return (
            super().state_dict()
            | {ANN + name: value for name, value in self.ann.state_dict().items()}
            | {
                THRESHOLDS: torch.tensor(list(self.thresholds), dtype=torch.float64),
                CALIBRATED: torch.tensor(self.calibrated),
            }
        )

    def load_state_dict(self, state: Mapping[str, Tensor]) -> None:
        """Take over network, thresholds and ANN."""
        own = {name: value for name, value in state.items() if name not in (THRESHOLDS, CALIBRATED)}
        super().load_state_dict({name: value for name, value in own.items() if not name.startswith(ANN)})
        ann = {name.removeprefix(ANN): value for name, value in own.items() if name.startswith(ANN)}
        self.ann.load_state_dict(ann)
        self.thresholds = state[THRESHOLDS].tolist()
        self.calibrated = bool(state[CALIBRATED])
        self.spike_with(self.thresholds)

    def _calibrate_once(self, x: Tensor) -> None:
        if not self.calibrated:
            self.calibrate(self.seen(x))

    def _keep_ann(self) -> None:
        """Keep the present network as the ANN."""
        self.ann: Any = copy.deepcopy(self.network).requires_grad_(False)

    def _learner(self, optimizer: torch.optim.Optimizer) -> Any:
        def learn(x: Tensor, target: Tensor) -> float:
            self.network.begin_batch()
            optimizer.zero_grad(set_to_none=True)
            frame = self.seen(x)
            loss = functional.cross_entropy(ann_logits(self.network, frame, unclipped), target)
            loss.backward()
            optimizer.step()
            self.recent.add(frame)
            return float(loss.detach())

        return learn


class InStages(FineTuned):
    """What goes on in stages, by the share of the updates after pretraining that is done.

    What has not been pretrained has no stages: `planned_updates` is 0. The first linear map is fed with real numbers.
    """

    def __init__(self, pretraining_share: float, calibration_samples: int, rate_factor: float) -> None:
        super().__init__(pretraining_share, calibration_samples, rate_factor)
        self.done, self.planned_updates = 0, 0

    def planned(self, report: PretrainingReport, epochs: int) -> None:
        """Count the updates that are left."""
        if report.epochs:
            self.planned_updates = (epochs - report.epochs) * (report.updates // report.epochs)
        self.done = 0

    def spike_with(self, thresholds: Sequence[float]) -> None:
        """Set thresholds and the height of spikes; membranes start at 0."""
        become_spiking(self.network, thresholds, start=0.0)

    def synapses(self) -> tuple[Synapse, ...]:
        """Return the linear maps; the first is not fed with spikes."""
        first, *others = super().synapses()
        return (first._replace(source="rates"), *others)

    def state_dict(self) -> dict[str, Tensor]:
        """Return network, thresholds, ANN, and how far the training is."""
        return super().state_dict() | {PROGRESS: torch.tensor([self.done, self.planned_updates])}

    def load_state_dict(self, state: Mapping[str, Tensor]) -> None:
        """Take over network, thresholds, ANN, and how far the training is."""
        super().load_state_dict({name: value for name, value in state.items() if name != PROGRESS})
        self.done, self.planned_updates = (int(value) for value in state[PROGRESS])
