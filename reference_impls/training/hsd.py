"""HSD: an ANN with quantised activations becomes a network of IF neurons, which it then teaches at every time step.

The method owns both networks: the ANN is trained in `pretrain`, a frozen copy of it is the teacher, and its linear maps
are the student's first weights. Must not know how much of a budget there is, only which share of it is its own.
"""

from __future__ import annotations

import copy
from collections.abc import Mapping, Sequence
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional

from reference_impls.anytime import running_means
from reference_impls.api import (
    Epoch,
    Network,
    OptimizerFactory,
    PretrainingReport,
    SequentialNeuron,
    TrainingMethod,
    UpdateReport,
    over_time,
)
from reference_impls.conversion.activations import qcfs
from reference_impls.surrogate import make_surrogate

CARD = {
    "name": "hsd",
    "kind": "training",
    "version": 1,
    "title": "HSD: hybrid step-wise distillation",
    "summary": (
        "Half of the budget trains an ANN of the same shape whose activation has 4 levels (QCFS). Its weights and "
        "clipping points become weights and thresholds of IF neurons, and BPTT goes on with a loss that pulls the "
        "read-out of every step towards that of the frozen ANN."
    ),
    "equations": (
        "ANN: y = up clamp(floor(L x / up + 1/2) / L, 0, 1), straight-through floor; SNN: v_threshold = up, v[0] = "
        "up / 2, s = 1 if h > up; L = CE(mean_t z[t], y) + mean_t tau^2 KL(softmax(z_ann / tau) || softmax(z[t] / tau))"
    ),
    "citations": [
        {
            "authors": "X. Zhong, S. Hu, W. Liu, W. Huang, J. Ding, Z. Yu, T. Huang",
            "title": (
                "Towards Low-latency Event-based Visual Recognition with Hybrid Step-wise Distillation Spiking Neural "
                "Networks"
            ),
            "venue": "ACM Multimedia",
            "year": 2024,
            "arxiv": "2409.12507",
            "doi": "10.1145/3664647.3680832",
            "code": "https://github.com/hsw0929/HSD (commit 524f77d)",
        },
        {
            "authors": "T. Bu, W. Fang, J. Ding, P. Dai, Z. Yu, T. Huang",
            "title": (
                "Optimal ANN-SNN Conversion for High-accuracy and Ultra-low-latency Spiking Neural Networks (QCFS)"
            ),
            "venue": "ICLR",
            "year": 2022,
            "arxiv": "2303.04347",
            "code": "https://github.com/putshua/ANN_SNN_QCFS",
        },
    ],
    "capabilities": {
        "updates": "per_batch",
        "structures": ["chain"],
        "neuron": {"parallel": ["sequential"], "membrane": ["linear"], "reset": ["soft"]},
        "memory_in_T": "O(T)",
        "spiking_backward": False,
        "pretraining": True,
        "anytime": True,
        "converts": True,
    },
    "defaults": {"levels": 4, "up": 2.0, "temperature": 2.0, "pretraining_share": 0.5, "rate_factor": 1.0},
    "space": {
        "up": {"low": 0.5, "high": 8.0, "scale": "log"},
        "temperature": {"low": 0.5, "high": 8.0, "scale": "log"},
        "pretraining_share": {"low": 0.25, "high": 0.75},
        "rate_factor": {"low": 0.03, "high": 1.0, "scale": "log"},
    },
    "variants": {
        "hsd-t10": {
            "title": "HSD, temperature 10",
            "summary": "As hsd, with the temperature of the other released training routine.",
            "params": {"temperature": 10.0},
        },
        "hsd-scaled": {
            "title": "HSD, scaled spikes",
            "summary": "As hsd, with spikes as high as their layer's threshold: rates stand for the ANN's values.",
            "params": {"scale_output": True},
        },
    },
    "divergences": [
        "In the released code teacher and student are one object, for the converter changes the model in place; here "
        "the teacher is a frozen copy of the ANN.",
        "One of the two released training functions calls the step-wise loss without one of its arguments and stops "
        "with an error; the other is the form used here.",
        "The released spikes are 0 or 1 after a neuron whose input is divided by up, so layers come out up times "
        "smaller than the ANN's and conversion alone does not work; hsd keeps that, hsd-scaled multiplies by up.",
        "Thresholds of up with a surrogate up times as wide are the released neuron, whose input is divided by up.",
        "KL is averaged over batch and classes, as in the code; an average over the batch alone is C times larger.",
        "up starts at 2; the released 8 lies beyond the currents of the small networks here, and the few epochs of "
        "their budgets do not bring it down.",
        "up is learned with the ANN and fixed afterwards. It is kept above 1e-3; the released code lets it become 0.",
        "The released recipe is SGD or Adam at 0.1 with a cosine for 64 epochs, then Adam at 1e-5 (default argument: "
        "0.1); here both stages have the task's optimizer and share its epochs.",
        "A leak is taken as it comes: a LIF starts at the IF's threshold, and fine-tuning must make up for the decay. "
        "The released LIF starts at 0 and resets to 0; that one is not here.",
        "The estimate of the training energy leaves out the teacher's forward pass.",
    ],
}

LEAST_UP = 1e-3
TEACHER = "hsd_teacher."


class HSD(TrainingMethod):
    """Hybrid step-wise distillation.

    Parameters
    ----------
    levels : L of the ANN's activation.
    up : clipping point at the start, of every layer.
    temperature : tau of the distillation; it divides all logits, and its square multiplies the divergence.
    weight : of the divergence in the loss.
    gamma : half-width of the triangular surrogate, in thresholds.
    pretraining_share : part of the budget's epochs that trains the ANN (rounded down).
    rate_factor : the updates' learning rate, as a share of the ANN's.
    scale_output : whether a spike is as high as its layer's threshold.
    student_steps, teacher_steps : steps that each network sees, the first of the sequence; None: all of them.

    `prepare` adds ``hsd_up``, one scalar a layer, to the network and sets threshold, start and surrogate of its neurons
    from it. Until `pretrain` is called the teacher is the network as it came. Counter: ``divergence``, unweighted.
    Golden vectors from the authors' functions. Shapes: ``x[T, B, ...]``, classes ``[B]``.
    """

    def __init__(
        self,
        levels: int = 4,
        up: float = 2.0,
        temperature: float = 2.0,
        weight: float = 1.0,
        gamma: float = 1.0,
        pretraining_share: float = 0.5,
        rate_factor: float = 1.0,
        scale_output: bool = False,
        student_steps: int | None = None,
        teacher_steps: int | None = None,
    ) -> None:
        for steps in (levels, student_steps, teacher_steps):
            if steps is not None and steps < 1:
                raise ValueError(f"levels, student_steps and teacher_steps must be at least 1, got {steps}")
        for value in (up, temperature, gamma, rate_factor):
            if not value > 0:
                raise ValueError(f"up, temperature, gamma and rate_factor must be positive, got {value}")
        if weight < 0:
            raise ValueError(f"weight must not be negative, got {weight}")
        if not 0 <= pretraining_share < 1:
            raise ValueError(f"pretraining_share must lie in [0, 1), so that updates are left; got {pretraining_share}")
        self.levels = levels
        self.up = up
        self.temperature = temperature
        self.weight = weight
        self.gamma = gamma
        self.pretraining_share = pretraining_share
        self.rate_factor = rate_factor
        self.scale_output = scale_output
        self.student_steps = student_steps
        self.teacher_steps = teacher_steps

    def prepare(self, network: Network, optimizer: OptimizerFactory | None = None) -> None:
        """Take over a chain of IF or LIF neurons with soft reset and give it clipping points."""
        if network.structure != "chain":
            raise ValueError(f"HSD converts a chain of layers; this network's structure is {network.structure!r}")
        for neuron in network.neurons():
            if not (isinstance(neuron, SequentialNeuron) and getattr(neuron, "reset_mode", None) == "soft"):
                raise ValueError(f"HSD converts to IF or LIF neurons with soft reset; this is {neuron}")
        like = next(network.parameters())
        start = [nn.Parameter(torch.full_like(like[:0].sum(), self.up)) for _ in network.neurons()]
        network.register_module("hsd_up", nn.ParameterList(start))
        super().prepare(network, optimizer)
        self._make_optimizer = optimizer
        for group in self.optimizer.param_groups if self.optimizer else ():
            group["lr"] *= self.rate_factor
        self._convert()

    def pretrain(self, epoch: Epoch, epochs: int) -> PretrainingReport:
        """Train the ANN with cross-entropy for this method's share of the epochs, and convert it."""
        if self._make_optimizer is None:
            raise RuntimeError("HSD has no optimizer: call prepare(network, optimizer=...) before pretrain()")
        network: Any = self.network
        optimizer = self._make_optimizer(network.parameters())
        spent, updates, losses = int(self.pretraining_share * epochs), 0, []
        for _ in range(spent):
            total, samples = 0.0, 0
            for x, target in epoch():
                network.begin_batch()
                optimizer.zero_grad(set_to_none=True)
                loss = functional.cross_entropy(self.ann_logits(network, x), target)
                loss.backward()
                optimizer.step()
                with torch.no_grad():
                    for up in network.hsd_up:
                        up.clamp_(min=LEAST_UP)
                total, samples, updates = total + float(loss.detach()) * len(target), samples + len(target), updates + 1
            losses.append(total / samples)
        network.zero_grad(set_to_none=True)
        self._convert()
        return PretrainingReport(spent, updates, tuple(losses))

    def state_dict(self) -> dict[str, Tensor]:
        """Return the network and the teacher."""
        teacher = {TEACHER + name: value for name, value in self.teacher.state_dict().items()}
        return super().state_dict() | teacher

    def load_state_dict(self, state: Mapping[str, Tensor]) -> None:
        """Take over network and teacher, and set the neurons to the clipping points among them."""
        super().load_state_dict({name: value for name, value in state.items() if not name.startswith(TEACHER)})
        self._convert()
        self.teacher.load_state_dict(
            {name.removeprefix(TEACHER): value for name, value in state.items() if name.startswith(TEACHER)}
        )

    @torch.no_grad()
    def predict(self, x: Tensor) -> Tensor:
        """Return the mean of the student's read-out over its steps, ``[B, C]``."""
        return self.network.run(x[: self.student_steps]).logits.mean(0)

    @torch.no_grad()
    def read_outs(self, x: Tensor, steps: Sequence[int]) -> Tensor:
        """Return the mean read-out after each number of steps; more than the student's are run as well."""
        return running_means(self.network, x, steps)

    @torch.no_grad()
    def predict_ann(self, x: Tensor) -> Tensor:
        """Return the teacher's logits, ``[B, C]``."""
        return self.ann_logits(self.teacher, x)

    def accumulate(self, x: Tensor, target: Tensor) -> UpdateReport:
        """Ask the teacher, unroll the student, and differentiate both parts of the loss."""
        self.network.begin_batch()
        with torch.no_grad():
            teacher = self.ann_logits(self.teacher, x)
        seen = x[: self.student_steps]
        with self._stage("forward", seen.shape[0]) as stages:
            logits = self.network.run(seen).logits
        divergence = step_wise_divergence(logits, teacher, self.temperature)
        loss = functional.cross_entropy(logits.mean(0), target) + self.weight * divergence
        loss.backward()
        counters = {"divergence": float(divergence.detach())}
        return UpdateReport(float(loss.detach()), stages=tuple(stages), counters=counters)

    def ann_logits(self, network: Any, x: Tensor) -> Tensor:
        """Return the logits ``[B, C]`` of `network` with quantised activations: the mean over its frames x[t]."""
        z = x[:1] if x.stride(0) == 0 else x[: self.teacher_steps]  # equal frames have equal logits
        for block, up in zip(network.layers(), network.hsd_up, strict=True):
            z = qcfs(over_time(block.synapse, z), up, self.levels)
        return over_time(network.readout, z).mean(0)

    def _convert(self) -> None:
        """Freeze the present network as the teacher, and make its activations neurons."""
        network: Any = self.network
        self.teacher = copy.deepcopy(network).requires_grad_(False)
        for block, up in zip(network.layers(), network.hsd_up, strict=True):
            threshold = float(up.detach())
            spike_like_the_released_neuron(block.neuron, threshold, self.gamma)
            if self.scale_output:
                block.scale = threshold


def spike_like_the_released_neuron(neuron: Any, threshold: float, gamma: float) -> None:
    """Let `neuron` start at half the `threshold`, fire strictly above it, and differentiate through its reset.

    The released neuron has the threshold 1 and divides its input by `threshold`; with ``h = threshold mem`` the
    triangle ``max(0, gamma - |mem - 1|) / gamma^2`` of its derivative becomes one of width ``gamma threshold``.
    """
    neuron.v_threshold = neuron.reset_amount = threshold
    neuron.v_init = threshold / 2
    neuron.fire_rule = "gt"
    neuron.detach_reset = False
    neuron.surrogate = make_surrogate({"name": "triangle", "params": {"alpha": 1 / (gamma * threshold)}})


def step_wise_divergence(logits: Tensor, teacher: Tensor, temperature: float) -> Tensor:
    """Return ``mean_t tau^2 KL(softmax(teacher / tau) || softmax(logits[t] / tau))``, averaged over batch and classes.

    Parameters
    ----------
    logits : of the student at every step, ``[T, B, C]``.
    teacher : ``[B, C]``, without a graph.
    temperature : tau.
    """
    given = functional.log_softmax(logits / temperature, dim=-1)
    wanted = functional.softmax(teacher / temperature, dim=-1).expand_as(given)
    return temperature**2 * functional.kl_div(given, wanted, reduction="none").mean()
