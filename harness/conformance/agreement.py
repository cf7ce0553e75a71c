"""How far a training method's gradient agrees with BPTT's, layer by layer: a figure, not a clause.

No method but BPTT promises to agree; where and by how much it does not is what a reader wants to know. Both gradients
are taken in float64 on the same network, as the method has prepared it, and with the same loss as far as BPTT has it.
Must not know any method by name.
"""

from __future__ import annotations

import copy
from collections.abc import Mapping
from dataclasses import dataclass

import torch
from torch import Tensor

from harness.conformance.methods import MethodSubject
from harness.golden import float64_default
from reference_impls.api import Network, TrainingMethod, build_method

__all__ = ["LayerAgreement", "agreement", "compared"]

LAYERS = 2
STEPS = 8
SEED = 12
TOGETHER = "all linear maps"


@dataclass(frozen=True, slots=True)
class LayerAgreement:
    """A layer's gradient beside BPTT's; None where a figure is undefined because a gradient is zero."""

    layer: str
    parameters: int
    cosine: float | None
    relative_error: float | None
    """``|g - g_bptt| / |g_bptt|``."""
    norm_ratio: float | None
    """``|g| / |g_bptt|``."""


def agreement(subject: MethodSubject) -> tuple[LayerAgreement, ...]:
    """Compare the method's gradient of one batch with BPTT's, for every layer; nothing where BPTT has no gradient."""
    structure = subject.registry.topologies[subject.topology].capabilities.structure
    if structure not in subject.registry.methods["bptt"].capabilities.structures:
        return ()
    with float64_default():
        most = subject.row.capabilities.hidden_layers or LAYERS
        network = subject.network(STEPS, layers=min(LAYERS, most))
        method = subject.method(network)
        _open_paths(network)
        plain = copy.deepcopy(network)
        x, target = subject.batch(STEPS)
        torch.manual_seed(SEED)
        found = method.gradients(x, target)
        return compared(network, found, reference(method, plain, x, target))


def reference(method: TrainingMethod, network: Network, x: Tensor, target: Tensor) -> dict[str, Tensor]:
    """Return BPTT's gradient of `network` under the loss of `method`."""
    bptt = build_method("bptt", **method.bptt_loss)
    bptt.prepare(network)
    return bptt.gradients(x, target)


def compared(
    network: Network, found: Mapping[str, Tensor], expected: Mapping[str, Tensor]
) -> tuple[LayerAgreement, ...]:
    """Compare two gradients by parameter name: every linear map, all of them joined, then what belongs to none."""
    left = {parameter: name for name, parameter in network.named_parameters()}
    layers = {}
    for synapse in network.synapses():
        own = [parameter for parameter in synapse.module.parameters() if parameter in left]
        layers[synapse.name] = [left.pop(parameter) for parameter in own]
    layers[TOGETHER] = [name for names in layers.values() for name in names]
    layers |= {name: [name] for name in left.values()}
    return tuple(
        _compare(layer, _joined(found, names), _joined(expected, names)) for layer, names in layers.items() if names
    )


def _joined(gradients: Mapping[str, Tensor], names: list[str]) -> Tensor:
    return torch.cat([gradients[name].flatten() for name in names])


def _compare(layer: str, found: Tensor, expected: Tensor) -> LayerAgreement:
    ours, theirs = float(found.norm()), float(expected.norm())
    cosine = float(found @ expected) / (ours * theirs) if ours and theirs else None
    error = float((found - expected).norm()) / theirs if theirs else None
    return LayerAgreement(layer, found.numel(), cosine, error, ours / theirs if theirs else None)


@torch.no_grad()
def _open_paths(network: Network) -> None:
    """Draw what starts at 0 and would hide all that lies below it (residual branches, read-outs)."""
    generator = torch.Generator().manual_seed(SEED)
    for parameter in network.parameters():
        if parameter.dim() != 1 and not parameter.any():
            parameter.copy_(torch.randn(parameter.shape, generator=generator))
