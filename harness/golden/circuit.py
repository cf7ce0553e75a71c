"""A neuron of a golden file with the linear maps that the file puts around it: input, bias, recurrence.

So a neuron needs no weights of its own to be compared with a recorded layer. Must not know any neuron by name.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

import torch
from torch import Tensor, nn

from harness.golden.vocabulary import SYNAPSES
from reference_impls.api import Neuron, SequentialNeuron, State

__all__ = ["Circuit"]


class Circuit(nn.Module):
    """``x[T, B, N_in]`` through ``I[t] = W x[t] + b + V s[t-1]`` to the spikes of `neuron`.

    Parameters
    ----------
    neuron : as built for the case.
    synapses : those of ``input_weight [N, N_in]``, ``input_bias [N]`` and ``recurrent_weight [N, N]`` that there are.
    """

    def __init__(self, neuron: Neuron, synapses: Mapping[str, Any]) -> None:
        super().__init__()
        self.neuron = neuron
        self.synapses = nn.ParameterDict({SYNAPSES[key]: torch.tensor(value) for key, value in synapses.items()})

    def forward(self, x: Tensor, noise: Tensor | None = None) -> Tensor:
        """Return the spikes ``[T, B, N]``."""
        if "recurrent" in self.synapses:
            return torch.stack([spikes for spikes, _ in self.walk(x)])
        current = self._current(x)
        spikes: Tensor = self.neuron(current) if noise is None else self.neuron(current, noise=noise)
        return spikes

    def membrane(self, x: Tensor) -> Tensor:
        """Return the membrane of a parallel neuron, ``[T, B, N]``."""
        membrane: Tensor = self.neuron.membrane(self._current(x))  # type: ignore[operator]
        return membrane

    def walk(self, x: Tensor) -> Iterator[tuple[Tensor, State]]:
        """Yield spikes and state of a sequential neuron after every step."""
        neuron = self.neuron
        assert isinstance(neuron, SequentialNeuron)
        current = self._current(x)
        state, spikes = neuron.init_state(current[0]), torch.zeros_like(current[0])
        for i in current:
            fed_back = spikes @ self.synapses["recurrent"].T if "recurrent" in self.synapses else 0.0
            spikes, state = neuron.advance(i + fed_back, state)
            yield spikes, state

    def learned(self) -> dict[str, Tensor]:
        """Return the parameters of the maps under the names of the file, and those of the neuron (which win)."""
        return dict(self.synapses.items()) | dict(self.neuron.named_parameters())

    def _current(self, x: Tensor) -> Tensor:
        if "weight" in self.synapses:
            x = x @ self.synapses["weight"].T
        return x + self.synapses["bias"] if "bias" in self.synapses else x
