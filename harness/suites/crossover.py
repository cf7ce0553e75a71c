"""crossover: from which density of spikes on a dense product is as fast as one that touches only what spiked.

The event-driven linear map of several layer sizes takes turns with torch's dense product at densities from 0.5 to 50 %,
forward and gradient of the weight apart, listing of the events included. Sums must be equal first. Input is random
spikes: where they stand decides nothing of a dense product and little of the other.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from itertools import pairwise
from typing import NamedTuple

import torch
from torch import Tensor
from torch.nn import functional

from harness.measure.clock import Timing, TimingProtocol, measure
from harness.results.record import Series
from harness.suites.common.base import Answer, DivergedError, Measurement, Suite
from harness.suites.common.steps import median_figure, noise_in
from harness.workload import Workload
from reference_impls.api import UnsupportedError
from reference_impls.events.linear import event_linear, require_numba
from reference_impls.libraries import build_peer
from reference_impls.peers.spikeboard_events import SpikeboardEvents

CARD = {
    "name": "crossover",
    "kind": "suite",
    "version": 1,
    "title": "Speed against density",
    "summary": (
        "Times the event-driven linear map in turns with torch's dense product, forward and gradient of the weight, at "
        "densities from 0.5 to 50 % for three layers (784 to 400, 512 rows; 140 to 256 and 256 to 256, 12,800 rows). "
        "The crossover is the density at which both take as long; 1 where it is never reached."
    ),
    "exclusive": True,
    "timeout_seconds": 1200.0,
    "typical_seconds": 120.0,
    "metrics": {
        "forward_crossover_density": {
            "short": "forward pays below",
            "title": "density below which the forward pass pays, the least over layers",
            "unit": "1",
            "direction": "higher",
            "bounds": [0.0, 1.0],
        },
        "gradient_crossover_density": {
            "short": "weight gradient pays below",
            "title": "density below which the weight's gradient pays, the least over layers",
            "unit": "1",
            "direction": "higher",
            "bounds": [0.0, 1.0],
        },
        "forward_speedup_5_percent": {
            "short": "forward at 5 %",
            "title": "speed-up of the forward pass at 5 % spikes, the least over layers",
            "unit": "ratio",
            "direction": "higher",
        },
        "gradient_speedup_5_percent": {
            "short": "weight gradient at 5 %",
            "title": "speed-up of the weight's gradient at 5 % spikes, the least over layers",
            "unit": "ratio",
            "direction": "higher",
        },
    },
}


class Size(NamedTuple):
    """A linear map and its input: samples times steps, inputs, outputs."""

    rows: int
    inputs: int
    outputs: int

    @property
    def label(self) -> str:
        """Return it as part of a figure's name."""
        return f"{self.inputs}_to_{self.outputs}"


SIZES = (Size(4 * 128, 784, 400), Size(100 * 128, 140, 256), Size(100 * 128, 256, 256))
"""First layer of MNIST's network, first and second of SHD's."""
DENSITIES = (0.005, 0.01, 0.02, 0.05, 0.1, 0.15, 0.2, 0.3, 0.4, 0.5)
HEADLINE = 0.05
"""The density that figures name."""
MOST_ROUNDING: Mapping[torch.dtype, float] = {torch.float32: 1e-4, torch.float64: 1e-12}
"""Largest difference of the sums, relative to their largest."""
PROTOCOL = TimingProtocol(
    warmup_calls=2,
    warmup_seconds=0.05,
    block_seconds=0.01,
    min_blocks=9,
    max_blocks=30,
    relative_half_width=0.03,
    tolerated_half_width=0.15,
    budget_seconds=4.0,
)
"""For each size and density, four functions in turns."""
DIRECTIONS = ("forward", "gradient")


class Crossover(Suite):
    """Find where sparsity pays."""

    def validate(self, workload: Workload) -> None:
        """Refuse rows without an event-driven map, and machines without Numba."""
        if not isinstance(build_peer(workload.cell.neuron), SpikeboardEvents):
            raise UnsupportedError(
                f"crossover is asked of spikeboard-lif-events, whose maps are event-driven, not {workload.cell.neuron}"
            )
        if workload.device.type != "cpu":
            raise UnsupportedError("event-driven linear maps run on a CPU; on a GPU the dense product is made")
        require_numba()

    def run(self, workload: Workload) -> Answer:
        """Take turns at every size and density."""
        points = [(size, density) for size in SIZES for density in DENSITIES]
        found: dict[tuple[Size, float], dict[str, Measurement]] = {}
        for done, (size, density) in enumerate(points):
            workload.progress(done / len(points), f"{size.inputs} to {size.outputs}, {density:.1%}")
            found[size, density] = _speedups(workload, size, density)
        figures = _figures(found)
        details = {
            "rows": {size.label: size.rows for size in SIZES},
            "crossover": {
                f"{direction}, {size.inputs} to {size.outputs}": crossover_of(
                    [(density, found[size, density][direction].value) for density in DENSITIES]
                )
                for direction in DIRECTIONS
                for size in SIZES
            },
        }
        widths = {
            f"{direction} {size.label} {density:.1%}": figure.half_width
            for (size, density), both in found.items()
            for direction, figure in both.items()
        }
        return Answer(figures, _series(found), details, noise=noise_in(widths, PROTOCOL))


def crossover_of(speedups: Sequence[tuple[float, float]]) -> float:
    """Return the lowest density at which the speed-up falls to 1, interpolated between points on logarithmic axes.

    Parameters
    ----------
    speedups : (density, speed-up), by growing density. 1 is returned if all are above 1, the first density if none is.
    """
    if speedups[0][1] <= 1:
        return speedups[0][0]
    for (low, before), (high, after) in pairwise(speedups):
        if after <= 1:
            share = math.log(before) / (math.log(before) - math.log(after))
            return math.exp(math.log(low) + share * (math.log(high) - math.log(low)))
    return 1.0


def _speedups(workload: Workload, size: Size, density: float) -> dict[str, Measurement]:
    """Return how many times longer the dense product takes, in each direction."""
    functions = _functions(workload, size, density)
    for direction in DIRECTIONS:
        events, dense = functions["events", direction](), functions["dense", direction]()
        error = float((events - dense).abs().max() / dense.abs().max().clamp(min=1e-30))
        if not error <= MOST_ROUNDING[workload.dtype]:
            raise DivergedError(
                f"{direction} of {size.label} at {density:.1%} differs from the dense one by {error:.1e}"
            )
    timings = measure({" ".join(key): one for key, one in functions.items()}, workload.device, PROTOCOL)
    return {
        direction: _ratio(timings[f"dense {direction}"], timings[f"events {direction}"]) for direction in DIRECTIONS
    }


def _functions(workload: Workload, size: Size, density: float) -> dict[tuple[str, str], Callable[[], Tensor]]:
    """Return both maps and both gradients; a gradient's time includes no forward pass, the events are listed before.

    The forward pass has the bias; the events are counted and listed in it, as in a network.
    """
    generator = torch.Generator().manual_seed(workload.cell.seed)
    like = torch.empty(0, device=workload.device, dtype=workload.dtype)
    x = (torch.rand(size.rows, size.inputs, generator=generator) < density).to(like)
    weight = torch.randn(size.outputs, size.inputs, generator=generator).to(like)
    # As `event_driven` lays a network's weights out.
    laid = weight.t().contiguous().t().requires_grad_()
    weight.requires_grad_()
    bias = torch.randn(size.outputs, generator=generator).to(like)
    upstream = torch.randn(size.rows, size.outputs, generator=generator).to(like)
    events = event_linear(x, laid, bias, 1.0, 0)
    dense = functional.linear(x, weight, bias)

    def gradient(out: Tensor, of: Tensor) -> Callable[[], Tensor]:
        return lambda: torch.autograd.grad(out, of, upstream, retain_graph=True)[0]

    return {
        ("events", "forward"): lambda: event_linear(x, laid, bias, 1.0, 0).detach(),
        ("dense", "forward"): lambda: functional.linear(x, weight, bias).detach(),
        ("events", "gradient"): gradient(events, laid),
        ("dense", "gradient"): gradient(dense, weight),
    }


def _ratio(dense: Timing, events: Timing) -> Measurement:
    return median_figure([a / b for a, b in zip(dense.samples, events.samples, strict=True)])


def _figures(found: Mapping[tuple[Size, float], Mapping[str, Measurement]]) -> dict[str, Measurement]:
    figures = {}
    for direction in DIRECTIONS:
        lines = {size: [(density, found[size, density][direction].value) for density in DENSITIES] for size in SIZES}
        figures[f"{direction}_crossover_density"] = Measurement(min(map(crossover_of, lines.values())))
        at = [found[size, HEADLINE][direction] for size in SIZES]
        figures[f"{direction}_speedup_5_percent"] = min(at, key=lambda figure: figure.value)
    return figures


def _series(found: Mapping[tuple[Size, float], Mapping[str, Measurement]]) -> dict[str, Series]:
    """Return a line for each size and direction."""
    series = {}
    for direction in DIRECTIONS:
        for size in SIZES:
            name = f"{direction}_speedup_{size.label}"
            points = tuple((density, found[size, density][direction].value) for density in DENSITIES)
            series[name] = Series(x="density", x_unit="1", y=name, y_unit="ratio", points=points)
    return series
