"""ParaLIF: the linear filters of SPSN with deterministic ways to fire, on the membrane or on its change."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import torch
from torch import Tensor, nn

from reference_impls.names import check_name
from reference_impls.neurons._cascade import CascadeNeuron, bernoulli
from reference_impls.surrogate import FIRE_RULES, make_surrogate

CARD = {
    "name": "paralif-delta",
    "kind": "neuron",
    "version": 1,
    "title": "ParaLIF-D: fires on the membrane's rise",
    "summary": (
        "No reset: synapse and membrane are linear filters, evaluated for the whole sequence at once; a neuron fires "
        "where its membrane rises by more than the threshold within a step."
    ),
    "equations": (
        "c[t] = alpha c[t-1] + x[t]; v[t] = beta v[t-1] + (1 - beta) c[t]; y = n(v), n: identity, S sigmoid, T tanh, "
        "TR relu(tanh); D: s[t] = 1 if y[t] - y[t-1] > v_threshold, y[-1] = n(0); T: s = 1 if y > v_threshold; "
        "B: s = 1 if u < y, ds/dy := y"
    ),
    "citations": [
        {
            "authors": "S. Y. A. Yarga, S. U. N. Wood",
            "title": "Accelerating spiking neural networks with parallelizable leaky integrate-and-fire neurons",
            "venue": "Neuromorphic Computing and Engineering",
            "year": 2025,
            "doi": "10.1088/2634-4386/adb7fe",
            "code": "https://github.com/NECOTIS/Parallelizable-Leaky-Integrate-and-Fire-Neuron (commit f08c418)",
        }
    ],
    "capabilities": {
        "parallel": "scan",
        "causal": True,
        "stochastic": False,
        "needs_T": False,
        "output": "binary",
        "membrane": "linear-filter",
        "reset": "none",
    },
    "defaults": {
        "spike_mode": "D",
        "tau": 20.0,
        "tau_syn": 20.0,
        "v_threshold": 0.1,
        "learn_tau": False,
        "learn_threshold": False,
        "surrogate": {"name": "fast_sigmoid", "params": {"scale": 100.0}},
    },
    "space": {
        "tau": {"low": 2.0, "high": 100.0, "scale": "log"},
        "tau_syn": {"low": 2.0, "high": 100.0, "scale": "log"},
        "v_threshold": {"low": 0.01, "high": 1.0, "scale": "log"},
        "surrogate.scale": {"low": 5.0, "high": 200.0, "scale": "log"},
    },
    "changes": "two filters, fires where it rises; no reset",
    "variants": {
        "paralif-threshold": {
            "title": "ParaLIF-T: fires above a threshold",
            "summary": "As paralif-delta, but fires at every step at which the membrane is above the threshold.",
            "params": {"spike_mode": "T", "v_threshold": 1.0},
        },
        "paralif-sd": {
            "title": "ParaLIF-SD: rise of the sigmoid",
            "summary": "As paralif-delta, on the sigmoid of the membrane.",
            "params": {"spike_mode": "SD"},
        },
        "paralif-td": {
            "title": "ParaLIF-TD: rise of the tanh",
            "summary": "As paralif-delta, on the tanh of the membrane.",
            "params": {"spike_mode": "TD"},
        },
        "paralif-trd": {
            "title": "ParaLIF-TRD: rise of the rectified tanh",
            "summary": "As paralif-delta, on the rectified tanh of the membrane.",
            "params": {"spike_mode": "TRD"},
        },
        "paralif-st": {
            "title": "ParaLIF-ST: sigmoid above a threshold",
            "summary": "As paralif-threshold, on the sigmoid of the membrane, which is 0.5 at rest.",
            "params": {"spike_mode": "ST", "v_threshold": 0.6},
        },
        "paralif-tt": {
            "title": "ParaLIF-TT: tanh above a threshold",
            "summary": "As paralif-threshold, on the tanh of the membrane.",
            "params": {"spike_mode": "TT", "v_threshold": 0.3},
        },
        "paralif-trt": {
            "title": "ParaLIF-TRT: rectified tanh above a threshold",
            "summary": "As paralif-threshold, on the rectified tanh of the membrane.",
            "params": {"spike_mode": "TRT", "v_threshold": 0.3},
        },
        "paralif-trb": {
            "title": "ParaLIF-TRB: rectified tanh as a probability",
            "summary": "Fires at random, with the rectified tanh of the membrane as the probability.",
            "params": {"spike_mode": "TRB"},
            "capabilities": {"stochastic": True},
        },
    },
    "divergences": [
        "No matched row: without a reset by design; cuba-lif-paralif is the authors' own baseline.",
        "The released FFT of length 2T multiplies three spectra, which need 3T - 2 points, so that later inputs reach "
        "earlier steps. Here the two kernels are convolved and cut first; the result is that of the repository's "
        "sequential form.",
        "Before the first step the released sequential form normalises a membrane of 0, the parallel one puts a 0 in "
        "the place of the normalised value; they differ in SD at the first step. This follows the sequential form.",
        "The released class has threshold 1 in every mode, which a sigmoid or tanh never exceeds and a slow membrane "
        "hardly rises by in one step; those rows use smaller ones, chosen here. paralif-threshold keeps 1.",
        "The released learn_tau passes the decay itself through a sigmoid (0.95 begins as 0.72); here its logit is "
        "stored, so that learning begins at the decay that was asked for.",
        "The recurrent form (hidden spikes of the membrane one step before, filtered a second time) is not here: "
        "connections between neurons belong to a topology.",
    ],
}


def _rectified_tanh(v: Tensor) -> Tensor:
    return torch.relu(torch.tanh(v))


NORMALISATIONS: Mapping[str, Callable[[Tensor], Tensor]] = {
    "": lambda v: v,
    "S": torch.sigmoid,
    "T": torch.tanh,
    "TR": _rectified_tanh,
}
SPIKE_MODES = ("D", "SD", "TD", "TRD", "T", "ST", "TT", "TRT", "SB", "TRB")


class ParaLIF(CascadeNeuron):
    """Parallelizable leaky integrate and fire.

    Parameters
    ----------
    spike_mode : normalisation (none, S sigmoid, T tanh, TR rectified tanh) and rule (D rise, T threshold, B draw).
    v_threshold : threshold of rise or value; unused by B.
    learn_threshold : learn it, one a layer; a negative one counts as 0.
    fire_rule : ``gt`` does not fire on a tie, ``ge`` does.
    tau, decay, tau_syn, current_decay, decay_rule, learn_tau, parallel : see :class:`CascadeNeuron`.
    surrogate : as everywhere; unused by B.

    The B modes take uniform `noise` in [0, 1), of the shape of the input. Golden vectors from the authors' code (its
    sequential form), modes D and T.
    """

    def __init__(
        self,
        spike_mode: str = "D",
        tau: float = 20.0,
        decay: float | None = None,
        tau_syn: float | None = 20.0,
        current_decay: float | None = None,
        decay_rule: str = "exp",
        v_threshold: float = 0.1,
        fire_rule: str = "gt",
        learn_tau: bool = False,
        learn_threshold: bool = False,
        parallel: str = "scan",
        surrogate: str | Mapping[str, Any] = "fast_sigmoid",
    ) -> None:
        super().__init__(tau, decay, tau_syn, current_decay, decay_rule, learn_tau, parallel)
        self.spike_mode = check_name("spike_mode of paralif", spike_mode, SPIKE_MODES)
        self.normalised = NORMALISATIONS[spike_mode[:-1]]
        self.learn_threshold = learn_threshold
        threshold = torch.tensor(float(v_threshold))
        self.v_threshold = nn.Parameter(threshold) if learn_threshold else float(v_threshold)
        self.fire_rule = check_name("fire_rule", fire_rule, FIRE_RULES)
        self.surrogate = make_surrogate(surrogate)

    def forward(self, x: Tensor, noise: Tensor | None = None) -> Tensor:
        """Map ``x[T, B, ...]`` to spikes of the same shape."""
        v = self.membrane(x)
        y = self.normalised(v)
        if self.spike_mode.endswith("B"):
            return bernoulli(y, noise)
        if self.spike_mode.endswith("D"):
            y = y - torch.cat([self.normalised(torch.zeros_like(v[:1])), y[:-1]])
        threshold = torch.relu(self.v_threshold) if isinstance(self.v_threshold, Tensor) else self.v_threshold
        return self.surrogate(y - threshold, self.fire_rule)
