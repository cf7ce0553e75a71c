"""Linear recurrences over the whole sequence at once: the sums that neurons without reset are made of.

Three forms that give the same up to rounding. In *blocks*: products with a small matrix inside each block of steps,
and the same again over the blocks' last values; O(T N), and what is taken by default. As one *matrix* over time,
O(T^2 N), and as a product of *spectra*, O(T log T N): what the papers' code does, kept to be compared with. Must not
know neurons.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor
from torch.nn import functional

from reference_impls.neurons._parallel import mix_over_time

__all__ = [
    "BLOCK",
    "LONGEST_MATRIX",
    "cascade_response",
    "cascaded",
    "convolved",
    "decaying_sum",
    "fast_length",
    "filtered",
    "in_blocks",
    "powers",
    "toeplitz",
]

BLOCK = 32
"""Steps of a block. Measured forward and backward on a CPU at N = 4,096: of 16, 32, 64 and 128 steps the first two
are fastest at any T, and a GPU has twice as much to do in a product of 32."""
LONGEST_MATRIX = 3 * BLOCK
"""Up to so many steps one matrix over time costs no more than blocks do (measured as above, at N = 256 and 2,048)."""


def decaying_sum(decay: Any, x: Tensor) -> Tensor:
    """Return ``sum_{i<=t} decay^(t-i) x[i]`` for every t, ``[T, B, ...]``; a decay of 1 is a cumulative sum.

    Parameters
    ----------
    decay : a number or a scalar tensor in [0, 1], which may ask for a gradient; or one value per neuron, for which
        no matrix is shared and the sum is taken by doubling.
    """
    if isinstance(decay, Tensor) and decay.dim():
        return doubled(decay, x)
    steps = x.shape[0]
    if steps <= LONGEST_MATRIX:
        return mix_over_time(toeplitz(powers(decay, steps, x)), x)
    block = in_blocks(x)  # [M, L, N]
    n = powers(decay, BLOCK, x)
    ends = n.flip(0) @ block  # [M, N]
    carried = _one_later(decaying_sum(decay**BLOCK, ends))
    matrix = torch.cat([toeplitz(n), (decay * n)[:, None]], 1)  # [L, L + 1]
    y = matrix @ torch.cat([block, carried[:, None]], 1)
    return y.flatten(0, 1)[:steps].view(x.shape)


def cascaded(alpha: Any, beta: Any, x: Tensor) -> Tensor:
    """Return ``v`` of ``c[t] = alpha c[t-1] + x[t]; v[t] = beta v[t-1] + (1 - beta) c[t]``, from rest, ``[T, B, ...]``.

    One product a block for both stages: inside, their common response; from before, what is left of c and of v.
    """
    steps = x.shape[0]
    if steps <= LONGEST_MATRIX:
        return mix_over_time(toeplitz(cascade_response(alpha, beta, steps, x)), x)
    block = in_blocks(x)
    response = cascade_response(alpha, beta, BLOCK, x)
    fading, rest = powers(alpha, BLOCK, x), powers(beta, BLOCK, x)
    ends = torch.stack([fading.flip(0), response.flip(0)]) @ block  # [M, 2, N]: of c and of v, from inside a block
    c = decaying_sum(alpha**BLOCK, ends[:, 0])
    before = _one_later(c)
    v = decaying_sum(beta**BLOCK, ends[:, 1] + alpha * response[-1] * before)
    matrix = torch.cat([toeplitz(response), (alpha * response)[:, None], (beta * rest)[:, None]], 1)  # [L, L + 2]
    y = matrix @ torch.cat([block, before[:, None], _one_later(v)[:, None]], 1)
    return y.flatten(0, 1)[:steps].view(x.shape)


def cascade_response(alpha: Any, beta: Any, steps: int, like: Tensor) -> Tensor:
    """Return what a unit input at step 0 makes of ``v``, ``[T]``: both exponentials, convolved and cut to T.

    Cut here, before the sequence is convolved, there are only two sequences of length T left to convolve; the
    spectra of three would need 3T - 2 points.
    """
    membrane = (1 - beta) * powers(beta, steps, like)
    if isinstance(alpha, float) and alpha == 0:
        return membrane
    synapse = powers(alpha, steps, like)
    return toeplitz(synapse) @ membrane if steps <= LONGEST_MATRIX else convolved(synapse, membrane)


def powers(decay: Any, steps: int, like: Tensor) -> Tensor:
    """Return ``decay^n`` for n from 0 on, ``[T]``."""
    powers: Tensor = decay ** torch.arange(steps, device=like.device, dtype=like.dtype)
    return powers


def in_blocks(x: Tensor) -> Tensor:
    """Cut ``x[T, B, ...]`` into blocks, ``[M, L, N]``, the last one filled up with zeros."""
    steps = x.shape[0]
    blocks = -(-steps // BLOCK)
    return functional.pad(x.flatten(1), (0, 0, 0, blocks * BLOCK - steps)).view(blocks, BLOCK, x[0].numel())


def _one_later(x: Tensor) -> Tensor:
    return torch.cat([torch.zeros_like(x[:1]), x[:-1]])


def toeplitz(kernel: Tensor) -> Tensor:
    """Return the matrix that convolves causally with ``kernel[T]`` (its first entry on the present step)."""
    t = torch.arange(kernel.shape[0], device=kernel.device)
    return torch.tril(kernel[(t[:, None] - t[None, :]).clamp(min=0)])


def filtered(kernel: Tensor, x: Tensor) -> Tensor:
    """Convolve ``x[T, B, ...]`` causally with a kernel: as one matrix while that is cheap, else as spectra.

    Parameters
    ----------
    kernel : ``[T]``, or ``[T, *p]`` with p the shape of parameters that broadcast to a step's features.
    x : what is filtered.
    """
    shared = kernel.dim() == 1 and x.shape[0] <= LONGEST_MATRIX
    return mix_over_time(toeplitz(kernel), x) if shared else convolved(kernel, x)


def convolved(kernel: Tensor, x: Tensor) -> Tensor:
    """As `filtered`, without wrap-around, as a product of spectra; half precision in float32."""
    if x.numel() == 0:  # some libraries' transforms refuse what has no elements
        return x
    steps = x.shape[0]
    points = fast_length(2 * steps - 1)
    wide = torch.promote_types(x.dtype, torch.float32)
    spectrum = torch.fft.rfft(kernel.to(wide), n=points, dim=0)
    spectrum = spectrum.view(spectrum.shape[0], *[1] * (x.dim() - kernel.dim()), *kernel.shape[1:])
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


def doubled(decay: Any, x: Tensor) -> Tensor:
    """``decaying_sum`` by doubling, O(T log T N), for decays of any shape that fits a step."""
    reach = 1
    while reach < x.shape[0]:
        x = torch.cat([x[:reach], x[reach:] + decay**reach * x[:-reach]])
        reach *= 2
    return x
