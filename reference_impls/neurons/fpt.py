"""FPT: the soft-reset LIF relaxed to firing probabilities and solved for all steps at once by a few sweeps.

Must not know of the network around it.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from reference_impls.api import ParallelNeuron
from reference_impls.neurons._cascade import toeplitz
from reference_impls.neurons._parallel import check_steps
from reference_impls.surrogate import straight_through

CARD = {
    "name": "fpt",
    "kind": "neuron",
    "version": 1,
    "title": "FPT: fixed-point parallel training",
    "summary": (
        "A LIF with soft reset whose spikes are replaced by probabilities; three products over the whole sequence, "
        "each with a steeper sigmoid, stand for the T steps, and a Bernoulli draw makes spikes of the last. The "
        "matrix over time starts as the LIF's and is learned."
    ),
    "equations": (
        "P = sigmoid(a_1 (L X + B)); for k = 2..K: H = L (X - P) + P + B, P = sigmoid(a_k H); s = 1 if u < P, "
        "ds/dP := 1; L[t,i] = decay^(t-i) for i <= t and B = -1 at first; (a_1, a_2, a_3) = a (1, 3, 6), a learned "
        "from 6, or (1, 3, 12); backward, a sigmoid of slope a has slope max(1, a/3)"
    ),
    "citations": [
        {
            "authors": "W. Feng, X. Gao, W. Du, H. Shi, P. Zhao, P. Wu, C. Miao",
            "title": "Efficient Parallel Training Methods for Spiking Neural Networks with Constant Time Complexity",
            "venue": "ICML",
            "year": 2025,
            "arxiv": "2506.12087",
            "code": "https://github.com/WanjinVon/FPT (commit 47bc819)",
        }
    ],
    "capabilities": {
        "parallel": "fixed_point",
        "causal": True,
        "stochastic": True,
        "needs_T": True,
        "output": "binary",
        "membrane": "relaxed",
        "reset": "soft-relaxed",
        "learnable": ["slope", "weight", "bias"],
    },
    "defaults": {"decay": 0.5, "slopes": [1.0, 3.0, 6.0], "slope": 6.0, "learn_matrix": True},
    "space": {
        "decay": {"low": 0.1, "high": 0.99},
        "slope": {"low": 1.0, "high": 16.0, "scale": "log"},
    },
    "changes": "relaxed spikes reset it; a learned matrix over time",
    "variants": {
        "fpt-fixed": {
            "title": "FPT, fixed slopes",
            "summary": "As fpt, with the slopes 1, 3 and 12.",
            "params": {"slopes": [1.0, 3.0, 12.0], "slope": None},
            "capabilities": {"learnable": ["weight", "bias"]},
        },
        "fpt-lif": {
            "title": "FPT, matrix of the LIF",
            "summary": "As fpt-fixed, and the matrix over time stays that of the LIF.",
            "params": {"slopes": [1.0, 3.0, 12.0], "slope": None, "learn_matrix": False},
            "capabilities": {"needs_T": False, "learnable": []},
        },
    },
    "divergences": [
        "No matched row: decay, gain and reset are lif's already (fpt-lif learns no matrix, too); its own sigmoids "
        "are its mechanism.",
        "No golden vectors: the equations were read in the released sequential CIFAR script, and the tests restate "
        "them step by step.",
        "The released class with a learned slope does not mask its matrix, so training can make it look ahead; the one "
        "with fixed slopes does. Both are masked here.",
        "The released gradient of a learned slope a is that of sigmoid(a z / 3) times 3, which no function has; "
        "here it is that of sigmoid(a z / 3).",
        "Spikes are drawn at evaluation too, so test accuracy is random; runs here are seeded.",
        "K sigmoids pass a reset on over K - 1 steps only: what a spike does to later spikes is cut there.",
        "The O(K) instead of O(T) and the kept accuracy of the abstract come without figures in what was read.",
    ],
}

SOFTENED = 3.0
"""A sigmoid's slope is divided by this on the way back, but not below 1."""


class FPT(ParallelNeuron):
    """Soft-reset LIF by relaxed fixed-point iteration.

    Parameters
    ----------
    T : number of time steps that a learned matrix is made for.
    decay : lambda, factor on the previous membrane, in [0, 1]; where a learned matrix begins.
    slopes : slope of the sigmoid in every sweep, the first on the membrane without any reset.
    slope : initial value of a learned factor on all slopes; None: none.
    learn_matrix : whether the matrix over time (lower triangle) and the bias are learned.

    Spikes are ``noise < P`` with uniform noise in [0, 1): give `noise` to `forward` to reproduce a result.
    """

    def __init__(
        self,
        T: int | None = None,
        decay: float = 0.5,
        slopes: Sequence[float] = (1.0, 3.0, 6.0),
        slope: float | None = 6.0,
        learn_matrix: bool = True,
    ) -> None:
        super().__init__()
        if not 0 <= decay <= 1:
            raise ValueError(f"decay must lie in [0, 1], got {decay}; it multiplies the previous membrane")
        if not slopes or min(slopes) <= 0:
            raise ValueError(f"slopes must list a positive slope for each sweep, got {list(slopes)}")
        self.decay, self.slopes, self.T, self.learn_matrix = float(decay), tuple(map(float, slopes)), T, learn_matrix
        self.slope = None if slope is None else nn.Parameter(torch.tensor(float(slope)))
        if learn_matrix:
            if T is None or T < 1:
                raise TypeError("fpt with a learned matrix needs T, the number of time steps")
            self.weight = nn.Parameter(toeplitz(self.decay ** torch.arange(T, dtype=torch.get_default_dtype())))
            self.bias = nn.Parameter(torch.full((T, 1), -1.0))

    def forward(self, x: Tensor, noise: Tensor | None = None) -> Tensor:
        """Map ``x[T, B, ...]`` to spikes; `noise` of the same shape, uniform in [0, 1), replaces the draw."""
        p = self.probabilities(x)
        fired = (torch.rand_like(x) if noise is None else noise) < p
        return straight_through(fired.to(x.dtype), p)

    def probabilities(self, x: Tensor) -> Tensor:
        """Return the firing probabilities after the last sweep, ``[T, B, ...]``."""
        weight, bias = self._matrix(x)
        flat = x.flatten(1)
        charged = torch.addmm(bias, weight, flat)
        p = self._sigmoid(charged, self.slopes[0])
        for slope in self.slopes[1:]:
            # A step's own probability does not reset it: the diagonal of 1 is taken out again.
            p = self._sigmoid(charged - weight @ p + p, slope)
        return p.view(x.shape)

    def _matrix(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """Return the matrix over time ``[T, T]`` and the bias ``[T, 1]``."""
        if not self.learn_matrix:
            steps = torch.arange(x.shape[0], device=x.device, dtype=x.dtype)
            return toeplitz(self.decay**steps), torch.full_like(steps, -1.0).unsqueeze(1)
        assert self.T is not None
        check_steps("fpt with a learned matrix", self.T, x)
        return torch.tril(self.weight), self.bias

    def _sigmoid(self, h: Tensor, slope: float) -> Tensor:
        """Return the sigmoid of a steep slope with the derivative of a gentler one."""
        a = slope if self.slope is None else slope * self.slope
        gentle = max(1.0, a / SOFTENED) if isinstance(a, float) else a / SOFTENED
        return straight_through(torch.sigmoid(a * h), torch.sigmoid(gentle * h))
