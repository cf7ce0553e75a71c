"""Memory: what autograd keeps, what is alive, what a process takes, what a model and its states weigh.

The first two are exact: they follow storages, not the allocator, so the same code gives the same bytes on every
machine. Peaks of a process are what a user pays, and are noisy. Must not know neurons or training methods by name.
"""

from __future__ import annotations

import weakref
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn
from torch.autograd.graph import saved_tensors_hooks
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves

from reference_impls.api import Network

__all__ = ["KeptBytes", "Slope", "live_bytes", "model_bytes", "saved_bytes", "slope_over_steps", "state_bytes"]


@dataclass(frozen=True, slots=True)
class KeptBytes:
    """Bytes of distinct storages that something kept while a function ran."""

    peak_bytes: int
    """Most that was kept at one time."""
    total_bytes: int
    """All that was ever kept; a storage let go and taken again counts again."""


@dataclass
class _Ledger:
    """Storages that are kept at present, each counted once however often it is kept."""

    left_out: frozenset[int] = frozenset()
    current: int = 0
    peak: int = 0
    total: int = 0
    holds: dict[int, int] = field(default_factory=dict)

    def keep(self, storage: torch.UntypedStorage) -> bool:
        """Note one more hold on `storage`; whether it is one that counts."""
        key = storage._cdata
        if key in self.left_out:
            return False
        held = self.holds.get(key, 0)
        self.holds[key] = held + 1
        if held == 0:
            self.current += storage.nbytes()
            self.total += storage.nbytes()
            self.peak = max(self.peak, self.current)
        return True

    def release(self, key: int, size: int) -> None:
        """Note that one hold has ended."""
        self.holds[key] -= 1
        if self.holds[key] == 0:
            del self.holds[key]
            self.current -= size

    def closed(self) -> KeptBytes:
        return KeptBytes(self.peak, self.total)


class _Saved:
    """A tensor in autograd's keeping; its end is the end of the keeping."""

    __slots__ = ("counts", "ledger", "tensor")

    def __init__(self, tensor: Tensor, ledger: _Ledger) -> None:
        self.tensor = tensor
        self.ledger = ledger
        self.counts = ledger.keep(tensor.untyped_storage())

    def __del__(self) -> None:
        if self.counts:
            storage = self.tensor.untyped_storage()
            self.ledger.release(storage._cdata, storage.nbytes())


def saved_bytes(function: Callable[[], object], left_out: Iterable[Tensor] = ()) -> KeptBytes:
    """Run `function` once and return the bytes that autograd keeps for backward.

    Every storage counts once, whole, however many views of it are saved, for as long as a graph holds it: a method
    that runs backward within each step lets go of earlier steps, and its peak shows that.

    Parameters
    ----------
    function : one training step, usually; graphs that it leaves alive count until the end.
    left_out : tensors whose storages do not count: parameters and buffers, and the input if that is not the question.

    Notes
    -----
    Seen is what goes through saved-tensor hooks. Segments run again by ``torch.utils.checkpoint`` are not kept but
    made anew, and what a checkpointed function is given inside a tuple passes by the hooks: `live_bytes` sees both.
    """
    excluded = tuple(left_out)  # held, so that no other storage can take the place of one of them
    ledger = _Ledger(_keys(excluded))
    # Compiled code would trace the hooks; without the mark it refuses them.
    # Detached: an output that is saved by its own node would otherwise hold that node, and neither would ever end.
    pack = torch.compiler.disable(lambda tensor: _Saved(tensor.detach(), ledger))
    unpack = torch.compiler.disable(lambda saved: saved.tensor)
    with saved_tensors_hooks(pack, unpack):
        function()
    return ledger.closed()


class _Births(TorchDispatchMode):
    """Enters every storage that an operator makes into a ledger, until it dies."""

    def __init__(self, ledger: _Ledger) -> None:
        super().__init__()
        self.ledger = ledger

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        out = func(*args, **(kwargs or {}))
        given = _keys(leaf for leaf in tree_leaves((args, kwargs)) if isinstance(leaf, Tensor))
        for leaf in tree_leaves(out):
            # An output that lives in an argument's storage is a view or an in-place result, not a birth.
            if isinstance(leaf, Tensor) and leaf.untyped_storage()._cdata not in given:
                storage = leaf.untyped_storage()
                self.ledger.keep(storage)
                weakref.finalize(storage, self.ledger.release, storage._cdata, storage.nbytes())
        return out


def live_bytes(function: Callable[[], object]) -> KeptBytes:
    """Run `function` once and return the bytes of all tensors that it makes, as long as they live.

    Activations, temporaries of the backward pass, gradients, optimizer states: everything that an operator returns.
    Exact and independent of the allocator. Scratch memory inside an operator is not seen. Not for compiled code:
    what that allocates passes by, and torch refuses to run it like this.
    """
    ledger = _Ledger()
    with _Births(ledger):
        function()
    return ledger.closed()


def model_bytes(model: nn.Module) -> int:
    """Return the bytes of parameters and persistent buffers, each storage once."""
    tensors = [value for value in model.state_dict().values() if isinstance(value, Tensor)]
    return sum({tensor.untyped_storage()._cdata: tensor.nbytes for tensor in tensors}.values())


@torch.no_grad()
def state_bytes(network: Network, x: Tensor) -> int:
    """Return the bytes of all states that one sample carries from one step to the next.

    Parameters
    ----------
    network : parallel neurons carry nothing, and count as 0.
    x : a batch ``[T, B, ...]``, of which the first sample is run.
    """
    states = network.run(x[:, :1]).states
    return sum(leaf.nbytes for leaf in tree_leaves(states) if isinstance(leaf, Tensor))


class Slope(NamedTuple):
    """A straight line through a cost (bytes, seconds) over time steps."""

    per_step: float
    intercept: float
    r_squared: float
    """Share of the variation that the line explains; 1 where there is none."""


def slope_over_steps(steps: Sequence[int], costs: Sequence[float]) -> Slope:
    """Fit a cost against T by least squares.

    Raises
    ------
    ValueError
        If there are fewer than two different numbers of steps.
    """
    from scipy.stats import linregress

    if len(set(steps)) < 2:
        raise ValueError(f"a slope over T needs at least two different T, got {sorted(set(steps))}")
    fit = linregress(steps, costs)
    flat = max(costs) == min(costs)
    return Slope(float(fit.slope), float(fit.intercept), 1.0 if flat else float(fit.rvalue) ** 2)


def _keys(tensors: Iterable[Tensor]) -> frozenset[int]:
    return frozenset(tensor.untyped_storage()._cdata for tensor in tensors)
