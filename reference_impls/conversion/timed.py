"""The training method whose network passes spike times: an ANN while it learns, one spike a neuron when it is asked.

TTFS, LC-TTFS and DFT differ in the ANN's activation and in how fast a membrane rises; everything else is here. Every
layer has a window that begins where that of the layer below ends. T steps of a sample are T steps of each window, so
the answer is there after (layers + 1) T steps; in continuous time a network says what `spike_times` returns.
"""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple, cast

import torch
from torch import Tensor
from torch.nn import functional

from reference_impls.conversion.method import Conversion
from reference_impls.conversion.one_spike import (
    arrived,
    crossing,
    decoded,
    input_spikes,
    on_grid,
    put_ramps,
)
from reference_impls.conversion.spiking import affine, ann_layers, refuse_unless_convertible, time_mean
from reference_impls.method import OptimizerFactory, SpikeCounts, TrainingMethod, UpdateReport
from reference_impls.network import Network, Synapse

__all__ = ["ClippedTimed", "SpikeTimes", "Timed", "Windows"]

WINDOWS = "spike_time_windows"


class Windows(NamedTuple):
    """How much a spike at the beginning of a window stands for; in the units of B1 that is its length, too."""

    input: float
    layers: Sequence[float]


@dataclass(frozen=True, slots=True)
class SpikeTimes:
    """What a network passes on for a batch, in continuous time or on a grid."""

    shares: tuple[Tensor, ...]
    """When each input, and each neuron of every layer, fires: as a share of its own window, ``[B, ...]``; 1: never."""
    early: tuple[Tensor, ...]
    """Which neurons of every layer would have fired before their window, and fire where it begins."""
    logits: Tensor
    """``[B, C]``."""
    latency: Tensor
    """When each sample is answered, in windows of the input, ``[B]``."""


class Timed(Conversion):
    """A conversion to neurons that fire at most once.

    Parameters
    ----------
    pretraining_share, calibration_samples : as in :class:`Conversion`.
    """

    gathers = False
    """Whether the weights of the spikes that arrived go on: they are added to the rise, and to the read-out."""

    steepest: float | None = None
    """What the derivatives of a spike time by membrane and rise are clipped to; None: they are exact."""

    def __init__(self, pretraining_share: float = 0.75, calibration_samples: int = 512) -> None:
        super().__init__(pretraining_share, calibration_samples)

    @abstractmethod
    def windows_now(self) -> Windows:
        """Return the windows, as the present weights have them."""

    def rise(self, layer: int, windows: Windows) -> Tensor | float:
        """Return what a membrane of `layer` gains over its window; here as much as its threshold."""
        return windows.layers[layer]

    def said(self, layer: int, share: Tensor) -> Tensor:
        """Return the numbers that spike times of `layer` stand for."""
        return decoded(share, self.windows.layers[layer])

    def seen(self, frame: Tensor) -> Tensor:
        """Return what ANN and spiking network see of the mean ``frame[B, ...]`` of a sample."""
        return frame

    def calibrated(self) -> Sequence[float]:
        """Return the window of every layer."""
        return self.windows_now().layers

    def prepare(self, network: Network, optimizer: OptimizerFactory | None = None) -> None:
        """Take over a chain of IF neurons; neurons that fire once take their place."""
        refuse_unless_convertible(network, type(self).__name__)
        TrainingMethod.prepare(self, network, optimizer)
        put_ramps(network)
        self.recent.frames.clear()
        self.windows = Windows(1.0, [1.0] * len(network.neurons()))
        self.stale = True

    def training_logits(self, frame: Tensor) -> Tensor:
        """Return the ANN's logits ``[B, C]`` that are differentiated."""
        return super().training_logits(self.seen(frame))

    @torch.no_grad()
    def predict_ann(self, x: Tensor) -> Tensor:
        """Return the logits of the ANN as it is now."""
        return ann_layers(self.network, self.seen(time_mean(x)), self.activation)[1]

    def walk(self, x: Tensor, steps: int | None = None, windows: Windows | None = None) -> SpikeTimes:
        """Pass spike times through the network, in continuous time or on a grid of `steps` a window.

        In continuous time the result carries exact gradients: those of the times of the neurons that fire.
        """
        frame, windows = self.seen(time_mean(x)), windows or self.windows
        share = input_spikes(frame, windows.input, steps)
        shares, early = [share], []
        z, sign = decoded(share, windows.input) * frame.sign(), frame.sign()
        network: Any = self.network
        for layer, block in enumerate(network.layers()):
            opening, threshold, rise = block.synapse(z), windows.layers[layer], self.rise(layer, windows)
            if self.gathers:
                rise = rise + block.synapse((share < 1) * sign)
            share = crossing(opening, rise, threshold, steps, self.steepest)
            shares.append(share)
            early.append(opening.detach() > threshold)
            z, sign = decoded(share, threshold), torch.ones_like(share)
        logits = network.readout(z)
        if self.gathers:
            logits = logits + network.readout((share < 1) * sign)
        latency = logits.new_full(logits.shape[:1], 1 + sum(windows.layers) / windows.input)
        return SpikeTimes(tuple(shares), tuple(early), logits, latency)

    def accumulate_times(self, x: Tensor, target: Tensor, windows: Windows) -> tuple[UpdateReport, SpikeTimes]:
        """Differentiate the cross-entropy of the read-out through the spike times in continuous time.

        The report's stage counts one spike a neuron at most; its counters are the share of neurons that would have
        fired before their window (``early_fraction``), and of those that do not fire (``silent_fraction``).
        """
        self.network.begin_batch()
        found = self.walk(time_mean(x).unsqueeze(0), windows=windows)
        loss = functional.cross_entropy(found.logits, target)
        loss.backward()
        counts = SpikeCounts(len(found.early))
        for layer, share in enumerate(found.shares[1:]):
            counts.add(layer, (share < 1).to(share.dtype).unsqueeze(0))
        stages = (counts.report("forward", 1),) if self.count_spikes else ()
        counters = {
            "early_fraction": _share(found.early),
            "silent_fraction": _share([share == 1 for share in found.shares[1:]]),
        }
        return UpdateReport(float(loss.detach()), stages=stages, counters=counters), found

    @torch.no_grad()
    def spike_times(self, x: Tensor) -> SpikeTimes:
        """Return what the network passes on for ``x[T, B, ...]`` in continuous time."""
        self._settle()
        return self.walk(x)

    @torch.no_grad()
    def predict(self, x: Tensor) -> Tensor:
        """Simulate every window of the mean of ``x[T, B, ...]`` in T steps, and return the read-out, ``[B, C]``."""
        self._settle()
        frame, steps = self.seen(time_mean(x)), x.shape[0]
        spikes = on_grid(input_spikes(frame, self.windows.input, steps), steps) * frame.sign()
        currents = self.network.run(spikes * self.windows.input).logits
        network: Any = self.network
        readout: Any = affine(network.readout)
        logits = arrived(currents, readout.bias)
        return logits + currents.sum(0) if self.gathers else logits

    @torch.no_grad()
    def read_outs(self, x: Tensor, steps: Sequence[int]) -> Tensor:
        """Return what `predict` says with each number of steps a window, from times on the grid."""
        self._settle()
        return torch.stack([self.walk(x[:count], count).logits for count in steps])

    @torch.no_grad()
    def conversion_residuals(self, x: Tensor) -> Mapping[str, Sequence[float]]:
        """Return what keeps each layer from the ANN's, on a grid of as many steps as x has.

        ``early``: the share of neurons that would fire before their window. ``silenced``: of those that the ANN has
        active, the share that does not fire. ``rounded``: mean error of their values, as a share of the mean.
        """
        self._settle()
        found = self.walk(x, x.shape[0])
        wanted, _ = ann_layers(self.network, self.seen(time_mean(x)), self.activation)
        early, silenced, rounded = [], [], []
        for layer, (a, share, too_early) in enumerate(zip(wanted, found.shares[1:], found.early, strict=True)):
            active = a > 0
            early.append(float(too_early.double().mean()))
            silenced.append(float((active & (share == 1)).sum() / active.sum().clamp(min=1)))
            off = (self.said(layer, share) - a).abs()
            rounded.append(float(off.sum() / a.sum().clamp(min=1e-12)))
        return {"early": early, "silenced": silenced, "rounded": rounded}

    def synapses(self) -> tuple[Synapse, ...]:
        """Return the linear maps: all are fed with spikes, the first with one an input at most."""
        self._settle()
        first, *others = self.network.synapses()
        return (first._replace(source="spikes", amplitude=self.windows.input), *others)

    def state_dict(self) -> dict[str, Tensor]:
        """Return the network and its windows."""
        self._settle()
        windows = [self.windows.input, *self.windows.layers]
        return TrainingMethod.state_dict(self) | {WINDOWS: torch.tensor(windows, dtype=torch.float64)}

    def load_state_dict(self, state: Mapping[str, Tensor]) -> None:
        """Take over network and windows."""
        TrainingMethod.load_state_dict(self, {name: value for name, value in state.items() if name != WINDOWS})
        first, *layers = state[WINDOWS].tolist()
        self._become(Windows(first, layers))

    @torch.no_grad()
    def _settle(self) -> None:
        """Let the spiking network follow the ANN, if that has moved."""
        if self.stale:
            self._become(self.windows_now())

    def _become(self, windows: Windows) -> None:
        self.windows, self.stale = windows, False
        network: Any = self.network
        for layer, (block, window) in enumerate(zip(network.layers(), windows.layers, strict=True)):
            neuron, own = block.neuron, cast(Any, affine(block.synapse))
            neuron.threshold, neuron.rise, neuron.gathers = window, self.rise(layer, windows), self.gathers
            neuron.bias = own.bias.detach().view(-1, *[1] * (own.weight.dim() - 2))
            neuron.parameter_shape = tuple(neuron.bias.shape)
            block.scale = window


def _share(masks: Sequence[Tensor]) -> float:
    return sum(int(mask.sum()) for mask in masks) / sum(mask.numel() for mask in masks)


class ClippedTimed(Timed):
    """A conversion of an ANN of ReLUs clipped at 1, in windows of 1."""

    def seen(self, frame: Tensor) -> Tensor:
        """Clip to what an input spike can say."""
        return frame.clamp(0, 1)

    def activation(self, layer: int, z: Tensor) -> Tensor:
        """Clipped ReLU."""
        return z.clamp(0, 1)

    def windows_now(self) -> Windows:
        """Return windows of 1: the ANN's activations lie in [0, 1]."""
        return Windows(1.0, [1.0] * len(self.network.neurons()))
