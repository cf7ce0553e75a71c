"""Records that nobody measured, as varied as real ones, for tests of what is shown of records.

Real neurons, training methods, networks and tasks; figures from a fixed random stream. Intervals that tie, failures
with hostile text, impossible combinations, rows without conformance, two machines, several seeds.
"""

from __future__ import annotations

import random
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from harness.catalogue.boards import BOARDS
from harness.catalogue.cards import MetricCard, Registry, Row, SuiteCard
from harness.catalogue.cell import NOT_APPLICABLE, Cell
from harness.catalogue.compatibility import why_unsupported
from harness.catalogue.loading import load_registry
from harness.results.fingerprint import Fingerprints, combined
from harness.results.provenance import command
from harness.results.record import Machine, Metric, Provenance, Record, Series, Status
from harness.results.stats import wilson_interval
from harness.results.store import Store
from harness.results.validity import limits_of

HOSTILE = "<script>alert(1)</script> & \"quoted\" 'text' {{ 7 * 7 }} \\textbf{x} % $"
LONG = "a very long reason " * 200
TEST_SAMPLES = 359
STEPS = (4, 8, 16, 32, 64)
NEURONS = (
    *("if", "klif", "klif-scaled", "lif", "lif-hard", "lif-decay-input", "lif-attached"),
    *("mpe-psn", "mpe-psn-unshifted", "psn", "psu", "ppsu", "ipsu", "rpsu"),
)
METHODS = (
    *("bptt", "bptt-tet", "tbptt", "bptt-checkpointed", "ide", "ide-jacobian-free"),
    *("ottt-a", "ottt-o", "ottt-exact", "spide"),
)
"""Rows that are measured: a fixed choice, so that a new file changes no page of the tests."""

LAPTOP = Machine(
    name="intel-xeon-2c",
    cpu="Intel Xeon",
    physical_cores=2,
    logical_cores=4,
    memory_bytes=16 * 1024**3,
    os="Linux x86_64",
    python="3.11.7",
)
GPU = LAPTOP.model_copy(update={"name": "nvidia-h200-xeon-16c", "gpu": "NVIDIA H200", "gpu_driver": "570.1"})

_UNITS: Mapping[str, str] = {
    "fraction": "fraction",
    "bytes_per_time_step": "bytes per time step",
    "seconds_per_time_step": "seconds per time step",
    "steps_per_second": "neuron-steps per second",
    "seconds": "seconds",
    "bytes": "bytes",
    "joules": "joules",
    "ratio": "ratio",
    "spikes_per_neuron": "spikes",
}
"""Ending of a metric's name: its unit."""
_TYPICAL: Mapping[str, float] = {
    "fraction": 0.04,
    "bytes per time step": 40_000.0,
    "seconds per time step": 4e-4,
    "neuron-steps per second": 3e8,
    "samples per second": 2e4,
    "seconds": 3.2e-3,
    "bytes": 2.5e6,
    "joules": 4e-8,
    "ratio": 1.4,
    "spikes": 1.7,
    "epochs": 17.0,
    "parameters": 4810.0,
}
"""Size of a figure, by unit."""


def registry() -> Registry:
    """Return every real row; a suite that is not there yet gets a card made from what the boards ask of it."""
    real = load_registry()
    wanted: dict[str, dict[str, MetricCard]] = {}
    for column in (column for board in BOARDS for column in board.columns):
        unit = next((unit for end, unit in _UNITS.items() if column.metric.endswith(end)), "operations")
        higher = "per_second" in column.metric
        card = MetricCard(column.metric.replace("_", " "), unit, "higher" if higher else "lower")
        wanted.setdefault(column.suite, {})[column.metric] = card
    suites = dict(real.suites)
    for name, metrics in wanted.items():
        if name not in suites:
            card = SuiteCard(name, "suite", name.capitalize(), f"What {name} is.", 1, False, 60.0, 1.0, metrics)
            suites[name] = Row(name, "suite", card.title, card.summary, card, {}, None, Path(f"{name}.py"), name)
    return replace(real, suites=suites)


_current = Fingerprints(registry())
"""Records are made as today's code would make them, unless a test says otherwise."""


def record(
    cell: Cell,
    status: Status = "ok",
    metrics: Mapping[str, Metric] | None = None,
    machine: Machine = LAPTOP,
    started_at: str = "2026-03-01T12:00:00+00:00",
    duration_seconds: float = 3.25,
    **more: Any,
) -> Record:
    """Return one record, measured with today's code; `more` are further fields of it."""
    known = load_registry()
    of_today = cell.suite in known.suites
    provenance = Provenance(
        spikeboard="0.1.0",
        commit="0123456789abcdef0123456789abcdef01234567",
        dirty=False,
        code_hash=_current.of(cell).code_hash,
        suite_version=known.suite(cell.suite).version if of_today else 1,
        task_version=1,
        clock_version=1,
        packages={"torch": "2.13.0", "numpy": "2.4.6"},
        machine=machine,
        threads=cell.threads,
        allocator="glibc, thresholds pinned",
        command=command(cell),
        started_at=started_at,
        duration_seconds=duration_seconds,
    )
    if status != "ok":
        more.setdefault("reason", f"It ended as {status}.")
    return Record(cell=cell, cell_id=cell.id, status=status, metrics=metrics or {}, provenance=provenance, **more)


def older(one: Record, inputs: Mapping[str, str] | None = None) -> Record:
    """Return `one` as other code would have made it, which depended on `inputs` (None: it does not say)."""
    code_hash = "feedc0de" * 8 if inputs is None else combined(inputs)
    provenance = one.provenance.model_copy(update={"code_hash": code_hash, "inputs": inputs})
    return one.model_copy(update={"provenance": provenance})


def metric(value: float, card: MetricCard, half: float | None = None, covers: str = "blocks") -> Metric:
    """Return a figure with an interval of half width `half`."""
    return Metric(
        value=value,
        unit=card.unit,
        direction=card.direction,
        exact=card.exact,
        n=1 if half is None else 11,
        low=None if half is None else value - half,
        high=None if half is None else value + half,
        covers=None if half is None else covers,
    )


def error_metric(errors: int, card: MetricCard, samples: int = TEST_SAMPLES) -> Metric:
    """Return a test error with its Wilson interval."""
    low, high = wilson_interval(errors, samples)
    made = metric(errors / samples, card)
    return made.model_copy(update={"low": low, "high": high, "n": samples, "covers": "test samples"})


class Factory:
    """Makes records of any cell, always the same for the same cell."""

    def __init__(self, known: Registry | None = None) -> None:
        self.registry = known or registry()

    def measured(self, cell: Cell, machine: Machine = LAPTOP, **more: Any) -> Record:
        """Return a successful record of `cell` with every figure and series that its suite gives."""
        luck = random.Random(f"{cell.suite} {cell.neuron} {cell.method} {cell.topology} {machine.name}")
        seed = random.Random(cell.id)
        card = self.registry.suite(cell.suite)
        metrics = {name: self._metric(name, known, luck, seed) for name, known in card.metrics.items()}
        return record(cell, metrics=metrics, machine=machine, series=_series(cell, seed), **more)

    def conformance(self, cell: Cell, broken: int = 0, machine: Machine = LAPTOP) -> Record:
        """Return a conformance record with `broken` of six clauses broken."""
        promises = ("shapes are kept", "values are finite", "runs repeat", "state is isolated", "gradients", "vectors")
        checks = [
            {"name": f"check-{i}", "promise": promise, "passed": i >= broken, "problem": HOSTILE if i < broken else ""}
            for i, promise in enumerate(promises)
        ]
        cards = self.registry.suite("conformance").metrics
        metrics = {
            "failed_checks": metric(float(broken), cards["failed_checks"]),
            "passed_checks": metric(6.0 - broken, cards["passed_checks"]),
        }
        agreement = [
            {"layer": HOSTILE, "parameters": 208, "cosine": 0.987, "relative_error": 0.161, "norm_ratio": 1.02},
            {"layer": "readout", "parameters": 51, "cosine": None, "relative_error": None, "norm_ratio": None},
        ]
        details = {"checks": checks} if cell.method == NOT_APPLICABLE else {"checks": checks, "agreement": agreement}
        return record(cell, metrics=metrics, machine=machine, details=details)

    def _metric(self, name: str, card: MetricCard, luck: random.Random, seed: random.Random) -> Metric:
        value = _TYPICAL.get(card.unit, 1000.0) * luck.lognormvariate(0, 0.7)
        if name.endswith("error_fraction"):
            errors = max(0, round(value * TEST_SAMPLES) + seed.randint(-2, 2))
            return error_metric(min(errors, TEST_SAMPLES), card)
        if card.exact or limits_of(card).whole:
            return metric(float(round(value)), card)
        if limits_of(card).high <= 1:
            return metric(min(value, 1.0), card)
        return metric(value * seed.uniform(0.99, 1.01), card, abs(value) * 0.03)


def everything(known: Registry | None = None) -> list[Record]:
    """Return about as many records as one quick run gives, with everything in them that can go wrong."""
    factory = Factory(known)
    made: dict[tuple[str, str], Record] = {}
    for one in (*_plain(factory), *_odd(factory)):
        made[(one.cell_id, one.provenance.machine.name)] = one
    return list(made.values())


def write_store(root: Path, records: Iterable[Record], corrupt: bool = True) -> Path:
    """Write records to a store; with a broken and a foreign file beside them."""
    store = Store(root)
    for one in records:
        store.write(one)
    if corrupt:
        root.mkdir(parents=True, exist_ok=True)
        (root / "broken.json").write_text('{"schema_version": 1, "cell"')
        (root / "foreign <b>.json").write_text('{"name": "package"}')
    return root


def cells(factory: Factory) -> Iterator[Cell]:
    """Yield the cells of two boards: neurons under BPTT, methods with one neuron; on three tasks."""
    known = factory.registry
    axes = [("digits", neuron, "bptt", "mlp", "eager") for neuron in NEURONS]
    axes += [("digits", "if", method, topology, "eager") for method in METHODS for topology in ("mlp", "feedback")]
    axes += [
        (task, neuron, "bptt", "mlp", "eager") for task in ("digits-rows", "mnist") for neuron in ("if", "lif", "psn")
    ]
    axes += [("digits", neuron, "bptt", "mlp", "compiled") for neuron in ("if", "lif", "psn")]
    axes += [("digits-rows", "if", method, "mlp", "eager") for method in ("bptt", "ottt-a")]
    for task, neuron, method, topology, backend in axes:
        for suite in ("accuracy", "throughput", "memory", "spikes", "scaling"):
            if suite in known.suites and not (suite == "accuracy" and backend == "compiled"):
                cell = Cell(suite, task, neuron, method, topology, backend, budget="quick")
                yield from (replace(cell, seed=seed) for seed in range(3 if suite == "accuracy" else 1))


def _plain(factory: Factory) -> Iterator[Record]:
    for cell in cells(factory):
        why = why_unsupported(cell, factory.registry)
        yield record(cell, "unsupported", reason=why) if why else factory.measured(cell)
    for neuron in NEURONS:
        cell = Cell("conformance", neuron=neuron, dtype="float64")
        yield factory.conformance(cell, broken=2 if neuron == "klif" else 0)
    for neuron in ("if", "lif", "psn"):
        yield factory.conformance(Cell("conformance", neuron=neuron, backend="compiled", dtype="float64"))
    for peer in factory.registry.peers:
        yield factory.conformance(Cell("conformance", neuron=peer, backend=NOT_APPLICABLE))
        yield factory.measured(Cell("libraries", neuron=peer, backend=NOT_APPLICABLE))
    for method in METHODS:
        for topology in ("mlp", "feedback"):
            cell = Cell("conformance", neuron="if", method=method, topology=topology, dtype="float64")
            if method != "tbptt" and why_unsupported(cell, factory.registry) is None:
                yield factory.conformance(cell)


def _odd(factory: Factory) -> Iterator[Record]:
    base = Cell("accuracy", "digits", "lif", "bptt", "mlp", budget="quick")
    later: dict[str, Any] = {"started_at": "2026-03-02T08:30:00+00:00"}
    tail = (*(f"line {i}" for i in range(60)), HOSTILE)
    for status in ("timeout", "oom", "diverged", "crashed", "interrupted", "error"):
        names = {"timeout": "mpe-psn", "oom": "ppsu", "diverged": "psu", "crashed": "rpsu"}
        cell = replace(base, neuron=names.get(status, "ipsu"), suite="throughput" if status == "oom" else "accuracy")
        reason = HOSTILE if status == "timeout" else LONG if status == "crashed" else f"It ended as {status}."
        for seed in range(3 if status != "diverged" else 1):
            yield record(replace(cell, seed=seed), status, reason=reason, output_tail=tail, **later)  # type: ignore[arg-type]
    for suite in ("throughput", "memory", "spikes"):
        yield record(
            replace(base, neuron="rpsu", suite=suite), "crashed", reason="Killed by SIGSEGV.", output_tail=tail
        )
    # A tie: the same number of errors for two rows.
    cards = factory.registry.suite("accuracy").metrics
    for neuron in ("lif", "psn"):
        for seed in range(3):
            errors = {"error_fraction": error_metric(4 + seed, cards["error_fraction"])}
            series = _series(base, random.Random(seed))
            yield record(replace(base, neuron=neuron, seed=seed), metrics=errors, series=series, **later)
    # Another machine, and a task and a neuron that no card knows.
    for neuron in ("lif", "psn", "if"):
        for suite in ("accuracy", "throughput"):
            yield factory.measured(replace(base, neuron=neuron, suite=suite, device="cuda"), machine=GPU)
    yield factory.measured(replace(base, neuron=HOSTILE))
    yield record(replace(base, neuron="gone", task="../../escape"), "error", reason="no such neuron")


def _series(cell: Cell, luck: random.Random) -> dict[str, Series]:
    if cell.suite == "accuracy":
        epochs = range(1, 21)
        shape = [(float(e), 0.9 * 0.8**e + 0.02 + luck.uniform(0, 0.01)) for e in epochs]
        loss = tuple((x, 2.3 * y) for x, y in shape)
        return {
            "train_loss": Series(x="epoch", x_unit="epochs", y="train_loss", y_unit="nats", points=loss),
            **{
                name: Series(
                    x="epoch",
                    x_unit="epochs",
                    y=name,
                    y_unit="fraction",
                    points=tuple((x, y * luck.uniform(0.95, 1.1)) for x, y in shape),
                )
                for name in ("validation_error_fraction", "test_error_fraction")
            },
        }
    names = {"scaling": ("train_step_seconds", "seconds", 4e-4), "memory": ("saved_bytes", "bytes", 3e4)}
    if cell.suite not in names:
        return {}
    name, unit, typical = names[cell.suite]
    slope = typical * luck.lognormvariate(0, 0.5) * (0 if cell.method.startswith("ottt") else 1)
    points = tuple((float(T), 3 * typical + slope * T) for T in STEPS)
    return {name: Series(x="T", x_unit="time steps", y=name, y_unit=unit, points=points)}
