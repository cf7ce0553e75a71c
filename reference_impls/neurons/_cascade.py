"""A linear synapse and a linear membrane behind one another, for all steps at once, and ParaLIF's ways to fire.

What SPSN and ParaLIF share: without reset both stages are linear, so that the steps need not wait for each other.
Must not know cards.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn

from reference_impls.api import ParallelNeuron
from reference_impls.names import check_name
from reference_impls.neurons._membrane import resolve_decay
from reference_impls.neurons._parallel import mix_over_time
from reference_impls.neurons._scan import cascade_response, cascaded, convolved, toeplitz
from reference_impls.surrogate import heaviside, straight_through

__all__ = ["CascadeNeuron", "bernoulli", "gumbel_softmax"]

FORMS = ("scan", "fft", "matmul")


class CascadeNeuron(ParallelNeuron):
    """``c[t] = alpha c[t-1] + x[t]; v[t] = beta v[t-1] + (1 - beta) c[t]``, both 0 before the start.

    Parameters
    ----------
    tau, decay, decay_rule : time constant of the membrane in time steps, or its factor beta.
    tau_syn, current_decay : the same of the synaptic current, alpha; `tau_syn` None: no synapse, alpha = 0.
    learn_tau : learn both factors, one pair a layer (stored as logits, `raw_decay` and `raw_current_decay`).
    parallel : ``scan``: both recurrences in blocks, O(N T). ``fft``: product of spectra, O(N T log T). ``matmul``:
        triangular T x T product, O(N T^2). All give the same up to rounding; the scan is fastest for every T.
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
        if self.parallel == "scan":
            return cascaded(alpha, beta, x)
        response = cascade_response(alpha, beta, x.shape[0], x)
        return convolved(response, x) if self.parallel == "fft" else mix_over_time(toeplitz(response), x)


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
