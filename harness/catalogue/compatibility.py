"""Which combinations make sense: an impossible one is a stated blank, with a sentence, at no cost.

Everything is derived from the capabilities on the cards, so a new implementation is covered by being described, and
from what is installed. Must not import an implementation.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from harness.catalogue.cards import Registry, Row
from harness.catalogue.cell import DEFAULT_RECIPE, NOT_APPLICABLE, Cell
from harness.catalogue.recipes import trains
from reference_impls.card import (
    NeuronCapabilities,
    PeerCapabilities,
    SystemCapabilities,
    TopologyCapabilities,
    TrainingCapabilities,
)
from reference_impls.requirements import why_missing
from reference_impls.structures import STEP_BY_STEP

__all__ = ["why_unsupported"]

FUSED_ON = {"fused": ("cpu", "cuda"), "fused-numba": ("cpu",), "fused-cupy": ("cuda",), "fused-triton": ("cuda",)}
"""Devices of each backend that prints one kernel over time."""
_TARGETS = {
    "classes": "classes",
    "signal": "a signal",
    "frames": "frames of a video",
    "flow": "optical flow",
    "boxes": "boxes",
    "links": "facts to complete",
    "control": "actions",
}
"""What a task asks for, in words."""
ASKED_OF_SYSTEMS = frozenset({"links", "control", "frames", "flow", "boxes"})
"""Targets that whole systems answer, which bring their own training."""
IMAGES = frozenset({"frames", "flow", "boxes"})
"""Those of them that are images or grids: a task says how large a system is, and a system which samples it reads."""


def why_unsupported(cell: Cell, registry: Registry, decided: str | None = None) -> str | None:
    """Return a sentence that says why `cell` cannot be run, or None if it can.

    A name that no card has (of a record from elsewhere, say) rules nothing out: nothing is known of it.

    Parameters
    ----------
    decided : the axis that was decided last, where the cell without it is known to be possible: only what depends on it
        is asked. [default: everything is asked]
    """
    return next((reason for reason in _reasons(cell, registry, decided) if reason), None)


def _reasons(cell: Cell, registry: Registry, decided: str | None) -> Iterator[str | None]:
    """Yield what rules a cell out, question by question; of one that `decided` does not touch, nothing."""

    def touched(*axes: str) -> bool:
        return decided is None or decided in axes

    neuron = registry.neurons.get(cell.neuron)
    method = registry.methods.get(cell.method)
    topology = registry.topologies.get(cell.topology)
    on_task = cell.task in registry.tasks
    if touched("neuron", "device", "dtype") and (peer := registry.peers.get(cell.neuron)):
        yield _peer(peer, cell)
    if system := registry.systems.get(cell.neuron):
        yield _system(system, cell, registry)
    elif touched("neuron", "suite"):
        yield _of_systems(cell, registry)
    if on_task and touched("task", "method", "suite"):
        yield _target(cell, method, registry)
    if method and touched("method", "suite"):
        yield _question(cell, method, registry)
    if topology and on_task and touched("task", "topology"):
        yield _task_network(cell.task, topology, registry)
    if method and topology and touched("method", "topology"):
        yield _method_topology(method, topology)
    if method and topology and touched("method", "topology", "task"):
        yield _method_depth(method, topology, cell.task, registry)
    if neuron and topology and touched("neuron", "topology"):
        yield _neuron_topology(neuron, topology)
    if neuron and touched("neuron", "suite"):
        yield _layer_alone(cell, neuron)
    if neuron and method and touched("neuron", "method"):
        yield _neuron_method(neuron, method)
    if neuron and touched("neuron", "backend", "topology", "device"):
        yield _backend(cell, neuron, topology)
    if method and touched("method", "backend"):
        yield _method_backend(cell, method)
    yield _recipe(cell, registry)


def _recipe(cell: Cell, registry: Registry) -> str | None:
    """Whether there is a recipe for everything that has hyper-parameters, once all that it is for is decided."""
    if cell.recipe == DEFAULT_RECIPE or not trains(cell) or cell.budget == NOT_APPLICABLE:
        return None
    if registry.recipe(cell) is not None:
        return None
    return (
        f"There is no recipe {cell.recipe!r} for {cell.neuron} with {cell.method} on {cell.topology} for {cell.task} "
        f"under {cell.budget}; spikeboard tune finds one."
    )


def _peer(peer: Row, cell: Cell) -> str | None:
    able: PeerCapabilities = peer.capabilities
    for axis, value, known in (("device", cell.device, able.devices), ("dtype", cell.dtype, able.dtypes)):
        if value.partition(":")[0] not in known:
            return f"{peer.name} is measured with {axis} {' or '.join(known)}, not {value}."
    return why_missing(peer.name, able.requires)


def _of_systems(cell: Cell, registry: Registry) -> str | None:
    """Whether what only whole systems answer is asked of a neuron."""
    if cell.suite not in registry.suites or not (cell.neuron in registry.neurons or cell.neuron in registry.peers):
        return None
    targets = registry.suite(cell.suite).targets
    if targets and ASKED_OF_SYSTEMS.issuperset(targets):
        return f"{cell.suite} is asked of systems (spikeboard list systems); {cell.neuron} is a neuron."
    return None


def _system(system: Row, cell: Cell, registry: Registry) -> str | None:
    """Whether a whole system is asked what it answers."""
    targets = registry.suite(cell.suite).targets if cell.suite in registry.suites else ()
    able: SystemCapabilities = system.capabilities
    for axis in ("method", "topology"):
        other = getattr(cell, axis)
        if other not in (NOT_APPLICABLE, ""):
            return f"{system.name} is a whole system with a training of its own: it goes with no {axis} {other}."
    if cell.backend not in ("eager", NOT_APPLICABLE):
        return f"{system.name} is a whole system and runs as it is written, not under {cell.backend}."
    answers = _TARGETS[able.answers]
    if targets and able.answers not in targets:
        return f"{system.name} answers with {answers}; {cell.suite} is asked about {_kinds(targets)}."
    if cell.task not in registry.tasks:
        return None
    if (wanted := registry.task(cell.task).target) != able.answers:
        return f"{system.name} answers with {answers}; {cell.task} asks for {_kinds((wanted,))}."
    return _image(system, cell.task, registry) if able.answers in IMAGES else None


def _image(system: Row, task: str, registry: Registry) -> str | None:
    """Whether a system that answers with an image reads the samples of a task, and has a size on it."""
    able, card = system.capabilities, registry.task(task)
    if registry.network(task, system.name) is None:
        return f"{task} defines no {system.name} network (it has {', '.join(card.networks)})."
    channels, *sides = card.sample_shape
    if able.input_channels not in (None, channels):
        return f"{system.name} reads {able.input_channels} channels a step; one step of {task} has {channels}."
    if any(side % able.divides for side in sides):
        return f"{system.name} takes sides that are multiples of {able.divides}; {task} has {sides}."
    return None


def _target(cell: Cell, method: Row | None, registry: Registry) -> str | None:
    """Whether suite and training method know what to do with the task's kind of target."""
    wanted = registry.task(cell.task).target
    if method and wanted not in method.capabilities.targets:
        return f"{method.name} learns {_kinds(method.capabilities.targets)}; {cell.task} asks for {_kinds((wanted,))}."
    suite = registry.suites.get(cell.suite)
    if suite and wanted not in registry.suite(suite.name).targets:
        judged = _kinds(registry.suite(suite.name).targets)
        return f"{suite.name} is asked of tasks with {judged}; {cell.task} asks for {_kinds((wanted,))}."
    return None


def _question(cell: Cell, method: Row, registry: Registry) -> str | None:
    """Whether the suite's question can be asked of what the method trains."""
    asks = registry.suite(cell.suite).asks if cell.suite in registry.suites else ()
    missing = next((name for name in asks if not getattr(method.capabilities, name)), None)
    return missing and f"{cell.suite} is asked of methods that are {missing!r}; {method.name} is not."


def _kinds(targets: Sequence[str]) -> str:
    return " and ".join(_TARGETS[target] for target in targets)


def _task_network(task: str, topology: Row, registry: Registry) -> str | None:
    card = registry.task(task)
    needs: TopologyCapabilities = topology.capabilities
    if len(card.sample_shape) not in needs.sample_dims:
        dims = " or ".join(map(str, needs.sample_dims))
        return (
            f"{topology.name} takes samples of {dims} dimensions; one step of {task} has {len(card.sample_shape)} "
            f"(shape {card.sample_shape})."
        )
    if registry.network(task, topology.name) is None:
        return f"{task} defines no {topology.name} network (it has {', '.join(card.networks)})."
    return None


def _method_topology(method: Row, topology: Row) -> str | None:
    trains: TrainingCapabilities = method.capabilities
    structure = topology.capabilities.structure
    if structure not in trains.structures:
        able = " and ".join(trains.structures)
        return f"{method.name} trains {able} networks; {topology.name} is a {structure} network."
    if not trains.convolutions and 1 not in topology.capabilities.sample_dims:
        return f"{method.name} trains fully connected layers; {topology.name} has convolutions."
    return None


def _method_depth(method: Row, topology: Row, task: str, registry: Registry) -> str | None:
    """Whether the network has no more layers than the method trains; a task says how many, or the topology itself."""
    most: int | None = method.capabilities.hidden_layers
    sizes, which = dict(topology.params), topology.name
    layers = sizes.get("depth") or 0
    if task in registry.tasks:
        sizes |= registry.network(task, topology.name) or {}
        layers = layers or len(sizes.get("channels") or sizes.get("hidden") or ())
        which = f"the {topology.name} network of {task}"
    if most is None or layers <= most:
        return None
    return (
        f"{method.name} trains networks of at most {most} hidden layer{'s' if most > 1 else ''}; {which} has {layers}."
    )


def _neuron_topology(neuron: Row, topology: Row) -> str | None:
    able: NeuronCapabilities = neuron.capabilities
    if able.connected and (topology.capabilities.structure != "chain" or 1 not in topology.capabilities.sample_dims):
        return (
            f"{neuron.name} connects the units of a layer itself: it goes into flat layers (mlp), not {topology.name}."
        )
    if topology.capabilities.structure not in STEP_BY_STEP or able.parallel == "sequential":
        return None
    return (
        f"{topology.name} needs a neuron's spikes step by step; {neuron.name} computes the whole sequence at once "
        f"({able.parallel})."
    )


def _layer_alone(cell: Cell, neuron: Row) -> str | None:
    """Whether the suite that compares layers of one size can compare this one."""
    able: NeuronCapabilities = neuron.capabilities
    if cell.suite != "layers" or not able.connected:
        return None
    return f"layers compares neurons of layers of equal width; {neuron.name} has weights among the units of a layer."


def _neuron_method(neuron: Row, method: Row) -> str | None:
    wanted: TrainingCapabilities = method.capabilities
    for capability, values in wanted.neuron.items():
        has = getattr(neuron.capabilities, capability)
        if has not in values:
            wanted_values = " or ".join(map(str, values))
            return f"{method.name} needs a neuron whose {capability} is {wanted_values}; {neuron.name}'s is {has}."
    return None


def _backend(cell: Cell, neuron: Row, topology: Row | None) -> str | None:
    """Whether the backend can run the neuron on the cell's device, as far as cards tell."""
    devices = FUSED_ON.get(cell.backend)
    if devices is None:
        return None
    if cell.device not in devices:
        return f"{cell.backend} runs on {' or '.join(devices)}, not on {cell.device}."
    able: NeuronCapabilities = neuron.capabilities
    if able.parallel != "sequential":
        return f"{cell.backend} replaces a loop over T; {neuron.name} has none ({able.parallel})."
    if topology is not None and topology.capabilities.structure in STEP_BY_STEP:
        return f"{cell.backend} fuses all steps of a layer; {topology.name} needs its layers step by step."
    return None


def _method_backend(cell: Cell, method: Row) -> str | None:
    trains: TrainingCapabilities = method.capabilities
    if trains.keeps_neuron or cell.backend in ("eager", NOT_APPLICABLE):
        return None
    return (
        f"{method.name} changes attributes of the neuron at every update (a threshold, say), which {cell.backend} "
        "takes as constants: it would compile again each time."
    )
