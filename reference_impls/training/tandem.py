"""Progressive tandem learning: layers are converted one after the other, and gradients flow through an ANN of counts.

A converted layer sends on what its spikes count, and differentiates as the ReLU layer that has the same weights and is
fed with the counts below it. Must not know how much of a budget there is, only which share of it trains the ANN.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional

from reference_impls.anytime import running_means, segments
from reference_impls.api import State, UpdateReport, over_time
from reference_impls.conversion.fine_tuned import InStages
from reference_impls.conversion.method import unclipped
from reference_impls.conversion.spiking import ann_layers
from reference_impls.conversion.statistics import threshold_of
from reference_impls.surrogate import straight_through

CARD = {
    "name": "tandem",
    "kind": "training",
    "version": 1,
    "title": "Progressive tandem learning",
    "summary": (
        "Half of the budget trains a ReLU network. Then its layers become IF neurons one after the other, from below: "
        "a converted layer sends its spike count forward and the gradient of the ReLU layer with the same weights back."
    ),
    "equations": (
        "theta = P99.9(a) / T; mem += W s_in[t] + b / T - theta s[t-1], the image at step 1 only; c = sum_t s[t]; "
        "a = relu(W theta' c' + b); forward theta c, backward dL/da = dL/d(theta c)"
    ),
    "citations": [
        {
            "authors": "J. Wu, C. Xu, X. Han, D. Zhou, M. Zhang, H. Li, K. C. Tan",
            "title": "Progressive Tandem Learning for Pattern Recognition with Deep Spiking Neural Networks",
            "venue": "IEEE Transactions on Pattern Analysis and Machine Intelligence 44(11):7824-7840",
            "year": 2022,
            "arxiv": "2007.01204",
            "code": "https://github.com/deepspike/progressive_tandem_learning (commit 3c1cafa)",
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
    "defaults": {"q": 99.9, "freeze": False, "pretraining_share": 0.5, "rate_factor": 1.0},
    "space": {
        "pretraining_share": {"low": 0.25, "high": 0.75},
        "rate_factor": {"low": 0.03, "high": 1.0, "scale": "log"},
    },
    "variants": {
        "tandem-frozen": {
            "title": "Progressive tandem learning, frozen below",
            "summary": "As tandem, but a layer no longer learns once it is converted, as in the released code.",
            "params": {"freeze": True},
        },
    },
    "divergences": [
        "Everything is multiplied by T: thresholds are the largest activation, biases come whole at each step, and the "
        "image comes T times as strong at step 1. The spikes are the same, and thresholds do not depend on T.",
        "Counts are scaled by the threshold when they enter the next layer, so that they stand for activations; the "
        "released code passes bare counts and leaves it to batch normalisation.",
        "A layer's threshold comes from its own activations; the released code stores those of the layer converted "
        "last for all above.",
        "Layers are converted at even intervals of the updates after pretraining. The authors wait until a validation "
        "error has not improved for 6 epochs, which a training method here does not see.",
        "A converted layer learns on with those above; the released code freezes it (tandem-frozen).",
        "There is no last stage for the read-out alone at a tenth of the rate.",
        "Networks here have no batch normalisation. The ANN sees the mean over time of a sample that moves.",
        "A prediction is always that of the network with all layers spiking, whatever is converted for training.",
        "The error at another number of steps is a run of its own, for the bias and the image depend on it. Weights "
        "that have learned to make up for few steps (4, say) can be far off at many; the authors train at 16.",
    ],
}


class Tandem(InStages):
    """Layer-wise conversion with the gradients of an ANN of counts.

    Parameters
    ----------
    q : percentile of a layer's activations that T spikes stand for, in percent.
    freeze : whether a converted layer no longer learns.
    pretraining_share, calibration_samples, rate_factor : as in :class:`InStages`.

    What has not been pretrained has all layers converted. Counter: ``converted``. No official vectors: the equations
    are restated in the tests. Shapes: ``x[T, B, ...]``, classes ``[B]``.
    """

    def __init__(
        self,
        q: float = 99.9,
        freeze: bool = False,
        pretraining_share: float = 0.5,
        calibration_samples: int = 512,
        rate_factor: float = 1.0,
    ) -> None:
        super().__init__(pretraining_share, calibration_samples, rate_factor)
        if not 0 < q <= 100:
            raise ValueError(f"q is a percentile in (0, 100], got {q}")
        self.q = q
        self.freeze = freeze

    @property
    def converted(self) -> int:
        """Return how many layers, from below, are spiking while it trains."""
        layers = len(self.network.neurons())
        if self.planned_updates == 0:
            return layers
        return min(layers, 1 + self.done * layers // self.planned_updates)

    @torch.no_grad()
    def calibrated_on(self, frame: Tensor) -> Sequence[float]:
        """Return the percentile of every layer's activations."""
        layers, _ = ann_layers(self.network, frame, unclipped)
        return [threshold_of(a, "percentile", self.q) for a in layers]

    def update(self, x: Tensor, target: Tensor) -> UpdateReport:
        """Make one step; a layer whose turn has come is converted with the activations of this batch."""
        before = self.converted
        report = super().update(x, target)
        self.recent.add(self.seen(x))
        self.done += 1
        if self.converted > before:
            self.calibrate(self.recent.all())
        return report

    def accumulate(self, x: Tensor, target: Tensor) -> UpdateReport:
        """Simulate the converted layers, and differentiate the ANN at what they count."""
        self._calibrate_once(x)
        self.network.begin_batch()
        with self._stage("forward", x.shape[0]) as stages:
            logits = self.tandem_logits(self.seen(x), x.shape[0])
        loss = functional.cross_entropy(logits, target)
        loss.backward()
        return UpdateReport(float(loss.detach()), stages=tuple(stages), counters={"converted": float(self.converted)})

    def tandem_logits(self, frame: Tensor, steps: int) -> Tensor:
        """Return the logits ``[B, C]`` of the network whose lower layers spike for `steps` steps."""
        network: Any = self.network
        converted = self.converted
        counts = self.counts(frame, steps, converted)
        z = frame
        for layer, block in enumerate(network.layers()):
            z = unclipped(layer, block.synapse(z))
            if layer < converted:
                z = straight_through(counts[layer], z)
                if self.freeze:
                    z = z.detach()
        logits: Tensor = network.readout(z)
        return logits

    @torch.no_grad()
    def counts(self, frame: Tensor, steps: int, layers: int) -> list[Tensor]:
        """Return what the first `layers` layers count, in activations: threshold times spikes a step, ``[B, ...]``."""
        network: Any = self.network
        blocks = network.layers()[:layers]
        x = impulse(frame, steps)
        states: list[State | None] = [None] * layers
        totals: list[Any] = [0.0] * layers
        for begin, end in segments([steps]):
            z = x[begin:end]
            for layer, block in enumerate(blocks):
                out = block.neuron.run(over_time(block.synapse, z), states[layer])
                states[layer], z = out.state, block.passed_on(out.spikes)
                totals[layer] = totals[layer] + z.sum(0)
        return [total / steps for total in totals]

    @torch.no_grad()
    def predict(self, x: Tensor) -> Tensor:
        """Return the read-out of the counts of all T steps, every layer spiking, ``[B, C]``."""
        return running_means(self.network, self.fed(x), [x.shape[0]])[0]

    def fed(self, x: Tensor) -> Tensor:
        """Return the image at the first step, T times as strong."""
        return impulse(self.seen(x), x.shape[0])


def impulse(frame: Tensor, steps: int) -> Tensor:
    """Return ``[steps, B, ...]``: `steps` times the frame at the first step, then nothing."""
    x = frame.new_zeros(steps, *frame.shape)
    x[0] = steps * frame
    return x
