"""T2FSNN: a ReLU network whose activations become spike times on a logarithmic scale, under an exponential threshold.

Must not know the budget.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, cast

import torch
from torch import Tensor

from reference_impls.conversion.exponential import Exponential, Kernel, decode, encode, fitted, summed
from reference_impls.conversion.method import unclipped
from reference_impls.conversion.one_spike import on_grid
from reference_impls.conversion.spiking import affine, ann_layers, time_mean
from reference_impls.conversion.timed import SpikeTimes, Timed, Windows
from reference_impls.method import OptimizerFactory
from reference_impls.network import Network, Synapse

CARD = {
    "name": "t2fsnn",
    "kind": "training",
    "version": 1,
    "title": "T2FSNN: one spike a neuron on a logarithmic scale",
    "summary": (
        "Trains a ReLU network of the same shape. In the window of its layer a neuron's threshold falls exponentially "
        "to its membrane, so that its spike says the logarithm of the activation, and synapses decode with the same "
        "kernel; its time constant and delay are fitted to each layer's activations."
    ),
    "equations": (
        "theta(t) = theta_0 exp(-(t - t_d) / tau); fires at t = ceil(t_d - tau ln(u / theta_0)) in [0, T), u = sum_i "
        "w_i theta'(t_i) + b; L = (z - z_hat)^2 / 2 + (z_min - z_hat_min)^2 / 2 + (z_max - z_hat_max)^2 / 2, by tau "
        "and t_d of every layer"
    ),
    "citations": [
        {
            "authors": "S. Park, S. Kim, B. Na, S. Yoon",
            "title": "T2FSNN: Deep Spiking Neural Networks with Time-to-first-spike Coding",
            "venue": "DAC",
            "year": 2020,
            "arxiv": "2003.11741",
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
        "passes_times": True,
    },
    "defaults": {"fitting_steps": 16, "pretraining_share": 0.75},
    "space": {
        "fitting_steps": {"low": 2, "high": 128, "scale": "log"},
    },
    "divergences": [
        "The equations are this project's knowledge of the paper, whose text was not at hand; they are restated in the "
        "tests. No official vectors.",
        "T steps of a sample are T steps of every window; kernels are given as shares of a window, and serve every T. "
        "They are fitted for 16 steps, by 100 steps of Adam on the last 512 training samples.",
        "The smallest value that a kernel is to say is the 1st percentile of the layer's positive activations, the "
        "largest their maximum, which is theta_0.",
        "A layer's window begins when that of the layer below ends: there is no early firing, which starts it sooner.",
        "The input is coded like a layer; a negative input is a spike of the other sign.",
        "Pooling is by averages, and networks here have no batch normalisation to fold.",
        "After the share of the budget that is called pretraining the ANN is trained on, and the spiking network is "
        "judged after each epoch: that chooses the epoch.",
    ],
}

KERNELS = "spike_time_kernels"
START = Kernel(1.0, 0.25, 0.0)
"""Of a layer whose activations are not known yet."""


class T2FSNN(Timed):
    """Conversion of a ReLU network to spike times under exponential thresholds.

    Parameters
    ----------
    fitting_steps : steps of a window for which the kernels are fitted.
    pretraining_share, calibration_samples : as in :class:`Conversion`.

    Shapes: ``x[T, B, ...]``, classes ``[B]``.
    """

    def __init__(
        self, fitting_steps: int = 16, pretraining_share: float = 0.75, calibration_samples: int = 512
    ) -> None:
        if fitting_steps < 1:
            raise ValueError(f"fitting_steps must be at least 1, got {fitting_steps}")
        super().__init__(pretraining_share, calibration_samples)
        self.fitting_steps = fitting_steps
        self.kernels: list[Kernel] = []

    def prepare(self, network: Network, optimizer: OptimizerFactory | None = None) -> None:
        """Take over a chain of IF neurons; neurons under an exponential threshold take their place."""
        super().prepare(network, optimizer)
        for block in cast(Any, network).layers():
            block.neuron = Exponential(START, START).to(next(block.synapse.parameters()))

    def activation(self, layer: int, z: Tensor) -> Tensor:
        """ReLU."""
        return z.relu()

    @torch.no_grad()
    def windows_now(self) -> Windows:
        """Fit the kernels to the activations on the samples seen last; return what they say at most, nearly."""
        if self.recent.frames:
            frame = self.recent.all()
            layers, _ = ann_layers(self.network, frame, unclipped)
            self.kernels = [fitted(a, self.fitting_steps) for a in (frame.abs(), *layers)]
        else:
            self.kernels = [START] * (1 + len(self.network.neurons()))
        first, *others = (kernel.scale for kernel in self.kernels)
        return Windows(first, others)

    def said(self, layer: int, share: Tensor) -> Tensor:
        """Return the numbers that spike times of `layer` stand for."""
        return decode(share, self.kernels[layer + 1])

    def walk(self, x: Tensor, steps: int | None = None, windows: Windows | None = None) -> SpikeTimes:
        """Pass spike times through the network, in continuous time or on a grid of `steps` a window."""
        frame, network = time_mean(x), cast(Any, self.network)
        shares, early = [encode(frame.abs(), self.kernels[0], steps)], []
        z = decode(shares[0], self.kernels[0]) * frame.sign()
        for block, kernel in zip(network.layers(), self.kernels[1:], strict=True):
            u = block.synapse(z)
            shares.append(encode(u, kernel, steps))
            early.append(u > float(decode(u.new_zeros(()), kernel)))
            z = decode(shares[-1], kernel)
        logits = network.readout(z)
        return SpikeTimes(tuple(shares), tuple(early), logits, logits.new_full(logits.shape[:1], float(len(shares))))

    @torch.no_grad()
    def predict(self, x: Tensor) -> Tensor:
        """Simulate every window of the mean of ``x[T, B, ...]`` in T steps, and return the read-out, ``[B, C]``."""
        self._settle()
        frame, steps = time_mean(x), x.shape[0]
        spikes = on_grid(encode(frame.abs(), self.kernels[0], steps), steps) * frame.sign()
        readout = cast(Any, affine(cast(Any, self.network).readout))
        return summed(self.network.run(spikes).logits, self.kernels[-1], readout.bias)

    def synapses(self) -> tuple[Synapse, ...]:
        """Return the linear maps: all are fed with spikes of height 1, which the kernel weighs."""
        return tuple(synapse._replace(amplitude=1.0) for synapse in super().synapses())

    def state_dict(self) -> dict[str, Tensor]:
        """Return network and kernels."""
        state = super().state_dict()
        return state | {KERNELS: torch.tensor([list(kernel) for kernel in self.kernels], dtype=torch.float64)}

    def load_state_dict(self, state: Mapping[str, Tensor]) -> None:
        """Take over network and kernels."""
        self.kernels = [Kernel(*row) for row in state[KERNELS].tolist()]
        super().load_state_dict({name: value for name, value in state.items() if name != KERNELS})

    def _become(self, windows: Windows) -> None:
        super()._become(windows)
        blocks = cast(Any, self.network).layers()
        for block, below, own in zip(blocks, self.kernels, self.kernels[1:], strict=False):
            block.neuron.below, block.neuron.own = below, own
            block.scale = 1.0
