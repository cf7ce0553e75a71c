"""STDB: a converted network that is trained on through time, with a derivative that looks at each neuron's last spike.

Must not know how much of a budget there is, only which share of it trains the ANN.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional

from reference_impls.anytime import running_means, segments
from reference_impls.api import Network, OptimizerFactory, State, Synapse, UpdateReport, over_time
from reference_impls.conversion.delayed import DelayedIF
from reference_impls.conversion.fine_tuned import FineTuned
from reference_impls.conversion.statistics import LEAST
from reference_impls.names import check_name

CARD = {
    "name": "stdb",
    "kind": "training",
    "version": 1,
    "title": "STDB: hybrid conversion and spike-timing-dependent backpropagation",
    "summary": (
        "Half of the budget trains a ReLU network without biases. It becomes an IF network that is fed with Poisson "
        "spikes and whose thresholds are the largest inputs of its own layers; BPTT goes on with a surrogate that "
        "decays with the time since a neuron's last spike."
    ),
    "equations": (
        "x'[t] = sign(x) 1[u <= |x|]; z = v[t-1] / theta - 1; o[t] = 1[z > 0]; v[t] = v[t-1] + W o'[t] - theta o[t]; "
        "theta_l = 0.7 max W o'; do/dz = 0.3 exp(-0.01 (t - 1 - t_s)); L = CE(sum_t W_o o[t], y)"
    ),
    "citations": [
        {
            "authors": "N. Rathi, G. Srinivasan, P. Panda, K. Roy",
            "title": (
                "Enabling Deep Spiking Neural Networks with Hybrid Conversion and Spike Timing Dependent "
                "Backpropagation"
            ),
            "venue": "ICLR",
            "year": 2020,
            "arxiv": "2005.01807",
            "code": "https://github.com/nitin-rathi/hybrid-snn-conversion (commit 3f6832c)",
        }
    ],
    "capabilities": {
        "updates": "per_batch",
        "structures": ["chain"],
        "neuron": {"parallel": ["sequential"], "output": ["binary"], "reset": ["soft"], "leak": [False]},
        "memory_in_T": "O(T)",
        "spiking_backward": False,
        "keeps_neuron": False,
        "pretraining": True,
        "anytime": True,
        "converts": True,
    },
    "defaults": {
        "surrogate": "stdb",
        "encoding": "poisson",
        "alpha": 0.3,
        "beta": 0.01,
        "threshold_factor": 0.7,
        "pretraining_share": 0.5,
        "rate_factor": 0.1,
    },
    "space": {
        "alpha": {"low": 0.05, "high": 2.0, "scale": "log"},
        "beta": {"low": 0.001, "high": 0.1, "scale": "log"},
        "threshold_factor": {"low": 0.3, "high": 1.2, "scale": "log"},
        "rate_factor": {"low": 0.03, "high": 1.0, "scale": "log"},
    },
    "variants": {
        "stdb-linear": {
            "title": "STDB, linear surrogate",
            "summary": "As stdb, with the triangular surrogate that the released code has by default.",
            "params": {"surrogate": "linear"},
        },
        "stdb-direct": {
            "title": "STDB, direct input",
            "summary": "As stdb, with the analog input at every step in place of Poisson spikes.",
            "params": {"encoding": "direct"},
        },
    },
    "divergences": [
        "Inputs are clipped to [-1, 1]; those of the tasks here lie in [0, 1], so that no input spike is negative, "
        "while the authors normalise images to [-1, 1].",
        "Thresholds are set in 100 steps of 64 samples; the released call takes 1,000 steps of 512.",
        "The surrogate is written as alpha exp(-beta dt); the released code takes exp(-dt) to the power beta, which is "
        "0 in float32 for a neuron that never fired. dt is at least 1.",
        "Biases are set to 0 and not trained; networks here have no dropout, and draw initial weights as PyTorch does.",
        "The network is trained at the task's T, of which one step a hidden layer passes before the read-out moves; "
        "the authors take 50 to 250 steps.",
        "Both stages have the task's optimizer, the second at a tenth of its rate; the authors take SGD for the ANN "
        "and Adam for the spiking network.",
        "What is trained on at a few steps is right at about as many: read much later, it may be worse than it was "
        "right after the conversion.",
        "Poisson spikes of a prediction are drawn from a fixed seed, so that it can be repeated.",
        "The epoch is chosen on the validation split; the authors' on the test set.",
    ],
}

SEED = 2005


class STDB(FineTuned):
    """Conversion and fine-tuning through time.

    Parameters
    ----------
    surrogate, alpha, beta : derivative of a spike; see :class:`DelayedIF`.
    leak : factor on the membrane.
    encoding : ``poisson``: signed spikes with the input's magnitude as probability; ``direct``: the input itself.
    threshold_factor : what all thresholds are multiplied by after they are set.
    calibration_steps : steps in which the largest input of a layer is looked for.
    pretraining_share, calibration_samples, rate_factor : as in :class:`FineTuned`.

    No official vectors: the equations are restated in the tests. Shapes: ``x[T, B, ...]``, classes ``[B]``.
    """

    def __init__(
        self,
        surrogate: str = "stdb",
        encoding: str = "poisson",
        alpha: float = 0.3,
        beta: float = 0.01,
        leak: float = 1.0,
        threshold_factor: float = 0.7,
        calibration_steps: int = 100,
        pretraining_share: float = 0.5,
        calibration_samples: int = 64,
        rate_factor: float = 0.1,
    ) -> None:
        super().__init__(pretraining_share, calibration_samples, rate_factor)
        if not threshold_factor > 0:
            raise ValueError(f"threshold_factor must be positive, got {threshold_factor}")
        if calibration_steps < 1:
            raise ValueError(f"calibration_steps must be at least 1, got {calibration_steps}")
        self.encoding = check_name("encoding", encoding, ("poisson", "direct"))
        self.neuron = {"surrogate": surrogate, "alpha": alpha, "beta": beta, "leak": leak}
        self.threshold_factor = threshold_factor
        self.calibration_steps = calibration_steps

    def prepare(self, network: Network, optimizer: OptimizerFactory | None = None) -> None:
        """Take over a chain of IF neurons: drop its biases and let its neurons decide a step later."""
        super().prepare(network, optimizer)
        chain: Any = network
        for block in chain.layers():
            block.neuron = DelayedIF(**self.neuron).to(next(block.synapse.parameters()))  # type: ignore[arg-type]
            block.scale = 1.0
        for name, parameter in network.named_parameters():
            if name.endswith("bias"):
                parameter.requires_grad_(False).zero_()
        self.spike_with(self.thresholds)
        self._keep_ann()

    def seen(self, x: Tensor) -> Tensor:
        """Return the mean over time, within what a rate can say."""
        return super().seen(x).clamp(-1, 1)

    def spike_with(self, thresholds: Sequence[float]) -> None:
        """Set the thresholds; spikes stay binary, for without biases a layer's scale is the next one's threshold."""
        for neuron, threshold in zip(self.network.neurons(), thresholds, strict=True):
            neuron.v_threshold = threshold  # type: ignore[assignment]

    @torch.no_grad()
    def calibrated_on(self, frame: Tensor) -> Sequence[float]:
        """Return ``threshold_factor`` times the largest input of each layer, those before it spiking as calibrated."""
        network: Any = self.network
        found: list[float] = []
        for layer in range(len(network.layers())):
            self.spike_with([*found, *[1.0] * (len(network.layers()) - layer)])
            found.append(max(self._largest_input(frame, layer), LEAST))
        return [self.threshold_factor * threshold for threshold in found]

    def encoded(self, x: Tensor, generator: torch.Generator | None = None) -> Tensor:
        """Return the spikes ``[T, B, ...]`` that stand for `x`, from `generator` (None: the global one)."""
        if self.encoding == "direct":
            return x
        drawn = [torch.rand(x.shape[1:], generator=generator).to(x.device, x.dtype) for _ in range(x.shape[0])]
        return torch.where(torch.stack(drawn) <= x.abs(), x.sign(), 0.0)

    def accumulate(self, x: Tensor, target: Tensor) -> UpdateReport:
        """Unroll the spiking network and differentiate the cross-entropy of its summed read-out."""
        self._calibrate_once(x)
        self.network.begin_batch()
        with self._stage("forward", x.shape[0]) as stages:
            logits = self.network.run(self.encoded(x)).logits
        loss = functional.cross_entropy(logits.sum(0), target)
        loss.backward()
        return UpdateReport(float(loss.detach()), stages=tuple(stages))

    @torch.no_grad()
    def predict(self, x: Tensor) -> Tensor:
        """Return the mean read-out, ``[B, C]``."""
        return self.read_outs(x, [x.shape[0]])[0]

    @torch.no_grad()
    def read_outs(self, x: Tensor, steps: Sequence[int]) -> Tensor:
        """Return the mean read-out after each number of steps, from one run."""
        return running_means(self.network, self.fed(x), steps)

    def fed(self, x: Tensor) -> Tensor:
        """Return the input's spikes from a fixed seed, so that a prediction can be repeated."""
        return self.encoded(x, _from_seed())

    def synapses(self) -> tuple[Synapse, ...]:
        """Return the linear maps; the first is fed with spikes, unless the input is direct."""
        first, *others = super().synapses()
        return (first._replace(source="spikes" if self.encoding == "poisson" else first.source), *others)

    def _largest_input(self, frame: Tensor, layer: int) -> float:
        network: Any = self.network
        x = self.encoded(frame.unsqueeze(0).expand(self.calibration_steps, *frame.shape), _from_seed())
        states: list[State | None] = [None] * layer
        largest = 0.0
        for begin, end in segments([self.calibration_steps]):
            z = x[begin:end]
            for index, block in enumerate(network.layers()[:layer]):
                out = block.neuron.run(over_time(block.synapse, z), states[index])
                z, states[index] = out.spikes, out.state
            largest = max(largest, float(over_time(network.layers()[layer].synapse, z).max()))
        return largest


def _from_seed() -> torch.Generator:
    return torch.Generator().manual_seed(SEED)
