"""STDP: a competing layer learns what its inputs have in common, without labels; classes are assigned to it later."""

from __future__ import annotations

import math

import torch
from torch import Tensor
from torch.nn import functional

from reference_impls.api import Network, OptimizerFactory, UpdateReport
from reference_impls.names import check_name
from reference_impls.training._plastic import CompetingLayer, Moment, clamped_trace

CARD = {
    "name": "stdp",
    "kind": "training",
    "version": 1,
    "title": "STDP with adaptive thresholds and lateral inhibition (Diehl and Cook)",
    "summary": (
        "Unsupervised: a spike moves its neuron's weights towards the inputs that were active, raises its threshold "
        "and inhibits the others, so that neurons come to stand for different inputs. A neuron speaks for the class to "
        "which it answers most; labels are used for nothing else."
    ),
    "equations": (
        "at a spike of neuron j: dw_ij = rate (pre_i - offset) (1 - w_ij)^mu, theta_j += threshold_step; pre_i is set "
        "to 1 by a spike of input i and decays; w in [0, 1] by its largest value; after a group of samples sum_i w_ij "
        "is scaled to a constant; class of j = argmax_c mean response to c"
    ),
    "citations": [
        {
            "authors": "P. U. Diehl, M. Cook",
            "title": "Unsupervised learning of digit recognition using spike-timing-dependent plasticity",
            "venue": "Frontiers in Computational Neuroscience 9:99",
            "year": 2015,
            "doi": "10.3389/fncom.2015.00099",
            "code": "https://github.com/peter-u-diehl/stdp-mnist (commit d527ca3)",
        }
    ],
    "capabilities": {
        "updates": "per_batch",
        "structures": ["chain"],
        "neuron": {"parallel": ["sequential"], "output": ["binary"], "membrane": ["linear"]},
        "memory_in_T": "O(T)",
        "spiking_backward": False,
        "hidden_layers": 1,
        "convolutions": False,
        "gradient": False,
    },
    "defaults": {
        "rule": "offset",
        "rate": 0.02,
        "offset": 0.4,
        "mu": 0.2,
        "drive": 1.0,
        "inhibition": 1.0,
        "threshold_step": 0.01,
        "together": 8,
    },
    "space": {
        "rate": {"low": 0.002, "high": 0.1, "scale": "log"},
        "offset": {"low": 0.0, "high": 0.6},
        "drive": {"low": 0.25, "high": 2.0, "scale": "log"},
        "threshold_step": {"low": 0.001, "high": 0.1, "scale": "log"},
    },
    "optimizer_space": [],
    "variants": {
        "stdp-triplet": {
            "title": "STDP, the released triplet rule",
            "summary": (
                "As stdp, but a spike strengthens by the trace of the inputs and of the neuron's own earlier spikes, "
                "and a later input weakens: the rule of the released code."
            ),
            "params": {"rule": "triplet"},
            "overrides": {
                "equations": (
                    "at a spike of j: dw_ij = rate pre_i post2_j, then post1_j = post2_j = 1; at one of input i: dw_ij "
                    "= -rate/100 post1_j; all traces decay"
                ),
            },
        },
    },
    "divergences": [
        "The default rule is the paper's, from memory; its constants 0.4 and 0.2 stand in the released code as well, "
        "which runs the triplet rule. Both are restated by the tests.",
        "The authors' neurons have conductances, 100 ms membranes and 350 ms a sample in steps of 0.5 ms, and 400 to "
        "6,400 of them learn on 60,000 digits for hours. Here neurons are the network's own (IF), a sample is as long "
        "as the task's, time constants are 20 and 40 steps, and nothing is left of traces between samples.",
        "Their inhibitory neurons are a step within the step here: of the neurons that would fire the one with the "
        "highest membrane does, and takes a threshold from the others.",
        "Where fewer than 5 spikes come, the release shows the sample again with more contrast. Here the drive is "
        "multiplied with the mean threshold, so that raised thresholds cannot silence the layer.",
        "An input is no Poisson train but the task's encoding; a grey level between 0 and 1 is that part of a spike.",
        "8 samples are shown side by side between two changes of the weights; the authors show one (together=1).",
        "A class is assigned from the responses while learning, with a memory of some 20 batches; the authors show the "
        "training set once more. The task's learning rate and optimizer are not used.",
    ],
}

RULES = ("offset", "triplet")
PRE, POST_1, POST_2 = (math.exp(-1 / steps) for steps in (20, 20, 40))
"""Decay of the traces in a step; as many steps as the authors have milliseconds."""
WEAKER = 0.01
"""Rate of the triplet rule's weakening, relative to that of its strengthening."""
MEMORY = 0.95
"""Share of the responses seen so far that a batch leaves."""


class STDP(CompetingLayer):
    """Unsupervised STDP with a read-out by assigned labels.

    Parameters
    ----------
    rule : ``offset`` (the paper's) or ``triplet`` (the released code's).
    rate : of the change of a weight whose largest value is 1.
    offset, mu : of the rule ``offset``: what an input's trace is compared with, and the exponent of what is left to 1.
    together : samples that are shown side by side between two changes of weights and thresholds.
    drive, inhibition, threshold_step : see :class:`CompetingLayer`.

    The loss that is reported is the cross-entropy of the mean class response; nothing follows from it. Counter:
    ``speaking`` (share of neurons that a class is assigned to). Shapes: ``x[T, B, ...]``, classes ``[B]``.
    """

    responses: Tensor
    """``[N, C]``: spikes of each neuron at samples of each class, older ones less."""
    shown: Tensor
    """``[C]``: samples of each class, likewise."""

    def __init__(
        self,
        rule: str = "offset",
        rate: float = 0.02,
        offset: float = 0.4,
        mu: float = 0.2,
        drive: float = 1.0,
        inhibition: float = 1.0,
        threshold_step: float = 0.01,
        together: int = 8,
    ) -> None:
        super().__init__(drive, inhibition, threshold_step)
        self.rule = check_name("rule", rule, RULES)
        if not rate > 0:
            raise ValueError(f"rate must be positive, got {rate}")
        if together < 1:
            raise ValueError(f"together must be at least 1 sample, got {together}")
        self.rate, self.offset, self.mu, self.together = float(rate), float(offset), float(mu), together

    def prepare(self, network: Network, optimizer: OptimizerFactory | None = None) -> None:
        """Take over a network of one hidden layer; draw its weights anew, and assign no class yet."""
        super().prepare(network, optimizer)
        self.responses = torch.zeros_like(self.readout.weight.detach().T).contiguous()
        self.shown = torch.zeros_like(self.readout.bias.detach())

    @torch.no_grad()
    def update(self, x: Tensor, target: Tensor) -> UpdateReport:
        """Show the batch, group by group, and change weights and thresholds after each."""
        counts = []
        with self._stage("learning", x.shape[0]) as stages:
            for part in x.split(self.together, dim=1):
                change, spikes = self.change(part)
                self.weight.add_(change).clamp_(0, self.largest)
                self.keep_sum()
                self.thresholds += self.threshold_step * spikes.sum(0)
                counts.append(spikes)
        spikes = torch.cat(counts)
        loss = self._loss(spikes, target, x.shape[0])
        self.assign(spikes, target)
        speaking = float((self.responses.sum(1) > 0).double().mean())
        return UpdateReport(loss, 1, tuple(stages), {"speaking": speaking})

    @torch.no_grad()
    def accumulate(self, x: Tensor, target: Tensor) -> UpdateReport:
        """Add the change that the whole batch asks for at once, with its sign turned, to the weight's ``.grad``."""
        with self._stage("learning", x.shape[0]) as stages:
            change, spikes = self.change(x)
        parameter = self.weight
        parameter.grad = -change if parameter.grad is None else parameter.grad - change
        return UpdateReport(self._loss(spikes, target, x.shape[0]), stages=tuple(stages))

    @torch.no_grad()
    def change(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """Return the change of the weights ``[N, I]`` by ``x[T, B, ...]``, and the spikes of each neuron ``[B, N]``."""
        weight = self.weight / self.largest
        total, counted = torch.zeros_like(weight), x.new_zeros(x.shape[1], weight.shape[0])
        pre = x.new_zeros(x.shape[1], weight.shape[1])
        post_1, post_2 = torch.zeros_like(counted), torch.zeros_like(counted)
        for moment in self.moments(x):
            pre = clamped_trace(pre, moment.seen, PRE)
            if self.rule == "offset":
                total += moment.spikes.T @ (pre - self.offset)
            else:
                post_1, post_2 = POST_1 * post_1, POST_2 * post_2
                total += self._triplet(pre, moment, post_1, post_2)
                post_1, post_2 = (torch.maximum(post, moment.spikes) for post in (post_1, post_2))
            counted += moment.spikes
        if self.rule == "offset":
            total *= (1 - weight).clamp(min=0) ** self.mu
        return self.rate * self.largest * total, counted

    def _triplet(self, pre: Tensor, moment: Moment, post_1: Tensor, post_2: Tensor) -> Tensor:
        return (moment.spikes * post_2).T @ pre - WEAKER * (post_1.T @ moment.seen)

    @torch.no_grad()
    def assign(self, spikes: Tensor, target: Tensor) -> None:
        """Remember responses ``[B, N]`` to the classes ``[B]``; every neuron speaks for the one it answers most."""
        classes = functional.one_hot(target, len(self.shown)).to(spikes.dtype)
        self.responses.mul_(MEMORY).add_(spikes.T @ classes)
        self.shown.mul_(MEMORY).add_(classes.sum(0))
        mean = self.responses / self.shown.clamp(min=1e-12)
        speaks = functional.one_hot(mean.argmax(1), len(self.shown)).to(spikes.dtype) * (mean.amax(1) > 0)[:, None]
        self.readout.weight.copy_((speaks / speaks.sum(0).clamp(min=1)).T)

    def extra_state(self) -> dict[str, Tensor]:
        """Return thresholds, responses and what was shown."""
        return {**super().extra_state(), "responses": self.responses, "shown": self.shown}

    def _loss(self, spikes: Tensor, target: Tensor, steps: int) -> float:
        return float(functional.cross_entropy(functional.linear(spikes / steps, self.readout.weight), target))
