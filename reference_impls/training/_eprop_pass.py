"""One pass of e-prop over a batch: forward in time only, traces and learning signals multiplied on the way.

Must not know which loss it is given, nor any neuron by name.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import torch
from torch import Tensor, nn

from reference_impls.synapses import effective_weight
from reference_impls.training._eligibility import LayerTraces

__all__ = ["Pass", "linear_map"]

StepLoss = Callable[[Tensor, Tensor, int, int], Tensor | None]


class Pass:
    """One pass over time: the state of the network, its traces, and the gradient that has come together.

    Parameters
    ----------
    network : one layer of sequential neurons.
    x : ``[T, B, ...]``.
    feedback : weights of the learning signals ``[C, n]``; None: those of the read-out. They follow its gradient if
        they require one.
    step_loss : of (logits ``[B, C]``, target, step, steps); None where no decision is asked for.
    rate_cost, target_rate : of the regularisation.
    """

    def __init__(
        self,
        network: Any,
        x: Tensor,
        feedback: nn.Parameter | None,
        step_loss: StepLoss,
        rate_cost: float,
        target_rate: float,
    ) -> None:
        network.begin_batch()
        (self.block,) = network.layers()
        self.x = x
        self.feedback = feedback
        self.step_loss = step_loss
        self.rate_cost = rate_cost
        self.target_rate = target_rate
        self.into = linear_map(self.block.synapse)
        self.readout = linear_map(network.readout)
        self.lateral: nn.Linear | None = getattr(self.block, "lateral", None)
        self.decay: float = getattr(network, "readout_decay", 0.0)
        self.traces = LayerTraces(self.block.neuron, self.decay, _self_weights(self.lateral))
        self.y: Tensor | None = None
        """Read-out ``[B, C]``."""
        self.seen: Tensor | None = None
        """What the read-out's weights have seen, through its low-pass, ``[B, n]``."""
        self.signal: Tensor | None = None
        """Learning signal of the last step, ``[B, n]``."""
        self._gradients: dict[str, Tensor] = {}
        self._rates: Tensor | None = None
        self._mean: dict[str, Tensor] = {}

    @torch.no_grad()
    def losses(self, target: Tensor) -> Iterator[Tensor]:
        """Take one time step after another; yield the step's loss when its gradient is there."""
        steps, spikes = self.x.shape[0], None
        for t, x_t in enumerate(self.x.unbind(0)):
            spikes = self._step(x_t, spikes)
            loss = self._learn(target, t, steps)
            if self.rate_cost:
                loss = loss + self._regularise(spikes, t, steps)
            yield loss

    def settle(self) -> None:
        """Move the gradient into the ``.grad`` of the parameters."""
        readout, feedback = self.readout, self.feedback
        into, biased = self.into.in_features, self.into.bias is not None
        params = self.traces.neuron.step_params()
        targets: list[tuple[Tensor, Tensor]] = []
        gradients, self._gradients = self._gradients, {}
        for name, gradient in gradients.items():
            if name == "synapses":
                targets.append((effective_weight(self.into), gradient[:into].t()))
                if biased:
                    targets.append((self.into.bias, gradient[into]))
                if self.lateral is not None:
                    targets.append((effective_weight(self.lateral), gradient[into + biased :].t()))
            elif name == "readout":
                targets += [(readout.weight, gradient[:, :-1]), (readout.bias, gradient[:, -1])]
            else:
                value = params[name]
                targets.append((value, gradient[0].sum_to_size(value.shape)))
        with torch.enable_grad():
            torch.autograd.backward([value for value, _ in targets], [gradient for _, gradient in targets])
        if feedback is not None and feedback.requires_grad and readout.weight.grad is not None:
            feedback.grad = readout.weight.grad.clone()

    def _step(self, x: Tensor, spikes: Tensor | None) -> Tensor:
        """Advance layer and read-out by the input ``[B, ...]``; return the spikes ``[B, n]``."""
        current = self.block.synapse(x)
        sources = [x.flatten(1)]
        if self.into.bias is not None:
            sources.append(x.new_ones(x.shape[0], 1))
        if self.lateral is not None:
            before = torch.zeros_like(current) if spikes is None else spikes
            current = current + self.lateral(before)
            sources.append(before)
        spikes = self.traces.step(torch.cat(sources, 1), current)
        passed = self.block.passed_on(spikes)
        now = self.readout(passed)
        if self.y is None or self.seen is None:
            self.y, self.seen = self.readout.bias.expand_as(now), torch.zeros_like(passed)
        self.y = self.decay * self.y + (1 - self.decay) * now
        self.seen = self.decay * self.seen + (1 - self.decay) * passed
        return spikes

    def _learn(self, target: Tensor, t: int, steps: int) -> Tensor:
        """Multiply traces and learning signal; return the loss of the step."""
        assert self.y is not None
        assert self.seen is not None
        with torch.enable_grad():
            y = self.y.detach().requires_grad_()
            loss = self.step_loss(y, target, t, steps)
        if loss is None:
            self.signal = None
            return y.new_zeros(())
        (error,) = torch.autograd.grad(loss, y)
        weight = self.readout.weight if self.feedback is None else self.feedback
        self.signal = self.block.passed_on(error @ weight)
        self._add("readout", error.t() @ torch.cat([self.seen, self.seen.new_ones(len(self.seen), 1)], 1))
        for name, traces in self._traced():
            self._add(name, traces.times(self.signal, filtered=True))
        return loss.detach()

    def _regularise(self, spikes: Tensor, t: int, steps: int) -> Tensor:
        """Collect spikes and eligibilities; after the last step, add the cost of the rates and its gradient."""
        scale = 1 / (steps * len(spikes))
        mean = scale * spikes.sum(0)
        self._rates = mean if self._rates is None else self._rates + mean
        everyone = torch.full_like(spikes, scale)
        for name, traces in self._traced():
            part = traces.times(everyone, filtered=False)
            if part is not None:
                self._mean[name] = self._mean.get(name, 0) + part
        if t < steps - 1:
            return spikes.new_zeros(())
        excess = self._rates - self.target_rate
        for name, eligibility in self._mean.items():
            self._add(name, 2 * self.rate_cost * excess * eligibility)
        return self.rate_cost * excess.pow(2).sum()

    def _traced(self) -> Iterator[tuple[str, Any]]:
        yield "synapses", self.traces.synapses
        yield from zip(self.traces.learned, self.traces.params, strict=True)

    def _add(self, name: str, gradient: Tensor | None) -> None:
        if gradient is not None:
            self._gradients[name] = self._gradients[name] + gradient if name in self._gradients else gradient


def linear_map(module: nn.Module) -> nn.Linear:
    """Return the one linear map of `module`, which may reshape before it."""
    found = [part for part in module.modules() if isinstance(part, nn.Linear)]
    others = [part for part in module.modules() if not isinstance(part, (nn.Linear, nn.Flatten, nn.Sequential))]
    if len(found) != 1 or others:
        raise ValueError(
            f"e-prop needs fully connected layers; this network has {type((others or [module])[0]).__name__}"
        )
    return found[0]


def _self_weights(lateral: nn.Linear | None) -> Tensor | None:
    """Return the weights of connections from each neuron to itself, ``[n]``, or None if there is none.

    They are a view of the map's weight, so that they follow the updates of an online run.
    """
    if lateral is None:
        return None
    weights = effective_weight(lateral).detach().diagonal()
    return weights if bool(weights.any()) else None
