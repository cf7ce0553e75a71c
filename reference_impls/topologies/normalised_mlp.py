"""mlp-tdbn, mlp-tebn: fully connected layers whose currents are normalised over batch and time."""

from __future__ import annotations

from collections.abc import Sequence

from reference_impls.api import NeuronFactory
from reference_impls.topologies._normalised import NormalisedChain
from reference_impls.topologies.mlp import MLP

CARD = {
    "name": "mlp-tdbn",
    "kind": "topology",
    "version": 1,
    "title": "Multi-layer perceptron with tdBN",
    "summary": (
        "mlp whose currents are normalised by the statistics of all samples and steps of a batch, to a deviation of "
        "the neurons' threshold. For inference statistics and gain are in the weights."
    ),
    "equations": (
        "z_l[t] = W_l s_{l-1}[t]; m, v = mean and variance of z_l over batch and steps, one each a neuron; "
        "I_l[t] = gain alpha V_th (z_l[t] - m) / sqrt(v + 1e-5) + b; inference: W' = gain alpha V_th W / "
        "sqrt(v' + 1e-5), b' = b - gain alpha V_th m' / sqrt(v' + 1e-5), with the running m', v'"
    ),
    "citations": [
        {
            "authors": "H. Zheng, Y. Wu, L. Deng, Y. Hu, G. Li",
            "title": "Going Deeper With Directly-Trained Larger Spiking Neural Networks",
            "venue": "AAAI",
            "year": 2021,
            "arxiv": "2011.05280",
        },
        {
            "authors": "C. Duan, J. Ding, S. Chen, Z. Yu, T. Huang",
            "title": "Temporal Effective Batch Normalization in Spiking Neural Networks",
            "venue": "NeurIPS",
            "year": 2022,
            "code": "https://github.com/ChaotengDuan/TEBN (commit 8f82f6a)",
        },
    ],
    "capabilities": {"structure": "delayed", "sample_dims": [1, 2, 3], "sized_as": "mlp"},
    "defaults": {"hidden": [128], "normalisation": "tdbn", "alpha": 1.0},
    "variants": {
        "mlp-tebn": {
            "title": "Multi-layer perceptron with TEBN",
            "summary": (
                "mlp whose currents are normalised over all samples and steps of a batch, and multiplied with a "
                "learned scale of every step and layer."
            ),
            "params": {"normalisation": "tebn", "steps": 16},
            "overrides": {
                "equations": (
                    "I_l[t] = p_l[t] (gain (z_l[t] - m) / sqrt(v + 1e-5) + b), p_l[t] learned, from 1; m, v over batch "
                    "and steps"
                ),
            },
        },
    },
    "divergences": [
        "Their structure is called delayed: while training, a current depends on other steps of the batch.",
        "tdBN's equations are from memory and from SpikingJelly's layer (afb13226), which starts the gain at alpha "
        "V_th instead; TEBN's from the authors' class. The tests restate both in numpy.",
        "Running variances are biased ones, so that an input that is processed once for all steps gives the same. A "
        "window of truncated BPTT and a segment of checkpointed BPTT have statistics of their own.",
        "TEBN: the first 16 steps have a scale of their own, later ones share the last; its product with the current "
        "is no synapse and no neuron here, so its energy is in no count.",
        "Both papers normalise convolutions (conv-tdbn, conv-tebn); a neuron here is what a channel is there.",
    ],
}


class NormalisedMLP(NormalisedChain, MLP):
    """Fully connected network with normalised currents.

    Parameters
    ----------
    sample_shape, classes, neuron, hidden, depth : as in ``mlp``.
    normalisation, alpha, steps : see :meth:`NormalisedChain.normalise_currents`.
    """

    def __init__(
        self,
        sample_shape: tuple[int, ...],
        classes: int,
        neuron: NeuronFactory,
        hidden: Sequence[int] = (128,),
        depth: int | None = None,
        normalisation: str = "tdbn",
        alpha: float = 1.0,
        steps: int = 16,
    ) -> None:
        super().__init__(sample_shape, classes, neuron, hidden, depth)
        self.normalise_currents(normalisation, alpha, steps)
