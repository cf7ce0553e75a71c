"""T-RevSNN's way of training: BPTT that computes the state of earlier steps backwards instead of keeping it.

A membrane that leaks and is never reset can be run in reverse: v[t-1] = (v[t] - input) / decay. Must not know which
topology it trains beyond how far back its feedback reaches.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn

from reference_impls.api import Network, OptimizerFactory, SequentialNeuron, Signal, TrainingMethod, UpdateReport
from reference_impls.training._losses import rate_cross_entropy

CARD = {
    "name": "t-revsnn",
    "kind": "training",
    "version": 1,
    "title": "Temporal reversible training (T-RevSNN)",
    "summary": (
        "BPTT's gradient without the unrolled graph: the forward pass keeps the last state only, and the backward pass "
        "computes each earlier state from the later one. Memory does not grow with T; the neurons are not reset."
    ),
    "equations": (
        "forward without a graph to c[T-1]; for t = T-1 .. 0: c_l[t-1] = (c_l[t] - input_l[t]) / a, highest level "
        "first; one step from c[t-1] with a graph, differentiated with dL/dO[t] and dL/dc[t]"
    ),
    "citations": [
        {
            "authors": "J. Hu, M. Yao, X. Qiu, Y. Chou, Y. Cai, N. Qiao, Y. Tian, B. Xu, G. Li",
            "title": "High-Performance Temporal Reversible Spiking Neural Networks with O(L) Training Memory and O(1) "
            "Inference Cost",
            "venue": "ICML, PMLR 235:19516-19530",
            "year": 2024,
            "arxiv": "2405.16466",
            "code": "https://github.com/BICLab/T-RevSNN",
        }
    ],
    "capabilities": {
        "updates": "per_batch",
        "structures": ["chain", "reversible"],
        "neuron": {"parallel": ["sequential"], "membrane": ["linear"], "reset": ["soft"]},
        "memory_in_T": "O(1)",
        "spiking_backward": False,
    },
    "recipe": {
        "neuron": {
            "reset_mode": "none",
            "v_threshold": 0.5,
            "surrogate": {"name": "rectangle", "params": {"width": 1.0}},
        }
    },
    "divergences": [
        "The published work is a network with its recipe; this row is its reversible recursion, which asks for nothing "
        "but a linear membrane without reset and with paths upwards at once, downwards late: it trains chains too.",
        "The spike function is the released one, round(clamp(c, 0, 1)) with a straight-through slope of 1 on [0, 1]: "
        "a threshold of 0.5 and a rectangle of width 1. The recipe takes the reset of the neuron's row away.",
        "Going backwards divides by the decay at every step, so rounding grows as decay^-T, and may carry a membrane "
        "over its threshold. The state before the first step is known to be the resting one: a batch whose "
        "reconstruction misses it by more than 0.01 is run again with its membranes kept, and counted.",
    ],
}

STRUCTURES = ("chain", "reversible")
TOLERANCE = 1e-2
"""Distance from rest, before the first step, from which on a reconstruction is not used."""


class TRevSNN(TrainingMethod):
    """Reversible backpropagation through time, with the cross-entropy of the mean over time.

    Counters: ``reconstruction_error``, the largest distance of the state before the first step from rest, and
    ``kept``, 1 for a batch that rounding has spoilt, whose membranes were kept (memory then grows with T). Shapes:
    ``x[T, B, ...]``, classes ``[B]``.
    """

    def prepare(self, network: Network, optimizer: OptimizerFactory | None = None) -> None:
        """Take over a network of leaky integrators without reset."""
        if network.structure not in STRUCTURES:
            raise ValueError(
                f"T-RevSNN computes back through {' and '.join(STRUCTURES)} networks; this network's structure is "
                f"{network.structure!r}"
            )
        for neuron in network.neurons():
            linear = isinstance(neuron, SequentialNeuron) and 0 < getattr(neuron, "decay", 0) <= 1
            if not linear or getattr(neuron, "reset_mode", None) != "none":
                raise ValueError(
                    f"T-RevSNN needs a linear membrane with a decay above 0 that nothing resets (reset_mode='none'); "
                    f"this is {neuron}"
                )
        super().prepare(network, optimizer)

    @torch.no_grad()
    def predict(self, x: Tensor) -> Tensor:
        """Return the mean over time of the read-out, ``[B, C]``."""
        return self.network.run(x).logits.mean(0)

    def accumulate(self, x: Tensor, target: Tensor) -> UpdateReport:
        """Run to the end, then back step by step, differentiating each step by itself."""
        self.network.begin_batch()
        with self._stage("forward", x.shape[0]) as stages:
            logits, last = self._forward(x)
        logits.requires_grad_()
        loss = rate_cross_entropy(logits.unsqueeze(0), target)
        (by_mean,) = torch.autograd.grad(loss, logits)
        parameters = list(self.network.parameters())
        earlier = [None if p.grad is None else p.grad.clone() for p in parameters]
        error = self._back(x, by_mean, last)
        spoilt = not error < TOLERANCE
        if spoilt:
            for parameter, gradient in zip(parameters, earlier, strict=True):
                parameter.grad = gradient
            kept: list[list[Tensor]] = []
            self._forward(x, kept)
            self._back(x, by_mean, last, kept)
        counters = {"reconstruction_error": error, "kept": float(spoilt)}
        return UpdateReport(float(loss.detach()), stages=tuple(stages), counters=counters)

    def _back(
        self, x: Tensor, by_mean: Tensor, membranes: list[Tensor], kept: list[list[Tensor]] | None = None
    ) -> float:
        """Add the gradient of all steps, from the last one on, and return how far the reconstruction misses rest.

        Membranes of earlier steps are those that were `kept`, or else computed back.
        """
        by_membrane = [torch.zeros_like(v) for v in membranes]
        rest = [neuron.init_state(v).v for neuron, v in zip(self._neurons, membranes, strict=True)]
        error = 0.0
        for t in reversed(range(x.shape[0])):
            if kept is not None:
                membranes = kept[t - 1] if t else rest
            else:
                membranes = self._before(x[t], membranes, first=t == 0)
                if t == 0:
                    error, membranes = _distance(membranes, rest), rest
            by_membrane = self._step_back(x[t], membranes, t == 0, by_mean / x.shape[0], by_membrane)
        return error

    @property
    def _neurons(self) -> tuple[Any, ...]:
        return self.network.neurons()

    @torch.no_grad()
    def _forward(self, x: Tensor, kept: list[list[Tensor]] | None = None) -> tuple[Tensor, list[Tensor]]:
        """Return the mean logits ``[B, C]`` and the membranes after the last step; those of all steps go to `kept`."""
        total, states, membranes = None, None, []
        for x_t in x.split(1):
            out = self.network.run(x_t, states)
            states = out.states
            total = out.logits[0] if total is None else total + out.logits[0]
            # The levels of a reversible network append their spikes to the states of their neurons.
            membranes = [state.v for state in states[: len(self._neurons)] if state is not None]
            if kept is not None:
                kept.append(membranes)
        assert total is not None
        return total / x.shape[0], membranes

    @torch.no_grad()
    def _before(self, x_t: Tensor, after: list[Tensor], first: bool) -> list[Tensor]:
        """Return the membranes before the step that led to `after` with input `x_t`.

        All spikes of the step follow from `after`. Those of the step before (there are none at the `first`) arrive one
        level further down in each pass, so that a network with paths downwards takes a pass for every level.
        """
        neurons = self._neurons
        now = [neuron.fire(v) for neuron, v in zip(neurons, after, strict=True)]
        before = list(after)

        def fire(layer: int, current: Tensor) -> Tensor:
            neuron = neurons[layer]
            _, charged = neuron.step(current, neuron.init_state(current)._replace(v=torch.zeros_like(current)), {})
            before[layer] = (after[layer] - charged.v) / neuron.decay
            return now[layer]

        for _ in range(1 if first or self.network.structure == "chain" else len(neurons)):
            spikes = None if first else [neuron.fire(v) for neuron, v in zip(neurons, before, strict=True)]
            self.network.wire(x_t, fire, _apply, self._fed_back(spikes))
        return before

    def _step_back(
        self, x_t: Tensor, before: list[Tensor], first: bool, by_logits: Tensor, by_membrane: list[Tensor]
    ) -> list[Tensor]:
        """Add the gradient of one step; return that of the membranes before it."""
        neurons, after = self._neurons, [torch.empty(0)] * len(before)
        leaves = [v.detach().requires_grad_() for v in before]
        spikes = None if first else [neuron.fire(v) for neuron, v in zip(neurons, leaves, strict=True)]

        def fire(layer: int, current: Tensor) -> Tensor:
            neuron = neurons[layer]
            emitted, state = neuron.step(current, neuron.init_state(current)._replace(v=leaves[layer]), {})
            after[layer] = state.v
            return emitted

        logits, _ = self.network.wire(x_t, fire, _apply, self._fed_back(spikes))
        torch.autograd.backward([logits, *after], [by_logits, *by_membrane])
        return [torch.zeros_like(leaf) if leaf.grad is None else leaf.grad for leaf in leaves]

    def _fed_back(self, spikes: list[Tensor] | None) -> Signal:
        """Return what the network's `wire` wants of the last step's spikes."""
        return None if spikes is None or self.network.structure == "chain" else tuple(spikes)


def _distance(found: list[Tensor], expected: list[Tensor]) -> float:
    return max(float((a - b).abs().max()) for a, b in zip(found, expected, strict=True))


def _apply(synapse: nn.Module, signal: Tensor) -> Tensor:
    current: Tensor = synapse(signal)
    return current
