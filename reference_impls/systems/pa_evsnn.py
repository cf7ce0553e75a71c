"""PA-EVSNN: EVSNN whose image is helped by potentials with adaptive time constants, which no spike carries."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from reference_impls.api import Neuron, State, Synapse, over_time
from reference_impls.dense_network import DenseAnswer, DenseNetwork
from reference_impls.systems._image_layers import IMAGE_DEVIATION, AdaptivePotential, Conv, check_divides, doubled
from reference_impls.systems._image_trunk import Trunk

CARD = {
    "name": "pa-evsnn",
    "kind": "system",
    "version": 1,
    "title": "PA-EVSNN: potential-assisted event-to-video network",
    "summary": (
        "EVSNN's spiking trunk; eight side branches keep potentials whose gain follows the input, the AMP neuron, and "
        "are combined by convolutions without any spike."
    ),
    "equations": (
        "v[t] = v[t-1] + k[t] (x[t] - v[t-1]), x = BN(W s), k = sigmoid(FC2 relu(FC3 [max x, mean s])); P1 = skip3 + "
        "up1, P2 = skip2 + up2, P3 = skip1 + up3; a1 = Up(P1), a2 = Up(a1 + P2), a3 = Up(a2 + P3); image = W (temporal "
        "+ a3 + skip0)"
    ),
    "citations": [
        {
            "authors": "L. Zhu, X. Wang, Y. Chang, J. Li, T. Huang, Y. Tian",
            "title": "Event-Based Video Reconstruction via Potential-Assisted Spiking Neural Network",
            "venue": "CVPR",
            "year": 2022,
            "arxiv": "2201.10943",
            "code": "https://github.com/LinZhu111/EVSNN (commit 9404c0a)",
        }
    ],
    "capabilities": {"answers": "frames", "spiking": True, "learns": True, "input_channels": 1, "divides": 8},
    "defaults": {"base": 32, "neuron": "lif", "shared_state": True},
    "variants": {
        "pa-evsnn-ann": {
            "title": "PA-EVSNN's network without spikes",
            "summary": "The same convolutions with rectifiers; only the AMP branches remember.",
            "params": {"neuron": "relu"},
            "capabilities": {"spiking": False},
        },
    },
    "divergences": [
        "As of evsnn: one LIF membrane for both currents of the residual block, norms over all steps, a fainter image "
        "to begin with, another loss.",
        "The authors' blocks hold 89,244 parameters that no gradient reaches; they are left out.",
    ],
}

BRANCHES = ("skip0", "skip1", "skip2", "skip3", "up1", "up2", "up3", "temporal")


class PAEVSNN(DenseNetwork):
    """U-Net of spiking layers with AMP side branches.

    Parameters
    ----------
    sample_shape : ``(1, height, width)``, multiples of 8.
    components, base, neuron, shared_state : as of ``evsnn``; every branch has `base` channels.

    With 32 channels it has the 4,527,880 parameters of the authors' code that learn.
    """

    def __init__(
        self,
        sample_shape: tuple[int, ...],
        components: int,
        base: int = 32,
        neuron: str = "lif",
        shared_state: bool = True,
    ) -> None:
        super().__init__()
        check_divides("pa-evsnn", sample_shape, 8)
        self.trunk = Trunk(sample_shape, base, neuron, shared_state)
        widths = dict(zip(BRANCHES, (1, 2, 4, 8, 8, 4, 2, 2), strict=True))
        self.branches = nn.ModuleDict({name: AdaptivePotential(width * base, base) for name, width in widths.items()})
        self.together = nn.ModuleList(Conv(base, base, 5) for _ in range(3))
        self.image = nn.Conv2d(base, components, 1, bias=False)
        with torch.no_grad():
            self.image.weight.mul_(IMAGE_DEVIATION)

    def answer(self, x: Tensor, states: Sequence[State | None] | None = None) -> DenseAnswer:
        """Process ``x[T, B, 1, H, W]``."""
        self.refuse_other_batch(x, tuple(states) if states is not None else None)
        before = list(states) if states is not None else [None] * (Trunk.LAYERS + len(BRANCHES))
        sent, after = self.trunk.run(x, before[: Trunk.LAYERS])
        read = {"skip0": sent["head"], "up1": sent["r"], "up2": sent["u1"], "up3": sent["u2"]}
        read |= {f"skip{level}": sent[f"x{level}"] for level in (1, 2, 3)}
        read["temporal"] = torch.cat([sent["u3"], sent["head"]], dim=2)
        potential: dict[str, Tensor] = {}
        for name, state in zip(BRANCHES, before[Trunk.LAYERS :], strict=True):
            potential[name], last = self._branch(name).run(read[name], state)
            after.append(last)
        return DenseAnswer(over_time(self.image, self._combined(potential)), tuple(after))

    def _combined(self, potential: dict[str, Tensor]) -> Tensor:
        """Return what the image is a map of, from the potentials of all branches."""
        total: Tensor | None = None
        for stage, layer in enumerate(self.together, start=1):
            own = potential[f"skip{4 - stage}"] + potential[f"up{stage}"]
            total = layer(doubled(own if total is None else total + own))
        assert total is not None
        return potential["temporal"] + total + potential["skip0"]

    def _branch(self, name: str) -> AdaptivePotential:
        branch = self.branches[name]
        assert isinstance(branch, AdaptivePotential)
        return branch

    def neurons(self) -> tuple[Neuron, ...]:
        """Return the layers that fire."""
        return self.trunk.neurons()

    def synapses(self) -> tuple[Synapse, ...]:
        """Return the trunk's maps, those of the branches, whose gains read real numbers, and those of potentials."""
        found = list(self.trunk.synapses())
        for name in BRANCHES:
            branch = self._branch(name)
            found.append(Synapse(name, branch.conv.map, self.trunk.sent))
            found += [
                Synapse(f"{name}.squeeze", branch.squeeze, "rates"),
                Synapse(f"{name}.excite", branch.excite, "rates"),
            ]
        found += [Synapse(f"together{stage}", layer.map, "rates") for stage, layer in enumerate(self._maps(), start=1)]
        return (*found, Synapse("image", self.image, "rates"))

    def _maps(self) -> tuple[Conv, ...]:
        return tuple(layer for layer in self.together if isinstance(layer, Conv))
