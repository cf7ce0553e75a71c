"""A linear synapse and a linear membrane behind one another, for all steps at once, and ParaLIF's ways to fire.

What SPSN and ParaLIF share: without reset both stages are causal convolutions, so the sequence is one product of
spectra or one product with a triangular matrix. Must not know cards.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn

from reference_impls.api import ParallelNeuron
from reference_impls.names import check_name
from reference_impls.neurons._membrane import resolve_decay
from reference_impls.neurons._parallel import mix_over_time
from reference_impls.surrogate import heaviside, straight_through

__all__ = [
    "LONGEST_MATRIX",
    "CascadeNeuron",
    "bernoulli",
    "convolved",
    "decaying_sum",
    "fast_length",
    "gumbel_softmax",
    "toeplitz",
]

FORMS = ("auto", "fft", "matmul", "scan")
LONGEST_MATRIX = 1024
"""With more steps than this ``auto`` takes the FFT."""


class CascadeNeuron(ParallelNeuron):
    """``c[t] = alpha c[t-1] + x[t]; v[t] = beta v[t-1] + (1 - beta) c[t]``, both 0 before the start.

    Parameters
    ----------
    tau, decay, decay_rule : time constant of the membrane in time steps, or its factor beta.
    tau_syn, current_decay : the same of the synaptic current, alpha; `tau_syn` None: no synapse, alpha = 0.
    learn_tau : learn both factors, one pair a layer (stored as logits, `raw_decay` and `raw_current_decay`).
    parallel : ``fft``: O(N T log T). ``matmul``: triangular T x T product, O(N T^2). ``scan``: both recurrences by
        doubling, O(N T log T). ``auto``: matmul for short sequences, else fft. All give the same up to rounding.
    """

    def __init__(
        self,
        tau: float,
        decay: float | None,
        tau_syn: float | None,
        current_decay: float | None,
        decay_rule: str,
        learn_tau: bool,
        parallel: str,
    ) -> None:
        super().__init__()
        self.parallel = check_name("form", parallel, FORMS)
        beta = resolve_decay(tau, decay, decay_rule)
        has_synapse = tau_syn is not None or current_decay is not None
        alpha = resolve_decay(tau_syn or tau, current_decay, decay_rule) if has_synapse else 0.0
        self.learn_tau = learn_tau
        if not learn_tau:
            self._decays: tuple[Any, Any] = (alpha, beta)
            return
        if not (0 < alpha < 1 and 0 < beta < 1):
            raise ValueError(f"learn_tau needs decays strictly between 0 and 1, got {alpha} (current) and {beta}")
        self.raw_current_decay = nn.Parameter(torch.logit(torch.tensor(alpha)))
        self.raw_decay = nn.Parameter(torch.logit(torch.tensor(beta)))

    def decays(self) -> tuple[Any, Any]:
        """Return (alpha, beta): the factors on current and membrane, numbers or learned scalars."""
        return (self.raw_current_decay.sigmoid(), self.raw_decay.sigmoid()) if self.learn_tau else self._decays

    def membrane(self, x: Tensor) -> Tensor:
        """Return the membrane ``[T, B, ...]``."""
        alpha, beta = self.decays()
        form = self.parallel
        if form == "auto":
            form = "matmul" if x.shape[0] <= LONGEST_MATRIX else "fft"
        if form == "scan":
            return (1 - beta) * decaying_sum(beta, decaying_sum(alpha, x))
        kernel = self.kernel(x.shape[0], x)
        if form == "fft":
            return convolved(kernel, x)
        return mix_over_time(toeplitz(kernel), x)

    def kernel(self, steps: int, like: Tensor) -> Tensor:
        """Return the response to a unit input at step 0, ``[T]``: both exponentials, convolved and cut to T.

        Cut here, before the sequence is convolved, there are only two sequences of length T left to convolve; the
        spectra of three would need 3T - 2 points.
        """
        alpha, beta = self.decays()
        n = torch.arange(steps, device=like.device, dtype=like.dtype)
        synapse, membrane = alpha**n, (1 - beta) * beta**n
        return membrane if isinstance(alpha, float) and alpha == 0 else convolved(synapse, membrane)


def toeplitz(kernel: Tensor) -> Tensor:
    """Return the matrix that convolves causally with ``kernel[T]`` (its first entry on the present step)."""
    t = torch.arange(kernel.shape[0], device=kernel.device)
    return torch.tril(kernel[(t[:, None] - t[None, :]).clamp(min=0)])


def convolved(kernel: Tensor, x: Tensor) -> Tensor:
    """Causal convolution over the first axis, as long as `x`, without wrap-around; half precision in float32."""
    steps = x.shape[0]
    points = fast_length(2 * steps - 1)
    wide = torch.promote_types(x.dtype, torch.float32)
    spectrum = torch.fft.rfft(kernel.to(wide), n=points).view(-1, *[1] * (x.dim() - 1))
    product = torch.fft.rfft(x.to(wide), n=points, dim=0) * spectrum
    return torch.fft.irfft(product, n=points, dim=0)[:steps].to(x.dtype)


def fast_length(least: int) -> int:
    """Return the smallest product of powers of 2, 3 and 5 that is at least `least`: the FFT's good lengths."""
    best = 1 << max(least - 1, 0).bit_length()
    five = 1
    while five < best:
        three = five
        while three < best:
            best = min(best, three << max(-(-least // three) - 1, 0).bit_length())
            three *= 3
        five *= 5
    return best


def decaying_sum(decay: Any, x: Tensor) -> Tensor:
    """``sum_{i<=t} decay^(t-i) x[i]`` for every t, by doubling."""
    reach = 1
    while reach < x.shape[0]:
        x = torch.cat([x[:reach], x[reach:] + decay**reach * x[:-reach]])
        reach *= 2
    return x


def bernoulli(probability: Tensor, noise: Tensor | None) -> Tensor:
    """Fire with `probability`: where ``noise < probability``, uniform in [0, 1), of its shape.

    The gradient with respect to the probability is the probability itself (not 1), as the authors' estimator has it.
    """
    fired = (torch.rand_like(probability) if noise is None else noise) < probability
    return straight_through(fired.to(probability.dtype), probability**2 / 2)


def gumbel_softmax(v: Tensor, noise: Tensor | None, temperature: float) -> Tensor:
    """Fire where the first of the classes (v, -v) wins after Gumbel noise; the soft choice carries the gradient.

    `noise` is uniform in [0, 1): two draws a neuron, ``[T, B, ..., 2]``, or one, of the shape of `v`. Only the
    difference of the two Gumbel variables matters, and it is logistic, so one draw is enough.
    """
    noise = torch.rand_like(v) if noise is None else noise
    edge = torch.finfo(noise.dtype)
    noise = noise.clamp(edge.tiny, 1 - edge.eps)
    if noise.dim() > v.dim():
        gumbel = -torch.log(-torch.log(noise))
        difference = gumbel[..., 0] - gumbel[..., 1]
    else:
        difference = torch.log(noise) - torch.log1p(-noise)
    chosen = torch.sigmoid((2 * v + difference) / temperature)
    return straight_through(heaviside(chosen - 0.5, "gt"), chosen)
