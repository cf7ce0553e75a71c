"""Blocks ALIF: an adaptive LIF with an absolute refractory time, simulated block by block instead of step by step.

A neuron cannot fire twice within its refractory time, so in a block no longer than that it fires once at most, and
the rule of the single-spike neurons finds the spike without a loop. Must not know of the network around it.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor

from reference_impls.api import LayerShape, ParallelNeuron, parameter_shape
from reference_impls.names import check_name
from reference_impls.neurons._adaptive import learned, within
from reference_impls.neurons._scan import decaying_sum
from reference_impls.surrogate import FIRE_RULES, make_surrogate, straight_through

CARD = {
    "name": "blocks-alif",
    "kind": "neuron",
    "version": 2,
    "title": "Blocks ALIF: adaptive LIF in blocks of its refractory time",
    "summary": (
        "A LIF whose threshold rises with every spike and which hears nothing for a while after it. Blocks as long as "
        "that silence hold one spike a neuron at most and are computed at once, exactly. Every neuron learns its own "
        "decays and gain."
    ),
    "equations": (
        "Step by step: v = decay v + x, or 0 within the R steps after a spike; s = 1 if v > 1 + b a (not within those "
        "steps); v = 0 where s = 1; a = p a + s. In a block of L = R + 1 steps from k = 0: thresholds 1 + b p^k a; "
        "z = cumsum(cumsum(Theta(v - threshold))), s = [z = 1], ds/dz := 1; a' = p^L a + sum_k p^(L-1-k) s_k"
    ),
    "citations": [
        {
            "authors": "L. Taylor, A. King, N. Harper",
            "title": "Addressing the speed-accuracy simulation trade-off for adaptive spiking neurons",
            "venue": "NeurIPS",
            "year": 2023,
            "arxiv": "2311.11390",
            "code": "https://github.com/webstorms/Blocks (commit 9a93bfe)",
        }
    ],
    "capabilities": {
        "parallel": "matmul",
        "causal": True,
        "stochastic": False,
        "needs_T": False,
        "output": "binary",
        "membrane": "refractory",
        "reset": "hard",
        "learnable": ["decay", "adapt_decay", "adapt_gain"],
        "granularity": "neuron",
    },
    "defaults": {
        "granularity": "neuron",
        "refractory": 3,
        "decay": 0.9,
        "v_threshold": 1.0,
        "adapt_decay": 0.9,
        "adapt_gain": 0.9,
        "detach_reset": True,
        "surrogate": {"name": "fast_sigmoid", "params": {"scale": 10.0}},
    },
    "space": {
        "decay": {"low": 0.1, "high": 0.99},
        "v_threshold": {"low": 0.25, "high": 4.0, "scale": "log"},
        "adapt_gain": {"low": 0.1, "high": 4.0, "scale": "log"},
        "surrogate.scale": {"low": 2.0, "high": 50.0, "scale": "log"},
    },
    "changes": "adaptive threshold, refractory time; hard reset",
    "variants": {
        "blocks-alif-layer": {
            "title": "Blocks ALIF, one set of parameters a layer",
            "summary": "As blocks-alif, but a layer's neurons share two learned decays and a gain.",
            "params": {"granularity": "layer"},
            "capabilities": {"granularity": "layer"},
        },
    },
    "divergences": [
        "No matched row: the silence after a spike, and the hard reset that it needs, are how a block is computed "
        "at once.",
        "No golden vectors: the equations were read in the released code (commit 9a93bfe), and the tests restate them "
        "step by step.",
        "The refractory time is chosen here, and so are the initial decays (the released classes begin at 1, its "
        "networks for speed at 0.9).",
        "The released gain begins at 1.8 and is clamped to 1, where the gradient of the clamp is 0, so it does not "
        "move by itself; here it begins inside, at 0.9, and a gradient that leads back into the domain passes.",
        "The released layer has a bias of its own; the linear maps here are the topology's.",
        "The authors add 1/p to a at a spike and let it decay by p from that same step on, which is a = p a + s.",
        "The released recurrence, whose spikes arrive one block later, is not here: connections between neurons belong "
        "to a topology.",
        "A last block that is not full is computed as it is; the spikes are the same.",
    ],
}

MEMBRANE = (0.001, 0.999)
GAIN = (0.001, 1.0)


class BlocksALIF(ParallelNeuron):
    """Adaptive LIF with an absolute refractory time.

    Parameters
    ----------
    refractory : R, steps after a spike in which the neuron hears nothing and cannot fire; blocks have R + 1 steps.
    decay : initial factor on the previous membrane; clamped to [0.001, 0.999] at use.
    v_threshold : threshold without adaptation, > 0.
    adapt_decay : p, initial factor on the previous adaptation; its magnitude is clamped to at most 0.999 at use.
    adapt_gain : b, what a unit of adaptation adds to the threshold; its magnitude is clamped to [0.001, 1] at use.
    granularity, shape : whose the three are, and the layer's shape; see :func:`parameter_shape`.
    fire_rule : ``gt`` does not fire on a tie, ``ge`` does.
    detach_reset : whether the spikes that reset, silence and adapt the next blocks carry no gradient.
    surrogate : as everywhere.
    """

    def __init__(
        self,
        refractory: int = 3,
        decay: Any = 0.9,
        v_threshold: float = 1.0,
        adapt_decay: Any = 0.9,
        adapt_gain: Any = 0.9,
        granularity: str = "neuron",
        shape: LayerShape | None = None,
        fire_rule: str = "gt",
        detach_reset: bool = True,
        surrogate: str | Mapping[str, Any] = "fast_sigmoid",
    ) -> None:
        super().__init__()
        if refractory < 0:
            raise ValueError(f"refractory must be a number of steps, got {refractory}")
        if not v_threshold > 0:
            raise ValueError(f"v_threshold must be positive, got {v_threshold}")
        self.refractory, self.v_threshold = refractory, float(v_threshold)
        own = self.parameter_shape = parameter_shape("blocks-alif", granularity, shape)
        self.decay = learned(decay, own, 0.9)
        self.adapt_decay = learned(adapt_decay, own, 0.9)
        self.adapt_gain = learned(adapt_gain, own, 0.9)
        self.fire_rule = check_name("fire_rule", fire_rule, FIRE_RULES)
        self.detach_reset = detach_reset
        self.surrogate = make_surrogate(surrogate)

    def forward(self, x: Tensor) -> Tensor:
        """Map ``x[T, B, ...]`` to spikes of the same shape, block by block."""
        self.check_features(x.shape[2:])
        decay, p = within(self.decay, *MEMBRANE), within(self.adapt_decay.abs(), 0.0, MEMBRANE[1])
        gain = within(self.adapt_gain.abs(), *GAIN)
        v, a, before = torch.zeros_like(x[0]), torch.zeros_like(x[0]), torch.zeros_like(x[:0])
        spikes = []
        for block in x.split(self.refractory + 1):
            heard = block * (1 - _still_silenced(before, len(block)))
            membrane = decaying_sum(decay, torch.cat([heard[:1] + decay * v, heard[1:]]))
            rates = _powers(p, block)
            s = self._first_spikes(membrane - self.v_threshold - gain * rates * a)
            spikes.append(s)
            before = s.detach() if self.detach_reset else s
            v = membrane[-1] * (1 - before.sum(0))
            a = p * rates[-1] * a + (rates.flip(0) * before).sum(0)
        return torch.cat(spikes)

    def _first_spikes(self, above: Tensor) -> Tensor:
        """Return a spike where ``above[L, B, ...]`` first passes 0; the gradient is that of the double sum."""
        crossed = self.surrogate(above, self.fire_rule)
        z = crossed.to(torch.promote_types(above.dtype, torch.float32)).cumsum(0).cumsum(0)
        return straight_through((z == 1).to(z.dtype), z).to(above.dtype)


def _still_silenced(before: Tensor, steps: int) -> Tensor | float:
    """Return 1 where the spikes of the block `before` silence a step of the next, ``[steps, B, ...]``.

    A spike k steps into a block leaves the last steps of its block and the first k of the next.
    """
    return (before.sum(0) - before.cumsum(0))[:steps] if len(before) else 0.0


def _powers(p: Tensor, like: Tensor) -> Tensor:
    """Return p^k for the steps k of a block ``[L, B, ...]``, ``[L, 1, ...]``."""
    k = torch.arange(len(like), device=like.device, dtype=like.dtype)
    powers: Tensor = p ** k.view(-1, *[1] * (like.dim() - 1))
    return powers
