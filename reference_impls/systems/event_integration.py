"""Events added up: a leaky sum of the signed bins, scaled to fit the frames; no network at all."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import torch
from torch import Tensor

from reference_impls.api import State, Synapse
from reference_impls.dense_network import DenseAnswer, DenseBaseline, Windows, at_ends

CARD = {
    "name": "event-integration",
    "kind": "system",
    "version": 1,
    "title": "Event integration",
    "summary": (
        "Adds the signed bins of each pixel up, with the leak, the gain and the offset that fit the training part "
        "best: what an event camera's own model gives without learning."
    ),
    "equations": "u[t] = leak u[t-1] + x[t]; image = gain u + offset, by least squares for each of nine leaks",
    "citations": [
        {
            "authors": "C. Scheerlinck, N. Barnes, R. Mahony",
            "title": "Continuous-time Intensity Estimation Using Event Cameras",
            "venue": "ACCV",
            "year": 2018,
            "arxiv": "1811.00386",
        }
    ],
    "capabilities": {"answers": "frames", "input_channels": 1, "learns": False, "spiking": False},
    "divergences": [
        "The paper's filter adds up brightness changes of known contrast and, where there are frames, leans on them; "
        "here the bins are normalised and gain and offset are fitted, and there are no frames.",
    ],
}

LEAKS = (0.0, 0.5, 0.7, 0.8, 0.9, 0.95, 0.98, 0.99, 1.0)


class EventIntegration(DenseBaseline):
    """A leaky sum with a fitted gain and offset.

    Parameters
    ----------
    sample_shape : ``(1, height, width)``.
    components : 1.
    """

    fitted: Tensor
    """Leak, gain and offset."""

    def __init__(self, sample_shape: tuple[int, ...], components: int) -> None:
        super().__init__()
        if sample_shape[0] != 1 or components != 1:
            raise ValueError(
                "event-integration adds one channel of signed bins up to one of intensity, got "
                f"{sample_shape[0]} channels and {components} components"
            )
        self.register_buffer("fitted", torch.zeros(3))

    def fit(self, batches: Iterable[Windows]) -> None:
        """Choose the leak by the squared error that its best gain and offset leave."""
        # Sums of 1, u, u^2, f, u f and f^2 are all that least squares needs.
        sums = torch.zeros(len(LEAKS), 6, dtype=torch.float64)
        for batch in batches:
            frames = batch.target.double()
            for index, leak in enumerate(LEAKS):
                u = at_ends(_summed(batch.x, leak), len(batch.target)).double()
                moments = (torch.ones_like(u), u, u * u, frames, u * frames, frames * frames)
                sums[index] += torch.stack([moment.sum() for moment in moments]).cpu()
        best = min(range(len(LEAKS)), key=lambda index: _line(sums[index])[2])
        gain, offset, _ = _line(sums[best])
        self.fitted.copy_(torch.tensor([LEAKS[best], gain, offset]))

    def answer(self, x: Tensor, states: Sequence[State | None] | None = None) -> DenseAnswer:
        """Return the scaled sum at every step."""
        leak, gain, offset = self.fitted.tolist()
        summed = _summed(x, leak, states[0] if states else None)
        return DenseAnswer(gain * summed + offset, (summed[-1],))

    def synapses(self) -> tuple[Synapse, ...]:
        """It has none."""
        return ()


def _summed(x: Tensor, leak: float, start: Tensor | None = None) -> Tensor:
    u = torch.zeros_like(x[0]) if start is None else start
    found = []
    for x_t in x:
        u = leak * u + x_t
        found.append(u)
    return torch.stack(found)


def _line(sums: Tensor) -> tuple[float, float, float]:
    """Return gain, offset and mean squared error of the best line through points with these sums."""
    n, u, uu, f, uf, ff = sums.tolist()
    spread, covariance = uu / n - (u / n) ** 2, uf / n - u * f / n**2
    gain = covariance / spread if spread > 0 else 0.0
    return gain, (f - gain * u) / n, ff / n - (f / n) ** 2 - gain * covariance
