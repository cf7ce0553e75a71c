"""layers: what a layer of neurons costs against T and N, beside LIF run step by step and LIF in one fused kernel.

The three take turns, block by block in one process, at every size; the ratios do not drift with the machine. One more
size is a whole network with an input shaped like SHD, for which papers state speed-ups.
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import NamedTuple

import torch
from torch import Tensor

from harness.conformance.peers import random_input
from harness.measure.clock import Timing, TimingProtocol, measure
from harness.results.record import Series
from harness.suites.common.base import Answer, Measurement, Suite
from harness.suites.common.steps import median_figure, noise_in, timing_figure
from harness.workload import Workload
from reference_impls.api import LayerShape, Neuron, NeuronFactory
from reference_impls.peers.spikeboard import SpikeboardLIF
from reference_impls.topologies.mlp import MLP
from reference_impls.training.bptt import BPTT

CARD = {
    "name": "layers",
    "kind": "suite",
    "version": 1,
    "title": "Layers against T and N",
    "summary": (
        "Times one layer of 4,096 neurons forward and backward for T from 4 to 2,048, and of 256 to 65,536 neurons at "
        "T = 64, in turns with eager LIF and fused LIF; a speed-up is their time divided by this neuron's. Then a "
        "training step of a 700-128-128-100-20 network on random spikes, T = 15, batch 256 (shaped like SHD)."
    ),
    "exclusive": True,
    "timeout_seconds": 1800.0,
    "typical_seconds": 90.0,
    "metrics": {
        "speedup_t16": {
            "short": "vs eager LIF, T = 16",
            "title": "speed-up over eager LIF, T = 16",
            "unit": "ratio",
            "direction": "higher",
        },
        "speedup_t256": {
            "short": "vs eager LIF, T = 256",
            "title": "speed-up over eager LIF, T = 256",
            "unit": "ratio",
            "direction": "higher",
        },
        "speedup_t2048": {
            "short": "vs eager LIF, T = 2,048",
            "title": "speed-up over eager LIF, T = 2,048",
            "unit": "ratio",
            "direction": "higher",
        },
        "speedup_over_fused_t16": {
            "short": "vs fused LIF, T = 16",
            "title": "speed-up over fused LIF, T = 16",
            "unit": "ratio",
            "direction": "higher",
        },
        "speedup_over_fused_t256": {
            "short": "vs fused LIF, T = 256",
            "title": "speed-up over fused LIF, T = 256",
            "unit": "ratio",
            "direction": "higher",
        },
        "speedup_over_fused_t2048": {
            "short": "vs fused LIF, T = 2,048",
            "title": "speed-up over fused LIF, T = 2,048",
            "unit": "ratio",
            "direction": "higher",
        },
        "forward_speedup_t64": {
            "short": "forward vs eager LIF, T = 64",
            "title": "speed-up of the forward pass over eager LIF, T = 64",
            "unit": "ratio",
            "direction": "higher",
        },
        "layer_seconds": {
            "short": "fwd+bwd, T = 256",
            "title": "forward and backward, 4,096 neurons, T = 256",
            "unit": "seconds",
            "direction": "lower",
        },
        "network_speedup": {
            "short": "SHD-shaped step vs eager LIF",
            "title": "speed-up of an SHD-shaped training step over eager LIF",
            "unit": "ratio",
            "direction": "higher",
        },
        "network_speedup_over_fused": {
            "title": "speed-up of an SHD-shaped training step over fused LIF",
            "unit": "ratio",
            "direction": "higher",
        },
    },
}

BATCH = 16
BASE_NEURONS, BASE_STEPS = 4096, 64
STEPS = (4, 16, 64, 256, 1024, 2048)
HEADLINES = {"t16": 16, "t64": 64, "t256": 256, "t2048": 2048}
"""Those of them that figures name."""
NEURONS = (256, 1024, 4096, 16384, 65536)
"""Neurons of all samples of the batch together: what papers call the density."""
SHD_STEPS, SHD_BATCH, SHD_INPUT, SHD_HIDDEN, SHD_CLASSES = 15, 256, 700, (128, 128, 100), 20
SHD_RATE = 0.05
"""Share of input entries that spike; dense products do not feel it."""
PROTOCOL = TimingProtocol(
    warmup_calls=2,
    warmup_seconds=0.1,
    block_seconds=0.03,
    min_blocks=9,
    max_blocks=30,
    relative_half_width=0.03,
    tolerated_half_width=0.1,
    budget_seconds=8.0,
)
"""For each size, all that take turns in it together; ratios of 2 to 100 may be a tenth off."""
OURS, EAGER, FUSED = "this", "eager LIF", "fused LIF"

Functions = dict[tuple[str, str], Callable[[], object]]
"""By (whose, what)."""


class Size(NamedTuple):
    """A layer's input."""

    T: int
    neurons: int


@dataclass(frozen=True)
class Turns:
    """The timings of one size, by (whose, what)."""

    timings: Mapping[tuple[str, str], Timing]

    def speedup(self, over: str, what: str) -> Measurement:
        """Return how many times longer `over` takes, round by round."""
        pairs = zip(self.timings[over, what].samples, self.timings[OURS, what].samples, strict=True)
        return median_figure([theirs / ours for theirs, ours in pairs])


class Layers(Suite):
    """Time a layer beside LIF."""

    def validate(self, workload: Workload) -> None:
        """Refuse where the fused LIF, which all are compared with, cannot run."""
        _baselines(workload)

    def run(self, workload: Workload) -> Answer:
        """Time every size, then the network."""
        sizes = list(dict.fromkeys([*_over_steps().values(), *_over_neurons().values()]))
        baselines = _baselines(workload)
        found: dict[Size, Turns] = {}
        for done, size in enumerate(sizes):
            workload.progress(done / (len(sizes) + 1), f"T = {size.T}, {size.neurons} neurons")
            found[size] = _timed(_layer_functions(workload, baselines, size), workload.device)
        workload.progress(len(sizes) / (len(sizes) + 1), "network")
        network = _timed(_network_functions(workload, baselines), workload.device)
        details = {
            "batch_size": BATCH,
            "baselines": "lif, soft reset: eager, and in one fused kernel for each direction",
            "network_step_seconds": {who: one.median_seconds for (who, _), one in network.timings.items()},
        }
        figures = _figures(found, network)
        noise = noise_in({name: figure.half_width for name, figure in figures.items()}, PROTOCOL)
        return Answer(figures, _all_series(found), details, noise=noise)


def _over_steps() -> dict[int, Size]:
    return {T: Size(T, BASE_NEURONS) for T in STEPS}


def _over_neurons() -> dict[int, Size]:
    return {neurons: Size(BASE_STEPS, neurons) for neurons in NEURONS}


def _baselines(workload: Workload) -> dict[str, Neuron]:
    """Return what every neuron is compared with; without parameters or state, one of each serves every layer."""
    like = torch.empty(0, device=workload.device, dtype=workload.dtype)
    return {EAGER: SpikeboardLIF("eager").layer(like), FUSED: SpikeboardLIF("fused").layer(like)}


class _LayerRun:
    """A neuron with one input."""

    def __init__(self, neuron: Neuron, x: Tensor, upstream: Tensor) -> None:
        self.neuron, self.x, self.upstream = neuron, x, upstream
        self.leaf = x.clone().requires_grad_()
        self.wanted = [self.leaf, *(one for one in neuron.parameters() if one.requires_grad)]

    @torch.no_grad()
    def forward(self) -> Tensor:
        """Compute the spikes and nothing for a backward pass."""
        return self.neuron.run(self.x).spikes

    def train(self) -> tuple[Tensor | None, ...]:
        """Compute the gradients of the input and of the parameters."""
        output = self.neuron.run(self.leaf)
        roots, upstream = [output.spikes], [self.upstream]
        if output.auxiliary_loss is not None:
            roots.append(output.auxiliary_loss)
            upstream.append(torch.ones_like(output.auxiliary_loss))
        return torch.autograd.grad(roots, self.wanted, upstream, allow_unused=True)


def _layer_functions(workload: Workload, baselines: Mapping[str, Neuron], size: Size) -> Functions:
    """Return what takes turns in one size, every one called once already: what compiles must not use up the budget."""
    shape = (size.T, BATCH, size.neurons // BATCH)
    x, upstream = random_input(shape, workload.dtype, workload.device, workload.cell.seed)
    torch.manual_seed(workload.cell.seed)
    neurons = {OURS: workload.neuron(size.T, shape=shape[2:]), **baselines}
    runs = {who: _LayerRun(neuron, x, upstream) for who, neuron in neurons.items()}
    functions: Functions = {
        (who, what): getattr(run, what) for what in ("train", "forward") for who, run in runs.items()
    }
    for function in functions.values():
        function()
    return functions


def _network_functions(workload: Workload, baselines: Mapping[str, Neuron]) -> Functions:
    """Return a training step of the SHD-shaped network with each neuron, called once already."""
    generator = torch.Generator().manual_seed(workload.cell.seed)
    drawn = torch.rand(SHD_STEPS, SHD_BATCH, SHD_INPUT, generator=generator)
    x = (drawn < SHD_RATE).to(workload.device, workload.dtype)
    target = torch.randint(SHD_CLASSES, (SHD_BATCH,), generator=generator).to(workload.device)
    factories: dict[str, NeuronFactory] = {OURS: functools.partial(workload.neuron, SHD_STEPS)}
    factories |= {who: functools.partial(_same, neuron) for who, neuron in baselines.items()}
    functions: Functions = {}
    for who, factory in factories.items():
        torch.manual_seed(workload.cell.seed)
        network = MLP((SHD_INPUT,), SHD_CLASSES, factory, SHD_HIDDEN).to(workload.device, workload.dtype)
        method = BPTT()
        method.prepare(network, torch.optim.Adam)
        functions[who, "train"] = functools.partial(method.update, x, target)
        functions[who, "train"]()
    return functions


def _same(neuron: Neuron, **_shape: LayerShape) -> Neuron:
    """Return `neuron` itself for a layer of any shape."""
    return neuron


def _timed(functions: Functions, device: torch.device) -> Turns:
    names = {f"{who} {what}": (who, what) for who, what in functions}
    timings = measure({name: functions[key] for name, key in names.items()}, device, PROTOCOL)
    return Turns({key: timings[name] for name, key in names.items()})


def _figures(found: Mapping[Size, Turns], network: Turns) -> dict[str, Measurement]:
    at = {label: found[_over_steps()[T]] for label, T in HEADLINES.items()}
    figures = {}
    for label in ("t16", "t256", "t2048"):
        figures[f"speedup_{label}"] = at[label].speedup(EAGER, "train")
        figures[f"speedup_over_fused_{label}"] = at[label].speedup(FUSED, "train")
    return figures | {
        "forward_speedup_t64": at["t64"].speedup(EAGER, "forward"),
        "layer_seconds": timing_figure(at["t256"].timings[OURS, "train"]),
        "network_speedup": network.speedup(EAGER, "train"),
        "network_speedup_over_fused": network.speedup(FUSED, "train"),
    }


def _all_series(found: Mapping[Size, Turns]) -> dict[str, Series]:
    """Return seconds and speed-ups over both axes."""
    series = {}
    for axis, unit, sizes in (("T", "time steps", _over_steps()), ("N", "neurons", _over_neurons())):
        at = {x: found[size] for x, size in sizes.items()}
        for who in (OURS, EAGER, FUSED):
            name = "forward_and_backward_seconds" if who == OURS else f"{who.replace(' ', '_')}_seconds"
            seconds = {x: turns.timings[who, "train"].median_seconds for x, turns in at.items()}
            series[f"{name}_over_{axis}"] = _series(axis, unit, name, "seconds", seconds)
        for over, name in ((EAGER, "speedup_over_eager_LIF"), (FUSED, "speedup_over_fused_LIF")):
            for what, prefix in (("train", ""), ("forward", "forward_")):
                ratios = {x: turns.speedup(over, what).value for x, turns in at.items()}
                series[f"{prefix}{name}_over_{axis}"] = _series(axis, unit, prefix + name, "ratio", ratios)
    return series


def _series(axis: str, unit: str, name: str, y_unit: str, values: Mapping[int, float]) -> Series:
    points = tuple((float(x), value) for x, value in values.items())
    return Series(x=axis, x_unit=unit, y=name, y_unit=y_unit, points=points)
