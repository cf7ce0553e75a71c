"""The loop over T (or a parallel neuron's forward) under ``torch.compile``.

On a CPU this needs a C++ compiler; `attach` says so where there is none, so that a plan can mark the cell as
unsupported instead of failing in the middle of a run.
"""

from __future__ import annotations

import shutil
from types import FunctionType, MethodType
from typing import TYPE_CHECKING, Any

import torch

from reference_impls.backends import UnsupportedError

if TYPE_CHECKING:
    from collections.abc import Callable

    from reference_impls.api import Neuron

__all__ = ["attach"]


def attach(neuron: Neuron) -> None:
    """Compile `neuron` at its first call with each shape; refuse where there is neither C++ compiler nor GPU."""
    if not torch.cuda.is_available() and not any(map(shutil.which, ("g++", "clang++", "cl"))):
        raise UnsupportedError("torch.compile needs a C++ compiler on a CPU: install g++ or clang++")
    setattr(neuron, neuron.entry_point, _compile_apart(getattr(neuron, neuron.entry_point)))


def _compile_apart(method: Any) -> Callable[..., Any]:
    """Compile a bound method with a cache of its own.

    torch.compile keeps its compiled versions by code object and gives up after eight. All neurons of a class
    share their code object, so a network of several layers and shapes would use the eight up; a copy does not.
    """
    function = method.__func__
    copy = FunctionType(
        function.__code__.replace(),
        function.__globals__,
        function.__name__,
        function.__defaults__,
        function.__closure__,
    )
    return torch.compile(MethodType(copy, method.__self__), dynamic=False, fullgraph=True)
