"""SPSN: a linear synapse and membrane without reset that fire at random, so that all steps run at once."""

from __future__ import annotations

from torch import Tensor

from reference_impls.names import check_name
from reference_impls.neurons._cascade import CascadeNeuron, bernoulli, gumbel_softmax

CARD = {
    "name": "spsn-sigmoid-bernoulli",
    "kind": "neuron",
    "version": 1,
    "title": "SPSN, sigmoid-Bernoulli",
    "summary": (
        "No reset: synapse and membrane are linear filters, evaluated for the whole sequence at once, and a spike is "
        "drawn with the sigmoid of the membrane as its probability. Stochastic at evaluation, too."
    ),
    "equations": (
        "c[t] = alpha c[t-1] + x[t]; v[t] = beta v[t-1] + (1 - beta) c[t]; SB: s = 1 if u < sigmoid(v), ds/dp := p; "
        "GS: s = 1 if y > 1/2, y = sigmoid((2 v + g1 - g2)/temperature), g Gumbel, ds/dv := dy/dv; "
        "alpha = exp(-1/tau_syn), beta = exp(-1/tau)"
    ),
    "citations": [
        {
            "authors": "S. Y. A. Yarga, S. U. N. Wood",
            "title": "Accelerating SNN training with stochastic parallelizable spiking neurons",
            "venue": "IJCNN",
            "year": 2023,
            "arxiv": "2306.12666",
            "code": "https://github.com/NECOTIS/Parallelizable-Leaky-Integrate-and-Fire-Neuron (commit f08c418)",
        }
    ],
    "capabilities": {
        "parallel": "scan",
        "causal": True,
        "stochastic": True,
        "needs_T": False,
        "output": "binary",
        "membrane": "linear-filter",
        "reset": "none",
    },
    "defaults": {"spike_mode": "SB", "tau": 20.0, "tau_syn": 20.0, "learn_tau": False},
    "space": {
        "tau": {"low": 2.0, "high": 100.0, "scale": "log"},
        "tau_syn": {"low": 2.0, "high": 100.0, "scale": "log"},
        "temperature": {"low": 0.25, "high": 4.0, "scale": "log"},
    },
    "changes": "two filters, random spikes; no reset",
    "variants": {
        "spsn-gumbel-softmax": {
            "title": "SPSN, Gumbel-softmax",
            "summary": "As spsn-sigmoid-bernoulli, but firing or not is a choice between two classes, by Gumbel noise.",
            "params": {"spike_mode": "GS"},
        }
    },
    "divergences": [
        "No matched row: without a reset by design, and its spikes are drawn.",
        "The released FFT of length 2T multiplies three spectra, which need 3T - 2 points, so that later inputs reach "
        "earlier steps (by up to 0.14 at tau 10, T 9). Here the two kernels are convolved and cut first; the result "
        "is that of the repository's sequential form.",
        "The released learn_tau passes the decay itself through a sigmoid (0.95 begins as 0.72); here its logit is "
        "stored, so that learning begins at the decay that was asked for.",
        "Two Gumbel draws a neuron matter only by their difference, which is logistic: without injected noise one "
        "uniform number is drawn for it.",
        "Released as a product of spectra; here both recurrences run in blocks of steps, which takes O(T) and was "
        'faster at every T measured. parallel="fft" is the released form.',
    ],
}

SPIKE_MODES = ("SB", "GS")


class SPSN(CascadeNeuron):
    """Stochastic parallelizable spiking neuron.

    Parameters
    ----------
    spike_mode : ``SB`` (sigmoid-Bernoulli) or ``GS`` (Gumbel-softmax).
    temperature : of the Gumbel-softmax.
    tau, decay, tau_syn, current_decay, decay_rule, learn_tau, parallel : see :class:`CascadeNeuron`.

    Give `forward` uniform `noise` in [0, 1) to reproduce a result: of the shape of the input, for ``GS`` also
    ``[T, B, ..., 2]``. Golden vectors from the authors' code (its sequential form), both modes.
    """

    def __init__(
        self,
        spike_mode: str = "SB",
        tau: float = 20.0,
        decay: float | None = None,
        tau_syn: float | None = 20.0,
        current_decay: float | None = None,
        decay_rule: str = "exp",
        temperature: float = 1.0,
        learn_tau: bool = False,
        parallel: str = "scan",
    ) -> None:
        super().__init__(tau, decay, tau_syn, current_decay, decay_rule, learn_tau, parallel)
        if not temperature > 0:
            raise ValueError(f"temperature must be positive, got {temperature}")
        self.spike_mode = check_name("spike_mode of spsn", spike_mode, SPIKE_MODES)
        self.temperature = float(temperature)

    def forward(self, x: Tensor, noise: Tensor | None = None) -> Tensor:
        """Map ``x[T, B, ...]`` to spikes of the same shape."""
        v = self.membrane(x)
        if self.spike_mode == "GS":
            return gumbel_softmax(v, noise, self.temperature)
        return bernoulli(v.sigmoid(), noise)
