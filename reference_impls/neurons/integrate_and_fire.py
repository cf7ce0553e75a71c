"""IF: integrate and fire, no leak. The file is not called ``if.py`` because that cannot be imported."""

from __future__ import annotations

from collections.abc import Mapping

from torch import Tensor

from reference_impls.neurons._membrane import MembraneNeuron, MembraneState

CARD = {
    "name": "if",
    "kind": "neuron",
    "version": 1,
    "title": "IF: integrate and fire",
    "summary": "Adds its input to the membrane, fires at the threshold, resets. No leak, nothing learned.",
    "equations": "h[t] = v[t-1] + x[t]; s[t] = 1 if h[t] >= v_threshold; soft reset v[t] = h[t] - v_threshold s[t]",
    "citations": [
        {
            "authors": "Y. Wu, L. Deng, G. Li, J. Zhu, L. Shi",
            "title": "Spatio-temporal backpropagation for training high-performance spiking neural networks",
            "venue": "Frontiers in Neuroscience 12:331",
            "year": 2018,
            "arxiv": "1706.02609",
            "code": "https://github.com/fangwei123456/spikingjelly (IFNode, release 2.0.0)",
        }
    ],
    "capabilities": {
        "parallel": "sequential",
        "causal": True,
        "stochastic": False,
        "needs_T": False,
        "output": "binary",
        "membrane": "linear",
        "reset": "soft",
        "leak": False,
    },
    "defaults": {"v_threshold": 1.0, "reset_mode": "soft", "detach_reset": True, "surrogate": "atan"},
    "space": {
        "v_threshold": {"low": 0.25, "high": 4.0, "scale": "log"},
        "surrogate.alpha": {"low": 0.5, "high": 8.0, "scale": "log"},
    },
    "changes": "no leak",
    "divergences": [
        "Matched to lif as it stands: gain, reset and surrogate are lif's, and only the leak is gone.",
        "SpikingJelly's IFNode defaults to a hard reset to 0, a reset that carries gradient and a sigmoid "
        "surrogate; this row uses the soft, detached reset and atan that most published baselines train with.",
    ],
}


class IF(MembraneNeuron):
    """Integrate and fire: ``h = v + x``.

    Golden vectors from SpikingJelly 2.0.0 ``IFNode``. Shapes: ``x[T, B, ...]`` to spikes of the same shape;
    parameters as in :class:`Membrane`.
    """

    @property
    def decay(self) -> float:
        """An IF neuron forgets nothing."""
        return 1.0

    def step(self, x: Tensor, state: MembraneState, params: Mapping[str, Tensor]) -> tuple[Tensor, MembraneState]:
        """Charge, fire, reset."""
        h = state.v + x
        s = self.fire(h)
        return s, self.reset(h, s)
