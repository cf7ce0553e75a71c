"""OPZO: OTTT whose errors reach a layer directly, over feedback weights learned from the effect of noise.

No spatial backward pass: each layer correlates the noise that it added to its own spikes with the outputs that came
of it. Must not know which rule fades a trace; it takes OTTT's.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import torch
from torch import Tensor

from reference_impls.api import Network, OptimizerFactory, State
from reference_impls.training._losses import step_loss
from reference_impls.training._traces import LayerMemory, Step, TracedSpikes, TraceMethod

CARD = {
    "name": "opzo",
    "kind": "training",
    "version": 1,
    "title": "OPZO: online pseudo-zeroth-order training",
    "summary": (
        "Noise is added to the spikes of every layer in the one forward pass. Each layer keeps a running correlation "
        "of its noise with the outputs, an estimate of how the outputs depend on it, and gets the output's error "
        "through that: no pass back through the layers, memory flat in T."
    ),
    "equations": (
        "o~ = outputs with alpha z_l added to every layer's spikes; e = dL/do; "
        "M_l <- momentum M_l + (1 - momentum) mean_batch z_l o~^T / alpha; dW_l[t] = (M_l e * sg(H_l)) A_{l-1}[t]^T"
    ),
    "citations": [
        {
            "authors": "M. Xiao, Q. Meng, Z. Zhang, D. He, Z. Lin",
            "title": "Online Pseudo-Zeroth-Order Training of Neuromorphic Spiking Neural Networks",
            "venue": "ICLR",
            "year": 2026,
            "arxiv": "2407.12516",
        }
    ],
    "capabilities": {
        "updates": "per_batch",
        "structures": ["chain"],
        "neuron": {"parallel": ["sequential"], "membrane": ["linear"], "reset": ["soft"]},
        "memory_in_T": "O(1)",
        "spiking_backward": False,
    },
    "defaults": {"alpha": 0.2, "momentum": 0.999, "antithetic": True},
    "optimizer_space": ["learning_rate", "weight_decay", "schedule", "clip_norm"],
    "space": {
        "alpha": {"low": 0.02, "high": 1.0, "scale": "log"},
        "momentum": {"choices": [0.9, 0.99, 0.999]},
        "mse_weight": {"low": 0.0, "high": 0.5},
    },
    "variants": {
        "opzo-one-point": {
            "title": "OPZO with single noise",
            "summary": "Every step draws its own noise; a correlation is then much noisier than with mirrored pairs.",
            "params": {"antithetic": False},
        },
    },
    "divergences": [
        "The equations follow a third-party summary; the authors' code was not read. Their alpha and momentum were not "
        "found, nor how they draw noise over time: 0.2, 0.999 and fresh Gaussian noise a step are choices made here.",
        "Mirrored noise is taken as z and -z at successive steps (an odd T ends with a z of its own), which costs no "
        "second simulation; the paper names mirrored noise without saying more in the summary.",
        "M belongs to a layer's shape and starts at 0, so at first the read-out learns almost alone. gradients() "
        "leaves it as it found it. Local losses and intermediate global losses are not here.",
    ],
}


class OPZO(TraceMethod):
    """Online pseudo-zeroth-order training, accumulated over the steps of a batch.

    Parameters
    ----------
    alpha : height of the noise that is added to the spikes.
    momentum : share of the estimate that a step keeps.
    antithetic : whether every second step has the mirrored noise of the step before.
    mse_weight : w of the loss of a step, as in OTTT.

    Shapes: ``x[T, B, ...]``, classes ``[B]``; `feedback` holds one ``[neurons, C]`` a layer.
    """

    title = "OPZO"

    def __init__(
        self, alpha: float = 0.2, momentum: float = 0.999, antithetic: bool = True, mse_weight: float = 0.05
    ) -> None:
        super().__init__("accumulated", mse_weight)
        if not alpha > 0:
            raise ValueError(f"alpha must be positive, got {alpha}")
        if not 0 <= momentum < 1:
            raise ValueError(f"momentum must lie in [0, 1), got {momentum}")
        self.alpha = alpha
        self.momentum = momentum
        self.antithetic = antithetic
        self.feedback: list[Tensor | None] = []

    def prepare(self, network: Network, optimizer: OptimizerFactory | None = None) -> None:
        """Take over a chain of layers."""
        if network.structure != "chain":
            raise ValueError(f"OPZO trains a chain of layers; this network's structure is {network.structure!r}")
        super().prepare(network, optimizer)
        self.feedback = [None] * len(network.neurons())

    def leak(self, neuron: Any, before: State, after: State) -> float:
        """Fade as the membrane does (OTTT's trace)."""
        decay: float = neuron.decay
        return decay

    def gradients(self, x: Tensor, target: Tensor) -> dict[str, Tensor]:
        """Return the gradient that `update` would use, and leave parameters and feedback weights alone."""
        before = list(self.feedback)
        try:
            return super().gradients(x, target)
        finally:
            self.feedback = before

    def walk(self, x: Tensor, target: Tensor) -> Iterator[Step]:
        """Take one time step after another; yield it when its gradient has been added."""
        network = self.network
        network.begin_batch()
        neurons: Any = network.neurons()
        layers = tuple(LayerMemory() for _ in neurons)
        noise: list[Tensor] = [torch.empty(0)] * len(neurons)
        emitted: list[Tensor] = [torch.empty(0)] * len(neurons)

        for t, x_t in enumerate(x.unbind(0)):
            mirrored = self.antithetic and t % 2 == 1

            def fire(layer: int, current: Tensor, mirrored: bool = mirrored) -> TracedSpikes:
                signal = self._fire(neurons[layer], current, layers[layer])
                noise[layer] = -noise[layer] if mirrored else torch.randn_like(signal.spikes)
                emitted[layer] = signal.spikes
                # Cut here: an error comes to a layer directly, and none goes further down.
                noisy = signal.spikes.detach() + self.alpha * noise[layer]
                return TracedSpikes(noisy, signal.trace.detach())

            logits, _ = network.wire(x_t, fire, self.apply)
            outputs = logits.detach().requires_grad_()
            loss = step_loss(outputs, target, self.mse_weight) / x.shape[0]
            (error,) = torch.autograd.grad(loss, outputs)
            self._learn_feedback(noise, outputs.detach())
            through = [self._project(layer, error, spikes) for layer, spikes in enumerate(emitted)]
            torch.autograd.backward([logits, *emitted], [error, *through])
            yield Step(loss.detach(), logits.detach(), layers)

    @torch.no_grad()
    def _learn_feedback(self, noise: list[Tensor], outputs: Tensor) -> None:
        """Move every M towards ``z o~^T / alpha``, the mean over the batch."""
        for layer, z in enumerate(noise):
            now = z.flatten(1).t() @ outputs / (self.alpha * outputs.shape[0])
            known = self.feedback[layer]
            kept = torch.zeros_like(now) if known is None else known
            self.feedback[layer] = self.momentum * kept + (1 - self.momentum) * now

    def _project(self, layer: int, error: Tensor, spikes: Tensor) -> Tensor:
        """Return ``M e`` in the shape of the layer's spikes."""
        weights = self.feedback[layer]
        assert weights is not None
        return (error @ weights.t()).view_as(spikes)
