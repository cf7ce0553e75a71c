"""Hybrid neural coding: analog input, bursts in hidden layers, and an output that decides at its first crossing.

Hidden layers learn to say what an ANN's do, each on its own; the output learns to decide early. Must not know how much
of a budget there is, only which share of it trains the ANN.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional

from reference_impls.api import Network, OptimizerFactory, UpdateReport, over_time
from reference_impls.conversion.fine_tuned import InStages
from reference_impls.conversion.method import unclipped
from reference_impls.conversion.spiking import ann_layers, put_bursts
from reference_impls.conversion.statistics import threshold_of

CARD = {
    "name": "hybrid-coding",
    "kind": "training",
    "version": 1,
    "title": "Hybrid neural coding: direct, burst, time to first spike",
    "summary": (
        "Half of the budget trains a ReLU network. Its layers become neurons that emit up to 5 spikes a step and "
        "learn, each by itself, to say what the ANN's layers say; then the read-out learns to decide at the first step "
        "at which an output crosses a threshold, where a sample stops."
    ),
    "equations": (
        "v += x; n[t] = clip(floor(v / theta), 0, 5); v -= theta n; L_l = MSE(mean_t theta n, a_ann); V[t] = sum_s "
        "k(t-s) (W theta n[s] + b), k(t) = v0 (exp(-t/2) - exp(-2 t)), peak 1; t_f: first step with max V >= 3; L = "
        "2 CE(V[t_f], y) + 2 theta_s sum (V_k[t_f] - 3) over wrong k above 3; theta_s = 1 - right at t_f / right at T"
    ),
    "citations": [
        {
            "authors": "X. Chen, Q. Yang, J. Wu, H. Li, K. C. Tan",
            "title": "A Hybrid Neural Coding Approach for Pattern Recognition with Spiking Neural Networks",
            "venue": "IEEE Transactions on Pattern Analysis and Machine Intelligence 46(5):3064-3078",
            "year": 2024,
            "arxiv": "2305.16594",
            "code": "https://github.com/xychen-comp/Hybrid-Coding-SNN (commit b7206ab)",
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
    "defaults": {"most": 5, "mmse_steps": 16, "v_out": 3.0, "pretraining_share": 0.5, "rate_factor": 0.1},
    "space": {
        "v_out": {"low": 0.5, "high": 12.0, "scale": "log"},
        "pretraining_share": {"low": 0.25, "high": 0.75},
        "rate_factor": {"low": 0.03, "high": 1.0, "scale": "log"},
    },
    "divergences": [
        "Hidden layers are pulled to the ANN's activations as they are, for the bursts are in their units; the "
        "released code multiplies the activations by the largest burst.",
        "The output is fed with activations, threshold times spikes, and its bias is a synapse of constant input; the "
        "released code feeds bare counts.",
        "Thresholds come from the last 512 training samples at once, where the released code keeps a moving average "
        "over 20 batches.",
        "Half of the updates after pretraining are for the hidden layers and half for the output; the authors give "
        "each 50 epochs. What has not been pretrained learns both at once.",
        "Both stages have the task's optimizer at a tenth of its rate; the authors take Adam at 1e-4 and SGD at 1e-5.",
        "The rule that stops a sample is fixed; the released evaluation takes the best step of the whole test set.",
        "An output spike needs a step to arrive: at T = 1 nothing is known yet.",
    ],
}

TAU, TAU_S = 2.0, 0.5
PEAK = (TAU / TAU_S) ** (TAU / (TAU - TAU_S)) / (TAU / TAU_S - 1)
"""Makes the largest value of ``exp(-t / tau) - exp(-t / tau_s)`` 1."""
STAGES = ("both", "hidden", "output")


class HybridCoding(InStages):
    """Direct input, burst-coded hidden layers, time-to-first-spike output.

    Parameters
    ----------
    most : spikes that a hidden neuron may emit in one step.
    mmse_steps : T for which thresholds round the ANN's activations best.
    v_out : what an output has to reach to decide.
    alpha, beta : weights of the cross-entropy at the decision, and of wrong outputs that are above `v_out` there.
    pretraining_share, calibration_samples, rate_factor : as in :class:`InStages`.

    Counters: ``decision_step`` (mean over the batch, from 1), ``local`` (sum of the layers' squared errors). No
    official vectors: the equations are restated in the tests. Shapes: ``x[T, B, ...]``, classes ``[B]``.
    """

    def __init__(
        self,
        most: int = 5,
        mmse_steps: int = 16,
        v_out: float = 3.0,
        alpha: float = 2.0,
        beta: float = 2.0,
        pretraining_share: float = 0.5,
        calibration_samples: int = 512,
        rate_factor: float = 0.1,
    ) -> None:
        super().__init__(pretraining_share, calibration_samples, rate_factor)
        if most < 1 or mmse_steps < 1:
            raise ValueError(f"most and mmse_steps must be at least 1, got {most} and {mmse_steps}")
        if not v_out > 0:
            raise ValueError(f"v_out must be positive, got {v_out}")
        self.most = most
        self.mmse_steps = mmse_steps
        self.v_out = v_out
        self.alpha = alpha
        self.beta = beta

    @property
    def stage(self) -> str:
        """Return what learns now."""
        if self.planned_updates == 0:
            return "both"
        return "hidden" if 2 * self.done < self.planned_updates else "output"

    def prepare(self, network: Network, optimizer: OptimizerFactory | None = None) -> None:
        """Take over a chain of IF neurons and let them emit bursts."""
        super().prepare(network, optimizer)
        put_bursts(network, self.most)
        self.spike_with(self.thresholds)
        self._keep_ann()

    @torch.no_grad()
    def calibrated_on(self, frame: Tensor) -> Sequence[float]:
        """Return the threshold of every layer that rounds its activations best."""
        layers, _ = ann_layers(self.ann, frame, unclipped)
        return [threshold_of(a, "mmse", steps=self.mmse_steps) for a in layers]

    def update(self, x: Tensor, target: Tensor) -> UpdateReport:
        """Make one step of the present stage."""
        report = super().update(x, target)
        self.done += 1
        return report

    def accumulate(self, x: Tensor, target: Tensor) -> UpdateReport:
        """Differentiate each hidden layer's own error, and what the output says at its decision."""
        self._calibrate_once(x)
        self.network.begin_batch()
        stage = self.stage
        with self._stage("forward", x.shape[0]) as stages:
            local, currents = self.layer_errors(x)
        average = functional.cross_entropy(currents.mean(0), target)
        potential = post_synaptic(currents)
        decided = first_crossing(potential, self.v_out)
        early = self.decision_loss(potential, decided, target)
        terms = {"both": (local, average, early), "hidden": (local, average), "output": (early,)}[stage]
        loss = torch.stack(terms).sum()
        loss.backward()
        if stage == "output":
            self._forget_hidden()
        counters = {"decision_step": float(decided.double().mean()) + 1, "local": float(local.detach())}
        return UpdateReport(float(loss.detach()), stages=tuple(stages), counters=counters)

    def layer_errors(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """Return the sum of the layers' squared errors, and the read-out's currents ``[T, B, C]``.

        Nothing is differentiated through more than one layer.
        """
        network: Any = self.network
        with torch.no_grad():
            wanted, _ = ann_layers(self.ann, self.seen(x), unclipped)
        z, errors = x, []
        for block, a in zip(network.layers(), wanted, strict=True):
            out = block.passed_on(block.neuron.run(over_time(block.synapse, z)).spikes)
            errors.append(functional.mse_loss(out.mean(0), a))
            z = out.detach()
        return torch.stack(errors).sum(), over_time(network.readout, z)

    def decision_loss(self, potential: Tensor, decided: Tensor, target: Tensor) -> Tensor:
        """Return ``alpha CE`` at the decision plus ``beta theta_s`` times what wrong outputs exceed `v_out` by there.

        Parameters
        ----------
        potential : ``[T, B, C]``.
        decided : step of each sample's decision, ``[B]``, from 0.
        target : ``[B]``.
        """
        at = potential[decided, torch.arange(len(target), device=target.device)]
        right_then = (at.argmax(1) == target).sum()
        right_last = (potential[-1].argmax(1) == target).sum()
        strictness = 1 - (right_then / right_last.clamp(min=1)).clamp(0, 1)
        wrong = functional.one_hot(target, at.shape[1]) == 0
        excess = ((at - self.v_out).clamp(min=0) * wrong).sum(1).mean()
        return self.alpha * functional.cross_entropy(at, target) + self.beta * strictness * excess

    @torch.no_grad()
    def predict(self, x: Tensor) -> Tensor:
        """Return the potentials at each sample's decision, at the latest at T, ``[B, C]``."""
        return self.read_outs(x, [x.shape[0]])[0]

    @torch.no_grad()
    def read_outs(self, x: Tensor, steps: Sequence[int]) -> Tensor:
        """Return the potentials after each number of steps; those of a sample that has decided stay as they are."""
        network: Any = self.network
        blocks = network.layers()
        alive = torch.ones(x.shape[1], dtype=torch.bool, device=x.device)
        states: list[Any] = [None] * len(blocks)
        slow = fast = potential = None
        found = []
        for t in range(steps[-1]):
            if t == 0 or bool(alive.any()):
                z = _kept(x[t], alive)
                for layer, block in enumerate(blocks):
                    current = _kept(block.synapse(z), alive)
                    state = block.neuron.init_state(current) if states[layer] is None else states[layer]
                    spikes, states[layer] = block.neuron.advance(current, _stopped(state, alive))
                    z = block.passed_on(spikes)
                current = network.readout(z)
                slow = current if slow is None else slow * math.exp(-1 / TAU) + current
                fast = current if fast is None else fast * math.exp(-1 / TAU_S) + current
                now = PEAK * (slow - fast)
                potential = now if potential is None else torch.where(alive[:, None], now, potential)
                alive = alive & (now.amax(1) < self.v_out)
            if t + 1 in steps:
                assert potential is not None
                found.append(potential)
        return torch.stack(found)

    def _forget_hidden(self) -> None:
        """Leave the hidden layers as they are."""
        network: Any = self.network
        for block in network.layers():
            block.zero_grad(set_to_none=True)


def post_synaptic(currents: Tensor) -> Tensor:
    """Return ``V[t] = sum_{s <= t} k(t - s) currents[s]``, ``[T, B, C]``, with k(0) = 0 and a peak of 1."""
    slow = fast = torch.zeros_like(currents[0])
    found = []
    for current in currents.unbind(0):
        slow = slow * math.exp(-1 / TAU) + current
        fast = fast * math.exp(-1 / TAU_S) + current
        found.append(PEAK * (slow - fast))
    return torch.stack(found)


def first_crossing(potential: Tensor, v_out: float) -> Tensor:
    """Return the first step at which any output of ``[T, B, C]`` reaches `v_out`, else the last, ``[B]``, from 0."""
    crossed = potential.detach().amax(-1) >= v_out
    crossed[-1] = True
    return crossed.to(torch.uint8).argmax(0)


def _kept(z: Tensor, alive: Tensor) -> Tensor:
    """Return ``z[B, ...]`` with nothing in the samples that have stopped."""
    return z * alive.view(-1, *[1] * (z.dim() - 1))


def _stopped(state: Any, alive: Tensor) -> Any:
    return type(state)(*(_kept(part, alive) for part in state))
