"""Runs one cell in the process it is called in, and says how it ended.

Everything that decides a figure beside the suite itself happens here, the same for every cell: allocator, threads,
seeds, determinism. Any executor can call `work`; it must not know which one did, or what becomes of the outcome.
"""

from __future__ import annotations

import contextlib
import errno
import math
import os
import random
import time
import traceback
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path

import numpy.random
import torch

from harness.catalogue.cell import Cell
from harness.catalogue.recipes import trains
from harness.conformance.places import place_of
from harness.errors import UserError
from harness.execute import allocator
from harness.execute.hyper_parameters import hyper_parameters
from harness.execute.isolation import lift_memory_limit
from harness.execute.messages import CellOutcome, CellRequest, Message, Progress, Setting, encoded
from harness.extras import missing_extra
from harness.measure.clock import CLOCK_VERSION
from harness.measure.neighbours import Load, Watch
from harness.results import provenance
from harness.results.gpu import gpu_setting, held_back_by
from harness.results.record import Series
from harness.suites.common.base import Answer, DivergedError, Measurement, Suite, to_metrics
from harness.text import redacted
from harness.workload import Workload
from reference_impls.api import UnsupportedError
from reference_impls.discovery import load_class

__all__ = ["work"]

Send = Callable[[Message], None]

PROGRESS_INTERVAL_SECONDS = 0.1
"""A suite may report after every batch; more than this would cost time that it may be measuring."""
LONGEST_REASON = 400
HYPER_PARAMETERS = "hyper_parameters"
"""Key of the details: everything that a training rests on, whatever its recipe."""
NO_MEMORY = (
    "can't allocate memory",
    "not enough memory",
    "DefaultCPUAllocator",
    "std::bad_alloc",
    "CUDA error: out of memory",
)
"""What torch says in a plain RuntimeError when an allocation fails."""


def work(request: CellRequest, send: Send) -> CellOutcome:
    """Run the cell of `request` and return how it ended; whatever it raises becomes an outcome too.

    Parameters
    ----------
    request : the cell and where its names, data and scratch folder are.
    send : takes the setting, before anything is measured, and then the progress.
    """
    send(Setting(clock_version=CLOCK_VERSION, allocator=allocator.pin()))
    try:
        outcome = _run(request, send)
        encoded(outcome)  # what cannot be written is the suite's error, and named here
    except (Exception, SystemExit, KeyboardInterrupt) as error:
        lift_memory_limit()
        outcome = _outcome_of(error, _files(request))
        if outcome.status != "unsupported":
            _print(error)
    return outcome


def _run(request: CellRequest, send: Send) -> CellOutcome:
    cell = request.cell
    _prepare(cell)
    card = request.registry.suite(cell.suite)
    suite = load_class(request.registry.suites[cell.suite].module, Suite)(card)
    workload = Workload(cell, request.registry, request.data_root, request.scratch, request.vectors, _throttled(send))
    suite.validate(workload)
    gpu = _gpu_setting(workload.device)
    before = provenance.clocks(gpu_uuid := str(gpu["uuid"])) if gpu else None
    watch = Watch() if card.timed else None
    try:
        answer, diverged = suite.run(workload), None
    except DivergedError as error:
        _print(error)
        answer, diverged = error.answer or Answer({}), str(error)
    load = watch.load() if watch else None
    clocks = provenance.clocks(gpu_uuid if gpu else None)
    if before and clocks:
        clocks |= {f"{name}_before": value for name, value in before.items() if name.startswith("gpu_")}
    figures = {name: figure for name, figure in answer.figures.items() if _is_finite(figure)}
    series = {name: _finite(curve) for name, curve in answer.series.items()}
    if diverged is None:
        diverged = _first_not_finite(answer, figures, series)
    status, reason = ("ok", None) if diverged is None else ("diverged", diverged)
    if status == "ok" and (noise := _noise(answer, load) or (card.timed and _held_back(clocks))):
        status, reason = "noisy", noise
    return CellOutcome(
        status=status,
        reason=reason and _sentence(reason),
        metrics=to_metrics(card, figures),
        series=series,
        predictions=answer.predictions,
        details={**answer.details, **({HYPER_PARAMETERS: hyper_parameters(workload)} if trains(cell) else {})},
        clocks=clocks,
        gpu=gpu,
        busy_fraction=load and load.fraction,
        device_peak_bytes=_device_peak_bytes(workload.device),
    )


def _print(error: BaseException) -> None:
    """Print an error for those who read the last lines; the cell may have closed its streams."""
    with contextlib.suppress(OSError, ValueError):
        traceback.print_exception(error)


def _prepare(cell: Cell) -> None:
    """Set threads, seeds and determinism; nothing here costs time later."""
    # Kernels of Numba follow torch; its own variable must stay what it was when the fork server imported Numba.
    os.environ["OMP_NUM_THREADS"] = str(cell.threads)
    torch.set_num_threads(cell.threads)
    random.seed(cell.seed)
    numpy.random.seed(cell.seed)
    torch.manual_seed(cell.seed)
    if torch.device(cell.device).type == "cpu":
        # On a GPU it would choose slower kernels, and be another benchmark. The function of the same purpose,
        # use_deterministic_algorithms, imports torch's compiler: two seconds.
        torch.set_deterministic_debug_mode("warn")
        torch.utils.deterministic.fill_uninitialized_memory = False  # type: ignore[attr-defined]


def _throttled(send: Send) -> Callable[[float, str], None]:
    last = -math.inf

    def progress(fraction: float, note: str) -> None:
        nonlocal last
        now = time.monotonic()
        if now - last >= PROGRESS_INTERVAL_SECONDS:
            last = now
            send(Progress(fraction=min(max(fraction, 0.0), 1.0), note=note))

    return progress


def _gpu_setting(device: torch.device) -> dict[str, str | float] | None:
    """Set and return what decides the figures of a GPU; None for a CPU."""
    if device.type != "cuda":
        return None
    # Products of float32 are those of float32, whatever the default of a torch: ours are compared over versions.
    torch.backends.cuda.matmul.allow_tf32 = torch.backends.cudnn.allow_tf32 = False
    return {
        **gpu_setting(str(torch.cuda.get_device_properties(device).uuid)),
        "cuda_runtime": str(torch.version.cuda),
        "tf32_matmul": float(torch.backends.cuda.matmul.allow_tf32),
        "tf32_cudnn": float(torch.backends.cudnn.allow_tf32),
    }


def _held_back(clocks: Mapping[str, float] | None) -> str | None:
    """Say that a time was taken on a GPU that something slowed down."""
    reasons = held_back_by(clocks or {})
    return f"The GPU was held back ({', '.join(reasons)}): measure again when it is not." if reasons else None


def _device_peak_bytes(device: torch.device) -> int | None:
    return torch.cuda.max_memory_reserved(device) if device.type == "cuda" else None


def _is_finite(figure: Measurement) -> bool:
    bounds = (bound for bound in (figure.low, figure.high) if bound is not None)
    return all(math.isfinite(number) for number in (figure.value, *figure.samples, *bounds))


def _finite(curve: Series) -> Series:
    points = tuple(point for point in curve.points if all(map(math.isfinite, point)))
    return curve.model_copy(update={"points": points})


def _first_not_finite(answer: Answer, figures: Mapping[str, Measurement], series: Mapping[str, Series]) -> str | None:
    """Name the first figure or series that had to be left out or cut, or return None."""
    for name, figure in answer.figures.items():
        if name not in figures:
            return f"The figure {name} is not finite: {figure.value}."
    for name, curve in answer.series.items():
        if len(series[name].points) < len(curve.points):
            return f"The series {name} is not finite everywhere."
    return None


def _noise(answer: Answer, load: Load | None) -> str | None:
    """Say why the timings of an answer may not be ranked, or return None."""
    if load is not None and not load.quiet:
        return f"The machine was not quiet: other processes used {load.fraction:.0%} of its processors."
    return answer.noise


def _files(request: CellRequest) -> list[Path]:
    """Return the files of the rows that a cell names: what their authors can mend."""
    cell, known = request.cell, request.registry
    axes = ((cell.neuron, known.cell_neurons), (cell.method, known.methods), (cell.topology, known.topologies))
    return [rows[name].path for name, rows in (*axes, (cell.task, known.tasks)) if name in rows]


def _outcome_of(error: BaseException, files: Iterable[Path] = ()) -> CellOutcome:
    """Classify what a cell raised; of an error that passed through one of `files`, the place there is named."""
    message = str(error)
    if isinstance(error, UnsupportedError):
        return CellOutcome(status="unsupported", reason=_sentence(message))
    if any(map(_is_out_of_memory, _causes(error))):
        return CellOutcome(status="oom", reason=_sentence(f"Out of memory: {message or 'an allocation failed'}"))
    if isinstance(error, SystemExit):
        return CellOutcome(
            status="error", reason=_sentence(f"It called sys.exit({error.code!r}) before it gave a result.")
        )
    if isinstance(error, DivergedError):
        return CellOutcome(status="diverged", reason=_sentence(message))
    if (missing := missing_extra(error)) is not None:
        error, message = missing, str(missing)
    if isinstance(error, UserError):
        return CellOutcome(status="error", reason=_sentence(message.replace("\n", "; ")))
    place = place_of(error, files)
    where = f" ({redacted(place)})" if place else ""
    return CellOutcome(status="error", reason=_sentence(f"{type(error).__name__}: {message}", where))


def _causes(error: BaseException | None) -> list[BaseException]:
    """Return the error and what it was raised from, outermost first."""
    found: list[BaseException] = []
    while error is not None and error not in found:
        found.append(error)
        error = error.__cause__ or error.__context__
    return found


def _is_out_of_memory(error: BaseException) -> bool:
    if isinstance(error, MemoryError | torch.OutOfMemoryError):
        return True
    if isinstance(error, OSError):
        return error.errno == errno.ENOMEM
    return isinstance(error, RuntimeError) and any(mark in str(error) for mark in NO_MEMORY)


def _sentence(text: str, end: str = "") -> str:
    """Return `text` on one line, shortened to what a reason may be, and the whole of `end`."""
    line, most = " ".join(text.split()), LONGEST_REASON - len(end)
    return (line if len(line) <= most else line[: most - 1] + "…") + end
