"""A layer that walks over time with its eligibility traces and collects its gradient.

Must not know which network it is part of, nor where learning signals come from.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import torch
from torch import Tensor, nn

from reference_impls.synapses import effective_weight
from reference_impls.training._eligibility import LayerTraces, Traces, product

__all__ = ["TracedLayer", "linear_map"]


class TracedLayer:
    """One layer of a network, at rest before its first step.

    Parameters
    ----------
    block : with ``synapse`` and ``neuron``, and ``lateral`` if its spikes come back to it.
    decay : of the low-pass that a leaky read-out puts on the eligibilities; 0: none.
    """

    def __init__(self, block: Any, decay: float = 0.0) -> None:
        self.block = block
        self.into: nn.Module = block.synapse
        self.lateral: nn.Linear | None = getattr(block, "lateral", None)
        self.traces = LayerTraces(block.neuron, decay, _self_weights(self.lateral))
        self._before: Tensor | None = None
        self._given = self._layer = torch.Size()
        self._gradients: dict[str, Tensor] = {}
        self._shared: dict[str, Tensor] = {}
        self._mean: dict[str, Tensor] = {}

    @torch.no_grad()
    def step(self, x: Tensor) -> Tensor:
        """Take one step with input ``[B, ...]``; return the spikes ``[B, ...]``."""
        current = self.block.synapse(x)
        self._given, self._layer = x.shape[1:], current.shape[1:]
        sources = [x.flatten(1), x.new_ones(x.shape[0], 1)]  # the bias is fed by a constant
        if self.lateral is not None:
            back = torch.zeros_like(current) if self._before is None else self._before
            current = current + self.lateral(back)
            sources.append(back)
        self._before = self.traces.step(torch.cat(sources, 1), current)
        return self._before

    @torch.no_grad()
    def reweigh(self) -> None:
        """Let what the neuron holds of filtered input follow the present weights, after an update within a sequence.

        A filter behind the weights then is one before them, as in DECOLLE: its content is the weighted trace.
        """
        state, names = self.traces.state, getattr(self.block.neuron, "input_filters", ())
        if state is None or not names:
            return
        inputs, found = self._given.numel(), {}
        bias = next((value for name, value in self.into.named_parameters() if name.endswith("bias")), None)
        for name in names:
            part = self.traces.synapses.part(state._fields.index(name))
            if part is not None:
                value = self.into(part[:, :inputs].reshape(-1, *self._given))
                if bias is not None:  # it passes the filter, too
                    lifted = bias.view(-1, *[1] * (value.dim() - 2))
                    value = value + (part[:1, inputs].view(-1, *[1] * (value.dim() - 1)) - 1) * lifted
                found[name] = value
        self.traces.state = state._replace(**found)

    @torch.no_grad()
    def learn(self, signal: Tensor) -> None:
        """Add the products of the (low-passed) traces with a learning signal ``[B, ...]``."""
        signal = signal.flatten(1)
        for name, traces in self._traced():
            if name or is_linear(self.into):
                _add(self._gradients, name, traces.times(signal, filtered=True))
            else:
                self._learn_shared(signal, traces)

    def _learn_shared(self, signal: Tensor, traces: Traces) -> None:
        """Do the same for a map that is no matrix, through its own backward pass: its input is the trace."""
        inputs = self._given.numel()
        if traces.decay == 0 and all(part.shape[2] == 1 for _, part in traces.terms):
            for slope, part in traces.terms:
                post = signal * slope
                self._pull_back(part[:, :inputs], post)
                _add(self._shared, "bias", product(post, part[:, inputs:])[0].unflatten(0, self._layer))
            return
        # Every neuron has traces of its own: one sum for each pair of input and neuron, as of a matrix, which the map
        # takes back to the weights that it makes the matrix of.
        sums = traces.times(signal, filtered=True)
        if sums is not None:
            self._pull_back(torch.eye(inputs, dtype=sums.dtype, device=sums.device), sums[:inputs])
            _add(self._shared, "bias", sums[inputs].unflatten(0, self._layer))

    def _pull_back(self, given: Tensor, upstream: Tensor) -> None:
        """Add the gradient of the weights for inputs ``[B, p]`` and the gradient of what the map makes of them."""
        weights = {name: value for name, value in self.into.named_parameters() if not name.endswith("bias")}
        with torch.enable_grad():
            image = self.into(given.reshape(-1, *self._given))
            found = torch.autograd.grad(image, list(weights.values()), upstream.reshape(image.shape))
        for name, gradient in zip(weights, found, strict=True):
            _add(self._shared, name, gradient)

    @torch.no_grad()
    def average(self, weight: float) -> None:
        """Add the present eligibilities of all samples, times `weight`, to their average."""
        assert self._before is not None
        for name, traces in self._traced():
            _add(self._mean, name, traces.times(torch.full_like(self._before, weight), filtered=False))

    @torch.no_grad()
    def learn_from_average(self, signal: Tensor) -> None:
        """Add the average of the eligibilities times a learning signal ``[n]`` that all samples share."""
        for name, mean in self._mean.items():
            _add(self._gradients, name, signal * mean)

    @torch.enable_grad()
    def settle(self) -> None:
        """Move the gradient into the ``.grad`` of the parameters."""
        gradients, self._gradients = self._gradients, {}
        shared, self._shared = self._shared, {}
        found: list[tuple[Tensor, Tensor]] = []
        if "" in gradients:
            sizes = [self._given.numel(), 1, *([] if self.lateral is None else [self.lateral.in_features])]
            weight, bias, *back = gradients.pop("").split(sizes)
            into = linear_map(self.into)
            found.append((effective_weight(into), weight.t()))
            if into.bias is not None:
                found.append((into.bias, bias[0]))
            if self.lateral is not None:
                found.append((effective_weight(self.lateral), back[0].t()))
        for name, parameter in self.into.named_parameters():
            if name.endswith("bias") and "bias" in shared:
                found.append((parameter, shared["bias"].flatten(1).sum(1)))
            elif name in shared:
                found.append((parameter, shared[name]))
        params = self.traces.neuron.step_params()
        for name, value in gradients.items():
            found.append((params[name], value[0].unflatten(0, self._layer).sum_to_size(params[name].shape)))
        learning = [(value, gradient) for value, gradient in found if value.requires_grad]
        torch.autograd.backward([value for value, _ in learning], [gradient for _, gradient in learning])

    def _traced(self) -> Iterator[tuple[str, Traces]]:
        """Yield the traces of the synapses (named "") and those of the neurons' own parameters."""
        yield "", self.traces.synapses
        yield from zip(self.traces.learned, self.traces.params, strict=True)


def is_linear(module: nn.Module) -> bool:
    """Whether `module` is one matrix (and a bias), with at most a flattening before it."""
    parts = list(module) if isinstance(module, nn.Sequential) else [module]
    return isinstance(parts[-1], nn.Linear) and all(isinstance(part, nn.Flatten) for part in parts[:-1])


def linear_map(module: nn.Module) -> nn.Linear:
    """Return the one linear map of `module`, which may reshape before it.

    Raises
    ------
    ValueError
        If there is anything else in it.
    """
    last = list(module)[-1] if isinstance(module, nn.Sequential) else module
    if is_linear(module) and isinstance(last, nn.Linear):
        return last
    raise ValueError(f"needed is a fully connected layer; this network has {module}")


def _self_weights(lateral: nn.Linear | None) -> Tensor | None:
    """Return the weights of connections from each neuron to itself, ``[n]``, or None if there is none.

    They are a view of the map's weight, so that they follow the updates of an online run.
    """
    if lateral is None:
        return None
    weights = effective_weight(lateral).detach().diagonal()
    return weights if bool(weights.any()) else None


def _add(sums: dict[str, Tensor], name: str, value: Tensor | None) -> None:
    if value is not None:
        sums[name] = sums[name] + value if name in sums else value
