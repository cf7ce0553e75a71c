"""Coverage: which matrix products a network makes outside the synapses that it declares, and how large they are.

Operators are intercepted below the modules, so a functional call or a product inside a neuron is seen as well. Must
not know what spikes are.
"""

from __future__ import annotations

import functools
from collections.abc import Collection, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from typing import Any

import torch
from torch import nn
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils.flop_counter import flop_registry

__all__ = ["Uncovered", "Watch", "watching"]

NOWHERE = "outside any module"
VECTOR_PRODUCTS = {torch.ops.aten.mv: 0, torch.ops.aten.dot: 0, torch.ops.aten.vdot: 0, torch.ops.aten.addmv: 1}
"""Products that torch's own registry leaves out; the argument whose size is their number of multiplications."""


@dataclass(frozen=True, slots=True)
class Uncovered:
    """Matrix products of one kind at one place that no declared synapse accounts for."""

    where: str
    """Path of the innermost module of the network that was running."""
    operator: str
    calls: int
    multiply_accumulates: int
    """Dense: what the shapes say, zeros or not."""
    in_neuron: bool = False
    """Whether a neuron was at work, whose arithmetic is counted from its trace."""


class Watch(TorchDispatchMode):
    """Sums the matrix products that are made while no declared synapse runs."""

    def __init__(self) -> None:
        super().__init__()
        self._running: list[tuple[str, bool]] = []
        """Modules at work, outermost first: name, and whether it is a declared synapse (or the counting itself)."""
        self._found: dict[tuple[str, str, bool], list[int]] = {}
        self.neurons: tuple[str, ...] = ()
        """Paths of the neurons."""

    def depth(self) -> int:
        """Return how many declared synapses are at work, one inside the other."""
        return sum(covered for _, covered in self._running)

    def enter(self, name: str, is_declared: bool, *_hook_arguments: object) -> None:
        """Note that a module starts (a forward pre-hook)."""
        self._running.append((name, is_declared))

    def leave(self, *_hook_arguments: object) -> None:
        """Note that the innermost module has finished (a forward hook)."""
        self._running.pop()

    @contextmanager
    def own_work(self) -> Iterator[None]:
        """Leave out what the counting itself computes inside the block."""
        self.enter("counting", True)
        try:
            yield
        finally:
            self.leave()

    def uncovered(self) -> tuple[Uncovered, ...]:
        """Return what was found, by place and operator."""
        return tuple(
            Uncovered(where, operator, calls, macs, in_neuron)
            for (where, operator, in_neuron), (calls, macs) in self._found.items()
        )

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        kwargs = kwargs or {}
        packet = func._overloadpacket
        if packet not in flop_registry and func._can_decompose():
            # In inference mode composite operators arrive whole; their parts are what is counted.
            with self:
                parts = func.decompose(*args, **kwargs)
            if parts is not NotImplemented:
                return parts
        out = func(*args, **kwargs)
        if self.depth() == 0:
            self._add(packet, args, kwargs, out)
        return out

    def _add(self, packet: Any, args: Any, kwargs: Any, out: Any) -> None:
        if packet in VECTOR_PRODUCTS:
            macs = args[VECTOR_PRODUCTS[packet]].numel()
        elif packet in flop_registry:
            macs = flop_registry[packet](*args, **kwargs, out_val=out) // 2
        else:
            return
        where = self._running[-1][0] if self._running else NOWHERE
        in_neuron = any(where == path or where.startswith(f"{path}.") for path in self.neurons)
        entry = self._found.setdefault((where, str(packet), in_neuron), [0, 0])
        entry[0] += 1
        entry[1] += macs


@contextmanager
def watching(
    network: nn.Module, declared: Mapping[nn.Module, str], neurons: Collection[nn.Module] = ()
) -> Iterator[Watch]:
    """Watch everything computed inside the block.

    `declared` are the modules of the synapses and their names; `neurons` modules whose products are their own work.
    """
    watch = Watch()
    names = {module: name or type(network).__name__ for name, module in network.named_modules()}
    watch.neurons = tuple(names[neuron] for neuron in neurons if neuron in names)
    with ExitStack() as stack:
        for module, name in {**names, **declared}.items():
            enter = functools.partial(watch.enter, name, module in declared)
            stack.callback(module.register_forward_pre_hook(enter).remove)
            stack.callback(module.register_forward_hook(watch.leave).remove)
        stack.enter_context(watch)
        yield watch
