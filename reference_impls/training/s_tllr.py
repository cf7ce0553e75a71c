"""S-TLLR: traces of what came before a spike, less traces of what came after it, as in spike-timing plasticity.

Walks forward in time like OTTT, and shares its traces. Must not know of topologies other than what a chain's ``wire``
hands over.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn
from torch.func import functional_call
from torch.nn import functional

from reference_impls.api import Network, OptimizerFactory, SequentialNeuron, Signal, State, TrainingMethod, detached
from reference_impls.training._traces import LayerMemory, Step, TracedSpikes, TraceMethod

CARD = {
    "name": "s-tllr",
    "kind": "training",
    "version": 1,
    "title": "S-TLLR: STDP-inspired temporal local learning rule",
    "summary": (
        "Three factors: an error that comes down the layers within a step, a trace of presynaptic spikes (causal), and "
        "a trace of the postsynaptic surrogate derivative (non-causal), which counts against it. The error is taken at "
        "the last steps only. Memory does not grow with T."
    ),
    "equations": (
        "x'[t] = lambda_pre x'[t-1] + x[t]; p'[t] = lambda_post p'[t-1] + psi(u[t]); e_ij[t] = psi(u_i[t]) x'_j[t] + "
        "alpha_post p'_i[t-1] x_j[t]; dW = sum over the last signal_steps of dL/ds_i[t] e_ij[t], dL/ds within step t"
    ),
    "citations": [
        {
            "authors": "M. P. E. Apolinario, K. Roy",
            "title": "S-TLLR: STDP-inspired Temporal Local Learning Rule for Spiking Neural Networks",
            "venue": "TMLR",
            "year": 2025,
            "arxiv": "2306.15220",
            "code": "https://github.com/mapolinario94/S-TLLR (commit 29c5755)",
        }
    ],
    "capabilities": {
        "updates": "per_batch",
        "structures": ["chain"],
        "neuron": {"parallel": ["sequential"]},
        "memory_in_T": "O(1)",
        "spiking_backward": False,
    },
    "defaults": {"lambda_pre": 0.75, "lambda_post": 0.2, "alpha_post": -1.0, "signal_steps": 5},
    "space": {
        "lambda_pre": {"low": 0.0, "high": 0.99},
        "lambda_post": {"low": 0.0, "high": 0.9},
        "alpha_post": {"low": -1.0, "high": 1.0},
        "signal_steps": {"low": 1, "high": 100, "scale": "log"},
    },
    "divergences": [
        "psi is the neuron's own surrogate derivative; the release takes another one for each data set (0.3 times a "
        "triangle, a fast sigmoid of slope 100, a sigmoid).",
        "The weight of the causal term is 1, as in all of the authors' commands, whose other three factors are the "
        "defaults (those of DVS Gesture). They set alpha_post to 1 on SHD.",
        "The read-out is the mean of its output so far, and its gradient uses the presynaptic trace; in the release it "
        "is a leaky membrane with a decay of its own.",
        "Error signals are backpropagated; direct feedback alignment, which the release also has, is not here.",
        "No golden vectors: the released layers standardise their weights and learn leak and gain in one function; "
        "the tests restate Eqs. 10 and 11, as the release writes them, without autograd.",
    ],
}


@dataclass(slots=True)
class _Memory(LayerMemory):
    """What a layer carries, and the trace of its surrogate derivative before this step."""

    after: Tensor | float = 0.0


@dataclass(frozen=True, slots=True)
class _Driven:
    """The current of one step on its way to a layer."""

    causal: Tensor
    """Its gradient is that at the presynaptic trace."""
    unchanged: Tensor
    """All zeros; its gradient is the weights' at this step's spikes, and reaches nothing else."""


class STLLR(TraceMethod):
    """STDP-inspired temporal local learning.

    Parameters
    ----------
    lambda_pre : decay of the presynaptic trace.
    lambda_post : decay of the postsynaptic trace.
    alpha_post : weight of the non-causal term; 0 leaves presynaptic traces alone.
    signal_steps : the last so many steps of a sample have an error; None: all.

    Eqs. 10 and 11 of the paper, numbered as in the release's comments. Shapes: ``x[T, B, ...]``, classes ``[B]``.
    """

    title = "S-TLLR"

    def __init__(
        self,
        lambda_pre: float = 0.75,
        lambda_post: float = 0.2,
        alpha_post: float = -1.0,
        signal_steps: int | None = 5,
    ) -> None:
        super().__init__(mse_weight=0.0)
        for what, decay in {"lambda_pre": lambda_pre, "lambda_post": lambda_post}.items():
            if not 0 <= decay <= 1:
                raise ValueError(f"{what} must lie in [0, 1], got {decay}; it multiplies a trace")
        if signal_steps is not None and signal_steps < 1:
            raise ValueError(f"signal_steps must be at least 1 time step, got {signal_steps}")
        self.lambda_pre, self.lambda_post, self.alpha_post = lambda_pre, lambda_post, alpha_post
        self.signal_steps = signal_steps
        self.bptt_loss = {"loss": "per_step_ce"}

    def prepare(self, network: Network, optimizer: OptimizerFactory | None = None) -> None:
        """Take over a chain of sequential neurons; their membranes may be any."""
        if network.structure != "chain":
            raise ValueError(f"S-TLLR walks chains; this network's structure is {network.structure!r}")
        for neuron in network.neurons():
            if not isinstance(neuron, SequentialNeuron):
                raise ValueError(f"S-TLLR goes step by step: {type(neuron).__name__} is not sequential")
        TrainingMethod.prepare(self, network, optimizer)

    def leak(self, neuron: Any, before: State, after: State) -> float:
        """Fade as the rule says, whatever the membrane does."""
        return self.lambda_pre

    def inputs(self, x: Tensor) -> Iterator[Signal]:
        """Yield each step's input with its trace."""
        trace = torch.zeros_like(x[0])
        for x_t in x.unbind(0):
            trace = self.lambda_pre * trace + x_t
            yield TracedSpikes(x_t, trace)

    def walk(self, x: Tensor, target: Tensor) -> Iterator[Step]:
        """Take one time step of ``x[T, B, ...]`` after another; yield it when its gradient has been added."""
        network, steps = self.network, x.shape[0]
        network.begin_batch()
        neurons: Any = network.neurons()
        layers = tuple(_Memory() for _ in neurons)
        signalled = min(self.signal_steps or steps, steps)
        total: Tensor | float = 0.0

        def fire(layer: int, driven: Any) -> TracedSpikes:
            return self._fire_late(neurons[layer], driven, layers[layer])

        for t, signal in enumerate(self.inputs(x)):
            logits, _ = network.wire(signal, fire, self.apply)
            so_far = total + logits
            total = so_far.detach()
            if t >= steps - signalled:
                loss = functional.cross_entropy(so_far / (t + 1), target) / signalled
                loss.backward()
                yield Step(loss.detach(), logits.detach(), layers)

    def apply(self, synapse: nn.Module, signal: Signal) -> Any:
        """Return what `synapse` makes of the spikes, with its two gradients unless it is the read-out."""
        causal = super().apply(synapse, signal)
        if synapse is self.network.synapses()[-1].module:
            return causal
        fixed = {name: value.detach() for name, value in synapse.named_parameters() if name.endswith("bias")}
        graph = functional_call(synapse, fixed, (signal.spikes.detach(),))
        return _Driven(causal, graph - graph.detach())

    def _fire_late(self, neuron: Any, driven: _Driven, memory: _Memory) -> TracedSpikes:
        before = neuron.init_state(driven.causal) if memory.state is None else memory.state
        spikes, after = neuron.advance(driven.causal, before)
        psi: Tensor | float = 0.0  # of a neuron without any surrogate
        if spikes.requires_grad:
            (psi,) = torch.autograd.grad(spikes.sum(), driven.causal, retain_graph=True)
        emitted = spikes + self.alpha_post * memory.after * driven.unchanged
        trace = memory.leak * memory.trace + emitted
        memory.state, memory.trace, memory.leak = detached(after), trace.detach(), self.lambda_pre
        memory.after = self.lambda_post * memory.after + psi
        return TracedSpikes(emitted, trace)
