"""Prints a traced step as CUDA C: a thread has one neuron, or as many as sixteen bytes hold, with states in registers.

A neuron's step is a handful of operations on every value read, so a kernel waits for memory alone, and what counts is
how many bytes a thread has asked for before it waits. So it reads several steps ahead before it computes any of them,
and, where tensors allow it, sixteen bytes at a time. When a gradient will be wanted, the forward kernel writes down
what it needs of each step; the backward kernel reads that instead of running the step again, because a thread has no
cache of its own to keep a history in. Half-precision tensors are stored as such and computed in float32; parameters and
their gradients are float32 throughout. Must not know torch or CuPy; the text is plain enough that a C++ compiler takes
it too.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from reference_impls.backends.fused.cuda_arithmetic import as_on_cuda
from reference_impls.backends.fused.cuda_kernel import THREADS_PER_BLOCK, kernel, unrolled
from reference_impls.backends.fused.cuda_prelude import prelude
from reference_impls.backends.fused.printing import Language
from reference_impls.backends.fused.program import Program, Traced

__all__ = ["KERNELS", "NARROW_OFFSETS", "PACK_BYTES", "cuda_source", "lanes_of", "real_of"]

KERNELS = ("inference", "forward", "backward")
"""Of each two: ``forward_1``, one neuron a thread, and ``forward_4``, for packs of so many (`lanes_of`)."""
NARROW_OFFSETS = 2**31
"""Tensors of fewer elements are addressed by 32-bit offsets: half the instructions and registers of 64-bit ones."""
PACK_BYTES = 16
_BYTES = {"float64": 8, "float32": 4, "float16": 2, "bfloat16": 2}
"""Of the numbers that a tensor consists of."""
BYTES_AHEAD = 128
"""What a thread asks for before it waits, of all its arrays together; they take as much of its registers."""
CALLING = frozenset(("div", "reciprocal", "sigmoid"))
"""Exactly rounded divisions call a function now and then, and what is live across a call crowds its registers: half."""
FEWEST_AHEAD, MOST_AHEAD = 2, 8
"""Steps that it asks for."""

_OPERATIONS = {
    "add": "{0} + {1}",
    "sub": "{0} - {1}",
    "mul": "{0} * {1}",
    "div": "{0} / {1}",
    "near_div": "{0} * near_reciprocal({1})",
    "neg": "-{0}",
    "abs": "fabs({0})",
    "reciprocal": "real(1) / {0}",
    "near_reciprocal": "near_reciprocal({0})",
    "relu": "{0} <= real(0) ? real(0) : {0}",
    "sign": "real({0} > real(0)) - real({0} < real(0))",
    "sqrt": "sqrt({0})",
    "exp": "exp({0})",
    "expm1": "expm1({0})",
    "log": "log({0})",
    "log1p": "log1p({0})",
    "sin": "sin({0})",
    "cos": "cos({0})",
    "tanh": "tanh({0})",
    "sigmoid": "real(1) / (real(1) + exp(-{0}))",
    "near_sigmoid": "near_reciprocal(real(1) + exp(-{0}))",
    "erf": "erf({0})",
    "atan": "atan({0})",
    "floor": "floor({0})",
    "pow": "pow({0}, {1})",
    "maximum": "{0} >= {1} || {0} != {0} ? {0} : {1}",
    "minimum": "{0} <= {1} || {0} != {0} ? {0} : {1}",
    "where": "{0} ? {1} : {2}",
    "ge": "{0} >= {1}",
    "gt": "{0} > {1}",
    "le": "{0} <= {1}",
    "lt": "{0} < {1}",
    "eq": "{0} == {1}",
    "ne": "{0} != {1}",
    "and": "{0} && {1}",
    "or": "{0} || {1}",
    "not": "!{0}",
    "number": "real({0})",
}


def real_of(dtype: str) -> str:
    """Return what tensors of `dtype` are computed in."""
    return "float64" if dtype == "float64" else "float32"


def lanes_of(dtype: str) -> int:
    """Return how many numbers of `dtype` are read at a time."""
    return PACK_BYTES // _BYTES[dtype]


def cuda_source(traced: Traced, dtype: str, shared: Sequence[bool], narrow: bool = True) -> str:
    """Return the text of a module with each of `KERNELS` twice, for tensors of `dtype`.

    Parameters
    ----------
    shared : for each parameter whether the whole layer has one number.
    narrow : whether all tensors have fewer than `NARROW_OFFSETS` elements.

    Arguments, in order, all contiguous; parameters are of the type computed in, ``steps`` is a 32-bit integer,
    ``neurons`` an offset:

    ``inference``: xs[T, N], first[N].., param.., spikes[T, N], last[N].., steps, neurons.
    ``forward``: the same, with kept[T, N].. (all but x) after ``last``.
    ``backward``: kept[T, N].., param.., dspikes[T, N], dlast[N].., dxs[T, N], dfirst[N].., dparam.., steps, neurons.

    A parameter that is not `shared` comes with two offsets: neuron n has the number ``(n / repeats) % count`` of it.
    The gradient of a `shared` one is a sum for each block of threads, of another a number for each neuron. Null as
    ``first`` stands for the state at rest, as ``dlast`` for zeros; a null ``dfirst`` is not written. Any grid of blocks
    of at most `THREADS_PER_BLOCK`, a power of two, will do. Kernels for packs want addresses and rows of whole packs.
    """
    real = real_of(dtype)
    printer = _Printer(as_on_cuda(traced, real), _language(real), tuple(shared), _BYTES[dtype])
    parts = [prelude(dtype, narrow, THREADS_PER_BLOCK)]
    for lanes in dict.fromkeys((1, lanes_of(dtype))):
        parts += [printer.forward("inference", lanes, ()), printer.forward("forward", lanes, traced.written)]
        parts.append(printer.backward(lanes))
    return "".join(parts)


def _language(real: str) -> Language:
    kind = np.dtype(real).type

    def constant(number: float) -> str:
        value = kind(number)
        if np.isfinite(value):
            return f"real({float(value)!r})"
        # NVRTC knows neither INFINITY nor NAN, which are macros of a header.
        return f"from_bits({int(value.view(f'uint{8 * value.itemsize}')):#x}{'u' if kind is np.float32 else 'ull'})"

    def statement(name: str, expression: str, is_flag: bool) -> str:
        return f"const {'bool' if is_flag else 'real'} {name} = {expression};"

    return Language("CUDA", _OPERATIONS, constant, statement)


@dataclass(frozen=True, slots=True)
class _Printer:
    """Prints the kernels of a step."""

    traced: Traced
    language: Language
    shared: tuple[bool, ...]
    size: int
    """Bytes of a number in memory."""

    def forward(self, name: str, lanes: int, written: Sequence[str]) -> str:
        """Run the steps, and write down what is `written` of each."""
        program, states = self.traced.forward.only([*self._next_states(), "s", *written]), self._states()
        found = program.outputs
        return kernel(
            f"{name}_{lanes}",
            inputs=["xs", *(f"first{i}" for i in states)],
            params=self.shared,
            used=program.used(),
            outputs=["spikes", *(f"last{i}" for i in states), *(f"kept_{kept}" for kept in written)],
            lanes=lanes,
            before=[
                f"if (first{i}) read(first{i}, at, state{i}); else fill(state{i}, {self.language.value(number)});"
                for i, number in enumerate(self.traced.start)
            ],
            arrays=[f"state{i}" for i in states],
            loop=self._steps(
                lanes,
                arrays={"x": "xs"},
                program=program,
                step="t",
                results=["spikes", *(f"kept_{kept}" for kept in written)],
                body=[
                    f"new_spikes.lane[l] = narrowed({self.language.value(found['s'])});",
                    *(f"new_kept_{kept}.lane[l] = narrowed({kept});" for kept in written),
                    # Into the next step's names first: a state may pass into another.
                    *(f"const real n{i} = {self.language.value(found[f'n{i}'])};" for i in states),
                    *(f"state{i}[l] = n{i};" for i in states),
                ],
                carried={f"v{i}": f"state{i}" for i in states},
            ),
            after=[f"write(last{i}, at, state{i});" for i in states],
        )

    def backward(self, lanes: int) -> str:
        """Walk back over the steps."""
        program, states, params = self.traced.backward, self._states(), range(len(self.shared))
        found, kept = program.outputs, self.traced.kept
        sums = [f"sum{i}[l] += {self.language.value(found[f'dp{i}'])};" for i in params]
        return kernel(
            f"backward_{lanes}",
            inputs=[f"kept_{name}" for name in kept],
            params=self.shared,
            used=program.used(),
            more_inputs=["dspikes", *(f"dlast{i}" for i in states)],
            outputs=["dxs", *(f"dfirst{i}" for i in states)],
            gradients=[f"dparam{i}" for i in params],
            lanes=lanes,
            before=[
                *(f"if (dlast{i}) read(dlast{i}, at, carried{i}); else fill(carried{i}, real(0));" for i in states),
                *(f"fill(sum{i}, real(0));" for i in params if not self.shared[i]),
            ],
            arrays=[*(f"carried{i}" for i in states), *(f"sum{i}" for i in params if not self.shared[i])],
            totals=[f"sum{i}" for i in params if self.shared[i]],
            loop=self._steps(
                lanes,
                arrays={"ds": "dspikes", **{name: f"kept_{name}" for name in kept}},
                program=program,
                step="steps - 1 - t",
                results=["dxs"],
                body=[
                    f"new_dxs.lane[l] = narrowed({self.language.value(found['dx'])});",
                    *sums,
                    *(f"const real dv{i} = {self.language.value(found[f'dv{i}'])};" for i in states),
                    *(f"carried{i}[l] = dv{i};" for i in states),
                ],
                carried={f"dn{i}": f"carried{i}" for i in states},
            ),
            after=[
                *(f"if (dfirst{i}) write(dfirst{i}, at, carried{i});" for i in states),
                *(f"write_reals(dparam{i}, at, sum{i});" for i in params if not self.shared[i]),
            ],
            end=[f"add_up(sum{i}, dparam{i});" for i in params if self.shared[i]],
        )

    def _steps(
        self,
        lanes: int,
        *,
        arrays: dict[str, str],
        program: Program,
        step: str,
        results: Sequence[str],
        body: Sequence[str],
        carried: dict[str, str],
    ) -> list[str]:
        """Print the loop over time: ask for several steps of the `arrays`, then compute one after the other."""
        used = program.used()
        read = {name: array for name, array in arrays.items() if name in used}
        calls = any(one.operation in CALLING for one in program.body)
        ahead = BYTES_AHEAD // (2 if calls else 1) // max(1, len(read) * lanes * self.size)
        ahead = max(FEWEST_AHEAD, min(MOST_AHEAD, 1 << max(0, ahead.bit_length() - 1)))
        taken = [f"const real {name} = widened({name}_ahead[i].lane[l]);" for name in read]
        taken += [f"const real {name} = {array}[l];" for name, array in carried.items() if name in used]
        taken += [
            f"const real p{i} = each{i}[l];"
            for i, is_shared in enumerate(self.shared)
            if not is_shared and f"p{i}" in used
        ]
        return [
            f"for (int begin = 0; begin < steps; begin += {ahead}) {{",
            *(f"    Pack<LANES> {name}_ahead[{ahead}];" for name in read),
            *unrolled(
                4, f"int i = 0, t = begin; i < {ahead}; ++i, ++t", "if (t < steps) {",
                *(f"    {name}_ahead[i] = pack<LANES>({array}, offset({step}) * neurons + at);"
                  for name, array in read.items()),
                "}",
            ),
            *unrolled(
                4, f"int i = 0, t = begin; i < {ahead}; ++i, ++t", "if (t < steps) {",
                *(f"    Pack<LANES> new_{result};" for result in results),
                *unrolled(4, "int l = 0; l < LANES; ++l", *taken, *self.language.body(program), *body),
                *(f"    put({result}, offset({step}) * neurons + at, new_{result});" for result in results),
                "}",
            ),
            "}",
        ]  # fmt: skip

    def _states(self) -> range:
        return range(len(self.traced.states))

    def _next_states(self) -> list[str]:
        return [f"n{i}" for i in self._states()]
