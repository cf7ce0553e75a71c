"""Rate-based backpropagation: simulate without a graph, then differentiate one pass over the average rates.

The backward pass is that of a network without time, so neither its time nor its memory depends on T. Must not know
any neuron by name: the sensitivity of a neuron's rate is read off its own step.
"""

from __future__ import annotations

from typing import Any, cast

import torch
from torch import Tensor

from reference_impls.api import (
    Network,
    OptimizerFactory,
    SequentialNeuron,
    StageReport,
    State,
    TrainingMethod,
    UpdateReport,
    over_time,
)
from reference_impls.names import check_name
from reference_impls.training._losses import sequence_loss

CARD = {
    "name": "rate-based-bp",
    "kind": "training",
    "version": 1,
    "title": "Rate-based backpropagation",
    "summary": (
        "The network is simulated without a graph; each neuron keeps its mean rate and the mean sensitivity of its "
        "spikes to a constant input. The loss is then differentiated once, through the rates. This row simulates "
        "layer by layer."
    ),
    "equations": (
        "k[0] = 1, k[t+1] = 1 + decay k[t]; kbar = mean_t k[t] sg(H[t] - v_threshold); r_l = mean_t S_l[t]; "
        "dr_l/dI_l = kbar_l; I_l = W_l r_{l-1} + b_l; gradient of CE(W_o r_L + b_o, y) / T"
    ),
    "citations": [
        {
            "authors": "C. Yu, L. Liu, G. Wang, E. Li, A. Wang",
            "title": "Advancing Training Efficiency of Deep Spiking Neural Networks through Rate-based Backpropagation",
            "venue": "NeurIPS",
            "year": 2024,
            "arxiv": "2410.11488",
            "code": "https://github.com/Tab-ct/rate-based-backpropagation (commit 3c70ee9)",
        }
    ],
    "capabilities": {
        "updates": "per_batch",
        "structures": ["chain"],
        "neuron": {
            "parallel": ["sequential"],
            "membrane": ["linear", "linear-decayed-input"],
            "reset": ["soft", "hard"],
        },
        "memory_in_T": "O(T) in one layer",
        "spiking_backward": False,
    },
    "defaults": {"order": "multi_step"},
    "variants": {
        "rate-based-bp-single-step": {
            "title": "Rate-based backpropagation, step by step",
            "summary": "The same gradient, simulated one time step after another: memory does not grow with T.",
            "params": {"order": "single_step"},
            "capabilities": {"memory_in_T": "O(1)"},
        },
    },
    "aliases": {"rate_based_bp": {}},
    "divergences": [
        "The gradient, not the loss, is divided by T, as the released evaluator does: for the same learning rate SGD "
        "moves T times less than under BPTT.",
        "The released multi-step code stops with an error for a hard reset or one that carries gradient. Here the "
        "recursion of the sensitivity is read off the neuron's step, so both work; for a soft, detached reset it is "
        "the released one.",
        "The released networks replace batch norm's statistics in the rate pass by those of the spiking pass; the "
        "networks here have no batch norm.",
        "What a neuron learns besides its input's weights gets no gradient, so neurons with a learned membrane are "
        "left out.",
    ],
}

ORDERS = ("multi_step", "single_step")


class RateBasedBP(TrainingMethod):
    """Rate-based backpropagation.

    Parameters
    ----------
    order : ``multi_step``: each layer takes all T steps before the next (one product per map). ``single_step``: each
        step goes through all layers. The gradient is the same.

    Golden vectors from the authors' layers (multi-step, soft detached reset). Shapes: ``x[T, B, ...]``, classes
    ``[B]``.
    """

    def __init__(self, order: str = "multi_step") -> None:
        self.single_step = check_name("order", order, ORDERS) == "single_step"
        self.loss = sequence_loss("rate_ce", 0.0, 0.0)

    def prepare(self, network: Network, optimizer: OptimizerFactory | None = None) -> None:
        """Take over a chain of sequential neurons."""
        if network.structure != "chain":
            raise ValueError(
                f"rate-based backpropagation trains a chain of layers; this network's structure is "
                f"{network.structure!r}"
            )
        for neuron in network.neurons():
            if not isinstance(neuron, SequentialNeuron):
                raise ValueError(
                    f"rate-based backpropagation needs sequential neurons: {type(neuron).__name__} has no step"
                )
        super().prepare(network, optimizer)

    @torch.no_grad()
    def predict(self, x: Tensor) -> Tensor:
        """Return the mean over time of the read-out, ``[B, C]``."""
        return self.network.run(x).logits.mean(0)

    def accumulate(self, x: Tensor, target: Tensor) -> UpdateReport:
        """Simulate, then differentiate the pass over the rates."""
        self.network.begin_batch()
        stages: list[StageReport]
        with self._stage("forward", x.shape[0]) as stages:
            responses = self.simulate(x)
        loss = self.loss(self.rate_pass(x, responses).unsqueeze(0), target)
        (loss / x.shape[0]).backward()
        return UpdateReport(float(loss.detach()), stages=tuple(stages))

    @torch.no_grad()
    def simulate(self, x: Tensor) -> list[Response]:
        """Run the network over ``x[T, B, ...]`` and return what each layer's neurons did on average."""
        blocks = cast("Any", self.network).layers()
        responses = [Response(block.neuron) for block in blocks]
        if not self.single_step:
            z = x
            for block, response in zip(blocks, responses, strict=True):
                spikes = [response.step(current) for current in over_time(block.synapse, z).unbind(0)]
                z = block.passed_on(torch.stack(spikes))
            return responses
        for x_t in x.unbind(0):
            z = x_t
            for block, response in zip(blocks, responses, strict=True):
                z = block.passed_on(response.step(block.synapse(z)))
        return responses

    def rate_pass(self, x: Tensor, responses: list[Response]) -> Tensor:
        """Return the logits ``[B, C]`` at the mean rates; their graph has no time."""
        network: Any = self.network
        rate = x[0] if x.stride(0) == 0 else x.mean(0)
        for block, response in zip(network.layers(), responses, strict=True):
            rate = block.passed_on(_Rate.apply(block.synapse(rate), response.rate, response.sensitivity))
        logits: Tensor = network.readout(rate)
        return logits


class Response:
    """The mean spikes of a layer and their mean derivative by a constant added to its input, step by step.

    The derivative is carried forward through the neuron's own step, whose parts are elementwise: with input x, state
    v and their tangents 1 and v', the tangent of an output is ``dy/dx + dy/dv v'``. For a linear membrane with soft,
    detached reset the tangent of H is ``k[t+1] = 1 + decay k[t]``.
    """

    def __init__(self, neuron: SequentialNeuron) -> None:
        self._neuron = neuron
        self._state: State | None = None
        self._tangents: list[Tensor] = []
        self._spikes: Tensor | float = 0.0
        self._sensitivity: Tensor | float = 0.0
        self._steps = 0

    @property
    def rate(self) -> Tensor:
        """Spikes divided by steps, ``[B, ...]``."""
        return cast("Tensor", self._spikes / self._steps)

    @property
    def sensitivity(self) -> Tensor:
        """Mean over the steps of the spikes' derivative by a constant input, ``[B, ...]``."""
        return cast("Tensor", self._sensitivity / self._steps)

    def step(self, x: Tensor) -> Tensor:
        """Take one step with input ``[B, ...]`` and return its spikes."""
        if self._state is None:
            self._state = self._neuron.init_state(x)
            self._tangents = [torch.zeros_like(x) for _ in self._state]
        with torch.enable_grad():
            given = [x.detach().requires_grad_(), *(part.detach().requires_grad_() for part in self._state)]
            spikes, after = self._neuron.advance(given[0], type(self._state)(*given[1:]))
            tangents = [self._tangent(output, given) for output in (spikes, *after)]
        self._state = type(after)(*(part.detach() for part in after))
        self._spikes = self._spikes + spikes.detach()
        self._sensitivity = self._sensitivity + tangents[0]
        self._tangents = tangents[1:]
        self._steps += 1
        return spikes.detach()

    def _tangent(self, output: Tensor, given: list[Tensor]) -> Tensor:
        """Return the tangent of an elementwise function of `given` (input and state)."""
        slopes = torch.autograd.grad(output.sum(), given, retain_graph=True, allow_unused=True)
        weighted = [
            slope * tangent for slope, tangent in zip(slopes[1:], self._tangents, strict=True) if slope is not None
        ]
        direct = torch.zeros_like(output) if slopes[0] is None else slopes[0]
        return sum(weighted, direct)


class _Rate(torch.autograd.Function):
    """A rate whose derivative by the layer's mean input is the mean sensitivity."""

    @staticmethod
    def forward(current: Tensor, rate: Tensor, sensitivity: Tensor) -> Tensor:
        return rate.clone()

    @staticmethod
    def setup_context(ctx: Any, inputs: tuple[Any, ...], output: Tensor) -> None:
        ctx.save_for_backward(inputs[2])

    @staticmethod
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor, None, None]:
        return grad * ctx.saved_tensors[0], None, None
