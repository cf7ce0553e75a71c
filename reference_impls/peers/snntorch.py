"""snnTorch's Leaky, one step at a time as the library has it: reset in the next step, or in the same one."""

from __future__ import annotations

from collections.abc import Mapping

import torch
from torch import Tensor

from reference_impls.neuron import SequentialNeuron
from reference_impls.neurons._membrane import MembraneState
from reference_impls.peer import Layer, TorchPeer
from reference_impls.surrogate import heaviside, make_surrogate

CARD = {
    "name": "snntorch-lif",
    "kind": "peer",
    "version": 1,
    "title": "snnTorch: Leaky",
    "summary": (
        "Leaky with its default reset: the threshold is subtracted one step after the spike, decided anew from the "
        "membrane, and carries no gradient. The library has no sequence mode; the loop over T is written by the user."
    ),
    "equations": "r[t] = m[t-1] > 1, no gradient; m[t] = beta m[t-1] + x[t] - r[t]; s[t] = m[t] > 1",
    "citations": [
        {
            "authors": "J. K. Eshraghian, M. Ward, E. O. Neftci, X. Wang, G. Lenz, G. Dwivedi, M. Bennamoun, "
            "D. S. Jeong, W. D. Lu",
            "title": "Training spiking neural networks using lessons from deep learning",
            "venue": "Proceedings of the IEEE 111(9):1016-1054",
            "year": 2023,
            "arxiv": "2109.12894",
            "code": "https://github.com/jeshraghian/snntorch (release 1.0.0)",
        }
    ],
    "capabilities": {
        "library": "snnTorch",
        "framework": "torch",
        "requires": {"snntorch": "1.0.0"},
        "devices": ["cpu", "cuda"],
        "dtypes": ["float32", "float64"],
        "decay": 0.5,
        "input_gain": "one",
        "fire_rule": "gt",
        "reset": "soft",
        "reset_timing": "next_step",
        "spike_timing": "same_step",
        "detach_reset": True,
        "surrogate": {"name": "atan", "params": {"alpha": 2.0}},
    },
    "defaults": {"reset_delay": True},
    "variants": {
        "snntorch-lif-immediate": {
            "title": "snnTorch: Leaky, reset_delay=False",
            "summary": "Leaky with the reset in the step of the spike; the spike inside it then carries gradient.",
            "params": {"reset_delay": False},
            "capabilities": {
                "reset_timing": "same_step",
                "detach_reset": False,
                "reference": {
                    "tau": 2.0,
                    "fire_rule": "gt",
                    "reset_mode": "soft",
                    "detach_reset": False,
                    "surrogate": "atan",
                },
            },
        }
    },
    "divergences": [
        "With reset_delay=False a membrane that is still above the threshold after its reset loses the threshold once "
        "more in the next step; parity holds for currents that one reset copes with, which those of the check are."
    ],
}


class SnnTorchLIF(TorchPeer):
    """``Leaky(beta=0.5, spike_grad=atan(2), reset_mechanism="subtract")``.

    Parameters
    ----------
    reset_delay : the library's own switch.
    """

    def __init__(self, reset_delay: bool = True) -> None:
        self.reset_delay = reset_delay

    def layer(self, like: Tensor) -> Layer:
        """Return the loop over T that the library's tutorials write."""
        import snntorch
        from snntorch import surrogate

        leaky = snntorch.Leaky(
            beta=0.5,
            spike_grad=surrogate.atan(alpha=2.0),
            reset_mechanism="subtract",
            reset_delay=self.reset_delay,
        ).to(like.device, like.dtype)
        snntorch.Leaky.instances.remove(leaky)  # the library keeps every neuron ever made

        def run(x: Tensor) -> Tensor:
            membrane = leaky.reset_mem()
            spikes = []
            for x_t in x:
                s, membrane = leaky(x_t, membrane)
                spikes.append(s)
            leaky.mem = leaky.mem.detach()
            return torch.stack(spikes)

        return run

    @staticmethod
    def restated() -> SequentialNeuron:
        """Return the delayed reset as a step."""
        return _DelayedReset()


class _DelayedReset(SequentialNeuron):
    """snnTorch's Leaky with its default, delayed reset."""

    def __init__(self) -> None:
        super().__init__()
        self.surrogate = make_surrogate("atan")

    def init_state(self, like: Tensor) -> MembraneState:
        return MembraneState(torch.zeros_like(like))

    def step(self, x: Tensor, state: MembraneState, params: Mapping[str, Tensor]) -> tuple[Tensor, MembraneState]:
        reset = heaviside(state.v.detach() - 1.0, "gt")
        v = 0.5 * state.v + x - reset
        return self.surrogate(v - 1.0, "gt"), MembraneState(v)
