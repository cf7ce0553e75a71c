"""One pass of e-prop over a batch: forward in time only, traces and learning signals multiplied on the way.

Must not know which loss it is given, nor any neuron by name.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import torch
from torch import Tensor, nn

from reference_impls.training._traced_layer import TracedLayer, linear_map

__all__ = ["Pass"]

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
        (block,) = network.layers()
        self.x = x
        self.feedback = feedback
        self.step_loss = step_loss
        self.rate_cost = rate_cost
        self.target_rate = target_rate
        self.decay: float = getattr(network, "readout_decay", 0.0)
        self.layer = TracedLayer(block, self.decay)
        self.readout = linear_map(network.readout)
        self.y: Tensor | None = None
        """Read-out ``[B, C]``."""
        self.seen: Tensor | None = None
        """What the read-out's weights have seen, through its low-pass, ``[B, n]``."""
        self.signal: Tensor | None = None
        """Learning signal of the last step, ``[B, n]``."""
        self._rates: Tensor | None = None
        self._readout_gradient: Tensor | None = None

    @torch.no_grad()
    def losses(self, target: Tensor) -> Iterator[Tensor]:
        """Take one time step after another; yield the step's loss when its gradient is there."""
        steps = self.x.shape[0]
        for t, x_t in enumerate(self.x.unbind(0)):
            spikes = self.layer.step(x_t)
            loss = self._learn(self._read(spikes), target, t)
            if self.rate_cost:
                self._average(spikes)
                if t == steps - 1:
                    loss = loss + self._regularise()
            yield loss

    @torch.enable_grad()
    def settle(self) -> None:
        """Move the gradient into the ``.grad`` of the parameters."""
        self.layer.settle()
        weight, bias = self.readout.weight, self.readout.bias
        if self._readout_gradient is not None:
            gradient, self._readout_gradient = self._readout_gradient, None
            torch.autograd.backward([weight, bias], [gradient[:, :-1], gradient[:, -1]])
        if self.feedback is not None and self.feedback.requires_grad and weight.grad is not None:
            self.feedback.grad = weight.grad.clone()

    def _read(self, spikes: Tensor) -> Tensor:
        """Advance the read-out by the spikes ``[B, n]``; return it, ``[B, C]``."""
        passed = self.layer.block.passed_on(spikes)
        now = self.readout(passed)
        if self.y is None or self.seen is None:
            self.y, self.seen = self.readout.bias.expand_as(now), torch.zeros_like(passed)
        self.y = self.decay * self.y + (1 - self.decay) * now
        self.seen = self.decay * self.seen + (1 - self.decay) * passed
        return self.y

    def _learn(self, y: Tensor, target: Tensor, t: int) -> Tensor:
        """Multiply traces and learning signal; return the loss of the step."""
        with torch.enable_grad():
            y = y.detach().requires_grad_()
            loss = self.step_loss(y, target, t, self.x.shape[0])
        if loss is None:
            self.signal = None
            return y.new_zeros(())
        (error,) = torch.autograd.grad(loss, y)
        weight = self.readout.weight if self.feedback is None else self.feedback
        self.signal = self.layer.block.passed_on(error @ weight)
        self.layer.learn(self.signal)
        assert self.seen is not None
        gradient = error.t() @ torch.cat([self.seen, self.seen.new_ones(len(self.seen), 1)], 1)
        self._readout_gradient = gradient if self._readout_gradient is None else self._readout_gradient + gradient
        return loss.detach()

    def _average(self, spikes: Tensor) -> None:
        """Collect the rates and the eligibilities, mean over batch and time."""
        weight = 1 / (self.x.shape[0] * self.x.shape[1])
        mean = weight * spikes.sum(0)
        self._rates = mean if self._rates is None else self._rates + mean
        self.layer.average(weight)

    def _regularise(self) -> Tensor:
        """Add the gradient of the cost of the rates; return the cost."""
        assert self._rates is not None
        excess = self._rates - self.target_rate
        self.layer.learn_from_average(2 * self.rate_cost * excess)
        return self.rate_cost * excess.pow(2).sum()
