"""OSTL: time is carried forward in eligibility traces, space backward within a step; only their mixed paths are cut.

Traces follow from each neuron's own step, so layers of any sequential neuron can be stacked. Must not know how traces
are formed.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, NamedTuple

import torch
from torch import Tensor
from torch.nn import functional

from reference_impls.api import Network, OptimizerFactory, StageReport, State, TrainingMethod, UpdateReport
from reference_impls.names import check_name
from reference_impls.training._eligibility import require_one_step
from reference_impls.training._traced_layer import TracedLayer

CARD = {
    "name": "ostl",
    "kind": "training",
    "version": 1,
    "title": "OSTL: online spatio-temporal learning",
    "summary": (
        "Each layer carries forward how its spikes depend on its weights through its own past; the error of a step "
        "comes down the layers within that step. Exact for one hidden layer; in deeper networks only paths that go "
        "back in time in one layer and down to another are left out. Memory does not grow with T."
    ),
    "equations": (
        "eps_l[t] = dh_l[t]/dh_l[t-1] eps_l[t-1] + dh_l[t]/dW_l; e_l[t] = ds_l[t]/dh_l[t] eps_l[t]; L_l[t] = "
        "dE[t]/ds_l[t] within step t; dW_l = sum_t L_l[t] e_l[t]; E[t] = CE(O[t], y) / T"
    ),
    "citations": [
        {
            "authors": "T. Bohnstingl, S. Wozniak, A. Pantazi, E. Eleftheriou",
            "title": "Online Spatio-Temporal Learning in Deep Neural Networks",
            "venue": "IEEE Transactions on Neural Networks and Learning Systems",
            "year": 2022,
            "arxiv": "2007.12723",
        }
    ],
    "capabilities": {
        "updates": "per_batch",
        "structures": ["chain"],
        "neuron": {"parallel": ["sequential"], "needs_T": [False]},
        "memory_in_T": "O(1)",
        "spiking_backward": False,
    },
    "defaults": {"update": "accumulated"},
    "optimizer_space": ["learning_rate", "weight_decay", "schedule", "clip_norm"],
    "variants": {
        "ostl-online": {
            "title": "OSTL, online update",
            "summary": "As ostl, but the optimizer steps at every time step.",
            "params": {"update": "online"},
            "capabilities": {"updates": "per_step"},
        },
    },
    "divergences": [
        "Recurrent layers are not trained: their exact traces are a number for every synapse and every neuron of the "
        "layer. Without them OSTL is e-prop, which is here.",
        "Whether the reset belongs to the trace is the neuron's own detach_reset.",
        "The neuron is that of its row, and the read-out linear; the authors build theirs from spiking neural units, "
        "which are LIF neurons with a hard reset and a sigmoid or a step.",
        "No golden vectors and no released code were found: the tests hold the gradient to autograd with the mixed "
        "paths cut, for several neurons, and to BPTT where there are none.",
    ],
}

UPDATES = ("accumulated", "online")


class _Past(NamedTuple):
    """What a step of a layer began from."""

    given: Tensor
    state: State | None


class OSTL(TrainingMethod):
    """Online spatio-temporal learning.

    Parameters
    ----------
    update : ``accumulated``: one optimizer step a batch. ``online``: one a time step.

    Eligibilities are a number per synapse and sample, or per input where all neurons of a layer share one recursion.
    Shapes: ``x[T, B, ...]``, classes ``[B]``.
    """

    def __init__(self, update: str = "accumulated") -> None:
        self.online = check_name("update", update, UPDATES) == "online"
        self.bptt_loss = {"loss": "per_step_ce"}

    def prepare(self, network: Network, optimizer: OptimizerFactory | None = None) -> None:
        """Take over a chain of sequential neurons."""
        if network.structure != "chain":
            raise ValueError(
                f"OSTL trains chains; in a {network.structure!r} network a trace would need the Jacobian of a whole "
                "layer"
            )
        for neuron in network.neurons():
            require_one_step(neuron, "OSTL")
        super().prepare(network, optimizer)

    def update(self, x: Tensor, target: Tensor) -> UpdateReport:
        """Learn from one batch: one optimizer step after the last time step, or one at each."""
        if not self.online:
            return super().update(x, target)
        optimizer = self._require_optimizer()
        optimizer.zero_grad(set_to_none=True)
        total, updates = 0.0, 0
        with self._stage("forward", x.shape[0]) as stages:
            for loss, layers in self._walk(x, target):
                for layer in layers:
                    layer.settle()
                optimizer.step()
                optimizer.zero_grad(set_to_none=True)
                total, updates = total + float(loss), updates + 1
        return UpdateReport(total, updates, tuple(stages))

    @torch.no_grad()
    def predict(self, x: Tensor) -> Tensor:
        """Return the mean over time of the read-out, ``[B, C]``."""
        return self.network.run(x).logits.mean(0)

    def accumulate(self, x: Tensor, target: Tensor) -> UpdateReport:
        """Add the gradients of all time steps, without an optimizer step between them."""
        stages: list[StageReport]
        with self._stage("forward", x.shape[0]) as stages:
            losses, layers = zip(*self._walk(x, target), strict=True)
            for layer in layers[-1]:
                layer.settle()
        return UpdateReport(float(sum(losses)), stages=tuple(stages))

    def _walk(self, x: Tensor, target: Tensor) -> Iterator[tuple[Tensor, tuple[TracedLayer, ...]]]:
        """Take one step after another; yield its loss when the read-out has its gradient and the layers theirs."""
        self.network.begin_batch()
        chain: Any = self.network
        layers = tuple(TracedLayer(block) for block in chain.layers())
        for x_t in x.unbind(0):
            signal, pasts = x_t, []
            for layer in layers:
                pasts.append(_Past(signal, layer.traces.state))
                signal = layer.block.passed_on(layer.step(signal))
            seen = signal.detach().requires_grad_()
            with torch.enable_grad():
                loss = functional.cross_entropy(chain.readout(seen), target) / x.shape[0]
                loss.backward()
            error = seen.grad
            for layer, past in zip(reversed(layers), reversed(pasts), strict=True):
                assert error is not None
                error = error * layer.block.scale
                layer.learn(error)
                error = None if layer is layers[0] else _pulled_back(layer, past, error)
            yield loss.detach(), layers


@torch.enable_grad()
def _pulled_back(layer: TracedLayer, past: _Past, error: Tensor) -> Tensor:
    """Return the error at the input of `layer`, within the step just taken, for the `error` at its spikes."""
    leaf = past.given.detach().requires_grad_()
    neuron = layer.traces.neuron
    current = layer.into(leaf)
    state = neuron.init_state(current.detach()) if past.state is None else past.state
    spikes, _ = neuron.step(current, state, neuron.step_params())
    if not spikes.requires_grad:
        return torch.zeros_like(leaf)
    found = torch.autograd.grad(spikes, leaf, error, allow_unused=True)[0]
    return torch.zeros_like(leaf) if found is None else found
