"""A network of two parts: spiking layers, the last one's spikes added up over windows, and an ANN that reads the sums.

The body of ``hybrid-conv``. Must not know which linear maps it is given, nor how it is trained.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import torch
from torch import Tensor, nn

from reference_impls.api import NetworkOutput, Neuron, State, Synapse, over_time
from reference_impls.rollout import Latency, OnItsWay, Pipelined, one_step_late
from reference_impls.topologies._chain import Block

__all__ = ["Accumulator", "Held", "Hybrid"]


class Held(NamedTuple):
    """State of an accumulator."""

    total: Tensor
    """What has been added up, ``[B, ...]``."""
    phase: Tensor
    """Steps of the present window that are over, int64 without a shape; negative: steps until the first one begins."""


class Accumulator(nn.Module):
    """Adds up spikes over windows: ``A_k = sum over window k of leak^(t_end - t) s[t]``.

    Parameters
    ----------
    window : time steps of a window.
    leak : what a step leaves of the sum (1: a plain count).
    cleared : whether a window begins with nothing; else what the last one left goes on leaking.

    Raises
    ------
    ValueError
        If a window has no step, or the leak is not in (0, 1].
    """

    def __init__(self, window: int, leak: float = 1.0, cleared: bool = True) -> None:
        super().__init__()
        if window < 1:
            raise ValueError(f"window must be at least 1 time step, got {window}")
        if not 0 < leak <= 1:
            raise ValueError(f"leak must be above 0 and at most 1 (a plain count), got {leak}")
        self.window, self.leak, self.cleared = window, leak, cleared

    def forward(self, spikes: Tensor, held: Held | None, wait: int = 0) -> tuple[Tensor, list[int], Held]:
        """Add up ``spikes[T, B, ...]``; from rest, the first window begins after `wait` steps.

        Returns
        -------
        The sums of the windows that end here ``[K, B, ...]``, the steps at which they do, and what is held.
        """
        phase = -wait if held is None else int(held.phase)
        total = torch.zeros_like(spikes[0]) if held is None else held.total
        sums, ends, steps = [], [], spikes.shape[0]
        at = min(steps, max(0, -phase))
        phase += at
        while at < steps:
            part = spikes[at : at + self.window - phase]
            total = self._added(total, part)
            at, phase = at + part.shape[0], phase + part.shape[0]
            if phase == self.window:
                sums.append(total)
                ends.append(at - 1)
                phase, total = 0, torch.zeros_like(total) if self.cleared else total
        stacked = torch.stack(sums) if sums else spikes[:0]
        return stacked, ends, Held(total, torch.tensor(phase))

    def _added(self, total: Tensor, part: Tensor) -> Tensor:
        if self.leak == 1:
            return total + part.sum(0)
        count = part.shape[0]
        left = self.leak ** torch.arange(count - 1, -1, -1, dtype=part.dtype, device=part.device)
        return total * self.leak**count + (part * left.view(-1, *[1] * (part.dim() - 1))).sum(0)


class Hybrid(Pipelined):
    """Spiking layers, an accumulator and an ANN head that says something at the end of every window.

    The logits are what the head says at the steps at which windows end, and 0 at all others, where it says nothing: the
    mean over time is then proportional to the mean of all answers. What a window that the sequence cuts short has
    added up is part of the state. In a streaming rollout windows begin when the first spike can have come through, so
    that they hold the same spikes, and every map of the head costs a step as well.

    Parameters
    ----------
    blocks : spiking layers, first to last.
    accumulator : between the parts.
    head : maps of the ANN, the read-out last; a ReLU follows each of the others.
    answer : shape of what the read-out gives of a sample: ``(classes,)``, or that of a map over positions.
    """

    structure = "delayed"

    def __init__(
        self, blocks: Sequence[Block], accumulator: Accumulator, head: Sequence[nn.Module], answer: tuple[int, ...]
    ) -> None:
        super().__init__()
        self.blocks = nn.ModuleList(blocks)
        self.accumulator = accumulator
        self.head = nn.ModuleList(head)
        self._answer = answer

    def layers(self) -> tuple[Block, ...]:
        """Return the spiking layers, first to last."""
        return tuple(block for block in self.blocks if isinstance(block, Block))

    def neurons(self) -> tuple[Neuron, ...]:
        """Return the neuron of every spiking layer."""
        return tuple(block.neuron for block in self.layers())

    def synapses(self) -> tuple[Synapse, ...]:
        """Return the maps of the layers, fed with spikes, and those of the head, fed with numbers."""
        spiking = [
            Synapse(f"layer{index}", block.synapse, "spikes" if index > 1 else "input")
            for index, block in enumerate(self.layers(), start=1)
        ]
        names = [*(f"head{index}" for index in range(1, len(self.head))), "readout"]
        return (*spiking, *(Synapse(name, module, "rates") for name, module in zip(names, self.head, strict=True)))

    @property
    def latency(self) -> Latency:
        """Return one step for every edge from a spiking layer, or from a map of the head."""
        edges = len(self.blocks) + len(self.head) - 1
        return Latency(edges, edges)

    def run(self, x: Tensor, states: tuple[State | None, ...] | None = None) -> NetworkOutput:
        """Process ``x[T, B, ...]`` layer by layer."""
        return self.rolled_out(x, states, streaming=False)

    def rolled_out(self, x: Tensor, states: tuple[State | None, ...] | None, streaming: bool) -> NetworkOutput:
        """Process ``x[T, B, ...]``; a streaming state also holds the answers that are under way."""
        layers = self.layers()
        before = self._known(x, states, streaming)
        signal, after, losses = x, [], []
        for layer, block in enumerate(layers):
            state = before[layer]
            out = block.neuron.run(over_time(block.synapse, signal), state.neuron if streaming and state else state)
            signal = one_step_late(out.spikes, state.sent if state else None) if streaming else out.spikes
            after.append(OnItsWay(out.state, out.spikes[-1]) if streaming else out.state)
            if out.auxiliary_loss is not None:
                losses.append(out.auxiliary_loss)
        held, pending = before[len(layers)], before[len(layers) + 1]
        sums, ends, held = self.accumulator(signal, held, len(layers) if streaming else 0)
        logits = self._placed(sums, ends, x.shape[:2], pending, self.latency.full - len(layers) if streaming else 0)
        said, pending = logits[: x.shape[0]], logits[x.shape[0] :]
        return NetworkOutput(said, (*after, held, pending), sum(losses[1:], losses[0]) if losses else None)

    def answers(self, sums: Tensor) -> Tensor:
        """Return what the head says to ``sums[K, B, ...]``, ``[K, B, *answer]``."""
        for module in self.head[:-1]:
            sums = over_time(module, sums).relu()
        return over_time(self.head[-1], sums)

    def _placed(self, sums: Tensor, ends: list[int], size: torch.Size, pending: Tensor | None, late: int) -> Tensor:
        """Return the logits of all steps and of the `late` ones after, ``[T + late, B, *answer]``."""
        steps, batch = size
        # Without a window the head still takes part, on no sample, so that a loss has a gradient: all of it is 0.
        said = self.answers(sums) if ends or torch.is_grad_enabled() else None
        logits = sums.new_zeros(steps + late, batch, *self._answer)
        if pending is not None and late:
            logits = torch.cat([pending, logits[late:]])
        if said is None:
            return logits
        return logits.index_add(0, torch.tensor(ends, dtype=torch.long, device=sums.device) + late, said)

    def _known(self, x: Tensor, states: tuple[State | None, ...] | None, streaming: bool) -> tuple[State | None, ...]:
        """Return the states of layers, accumulator and answers under way; refuse those of another rollout or batch."""
        layers = len(self.blocks)
        if states is None:
            return (None,) * (layers + 2)
        if any(isinstance(state, OnItsWay) != streaming for state in states[:layers]):
            raise ValueError(
                "these are states of the other rollout: a streaming one also holds what is under way; go on as the run "
                "that gave them, or from rest (states None)"
            )
        held, pending = states[layers:]
        assert isinstance(held, Held)
        self.refuse_other_batch(x, (tuple(states[:layers]), held.total))
        return (*states[:layers], held, pending)
