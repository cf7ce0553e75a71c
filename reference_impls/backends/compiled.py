"""The loop over T (or a parallel neuron's forward) under ``torch.compile``.

On a CPU this needs a C++ compiler; `attach` says so where there is none, so that a plan can mark the cell as
unsupported instead of failing in the middle of a run.
"""

from __future__ import annotations

import shutil
from types import FunctionType, MethodType
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor

from reference_impls.backends import UnsupportedError
from reference_impls.backends.disguise import refuse_disguised

if TYPE_CHECKING:
    from collections.abc import Callable

    from reference_impls.api import Neuron

__all__ = ["attach"]


def attach(neuron: Neuron) -> None:
    """Compile `neuron` at its first call with each shape; refuse where there is neither C++ compiler nor GPU."""
    if not torch.cuda.is_available() and not any(map(shutil.which, ("g++", "clang++", "cl"))):
        raise UnsupportedError("torch.compile needs a C++ compiler on a CPU: install g++ or clang++")
    compiled = _compile_apart(getattr(type(neuron), neuron.entry_point))

    def executed(neuron: Neuron, x: Tensor, *more: Any, **named: Any) -> Any:
        refuse_disguised(neuron.backend, x, can_be_exported=True)
        return compiled(neuron, x, *more, **named)

    setattr(neuron, neuron.entry_point, MethodType(executed, neuron))


def _compile_apart(function: FunctionType) -> Callable[..., Any]:
    """Compile a method, not yet bound, with a cache of its own.

    torch.compile keeps its compiled versions by code object and gives up after eight. All neurons of a class
    share their code object, so a network of several layers and shapes would use the eight up; a copy does not.
    """
    copy = FunctionType(
        function.__code__.replace(),
        function.__globals__,
        function.__name__,
        function.__defaults__,
        function.__closure__,
    )
    return torch.compile(copy, dynamic=False, fullgraph=True)
