"""Arithmetic energy of learning from one batch, counted from what a method really computed, whichever method it is.

Every operator below the method is seen: forward passes, backward passes, traces, iterations of a solver, as often as
they ran. One rule for all: a machine that skips zeros, adds where a factor is a spike, and keeps the product of an
input that does not change. Must not know training methods; an operator without an energy ends the count, with its name.
"""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves

from harness.measure.arithmetic import FP32_45NM, NOTHING, OPERATIONS, Arithmetic, EnergyConstants
from harness.measure.products import is_choice, is_gate, product_factors, product_work
from reference_impls.backends.fused import aten

__all__ = ["TrainingWork", "training_work"]

OPS = torch.ops.aten


def _names(text: str) -> frozenset[str]:
    return frozenset(text.split())


FREE = _names(
    "_conj _has_same_storage_numel _local_scalar_dense _make_dual _new_zeros_with_same_feature_meta "
    "_reshape_alias _to_copy _unpack_dual _unsafe_view alias arange as_strided bitwise_and bitwise_not "
    "bitwise_or cat clone complex conj constant_pad_nd contiguous copy count_nonzero detach detach_ "
    "diag_embed diagonal diagonal_backward embedding empty empty_like empty_strided equal expand "
    "expand_copy eye fill flip full full_like gather imag index index_put index_select is_same_size "
    "isfinite isnan item lift_fresh logical_and logical_not logical_or masked_fill "
    "max_pool2d_with_indices_backward movedim narrow native_dropout new_empty new_empty_strided new_full "
    "new_ones new_zeros nonzero one_hot ones ones_like permute random real repeat reshape resize "
    "resolve_conj resolve_neg result_type roll scalar_tensor scatter select select_backward "
    "select_scatter set_ slice slice_backward slice_scatter sort split split_with_sizes squeeze squeeze_ "
    "stack sym_size t to topk transpose tril tril_indices triu unbind unfold unsafe_split unsqueeze "
    "unsqueeze_ view view_as_complex view_as_real where zero zeros zeros_like "
)
"""Operators that move, choose or prepare numbers; counting spikes for a report is no work of the method."""
_ELEMENTWISE = {
    **{str(target._overloadpacket).rsplit(".", 1)[-1]: name for target, name in aten.OPERATIONS.items()},
    "pow": "pow",
    "rsub": "sub",
    "rsqrt": "sqrt",
    "clamp_min": "maximum",
    "clamp_max": "minimum",
    "heaviside": "ge",
    **dict.fromkeys(("threshold_backward", "hardtanh", "sgn", "clamp"), "maximum"),
    **dict.fromkeys(("round", "trunc", "ceil"), "floor"),
    **dict.fromkeys(("bernoulli", "rand_like", "rand", "randn_like", "randn", "normal", "uniform", "randint"), "draw"),
}
_SEVERAL = {
    "addcmul": Arithmetic(additions=1, multiplications=2),
    "addcdiv": Arithmetic(additions=1, multiplications=1, divisions=1),
    "lerp": Arithmetic(additions=2, multiplications=1),
    "square": Arithmetic(multiplications=1),
    "clamp": Arithmetic(comparisons=2),
    "_softmax": Arithmetic(additions=2, elementary=1, multiplications=1),
    "_log_softmax": Arithmetic(additions=3, elementary=1),
    "_softmax_backward_data": Arithmetic(additions=2, multiplications=2),
    "_log_softmax_backward_data": Arithmetic(additions=2, multiplications=1, elementary=1),
    "sigmoid_backward": Arithmetic(additions=1, multiplications=2),
    "tanh_backward": Arithmetic(additions=1, multiplications=2),
    "mse_loss": Arithmetic(additions=2, multiplications=1),
    "mse_loss_backward": Arithmetic(additions=1, multiplications=2),
    "nll_loss_forward": Arithmetic(additions=1),
    "nll_loss_backward": NOTHING,
    "smooth_l1_loss": Arithmetic(additions=3, multiplications=2, comparisons=1),
    "smooth_l1_loss_backward": Arithmetic(additions=1, multiplications=2, comparisons=2),
    "xlogy": Arithmetic(multiplications=1, elementary=1),
}
"""Operators that do several operations for each number that they give."""
_REDUCTIONS = {
    **dict.fromkeys(("sum", "mean", "cumsum", "logcumsumexp", "trace"), Arithmetic(additions=1)),
    **dict.fromkeys(("amax", "amin", "max", "min", "argmax", "argmin", "any", "all"), Arithmetic(comparisons=1)),
    **dict.fromkeys(("linalg_vector_norm", "norm"), Arithmetic(additions=1, multiplications=1)),
    **dict.fromkeys(("var", "std", "var_mean"), Arithmetic(additions=3, multiplications=1)),
    **dict.fromkeys(("scatter_add", "index_add", "embedding_dense_backward"), Arithmetic(additions=1)),
    **dict.fromkeys(("avg_pool2d", "avg_pool2d_backward", "_adaptive_avg_pool2d"), Arithmetic(additions=1)),
    "aminmax": Arithmetic(comparisons=2),
    "_adaptive_avg_pool2d_backward": Arithmetic(multiplications=1),
    "_logcumsumexp": Arithmetic(additions=2, elementary=1),
    "logsumexp": Arithmetic(additions=2, elementary=1),
}
"""Operators that do so for each number that they are given."""


@dataclass(frozen=True, slots=True)
class TrainingWork:
    """What learning from one sample took, the mean over a batch; weights' updates by an optimizer are not in it."""

    parts: dict[str, Arithmetic]
    """``forward products``, ``forward other``, ``backward products``, ``backward other``: operations of each kind."""
    kept_products: float
    """Additions and multiplications of input products that were made again, and are charged once."""
    unknown: tuple[str, ...] = ()
    """Operators whose energy is not known: with any, there is no figure."""

    def joules(self, constants: EnergyConstants = FP32_45NM) -> dict[str, float]:
        """Return the energy of each part."""
        return {name: work.joules(constants) for name, work in self.parts.items()}

    @property
    def reason(self) -> str | None:
        """Return why there is no figure; None if there is one."""
        return f"no energy is known for {', '.join(self.unknown)}" if self.unknown else None


def training_work(learn: Callable[[], object], x: Tensor) -> TrainingWork:
    """Run `learn` once, eagerly, and count what it computes.

    Parameters
    ----------
    learn : forms the gradient of one batch, without an optimizer's step.
    x : that batch, ``[T, B, ...]``: a product with it that was made before is kept, for every method alike.
    """
    meter = _Meter(x)
    with torch.compiler.set_stance("force_eager"), meter:
        learn()
    samples = x.shape[1]
    parts = {name: work.times(1 / samples) for name, work in sorted(meter.parts.items())}
    return TrainingWork(parts, meter.kept / samples, tuple(sorted(meter.unknown)))


class _Meter(TorchDispatchMode):
    """Adds up what operators take."""

    def __init__(self, x: Tensor) -> None:
        super().__init__()
        self.parts: dict[str, Arithmetic] = defaultdict(lambda: NOTHING)
        self.unknown: set[str] = set()
        self.kept = 0.0
        self._input = x.untyped_storage()._cdata
        self._made: dict[tuple[Any, ...], list[Tensor]] = defaultdict(list)

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        given = [leaf for leaf in tree_leaves(args) if isinstance(leaf, Tensor)]
        if any(leaf.is_meta or leaf._is_zerotensor() for leaf in given):
            return func(*args, **(kwargs or {}))  # only a shape, or a tangent that is 0 and has no memory
        # What an operator changes in place is judged by what it was given.
        products = product_work(func, args)
        other = NOTHING if products is not None else self._other(func, args)
        out = func(*args, **(kwargs or {}))
        # C++ says whether a node of the backward pass is at work.
        phase = "forward" if torch._C._current_autograd_node() is None else "backward"
        if products is not None:
            if self._is_kept(func, args):
                self.kept += products.additions + products.multiplications
            else:
                self.parts[f"{phase} products"] += products
        elif other is None:
            work = self._by_output(func, args, out)
            self.parts[f"{phase} other"] += work
        else:
            self.parts[f"{phase} other"] += other
        return out

    def _is_kept(self, func: Any, args: Sequence[Any]) -> bool:
        """Whether the same product with the same part of the input was made before."""
        factors = product_factors(func._overloadpacket, args)
        if factors is None:
            return False
        for own, other in (factors, factors[::-1]):
            if own.untyped_storage()._cdata == self._input and other.untyped_storage()._cdata != self._input:
                key = (func, own.data_ptr(), own.shape, own.stride(), other.shape)
                if any(torch.equal(other, before) for before in self._made[key]):
                    return True
                self._made[key].append(other.detach().clone())
        return False

    def _other(self, func: Any, args: Sequence[Any]) -> Arithmetic | None:
        """Return what an operator takes that can be told from what it is given; None: its output tells."""
        name = _name(func)
        if name in FREE:
            return NOTHING
        given = [leaf for leaf in tree_leaves(args) if isinstance(leaf, Tensor)]
        if name in _REDUCTIONS:
            return _REDUCTIONS[name].times(given[0].numel()) if given else NOTHING
        if not given and name not in ("rand", "randn", "randint"):
            return NOTHING
        if name in ("mul", "div") and _is_free_factor(name, args, given):
            return NOTHING
        if name == "pow":
            exponent = args[1]
            if isinstance(exponent, (int, float)) and exponent in (2, 3):
                return Arithmetic(multiplications=exponent - 1).times(given[0].numel())
        return None

    def _by_output(self, func: Any, args: Sequence[Any], out: Any) -> Arithmetic:
        name = _name(func)
        first = next((leaf for leaf in tree_leaves(out) if isinstance(leaf, Tensor)), None)
        count = first.numel() if first is not None else 0
        if name.startswith("_fft"):
            return _transform(first if first is not None else args[0], args)
        if name in ("div", "true_divide") and not (len(args) > 1 and isinstance(args[1], Tensor) and args[1].dim()):
            return Arithmetic(multiplications=count)
        if name in _SEVERAL:
            return _SEVERAL[name].times(count)
        if name in _ELEMENTWISE:
            work = OPERATIONS[_ELEMENTWISE[name]]
            return work.times((4 if first is not None and first.is_complex() and name == "mul" else 1) * count)
        self.unknown.add(name)
        return NOTHING


def _is_free_factor(name: str, args: Sequence[Any], given: Sequence[Tensor]) -> bool:
    """Whether a product only chooses (between a number, its negative and 0, or between two constants)."""
    numbers = [float(value) for value in args if isinstance(value, (int, float))]
    has_scalar = bool(numbers) or any(value.dim() == 0 for value in given)
    if any(abs(number) == 1 for number in numbers):
        return True
    several = [tensor for tensor in given if tensor.dim()]
    if has_scalar and len(several) == 1:
        return is_choice(several[0])
    return name == "mul" and any(is_gate(tensor) for tensor in several)


def _transform(out: Tensor, args: Sequence[Any]) -> Arithmetic:
    """Return a radix-2 transform of real numbers: half of N/2 log2 N butterflies of 4 products and 6 sums."""
    entered = args[0]
    dims = args[1]
    points = max(math.prod(entered.shape[d] for d in dims), math.prod(out.shape[d] for d in dims), 2)
    rows = max(entered.numel(), out.numel()) / points
    butterflies = rows * points * math.log2(points) / 4
    return Arithmetic(additions=6 * butterflies, multiplications=4 * butterflies)


def _name(func: Any) -> str:
    return str(func._overloadpacket).rsplit(".", 1)[-1].removesuffix("_")
