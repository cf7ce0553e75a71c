"""Where jobs shall run, as a user says it, and the one place that makes the executor for it."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace
from pathlib import Path

from harness.catalogue.cards import Registry
from harness.catalogue.cell import Cell
from harness.errors import UserError
from harness.execute.executor import Executor
from harness.execute.leases import CUDA, Gpu, Leases, chosen_gpus, gpu_indices, visible_gpus
from harness.execute.pool import LocalPool
from harness.extras import require
from harness.results.machine import this_machine
from harness.results.record import Machine
from harness.results.store import Store
from reference_impls.names import check_name

__all__ = ["LOCAL", "RAY", "Where"]

LOCAL, RAY = "local", "ray"


@dataclass(frozen=True, slots=True)
class Where:
    """The choice of executor and devices; the default is this machine's processors.

    Raises
    ------
    UserError
        If it names what there is not; the message says what there is.
    """

    device: str = "cpu"
    """``cpu``, ``cuda`` (the first GPU), ``cuda:0,cuda:3`` or ``cuda:all``; on several machines, of each of them."""
    executor: str = LOCAL
    address: str | None = None
    """Of a running Ray cluster (``host:6379``); None: RAY_ADDRESS, or the cluster of this machine."""

    def __post_init__(self) -> None:
        check_name("executor", self.executor, (LOCAL, RAY))
        gpu_indices(self.device)
        if self.executor == RAY:
            require("ray")
        elif self.address is not None:
            raise UserError(f"--address {self.address} is of a Ray cluster", "add --executor ray")

    @property
    def kind(self) -> str:
        """What cells have as their device: which GPU of a kind they run on is not their business."""
        return "cpu" if gpu_indices(self.device) == () else CUDA

    def machine(self) -> Machine:
        """Return the machine that is measured.

        Raises
        ------
        UserError
            If it has not the devices, or there is no cluster.
        """
        if self.executor == RAY:
            from harness.execute.cluster.connection import connect

            return connect(self.address).machine
        self._check_gpus()
        return this_machine()

    def machines(self) -> int:
        """Return how many of the `machine` there are."""
        if self.executor == RAY:
            from harness.execute.cluster.connection import connect

            return len(connect(self.address).alike)
        return 1

    def cores(self) -> int:
        """Return how many cores a cell has that has the machine to itself, or one of several GPUs and its share."""
        cores, indices = self.machine().physical_cores, gpu_indices(self.device)
        return max(1, cores // max(1, self._gpus() if indices is None else len(indices)))

    def for_cells(self, cells: Iterable[Cell]) -> Where:
        """Return this, or its like with a GPU if it has none, some of `cells` need one and there is one."""
        wants_gpu = self.kind != CUDA and any(cell.device == CUDA for cell in cells)
        return replace(self, device=CUDA) if wants_gpu and (self.executor == RAY or visible_gpus()) else self

    def gpus(self) -> tuple[Gpu, ...]:
        """Return the GPUs of this machine that are named; none on several machines, which have their own.

        Raises
        ------
        UserError
            If there are not so many.
        """
        return chosen_gpus(self.device, visible_gpus()) if self.executor == LOCAL and self.kind == CUDA else ()

    def executor_for(
        self,
        store: Store,
        data_root: Path | None = None,
        scratch: Path | None = None,
        slots: int | None = None,
        registry: Registry | None = None,
        vectors: Path | None = None,
        backends: Iterable[str] = (),
    ) -> Executor:
        """Return the executor that this names, to be opened; the parameters are those of `LocalPool`."""
        if self.executor == RAY:
            from harness.execute.cluster.executor import RayExecutor

            return RayExecutor(store, self.device, self.address, data_root, scratch, slots, registry, vectors, backends)
        leases = Leases(self.gpus()) if self.kind == CUDA else None
        return LocalPool(store, data_root, scratch, slots, registry, vectors, backends, leases)

    def _gpus(self) -> int:
        """Return how many GPUs there are to be had."""
        if self.executor == RAY:
            from harness.execute.cluster.connection import connect

            return connect(self.address).gpus
        return len(visible_gpus())

    def _check_gpus(self) -> None:
        if self.kind != CUDA:
            return
        first, *_ = chosen_gpus(self.device, visible_gpus())
        if first.name != this_machine().gpu:
            raise UserError(
                f"{self.device} is a {first.name}, and records of this machine are kept under its first GPU, a "
                f"{this_machine().gpu}",
                "give it a name of its own: SPIKEBOARD_MACHINE=NAME",
            )
