"""libraries: what one LIF layer costs in another library, and whether it computes what its convention says.

A peer takes turns, block by block in one process, with our eager and our fused lif at every size of a grid; the ratio
to eager does not drift with the machine. Parity comes first: a peer that misses its own convention is not timed.
"""

from __future__ import annotations

from dataclasses import dataclass

from harness.conformance.peers import Parity, parity_of, random_input, reference_answer
from harness.measure.clock import Timing, TimingProtocol, measure
from harness.measure.memory import saved_bytes
from harness.measure.peak import PeakMemory, peak_bytes
from harness.results.record import Series
from harness.suites.common.base import Answer, DivergedError, Measurement, Suite
from harness.suites.common.steps import median_figure, noise_in, timing_figure
from harness.workload import Workload
from reference_impls.libraries import build_peer, build_reference
from reference_impls.peer import PeerRun
from reference_impls.peers.spikeboard import SpikeboardLIF

CARD = {
    "name": "libraries",
    "kind": "suite",
    "version": 1,
    "title": "Libraries",
    "summary": (
        "Times the LIF layer of a library, forward alone and with its backward pass, alternating with this project's "
        "eager and fused lif, against T, N and B; weighs it; and compares its spikes and gradients with those of this "
        "project's neuron in the same convention."
    ),
    "exclusive": True,
    "timeout_seconds": 900.0,
    "typical_seconds": 90.0,
    "metrics": {
        "train_step_seconds": {
            "short": "fwd+bwd",
            "title": "forward and backward, T = 16",
            "unit": "seconds",
            "direction": "lower",
        },
        "forward_step_seconds": {
            "short": "forward",
            "title": "forward alone, T = 16",
            "unit": "seconds",
            "direction": "lower",
        },
        "train_neuron_steps_per_second": {
            "short": "neuron-steps",
            "title": "neuron-steps, forward and backward, T = 16",
            "unit": "neuron-steps per second",
            "direction": "higher",
            "judged": False,
        },
        "train_step_ratio": {
            "short": "vs eager",
            "title": "forward and backward / that of our eager lif, T = 16",
            "unit": "ratio",
            "direction": "lower",
        },
        "train_step_ratio_t4": {
            "short": "vs eager, T = 4",
            "title": "forward and backward / that of our eager lif, T = 4",
            "unit": "ratio",
            "direction": "lower",
        },
        "train_step_ratio_t64": {
            "short": "vs eager, T = 64",
            "title": "forward and backward / that of our eager lif, T = 64",
            "unit": "ratio",
            "direction": "lower",
        },
        "forward_step_ratio": {
            "title": "forward alone / that of our eager lif, T = 16",
            "unit": "ratio",
            "direction": "lower",
        },
        "train_step_ratio_to_fused": {
            "short": "vs fused",
            "title": "forward and backward / that of our fused lif, T = 16",
            "unit": "ratio",
            "direction": "lower",
        },
        "saved_bytes": {
            "short": "saved",
            "title": "kept for backward, T = 16",
            "unit": "bytes",
            "direction": "lower",
            "exact": True,
        },
        "peak_bytes": {
            "short": "peak",
            "title": "peak memory of forward and backward, T = 16",
            "unit": "bytes",
            "direction": "lower",
        },
        "spike_mismatch_fraction": {
            "short": "spikes differ",
            "title": "spikes that differ from the reference's",
            "unit": "fraction",
            "direction": "lower",
        },
        "gradient_cosine": {
            "short": "gradient cosine",
            "title": "cosine of the input gradient with the reference's",
            "unit": "1",
            "direction": "higher",
            "bounds": [-1.0, 1.0],
        },
    },
}

BASE = (16, 64, 1024)
"""(T, B, N) of the headline: 65,536 neurons."""
STEPS, NEURONS, BATCHES = (4, 16, 64), (256, 1024, 4096), (16, 64, 256)
PROTOCOL = TimingProtocol(
    warmup_calls=3,
    warmup_seconds=0.1,
    block_seconds=0.04,
    min_blocks=9,
    max_blocks=30,
    relative_half_width=0.03,
    tolerated_half_width=0.1,
    budget_seconds=8.0,
)
"""For each size; three neurons, forward and train, take turns in it."""

Size = tuple[int, int, int]


@dataclass(frozen=True)
class _Measured:
    """What one size gave: parity, and the timings of (whose, what)."""

    parity: Parity
    timings: dict[str, Timing]

    def ratio(self, what: str, baseline: str) -> Measurement:
        pairs = zip(self.timings[f"peer {what}"].samples, self.timings[f"{baseline} {what}"].samples, strict=True)
        return median_figure([theirs / ours for theirs, ours in pairs])

    def medians(self) -> dict[str, float]:
        return {name: timing.median_seconds for name, timing in self.timings.items()}


class Libraries(Suite):
    """Compare a library's LIF with ours."""

    def validate(self, workload: Workload) -> None:
        """Refuse a peer whose library is missing, before any of ours is run."""
        build_peer(workload.cell.neuron)

    def run(self, workload: Workload) -> Answer:
        """Weigh the peer in a process that has run nothing else, then time it over the grid."""
        weight = _weigh(workload)
        sizes = _sizes()
        measured: dict[Size, _Measured] = {}
        for done, size in enumerate(sizes):
            workload.progress(done / len(sizes), "T = {}, B = {}, N = {}".format(*size))
            measured[size] = self._measure(workload, size)
        figures = _figures(measured) | weight
        details = {
            "reference": "this project's lif in the same convention, or the library's step restated",
            "baseline": "spikeboard-lif (eager) and spikeboard-lif-fused, default convention",
            "medians_seconds": {_label(size): one.medians() for size, one in measured.items()},
        }
        timed = {name: figure.half_width for name, figure in figures.items() if figure.samples}
        return Answer(figures, _series(measured), details, noise=noise_in(timed, PROTOCOL))

    def _measure(self, workload: Workload, size: Size) -> _Measured:
        """Compare the answers, then take turns; what misses its convention has no speed."""
        x, upstream = random_input(size, workload.dtype, workload.device, workload.cell.seed)
        peer = build_peer(workload.cell.neuron).prepare(x, upstream)
        reference = build_reference(workload.cell.neuron)
        parity = parity_of(peer.answer(), reference_answer(reference, x, upstream))
        problem = parity.problem(workload.registry.peers[workload.cell.neuron].capabilities)
        if problem is not None:
            message = f"{workload.cell.neuron} misses its own convention at {_label(size)}: {problem}; it is not timed"
            raise DivergedError(message, Answer(_parity_figures(parity)))
        runs: dict[str, PeerRun] = {"peer": peer}
        runs |= {name: SpikeboardLIF(name).prepare(x, upstream) for name in ("eager", "fused")}
        for run in runs.values():  # what is compiled at a first call must not use up the budget
            run.forward()
            run.train()
        functions = {f"{who} {what}": getattr(run, what) for what in ("train", "forward") for who, run in runs.items()}
        return _Measured(parity, measure(functions, workload.device, PROTOCOL))


def _sizes() -> list[Size]:
    """Return the grid, one axis at a time through the base, each size once."""
    T, B, N = BASE
    wanted = [BASE, *((t, B, N) for t in STEPS), *((T, B, n) for n in NEURONS), *((T, b, N) for b in BATCHES)]
    return list(dict.fromkeys(wanted))


def _label(size: Size) -> str:
    return "T={} B={} N={}".format(*size)


def _weigh(workload: Workload) -> dict[str, Measurement]:
    """Return the memory of one forward and backward; JAX keeps what it keeps out of autograd's sight."""
    run = build_peer(workload.cell.neuron).prepare(*random_input(BASE, workload.dtype, workload.device))
    run.train()
    peak: PeakMemory = peak_bytes(run.train, workload.device)
    figures = {"peak_bytes": Measurement(float(peak.peak_bytes))}
    if workload.registry.peers[workload.cell.neuron].capabilities.framework == "torch":
        figures["saved_bytes"] = Measurement(float(saved_bytes(run.train).peak_bytes))
    return figures


def _figures(measured: dict[Size, _Measured]) -> dict[str, Measurement]:
    T, B, N = BASE
    base = measured[BASE]
    train = base.timings["peer train"]
    worst = Parity(
        max(one.parity.spike_mismatch_fraction for one in measured.values()),
        min(one.parity.gradient_cosine for one in measured.values()),
    )
    return {
        "train_step_seconds": timing_figure(train),
        "forward_step_seconds": timing_figure(base.timings["peer forward"]),
        "train_neuron_steps_per_second": median_figure([T * B * N / seconds for seconds in train.samples]),
        "train_step_ratio": base.ratio("train", "eager"),
        "train_step_ratio_t4": measured[(4, B, N)].ratio("train", "eager"),
        "train_step_ratio_t64": measured[(64, B, N)].ratio("train", "eager"),
        "forward_step_ratio": base.ratio("forward", "eager"),
        "train_step_ratio_to_fused": base.ratio("train", "fused"),
        **_parity_figures(worst),
    }


def _parity_figures(parity: Parity) -> dict[str, Measurement]:
    return {
        "spike_mismatch_fraction": Measurement(parity.spike_mismatch_fraction),
        "gradient_cosine": Measurement(parity.gradient_cosine),
    }


def _series(measured: dict[Size, _Measured]) -> dict[str, Series]:
    """Return the peer's seconds against T, N and B."""
    T, B, N = BASE
    axes: dict[str, tuple[str, dict[int, Size]]] = {
        "T": ("time steps", {t: (t, B, N) for t in STEPS}),
        "N": ("neurons", {n: (T, B, n) for n in NEURONS}),
        "B": ("samples", {b: (T, b, N) for b in BATCHES}),
    }
    found: dict[str, Series] = {}
    for what in ("train", "forward"):
        for axis, (unit, sizes) in axes.items():
            seconds = {at: measured[size].timings[f"peer {what}"].median_seconds for at, size in sizes.items()}
            points = tuple((float(at), value) for at, value in seconds.items())
            name = f"{what}_step_seconds"
            found[f"{name}_over_{axis}"] = Series(x=axis, x_unit=unit, y=name, y_unit="seconds", points=points)
    return found
