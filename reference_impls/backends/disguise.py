"""Inputs that are no plain numbers in memory, which compiled code would misread: they are refused in so many words.

Under a transform of ``torch.func``, a tracer or forward-mode differentiation a tensor stands for others. The eager loop
is made of torch's operations and sees through all of them; a kernel gets an address, and torch.compile was not asked.
"""

from __future__ import annotations

import torch
from torch import Tensor
from torch._C import _is_tracing, _len_torch_dispatch_stack
from torch._C._functorch import peek_interpreter_stack
from torch.autograd import forward_ad

from reference_impls.backends import UnsupportedError

__all__ = ["refuse_disguised"]


def refuse_disguised(backend: str, x: Tensor, can_be_exported: bool = False) -> None:
    """Refuse to run the compiled code of `backend` on `x` where it would miss what happens around it.

    Raises
    ------
    UnsupportedError
        If `x` is not plain memory, or what is done with it shall be transformed or written down.
    """
    where = _disguise(x, can_be_exported)
    if where is not None:
        raise UnsupportedError(
            f"the backend {backend!r} cannot run {where}; build the neuron with backend='eager': it computes the same"
        )


def _disguise(x: Tensor, can_be_exported: bool) -> str | None:
    # Asked at every call, so by the shortest roads there are: all of it takes half a microsecond.
    if torch.compiler.is_exporting():
        return None if can_be_exported else "inside torch.export"
    if torch.compiler.is_compiling():  # torch.compile around it knows what it does
        return None
    if peek_interpreter_stack() is not None:
        return "inside a transform of torch.func (vmap, grad, jvp, ...)"
    if forward_ad._current_level >= 0:
        return "inside forward-mode differentiation"
    if _is_tracing():
        return "inside torch.jit.trace"
    if _len_torch_dispatch_stack() and _is_written_down():
        return "inside make_fx"
    if type(x) is not Tensor and type(x).__torch_dispatch__ is not Tensor.__torch_dispatch__:
        return f"on a {type(x).__name__}"
    return None


def _is_written_down() -> bool:
    """Whether a mode is on that notes operations down instead of counting or watching them."""
    from torch.fx.experimental.proxy_tensor import get_proxy_mode  # heavy, and rarely asked for

    return get_proxy_mode() is not None
