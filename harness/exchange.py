"""Measures a trained network that came from elsewhere, on a task of the board: errors, spikes, operations and energy.

The same data, encoding, test split, counters and constants as for every row; only the training was somebody else's. So
its records stand under a method of their own (`METHOD`), beside the board's, and ranked with other imported ones
only. Must not know what file a network came from.
"""

from __future__ import annotations

import math
import shlex
import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Literal

import torch
from torch import Tensor

from harness.catalogue.cards import Registry
from harness.catalogue.cell import Cell
from harness.errors import UserError
from harness.execute.messages import CellOutcome
from harness.execute.records import CellRun, Recorder
from harness.results.fingerprint import code_hash
from harness.results.predictions import pack
from harness.results.record import Record
from harness.suites.common.base import Answer, Measurement, share_missed, to_metrics
from harness.suites.common.train import evaluated
from harness.suites.spikes import counted
from harness.workload import Workload
from reference_impls.api import TrainingMethod, UpdateReport
from reference_impls.exchange import NirNetwork
from reference_impls.names import check_name

__all__ = ["METHOD", "READ_OUTS", "TOPOLOGY", "Imported", "ReadOut", "measure_imported"]

METHOD, TOPOLOGY = "imported", "nir"
"""What stands on these axes of a record: no row is called so."""
ReadOut = Literal["mean", "last", "max"]
READ_OUTS: tuple[ReadOut, ...] = ("mean", "last", "max")
"""How the outputs of all steps become one decision."""


@dataclass(frozen=True, slots=True)
class Imported:
    """A network and how it is asked."""

    name: str
    """Stands on the axis ``neuron``."""
    network: NirNetwork
    read_out: ReadOut = "mean"
    source: str = ""
    """File that it came from, with its digest: for the record."""
    command: tuple[str, ...] = ()
    """Words of the command that measures it again; empty: there is none."""


class _AsItIs(TrainingMethod):
    """A trained network that only predicts."""

    def __init__(self, network: NirNetwork, read_out: ReadOut) -> None:
        self.network, self.read_out = network, read_out

    def accumulate(self, x: Tensor, target: Tensor) -> UpdateReport:  # noqa: ARG002
        """Refuse: somebody else trained it."""
        raise TypeError("an imported network is measured as it is; train it with a method: build_method('bptt')")

    @torch.no_grad()
    def predict(self, x: Tensor) -> Tensor:
        """Return the outputs of all steps as one, ``[B, C]``."""
        outputs = self.network.run(x).logits
        if self.read_out == "last":
            return outputs[-1]
        return outputs.amax(0) if self.read_out == "max" else outputs.mean(0)


def measure_imported(
    imported: Imported, task: str, registry: Registry, *, data_root: Path | None = None, seed: int = 0
) -> list[Record]:
    """Return the records of an imported network on `task`: accuracy, and spikes with energy.

    Parameters
    ----------
    imported : the network.
    task : row of a task with classes.
    registry : what the names stand for.
    data_root : folder of data sets; None: the default places.
    seed : of tasks that choose a fold by it.

    Raises
    ------
    UserError
        If the network does not fit the task, or its name is a row's.
    """
    _check(imported, task, registry)
    torch.manual_seed(seed)
    recorder, records = Recorder(registry), []
    method = _AsItIs(imported.network.eval(), imported.read_out)
    for suite, ask in (("accuracy", _errors), ("spikes", _spikes)):
        cell = Cell(suite, task, imported.name, METHOD, TOPOLOGY, seed=seed)
        workload = Workload(cell, registry, data_root)
        began, started = time.perf_counter(), datetime.now(UTC)
        answer = ask(method, workload)
        outcome = CellOutcome(
            status="ok",
            metrics=to_metrics(registry.suite(suite), answer.figures),
            predictions=answer.predictions,
            details={**answer.details, **_described(imported)},
        )
        run = CellRun(started, time.perf_counter() - began)
        record = recorder.record(cell, code_hash(cell, registry), outcome, run)
        origin = record.provenance.model_copy(update={"command": shlex.join(imported.command)})
        records.append(record.model_copy(update={"provenance": origin}))
    return records


def _check(imported: Imported, task: str, registry: Registry) -> None:
    check_name("task", task, registry.tasks)
    check_name("read-out", imported.read_out, READ_OUTS)
    card, network = registry.task(task), imported.network
    if imported.name in registry.cell_neurons:
        raise UserError(f"{imported.name!r} is the name of a row of the board", "give the network another --name")
    if card.target != "classes":
        raise UserError(f"{task} asks for a signal, and not for classes: an imported network is asked for classes")
    if torch.Size(card.sample_shape).numel() != torch.Size(network.input_shape).numel():
        raise UserError(
            f"the network reads samples of shape {network.input_shape}; one step of {task} has {card.sample_shape}",
            f"spikeboard list tasks shows what there is; {task} is {card.encoding}",
        )
    outputs = torch.Size(network.output_shape).numel()
    if outputs != card.classes:
        raise UserError(f"the network has {outputs} outputs, and {task} {card.classes} classes")


def _errors(method: _AsItIs, workload: Workload) -> Answer:
    split = workload.split
    said = evaluated(method, split.test, workload)
    error = share_missed(said.errors, len(split.test))
    size = sum(parameter.numel() for parameter in method.network.parameters())
    details = {"split_digest": split.digest, "test_samples": len(split.test)}
    predictions = pack(split.digest, said.labels.numpy(), said.classes.numpy(), said.margins.double().numpy())
    return Answer({"error_fraction": error, "parameters": Measurement(float(size))}, {}, details, predictions)


def _spikes(method: _AsItIs, workload: Workload) -> Answer:
    figures, details = counted(method, workload.split.test, workload, None)
    if not details["layers"]:  # shares of no neurons are none
        figures = {name: figure for name, figure in figures.items() if math.isfinite(figure.value)}
    return Answer(figures, details=details | {"not_counted": "updates of leaky integrators that do not fire"})


def _described(imported: Imported) -> dict[str, Any]:
    how = imported.network.convention
    kinds: Sequence[str] = [neuron.extra_repr() for neuron in imported.network.neurons()]
    return {"source": imported.source, "read_out": imported.read_out, "convention": asdict(how), "neurons": list(kinds)}
