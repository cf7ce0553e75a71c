"""QCFS: an ANN whose activation already is what a few spikes can say, and so converts with few steps.

Must not know the budget.
"""

from __future__ import annotations

from reference_impls.conversion.quantised import QuantisedConversion

CARD = {
    "name": "qcfs",
    "kind": "training",
    "version": 1,
    "title": "QCFS: quantised clip-floor-shift conversion",
    "summary": (
        "Trains an ANN of the same shape whose activation has 4 levels up to a learned clipping point, and replaces it "
        "by IF neurons with that point as threshold, which start at half of it."
    ),
    "equations": (
        "a = lambda floor(clip(z / lambda, 0, 1) L + 1/2) / L, straight-through floor; theta = lambda, v[0] = "
        "lambda / 2; m[t] = v[t-1] + W lambda' s'[t] + b; s = 1 if m >= lambda; v = m - lambda s; read-out: mean over t"
    ),
    "citations": [
        {
            "authors": "T. Bu, W. Fang, J. Ding, P. Dai, Z. Yu, T. Huang",
            "title": ("Optimal ANN-SNN Conversion for High-accuracy and Ultra-low-latency Spiking Neural Networks"),
            "venue": "ICLR",
            "year": 2022,
            "arxiv": "2303.04347",
            "code": "https://github.com/putshua/ANN_SNN_QCFS (commit eca136b)",
        }
    ],
    "capabilities": {
        "updates": "per_batch",
        "structures": ["chain"],
        "neuron": {"parallel": ["sequential"], "output": ["binary"], "reset": ["soft"], "leak": [False]},
        "memory_in_T": "O(1)",
        "spiking_backward": False,
        "keeps_neuron": False,
        "pretraining": True,
        "anytime": True,
        "converts": True,
    },
    "defaults": {"levels": 4, "up": 2.0, "order": "clamp_then_floor", "start": 0.5, "pretraining_share": 0.75},
    "space": {
        "up": {"low": 0.5, "high": 8.0, "scale": "log"},
    },
    "variants": {
        "qcfs-l8": {
            "title": "QCFS, 8 levels",
            "summary": "As qcfs, with the levels that the paper takes for CIFAR-100.",
            "params": {"levels": 8},
        },
        "qcfs-floor-first": {
            "title": "QCFS, floor before clip",
            "summary": "As qcfs, with the gradient of the older released code: half a level wider at both ends.",
            "params": {"order": "floor_then_clamp"},
        },
    },
    "divergences": [
        "The clipping points start at 2; the released 8 lies beyond the currents of the small networks here, and the "
        "few epochs of their budgets do not bring it down. They are kept above 1e-3; neither released code does that.",
        "The region of the gradient is that of the newer code, [0, lambda]; the paper's equation has another, and the "
        "older code a third (qcfs-floor-first).",
        "The released recipe is SGD with a cosine for 300 epochs, weight decay, augmentation; here the task's "
        "optimizer and budget.",
        "The older code starts the membrane by an extra step that is fed half a threshold; here it starts there.",
        "The epoch is chosen on the validation split, after the share of the budget that is called pretraining; both "
        "released codes keep the best epoch on the test set.",
        "The ANN sees the mean over time of a sample that moves.",
    ],
}


class QCFS(QuantisedConversion):
    """Conversion of an ANN with quantised clip-floor-shift activations.

    Parameters as in :class:`QuantisedConversion`. Golden vectors from the authors' layers, both orders. Shapes:
    ``x[T, B, ...]``, classes ``[B]``.
    """
