"""What torch's CUDA kernels compute where its CPU kernels compute something else, on a CPU."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor
from torch.utils._python_dispatch import TorchDispatchMode

_ATEN = torch.ops.aten

INEXACT = {"clif": "sigmoid", "clif-matched": "sigmoid", "lif-double-exponential": "add(alpha)"}
"""Cards whose spikes on a GPU hang on an operation that may differ from torch's in the last bit."""


class CudaArithmetic(TorchDispatchMode):
    """Divides by a number that is no tensor as torch's CUDA kernels do: by multiplying with its reciprocal."""

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        if func in (_ATEN.div.Tensor, _ATEN.div.Scalar) and not isinstance(args[1], Tensor):
            dividend, divisor = args
            inverse = 1 / torch.tensor(divisor, dtype=dividend.dtype)
            return dividend * inverse.item()
        return func(*args, **(kwargs or {}))


class Scaled(TorchDispatchMode):
    """Notes whether a sum with a factor is computed: one rounding on a GPU, two in a printed kernel."""

    def __init__(self) -> None:
        super().__init__()
        self.found = False

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        self.found |= (kwargs or {}).get("alpha", 1) != 1
        return func(*args, **(kwargs or {}))
