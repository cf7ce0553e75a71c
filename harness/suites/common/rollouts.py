"""One trained network read under a sequential and under a streaming rollout: its answers after every step.

An answer after a step is the class of the largest sum of the read-outs up to there. Must not know which network it
reads, but for how often what reads the spikes does so.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from harness.measure.counters import LayerActivity, LayerCounter
from harness.suites.common.train import EVALUATION_BATCH, batches, limited
from harness.workload import Workload
from reference_impls.api import TrainingMethod, UnsupportedError
from reference_impls.rollout import Latency, Streaming
from reference_impls.topologies._hybrid import Hybrid

__all__ = ["Answers", "BothRollouts", "answers_of", "read_both"]

NOTHING = -1
"""In place of a class: nothing has been said yet."""
TIES = 0.01
"""Share of samples whose class may differ from that of the method's own read-out, by rounding."""


@dataclass(frozen=True)
class Answers:
    """What a rollout said of every sample after every step, ``[steps, N]``, and what was right."""

    said: Tensor
    """Classes, or `NOTHING`."""
    labels: Tensor

    @property
    def samples(self) -> int:
        """Return the number of samples."""
        return self.labels.shape[0]

    @property
    def errors(self) -> Sequence[int]:
        """Return how many samples were missed after each step; where nothing was said, it was not right."""
        return [int(missed) for missed in (self.said != self.labels).sum(1)]

    @property
    def first(self) -> Tensor:
        """Return the steps to the first answer, ``[N]``; all of them where there was none."""
        silent = (self.said == NOTHING).sum(0)
        return (silent + 1).clamp(max=self.said.shape[0])

    @property
    def final(self) -> Tensor:
        """Return the steps from which on the answer changed no more, ``[N]``."""
        steps = torch.arange(1, self.said.shape[0] + 1)[:, None]
        changed = torch.where(self.said != self.said[-1], steps, 0).amax(0)
        return changed + 1


@dataclass(frozen=True)
class BothRollouts:
    """What one network did under both."""

    sequential: Answers
    """Over as many steps as `streaming`: after its last one it stays with what it said."""
    streaming: Answers
    mismatch: float
    """Share of streaming answers (samples x steps) that are not the sequential ones of `latency` steps before."""
    steps: int
    """Of a sample."""
    latency: Latency
    interface: LayerActivity
    """Of the last spiking layer, sequential."""
    window: int
    """Steps after which what it feeds reads."""

    @property
    def address_bytes(self) -> int:
        """Return the whole bytes that tell the neurons of the interface apart, and the signs of their spikes."""
        layer = self.interface
        addresses = layer.neurons * (2 if layer.negative_entries else 1)
        return max(1, math.ceil(math.log2(addresses) / 8))


@torch.no_grad()
def read_both(method: TrainingMethod, workload: Workload) -> BothRollouts:
    """Read the test split under both rollouts; after a sample's last step a streaming one sees silence.

    Raises
    ------
    UnsupportedError
        If the method's own read-out is not the mean over the steps.
    """
    network, test = method.network, limited(workload.split.test, workload.budget.test_limit)
    streaming = Streaming(network)
    late, last = streaming.latency, len(network.neurons()) - 1
    counter, sequential, streamed = LayerCounter(last), [], []

    def count(layer: int, spikes: Tensor) -> None:
        if layer == last:
            counter.add(spikes)

    network.eval()
    try:
        for x, _ in batches(test, EVALUATION_BATCH, workload, None):
            with network.observed_by(count):
                said = answers_of(network.run(x).logits)
            if (said[-1] != method.predict(x).argmax(1)).double().mean() > TIES:
                raise UnsupportedError(
                    f"streaming averages the read-outs of the steps, and {workload.cell.method} reads out otherwise"
                )
            silence = torch.zeros_like(x[:1]).expand(late.full, *x.shape[1:])
            logits = streaming.run(torch.cat([x, silence])).logits
            nothing = torch.full_like(said[:1], NOTHING).expand(late.first, -1)
            sequential.append(torch.cat([said, said[-1:].expand(late.full, -1)]).cpu())
            streamed.append(torch.cat([nothing, answers_of(logits[late.first :])]).cpu())
    finally:
        network.train()
    by_step, by_stream = (Answers(torch.cat(parts, dim=1), test.labels) for parts in (sequential, streamed))
    steps = by_step.said.shape[0] - late.full
    differ = by_stream.said[late.full :] != by_step.said[:steps]
    window = network.accumulator.window if isinstance(network, Hybrid) else 1
    return BothRollouts(by_step, by_stream, float(differ.double().mean()), steps, late, counter.closed(), window)


def answers_of(logits: Tensor) -> Tensor:
    """Return the class after every step of ``logits[T, B, C]``, ``[T, B]``; `NOTHING` where all were 0 so far."""
    summed = logits.cumsum(0)
    spoken = (logits != 0).any(-1).cummax(0).values
    return torch.where(spoken, summed.argmax(-1), NOTHING)
