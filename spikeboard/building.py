"""Networks and tasks by name, with the sizes of the board or of one's own. Must not know how anything is measured."""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from harness.catalogue.cards import TaskCard
from harness.catalogue.loading import load_registry
from harness.tasks.common.base import Split, Task
from reference_impls import api
from reference_impls.api import Network, Neuron, NeuronFactory
from reference_impls.discovery import load_class
from reference_impls.names import check_name

__all__ = ["LoadedTask", "build_network", "load_task"]

DEFAULT_TASK = "digits"


def build_network(
    topology: str,
    neuron: str | NeuronFactory | Callable[[], Neuron] = "lif",
    *,
    task: str | None = None,
    sample_shape: tuple[int, ...] | None = None,
    classes: int | None = None,
    T: int | None = None,
    backend: str = "eager",
    neuron_params: Mapping[str, Any] | None = None,
    seed: int | None = None,
    **params: Any,
) -> Network:
    """Build a network of a topology, filled with neurons.

    ``build_network("mlp", neuron="lif")`` is the board's network on the task *digits*: where neither `task` nor
    `sample_shape` is given, that task gives the sizes.

    Parameters
    ----------
    topology : row of a topology (``spikeboard list topologies``).
    neuron : row of a neuron, or what builds one for each layer; called with ``shape=`` if it takes that.
    task : row of a task: shape of a sample, classes, T and the topology's sizes are those of the board.
    sample_shape : of one sample at one step, without time and batch, over the task's.
    classes : read-out units, over the task's. Needed with a `sample_shape` of one's own.
    T : time steps, for neurons whose parameters depend on it; None: the task's.
    backend : how the neurons are executed; not for a `neuron` that is no name.
    neuron_params : keywords of the neuron, over its card's; not for a `neuron` that is no name.
    seed : seeds torch before the weights are drawn; None: they come from torch's generator as it is.
    **params : keywords of the topology (``hidden=(64, 64)``), over the task's and the card's.

    Returns
    -------
    A module: ``network(x)`` maps ``x[T, B, *sample_shape]`` to the read-out of every step, ``[T, B, classes]``.

    Raises
    ------
    UnknownNameError
        If a name is not known; the message suggests the nearest.
    ValueError
        If sizes are missing, or do not fit the topology.
    UnsupportedError
        If the backend cannot run this neuron on this machine.

    Examples
    --------
    >>> import spikeboard
    >>> network = spikeboard.build_network("mlp", neuron="lif", sample_shape=(20,), classes=3, hidden=(32,))
    >>> [tuple(weight.shape) for weight in network.parameters() if weight.dim() == 2]
    [(32, 20), (3, 32)]
    """
    own_sizes = sample_shape is not None and task is None
    card = None if own_sizes else _task(task or DEFAULT_TASK)
    shape = sample_shape if sample_shape is not None else card.sample_shape if card else ()
    outputs = classes if classes is not None else card.classes if card else None
    if outputs is None:
        raise ValueError("a network with a sample_shape of its own needs classes too: build_network(..., classes=10)")
    registry = load_registry()
    check_name("topology", topology, registry.topologies)
    sizes = registry.network(card.name, topology) or {} if card else {}
    if seed is not None:
        torch.manual_seed(seed)
    steps = T if T is not None else card.T if card else None
    factory = _factory(neuron, backend, steps, neuron_params) if isinstance(neuron, str) else neuron
    if not isinstance(neuron, str) and (neuron_params or backend != "eager"):
        raise ValueError(
            "neuron_params and backend belong to a neuron that is named; this one is built by your function"
        )
    return api.build_network(topology, tuple(shape), outputs, factory, **{**sizes, **params})


@dataclass(frozen=True)
class LoadedTask:
    """A task with its data in memory."""

    card: TaskCard
    split: Split
    """``train``, ``validation`` and ``test``, each with ``inputs`` and ``labels``."""
    task: Task

    def batches(
        self, part: str = "train", size: int | None = None, shuffle: bool = False
    ) -> Iterator[tuple[Tensor, Tensor]]:
        """Yield encoded batches of a part of the split: ``x[T, B, *sample_shape]`` and classes ``[B]``.

        Parameters
        ----------
        part : ``train``, ``validation`` or ``test``.
        size : samples of a batch; None: all of them.
        shuffle : in an order drawn from torch's generator.
        """
        samples = getattr(self.split, check_name("part of a split", part, ("train", "validation", "test")))
        order = torch.randperm(len(samples)) if shuffle else torch.arange(len(samples))
        for chosen in order.split(size or len(samples)):
            yield self.task.encode(samples.inputs[chosen].to(torch.get_default_dtype())), samples.labels[chosen]


def load_task(name: str = DEFAULT_TASK, *, data_root: str | Path | None = None, seed: int = 0) -> LoadedTask:
    """Load the data of a task of the board: its split, and its encoding.

    Parameters
    ----------
    name : row of a task (``spikeboard list tasks``).
    data_root : folder of data sets; None: the default places. Embedded data need none.
    seed : of tasks that choose a fold by it.

    Raises
    ------
    UnknownNameError
        If there is no such task; the message suggests the nearest.
    UserError
        If its data are missing; the message says how to get them.
    """
    card = _task(name)
    row = load_registry().tasks[name]
    task: Task = load_class(row.module, Task)(card, **row.params)
    return LoadedTask(card, task.load(None if data_root is None else Path(data_root), seed), task)


def _task(name: str) -> TaskCard:
    registry = load_registry()
    return registry.task(check_name("task", name, registry.tasks))


def _factory(name: str, backend: str, T: int | None, params: Mapping[str, Any] | None) -> NeuronFactory:
    given = dict(params or {})
    row = load_registry().neurons.get(name)
    if row is not None and row.capabilities.needs_T and "T" not in given:
        if T is None:
            raise ValueError(f"the parameters of {name!r} depend on the number of time steps: give T=")
        given["T"] = T
    return functools.partial(api.build_neuron, name, backend, **given)
