"""Synapses with a delay of their own, learned by gradient: the generic delayed linear layer.

A synapse with weight w and real delay p contributes ``w sum_d q_d(p) s[t - d]``. The layer is a line of taps (the last
K steps of every input) and a linear map of these, so a sequence at once, window by window or step by step are the
same code, and a counter of synaptic operations sees a spike once for every tap that a weight reads. Must not know of
networks or neurons.
"""

from __future__ import annotations

import math
from abc import abstractmethod

import torch
from torch import Tensor, nn
from torch.nn import functional

from reference_impls.names import check_name

__all__ = [
    "DELAY_GRADIENTS",
    "DelayedLinear",
    "RoundedDelay",
    "SpacedDelay",
    "one_hot_delay",
    "response_slope",
    "spaced_kernel",
    "taps",
]

NORMALISER = 1e-7
GAUSS_SIGMA = 0.27
"""What DCLS adds to the stored width, so that a Gaussian keeps a gradient."""
NARROWEST = 0.23
"""Width as stored that training ends with."""
VERSIONS = ("gauss", "max")
"""Of a kernel, as DCLS names them."""
DELAY_GRADIENTS = ("trace", "difference")
GRANULARITIES = ("synapse", "axon", "dendrite")


def taps(x: Tensor, length: int, past: Tensor | None = None) -> tuple[Tensor, Tensor]:
    """Return the last `length` steps of every input at every step, and what the next call needs.

    Parameters
    ----------
    x : ``[T, B, N]``.
    length : K.
    past : the ``K - 1`` steps before, ``[K-1, B, N]``; None: silence.

    Returns
    -------
    ``[T, B, N, K]`` (entry k is the input ``K - 1 - k`` steps ago) and the last ``K - 1`` steps.
    """
    if past is None:
        past = x.new_zeros(length - 1, *x.shape[1:])
    line = torch.cat([past, x])
    return line.unfold(0, length, 1), line[x.shape[0] :]


def spaced_kernel(weight: Tensor, position: Tensor, sigma: Tensor, length: int, version: str = "gauss") -> Tensor:
    """Return DCLS's kernel ``[O, I, K]``: bumps of area 1 around learned positions (arXiv 2306.17670).

    Parameters
    ----------
    weight, position : ``[O, I, C]``, C bumps a synapse; position 0 is the middle tap, ``(K-1)/2`` a delay of 0.
    sigma : width as stored; ``gauss`` adds 0.27 to its magnitude, ``max`` 1 (0 and whole positions: one tap).
    length : K, odd.
    version : ``gauss``, or ``max``: a triangle, ``max(0, sigma - |k - position|)``.
    """
    check_name("version of a spaced kernel", version, VERSIONS)
    away = torch.arange(length, device=weight.device, dtype=weight.dtype) - (position + (length - 1) // 2)[..., None]
    if version == "gauss":
        bump = torch.exp(-0.5 * (away / (sigma.abs() + GAUSS_SIGMA)) ** 2)
    else:
        bump = functional.relu(sigma.abs() + 1 - away.abs())
    return (weight[..., None] * bump / (bump.sum(-1, keepdim=True) + NORMALISER)).sum(-2)


def one_hot_delay(steps: Tensor, length: int) -> Tensor:
    """Return taps ``[..., K]`` that read the input `steps` ago (whole numbers, at most K - 1)."""
    wanted = (length - 1 - steps.detach()).long()
    return functional.one_hot(wanted, length).to(steps.dtype)


def response_slope(s: Tensor, tau: float, kind: str = "trace") -> Tensor:
    """Return what the derivative of a message by its delay is taken to be, ``k[t]`` for ``m[t] = s[t]``.

    Parameters
    ----------
    s : ``[T, ...]``, without gradient.
    tau : of the alpha-shaped response of the neuron that receives, in steps.
    kind : ``trace``: minus the slope of that response, convolved with the spikes; GRSNN's rule (arXiv 2405.16851),
        which the receiving neuron then filters once more. ``difference``: minus the change of the spike train in the
        delay's own step, filtered by the receiving neuron only: the slope of linear interpolation between two taps.
    """
    if check_name("delay_gradient", kind, DELAY_GRADIENTS) == "difference":
        return torch.cat([torch.zeros_like(s[:1]), s[:-1]]) - s
    # The kernel (e/tau) (1 - (n+1)/tau) exp(-n/tau) is that of two leaky sums, one after the other.
    rho, first, second, slopes = math.exp(-1 / tau), torch.zeros_like(s[0]), torch.zeros_like(s[0]), []
    for spikes in s:
        first = rho * first + spikes
        second = rho * second + first
        slopes.append(-(math.e / tau) * (first - second / tau))
    return torch.stack(slopes)


class DelayedLinear(nn.Module):
    """``y[t] = sum_k kernel[:, :, k] x[t - (K-1-k)] + b``, as a linear map of the taps.

    Call it on taps ``[rows, I, K]``; `run` makes them from a sequence. A subclass says what the kernel is.
    """

    def __init__(self, inputs: int, outputs: int, length: int) -> None:
        super().__init__()
        if length < 1:
            raise ValueError(f"a line of taps needs at least one step, got {length}")
        self.inputs, self.outputs, self.length = inputs, outputs, length
        self.weight = nn.Parameter(torch.empty(outputs, inputs))
        nn.init.kaiming_uniform_(self.weight, nonlinearity="relu")
        self.bias = nn.Parameter(torch.zeros(outputs))

    @abstractmethod
    def effective_weight(self) -> Tensor:
        """Return the kernel ``[O, I, K]`` of the present mode."""

    def apply_weight(self, x: Tensor, weight: Tensor) -> Tensor:
        """Map taps ``[rows, I, K]`` with a kernel ``[O, I, K]``; no bias."""
        return functional.linear(x.flatten(1), weight.flatten(1))

    def forward(self, x: Tensor) -> Tensor:
        """Map taps ``[rows, I, K]`` to ``[rows, O]``."""
        return self.apply_weight(x, self.effective_weight()) + self.bias

    def run(self, x: Tensor, past: Tensor | None = None) -> tuple[Tensor, Tensor]:
        """Map ``x[T, B, I]`` to ``[T, B, O]``, after the `past` steps; also return what the next call needs."""
        lines, past = taps(x, self.length, past)
        y: Tensor = self(lines.flatten(0, 1))
        return y.unflatten(0, x.shape[:2]), past

    def renew(self) -> None:
        """Keep what is learned within its domain, once a training batch."""


class SpacedDelay(DelayedLinear):
    """Delays as positions of a bump along a kernel, sharpened while it trains: DCLS.

    In training mode the kernel is a bump of the present width; in evaluation mode positions are rounded and one tap a
    synapse is left, as on a machine with whole delays.

    Parameters
    ----------
    inputs, outputs : I and O.
    length : K, odd; the longest delay is K - 1.
    position_gain : positions are stored divided by it, so that an optimizer with a step of its own (Adam) moves them
        by that factor faster than weights.
    anneal_batches : training batches over which the width falls from K // 2 to 0.23 (a Gaussian of 0.5 steps, a
        triangle over three taps at most).
    version : of the kernel: ``gauss`` or ``max``, the triangle.
    learn : whether positions are learned; if not, whole ones are drawn, and there is one tap a synapse from the start.
    """

    sigma: Tensor

    def __init__(
        self,
        inputs: int,
        outputs: int,
        length: int,
        position_gain: float = 1.0,
        anneal_batches: int = 200,
        version: str = "gauss",
        learn: bool = True,
    ) -> None:
        super().__init__(inputs, outputs, length)
        if length % 2 == 0:
            raise ValueError(f"the kernel must have a middle, so its length must be odd; got {length}")
        if anneal_batches < 1:
            raise ValueError(f"the width must fall over at least one batch, got anneal_batches = {anneal_batches}")
        self.limit, self.position_gain = (length - 1) // 2, float(position_gain)
        self.version, self.learn = check_name("version of a spaced kernel", version, VERSIONS), learn
        widest = float(max(length // 2, 1))
        self.narrowest = min(NARROWEST, widest)
        self.shrink = (self.narrowest / widest) ** (1 / anneal_batches)
        self.register_buffer("sigma", torch.tensor(widest))
        # As the authors draw them: one step beyond the kernel on either side, then clamped.
        drawn = torch.empty(outputs, inputs).uniform_(-self.limit - 1, self.limit).clamp_(-self.limit, self.limit)
        self.raw_position = nn.Parameter((drawn if learn else drawn.round()) / self.position_gain, learn)

    @property
    def position(self) -> Tensor:
        """Positions ``[O, I]`` in steps: ``(K-1)/2`` minus the delay."""
        return self.raw_position * self.position_gain

    def delays(self) -> Tensor:
        """Return the delays ``[O, I]`` in steps, real while training, as evaluation rounds them otherwise."""
        position = self.position if self.training and self.learn else torch.round(self.position)
        return self.limit - position

    def effective_weight(self) -> Tensor:
        """Return the kernel of the present width while training, a single tap a synapse in evaluation."""
        position, weight = self.position[..., None], self.weight[..., None]
        if self.training and self.learn:
            return spaced_kernel(weight, position, self.sigma, self.length, self.version)
        return spaced_kernel(weight, torch.round(position), torch.zeros_like(self.sigma), self.length, "max")

    @torch.no_grad()
    def renew(self) -> None:
        """Clamp the positions to the kernel and narrow the bump a little."""
        bound = self.limit / self.position_gain
        self.raw_position.clamp_(-bound, bound)
        self.sigma = (self.sigma * self.shrink).clamp(min=self.narrowest)


class RoundedDelay(DelayedLinear):
    """Whole delays ``round(longest sigmoid(raw))`` with a straight-through gradient: GRSNN's synapse.

    Parameters
    ----------
    inputs, outputs : I and O.
    longest : largest delay in steps (the authors' beta).
    base_delay : steps that every spike needs besides.
    granularity : a delay for every ``synapse``, ``axon`` (presynaptic neuron) or ``dendrite`` (postsynaptic neuron).
    tau : time constant of the slope, that of the receiving neurons.
    delay_gradient : as in :func:`response_slope`.
    """

    def __init__(
        self,
        inputs: int,
        outputs: int,
        longest: int = 4,
        base_delay: int = 1,
        granularity: str = "synapse",
        tau: float = 4.0,
        delay_gradient: str = "trace",
    ) -> None:
        if longest < 0 or base_delay < 0:
            raise ValueError(f"delays must not be negative, got {longest} (longest) and {base_delay} (base)")
        if not tau > 0:
            raise ValueError(f"tau must be positive, got {tau} time steps")
        super().__init__(inputs, outputs, base_delay + longest + 1)
        check_name("granularity of a delay", granularity, GRANULARITIES)
        self.longest, self.base_delay, self.tau = longest, base_delay, float(tau)
        self.delay_gradient = check_name("delay_gradient", delay_gradient, DELAY_GRADIENTS)
        shape = {"synapse": (outputs, inputs), "axon": (1, inputs), "dendrite": (outputs, 1)}[granularity]
        self.raw_delay = nn.Parameter(torch.randn(shape))

    def smooth_delays(self) -> Tensor:
        """Return the delays before rounding, in steps, without the base; shape of ``raw_delay``."""
        return self.longest * torch.sigmoid(self.raw_delay)

    def delays(self) -> Tensor:
        """Return the whole delays ``[O, I]`` in steps, the base included (a tie rounds to even)."""
        return (self.base_delay + torch.round(self.smooth_delays())).expand(self.outputs, self.inputs)

    def effective_weight(self) -> Tensor:
        """Return the kernel, one tap a synapse."""
        return self.weight[..., None] * one_hot_delay(self.delays(), self.length)

    def run(self, x: Tensor, past: Tensor | None = None) -> tuple[Tensor, Tensor]:
        """As the other delayed synapses; while training, the delays get their gradient here."""
        y, after = super().run(x, past)
        if not (self.training and torch.is_grad_enabled() and self.raw_delay.requires_grad):
            return y, after
        # Worth 0, with the gradient of a message whose slope by its delay is k: no gradient of k or of the weight.
        history = x.detach() if past is None else torch.cat([past.detach(), x.detach()])
        slopes = response_slope(history, self.tau, self.delay_gradient)
        before, now = slopes[: -x.shape[0]], slopes[-x.shape[0] :]
        lines, _ = taps(now, self.length, None if past is None else before)
        smooth = self.smooth_delays().expand(self.outputs, self.inputs)
        kernel = self.effective_weight().detach() * (smooth - smooth.detach())[..., None]
        return y + self.apply_weight(lines.flatten(0, 1), kernel).unflatten(0, x.shape[:2]), after
