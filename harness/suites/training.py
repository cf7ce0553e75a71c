"""training: what a whole training step of one network costs in every library, at the firing rates of a task.

Forward, loss, backward and Adam of the task's fully connected network take turns, block by block in one process, with
those of our eager dense step and, where it is installed, of SpikingJelly. Parity comes first: loss and gradients of the
same weights on the same input must be those of our network in the library's convention, or nothing is timed.
"""

from __future__ import annotations

from dataclasses import dataclass
from importlib.util import find_spec
from typing import NamedTuple

import torch
from torch import Tensor, nn

from harness.measure.clock import Timing, TimingProtocol, measure
from harness.suites.common.base import Answer, DivergedError, Measurement, Suite
from harness.suites.common.steps import median_figure, noise_in, timing_figure
from harness.workload import Workload
from reference_impls.api import UnsupportedError
from reference_impls.backends import fused_numba
from reference_impls.libraries import build_peer, build_reference
from reference_impls.neurons.lif import LIF
from reference_impls.peer_steps import Maps, OwnStep, Stepped, StepRun, StepTask, prepare_step
from reference_impls.peers.spikeboard import SpikeboardLIF
from reference_impls.peers.spikingjelly import SpikingJellyLIF
from reference_impls.topologies.mlp import MLP

CARD = {
    "name": "training",
    "kind": "suite",
    "version": 1,
    "title": "Whole training steps",
    "summary": (
        "Times forward, loss, backward and Adam of a task's fully connected network, batch 128, alternating with our "
        "eager dense step and with SpikingJelly's; a speed-up is their time divided by this row's. Loss and gradients "
        "must first be those of our network in the library's convention, with the same weights on the same input."
    ),
    "exclusive": True,
    "timeout_seconds": 900.0,
    "typical_seconds": 30.0,
    "metrics": {
        "speedup_over_spikingjelly": {
            "short": "vs SpikingJelly",
            "title": "speed-up of a training step over SpikingJelly's",
            "unit": "ratio",
            "direction": "higher",
        },
        "speedup_over_eager": {
            "short": "vs our eager step",
            "title": "speed-up of a training step over our eager dense one",
            "unit": "ratio",
            "direction": "higher",
        },
        "train_step_seconds": {
            "short": "step",
            "title": "training step, batch 128",
            "unit": "seconds",
            "direction": "lower",
        },
        "train_samples_per_second": {
            "title": "trained samples",
            "unit": "samples per second",
            "direction": "higher",
            "judged": False,
        },
        "loss_difference": {
            "short": "loss differs",
            "title": "difference of the loss from our network's in the same convention, relative",
            "unit": "1",
            "direction": "lower",
            "bounds": [0.0, None],
        },
        "gradient_difference": {
            "short": "gradients differ",
            "title": "largest difference of a parameter's gradient from our network's, relative",
            "unit": "1",
            "direction": "lower",
            "bounds": [0.0, None],
        },
    },
}

BATCH = 128
SETTLING_UPDATES = 40
"""Updates that the weights get before anything is timed: as they are drawn, hardly a neuron of a wide input fires, and
what costs nothing on silent layers would win."""
NAMED = "spikingjelly-lif"
"""The library that all are compared with where it is installed."""
EXACT_DIFFERENCE, ROUNDED_DIFFERENCE = 1e-6, 1e-2
"""Largest relative difference in float64, where rounding turns no spike around (not every library passes on all digits
of its spikes' gradient), and in float32, where in millions of neuron-steps it may turn a few."""
PROTOCOL = TimingProtocol(
    warmup_calls=3,
    warmup_seconds=0.2,
    block_seconds=0.04,
    min_blocks=12,
    max_blocks=40,
    relative_half_width=0.02,
    tolerated_half_width=0.1,
    budget_seconds=20.0,
)
"""For the row and what takes turns with it."""


@dataclass(frozen=True, slots=True)
class Difference:
    """How far a step is from the reference's."""

    loss: float
    gradient: float
    dtype: torch.dtype

    def problem(self) -> str | None:
        """Say how it is more than rounding, or return None."""
        most = EXACT_DIFFERENCE if self.dtype == torch.float64 else ROUNDED_DIFFERENCE
        for what, value in (("loss", self.loss), ("gradient", self.gradient)):
            if not value <= most:
                kind = str(self.dtype).removeprefix("torch.")
                return f"its {what} differs by {value:.1e} of the reference's in {kind}, {most:.0e} is rounding"
        return None


class _Prepared(NamedTuple):
    """A network at the firing rates of its task."""

    task: StepTask
    rates: tuple[float, ...]


class Training(Suite):
    """Time whole steps."""

    def validate(self, workload: Workload) -> None:
        """Refuse a network that is not ``mlp``, a peer whose library is missing or that trains no network here."""
        if workload.registry.topologies[workload.cell.topology].card.name != "mlp":
            raise UnsupportedError(
                f"training compares fully connected networks (mlp) in every library, not {workload.cell.topology}"
            )
        if workload.cell.neuron not in workload.registry.peers:
            raise UnsupportedError(
                f"training compares the LIF of libraries (spikeboard list peers); {workload.cell.neuron} is none; the "
                "suite throughput times a training step of any neuron"
            )
        weight, bias = torch.zeros(1, 1), torch.zeros(1)
        task = StepTask(torch.zeros(1, 1, 1), torch.zeros(1, dtype=torch.int64), Maps((weight, weight), (bias, bias)))
        prepare_step(build_peer(workload.cell.neuron), task.to(workload.dtype))

    def run(self, workload: Workload) -> Answer:
        """Bring the network to its rates, compare what it finds, then take turns."""
        name = workload.cell.neuron
        workload.progress(0.0, "settling")
        prepared = _settled(workload)
        workload.progress(0.3, "parity")
        judged, timed = self._differences(workload, prepared.task)
        problem = judged.problem()
        parity = {
            "loss_difference": Measurement(judged.loss),
            "gradient_difference": Measurement(judged.gradient),
        }
        if problem is not None:
            message = (
                f"a training step of {name} is not that of our network in its convention: {problem}; it is not timed"
            )
            raise DivergedError(message, Answer(parity))
        workload.progress(0.5, "timing")
        steps = {"row": prepare_step(build_peer(name), prepared.task), **_baselines(prepared.task)}
        for step in steps.values():  # what is compiled at a first call must not use up the budget
            step.train()
        timings = measure({who: step.train for who, step in steps.items()}, workload.device, PROTOCOL)
        figures = _figures(timings) | parity
        noise = noise_in({key: figure.half_width for key, figure in figures.items() if figure.samples}, PROTOCOL)
        return Answer(figures, details=_details(prepared, timings, judged, timed), noise=noise)

    def _differences(self, workload: Workload, task: StepTask) -> tuple[Difference, Difference]:
        """Return how far the row is from the reference: where it is judged, and in the number format that is timed."""
        formats = workload.registry.peers[workload.cell.neuron].capabilities.dtypes
        exact = torch.float64 if "float64" in formats else workload.dtype
        found = {dtype: _difference(workload.cell.neuron, task.to(dtype)) for dtype in {exact, workload.dtype}}
        return found[exact], found[workload.dtype]


def _settled(workload: Workload) -> _Prepared:
    """Return the first batch, with weights drawn from the seed and trained on the next ones in the row's convention."""
    generator = torch.Generator().manual_seed(workload.cell.seed)
    x, target = _batch(workload, 0, generator)
    neuron = build_reference(workload.cell.neuron)
    if workload.device.type == "cpu" and find_spec("numba") is not None:
        fused_numba.attach(neuron)
    task = StepTask(x, target, _drawn(workload), workload.budget.learning_rate)
    run = OwnStep(neuron.to(workload.device, workload.dtype), task)
    for update in range(1, SETTLING_UPDATES + 1):
        run.x, run.target = _batch(workload, update, generator)
        run.train()
    run.x, run.target = x, target
    return _Prepared(StepTask(x, target, run.learned()), run.rates())


def _drawn(workload: Workload) -> Maps:
    """Return the weights of the task's network as its topology draws them."""
    torch.manual_seed(workload.cell.seed)
    card, (_, sizes) = workload.task_card, workload.topology()
    network = MLP(card.sample_shape, card.classes, lambda *, shape: LIF(), **sizes)  # noqa: ARG005
    maps = [module for module in network.modules() if isinstance(module, nn.Linear)]
    network.to(workload.device, workload.dtype)
    return Maps(tuple(one.weight.detach() for one in maps), tuple(one.bias.detach() for one in maps))


def _batch(workload: Workload, number: int, generator: torch.Generator) -> tuple[Tensor, Tensor]:
    """Return a batch of training samples as ``[T, B, N]``, round and round, and its classes.

    A constant current in [0, 1] is drawn as spikes with that probability, as the first tutorials of most libraries do:
    a map of an input that is the same at every step need be computed once only, by whoever sees it.
    """
    samples = workload.split.train
    chosen = torch.arange(number * BATCH, (number + 1) * BATCH) % len(samples)
    x = workload.task.encode(samples.inputs[chosen].to(workload.device, workload.dtype)).flatten(2)
    if x.shape[0] > 1 and x.stride(0) == 0:
        chances = torch.rand(x.shape, generator=generator, dtype=x.dtype).to(x.device)
        x = (chances < x).to(x.dtype)
    return x.contiguous(), samples.labels[chosen].to(workload.device)


def _difference(name: str, task: StepTask) -> Difference:
    """Compare a row's step with that of our eager network in the convention on its card."""
    reference = OwnStep(build_reference(name).to(task.x.device, task.x.dtype), task).answer()
    return difference_of(prepare_step(build_peer(name), task).answer(), reference, task.x.dtype)


def difference_of(found: Stepped, reference: Stepped, dtype: torch.dtype) -> Difference:
    """Return the relative differences of loss and gradients; of a gradient that is zero, the other's norm."""
    loss = abs(found.loss - reference.loss) / abs(reference.loss) if reference.loss else abs(found.loss)
    gradients = []
    for ours, theirs in zip(reference.gradients, found.gradients, strict=True):
        size = float(ours.norm())
        gradients.append(float((theirs - ours).norm()) / (size or 1.0))
    return Difference(loss, max(gradients), dtype)


def _baselines(task: StepTask) -> dict[str, StepRun]:
    """Return what takes turns with the row: our eager step, and the named library's where it is installed."""
    found = {"eager": prepare_step(SpikeboardLIF("eager"), task)}
    try:
        build_peer(NAMED)
    except UnsupportedError:
        return found
    return {**found, "spikingjelly": prepare_step(SpikingJellyLIF(), task)}


def _figures(timings: dict[str, Timing]) -> dict[str, Measurement]:
    row = timings["row"]
    return {
        "train_step_seconds": timing_figure(row),
        "train_samples_per_second": median_figure([BATCH / seconds for seconds in row.samples]),
        **{
            f"speedup_over_{who}": median_figure([a / b for a, b in zip(other.samples, row.samples, strict=True)])
            for who, other in timings.items()
            if who != "row"
        },
    }


def _details(
    prepared: _Prepared, timings: dict[str, Timing], judged: Difference, timed: Difference
) -> dict[str, object]:
    x = prepared.task.x
    return {
        "network": "-".join(map(str, prepared.task.maps.sizes)),
        "T": x.shape[0],
        "batch_size": BATCH,
        "optimizer": "Adam; fused in spikeboard-lif-events, torch's default in every other row",
        "baseline": "SpikingJelly"
        if "spikingjelly" in timings
        else "our eager dense step: SpikingJelly is not installed",
        "input_density": float((x != 0).double().mean()),
        "firing_rates": list(prepared.rates),
        "parity_judged_in": str(judged.dtype).removeprefix("torch."),
        "loss_difference_as_timed": timed.loss,
        "gradient_difference_as_timed": timed.gradient,
        "medians_seconds": {who: timing.median_seconds for who, timing in timings.items()},
    }
