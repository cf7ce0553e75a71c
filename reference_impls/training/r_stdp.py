"""r-stdp: STDP leaves an eligibility at every synapse, and whether the decision was right turns it into learning."""

from __future__ import annotations

import math

import torch
from torch import Tensor
from torch.nn import functional

from reference_impls.api import Network, OptimizerFactory, UpdateReport
from reference_impls.training._plastic import CompetingLayer, summed_trace

CARD = {
    "name": "r-stdp",
    "kind": "training",
    "version": 1,
    "title": "R-STDP: reward-modulated STDP with eligibility traces",
    "summary": (
        "Every neuron speaks for one class. Pairs of spikes leave an eligibility at each synapse, which fades; after a "
        "sample the reward for the decision, less what was expected, is the same for all synapses and multiplies it."
    ),
    "equations": (
        "P+_i[t] = d P+_i[t-1] + x_i[t]; P-_j[t] = d P-_j[t-1] - a_minus s_j[t]; zeta_ij = P+_i s_j + P-_j x_i; "
        "e_ij[t] = d_e e_ij[t-1] + (1 - d_e) zeta_ij[t]; dw_ij = rate (r - r_expected) e_ij[T], r = 1 if the class "
        "with most spikes is right, else 0; w >= 0, sum_i w_ij constant"
    ),
    "citations": [
        {
            "authors": "R. V. Florian",
            "title": "Reinforcement learning through modulation of spike-timing-dependent synaptic plasticity",
            "venue": "Neural Computation 19(6):1468-1502",
            "year": 2007,
            "doi": "10.1162/neco.2007.19.6.1468",
        },
        {
            "authors": "E. M. Izhikevich",
            "title": "Solving the distal reward problem through linkage of STDP and dopamine signaling",
            "venue": "Cerebral Cortex 17(10):2443-2452",
            "year": 2007,
            "doi": "10.1093/cercor/bhl152",
        },
    ],
    "capabilities": {
        "updates": "per_batch",
        "structures": ["chain"],
        "neuron": {"parallel": ["sequential"], "output": ["binary"], "membrane": ["linear"]},
        "memory_in_T": "O(1)",
        "spiking_backward": False,
        "hidden_layers": 1,
        "convolutions": False,
        "gradient": False,
    },
    "defaults": {
        "rate": 0.1,
        "a_minus": 0.5,
        "eligibility_steps": 25.0,
        "drive": 1.0,
        "inhibition": 1.0,
        "threshold_step": 0.01,
        "together": 8,
    },
    "space": {
        "rate": {"low": 0.005, "high": 1.0, "scale": "log"},
        "a_minus": {"low": 0.0, "high": 1.0},
        "eligibility_steps": {"low": 2.0, "high": 100.0, "scale": "log"},
        "drive": {"low": 0.25, "high": 2.0, "scale": "log"},
    },
    "optimizer_space": [],
    "divergences": [
        "The rule is Florian's with an eligibility trace (MSTDPET), read in BindsNET's form of it (34ee292), which "
        "weights both halves with 1; the paper itself could not be read. Its tests are a restatement in numpy.",
        "The reward comes once, after the last step, and a running mean of the reward is subtracted from it; Florian's "
        "is 1 or -1 in every step. Izhikevich's is a concentration of dopamine that fades.",
        "Neuron j speaks for class j modulo C, as populations do in later work; neither paper classifies images.",
        "Neurons compete as in stdp: of those that would fire the highest membrane does, and thresholds rise with "
        "spikes. Weights have one sign and a fixed sum, which Florian's do not.",
        "Nothing is drawn while learning: others are tried because a winner that is punished, or fires often, loses "
        "its lead. The task's learning rate and optimizer are not used.",
        "8 samples are shown side by side between two changes of the weights (together=1: one).",
    ],
}

DECAY = math.exp(-1 / 20)
"""Of both sides' traces in a step."""
EXPECTING = 0.02
"""Share of a sample in what is expected."""


class RewardSTDP(CompetingLayer):
    """Reward-modulated STDP of populations that each speak for a class.

    Parameters
    ----------
    rate : of the change of a weight whose largest value is 1.
    a_minus : weight of an input that comes after the neuron's spike, relative to one that comes before.
    eligibility_steps : time constant of the eligibility.
    together : samples that are shown side by side between two changes of the weights.
    drive, inhibition, threshold_step : see :class:`CompetingLayer`.

    The loss that is reported is the cross-entropy of the mean class response; nothing follows from it. Counters:
    ``reward`` and ``expected``, the mean over the batch. Shapes: ``x[T, B, ...]``, classes ``[B]``.
    """

    expected: Tensor
    """Running mean of the reward, a scalar."""

    def __init__(
        self,
        rate: float = 0.1,
        a_minus: float = 0.5,
        eligibility_steps: float = 25.0,
        drive: float = 1.0,
        inhibition: float = 1.0,
        threshold_step: float = 0.01,
        together: int = 8,
    ) -> None:
        super().__init__(drive, inhibition, threshold_step)
        for name, value in {"rate": rate, "eligibility_steps": eligibility_steps, "together": together}.items():
            if not value > 0:
                raise ValueError(f"{name} must be positive, got {value}")
        self.rate, self.a_minus, self.together = float(rate), float(a_minus), together
        self.kept = math.exp(-1 / eligibility_steps)

    def prepare(self, network: Network, optimizer: OptimizerFactory | None = None) -> None:
        """Take over a network of one hidden layer; draw its weights anew, and let every neuron speak for a class."""
        super().prepare(network, optimizer)
        classes, neurons = self.readout.weight.shape
        if neurons < classes:
            raise ValueError(f"RewardSTDP needs a neuron for each of {classes} classes, the hidden layer has {neurons}")
        speaks = functional.one_hot(torch.arange(neurons) % classes, classes).to(self.weight)
        with torch.no_grad():
            self.readout.weight.copy_((speaks / speaks.sum(0)).T)
        self.expected = self.weight.new_tensor(1 / classes)

    @torch.no_grad()
    def update(self, x: Tensor, target: Tensor) -> UpdateReport:
        """Show the batch, group by group, and reward each."""
        losses, rewards, before = [], [], float(self.expected)
        with self._stage("learning", x.shape[0]) as stages:
            for part, classes in zip(x.split(self.together, dim=1), target.split(self.together), strict=True):
                change, spikes, reward = self.change(part, classes)
                self.weight.add_(change).clamp_(0, self.largest)
                self.keep_sum()
                self.thresholds += self.threshold_step * spikes.sum(0)
                self.expected.lerp_(reward.mean(), 1 - (1 - EXPECTING) ** len(classes))
                losses.append(self._loss(spikes, classes, x.shape[0]) * len(classes))
                rewards.append(reward)
        counters = {"reward": float(torch.cat(rewards).mean()), "expected": before}
        return UpdateReport(sum(losses) / len(target), 1, tuple(stages), counters)

    @torch.no_grad()
    def accumulate(self, x: Tensor, target: Tensor) -> UpdateReport:
        """Add the change that the whole batch asks for at once, with its sign turned, to the weight's ``.grad``."""
        with self._stage("learning", x.shape[0]) as stages:
            change, spikes, _ = self.change(x, target)
        parameter = self.weight
        parameter.grad = -change if parameter.grad is None else parameter.grad - change
        return UpdateReport(self._loss(spikes, target, x.shape[0]), stages=tuple(stages))

    @torch.no_grad()
    def change(self, x: Tensor, target: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Return the change of the weights ``[N, I]``, spikes of each neuron ``[B, N]``, and rewards ``[B]``."""
        eligibility, spikes = self.eligibility(x)
        reward = (self._responses(spikes).argmax(1) == target).to(x.dtype) * spikes.any(1)
        change = ((reward - self.expected)[:, None, None] * eligibility).sum(0)
        return self.rate * self.largest * change, spikes, reward

    @torch.no_grad()
    def eligibility(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """Return what every sample of ``x[T, B, ...]`` leaves at each synapse, ``[B, N, I]``, and spikes ``[B, N]``."""
        batch, (neurons, inputs) = x.shape[1], self.weight.shape
        trace, counted = x.new_zeros(batch, neurons, inputs), x.new_zeros(batch, neurons)
        before, after = x.new_zeros(batch, inputs), torch.zeros_like(counted)
        for moment in self.moments(x):
            before = summed_trace(before, moment.seen, DECAY)
            after = summed_trace(after, moment.spikes, DECAY)
            pairs = (
                moment.spikes[:, :, None] * before[:, None] - self.a_minus * after[:, :, None] * moment.seen[:, None]
            )
            trace = self.kept * trace + (1 - self.kept) * pairs
            counted += moment.spikes
        return trace, counted

    def extra_state(self) -> dict[str, Tensor]:
        """Return thresholds and what is expected."""
        return {**super().extra_state(), "expected": self.expected}

    def _responses(self, spikes: Tensor) -> Tensor:
        return functional.linear(spikes, self.readout.weight)

    def _loss(self, spikes: Tensor, target: Tensor, steps: int) -> float:
        return float(functional.cross_entropy(self._responses(spikes) / steps, target))
