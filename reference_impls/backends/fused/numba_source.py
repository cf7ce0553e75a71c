"""Prints a traced step as a Numba module: a forward and a backward kernel for a block of neurons.

A block is small enough that what its gradient needs of all time steps stays in the cache of a core. The forward kernel
keeps nothing: the backward kernel runs the step once more over its block, writes what is kept into a scratch buffer of
its thread, and then walks back in time. Reading a membrane from memory would cost more than computing it again. Rows of
a large result go past the cache. Blocks are shared among threads by ``launch``.

A kernel takes whole lanes of neurons at a time (``lanes``); a block that is not made of whole ones is filled up in
scratch memory. No fast math: every operation rounds as torch's does, so spikes are the same. Must not know torch.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Mapping
from pathlib import Path

import numpy as np

from reference_impls.backends.fused.lanes import LINE_BYTES
from reference_impls.backends.fused.printing import Language
from reference_impls.backends.fused.program import Program, Traced

__all__ = ["numba_source", "rows_backward", "rows_forward"]

_PARTS = hashlib.sha256(
    b"".join(
        Path(__file__).with_name(f"{name}.py").read_bytes() for name in ("exponential", "lanes", "operations", "rows")
    )
).hexdigest()[:16]
"""In the text, because Numba does not see that a function which its cached kernel has taken in has changed."""

AHEAD = 2
"""Steps between asking for a row and reading it."""

_OPERATIONS = {
    "add": "add({0}, {1})",
    "sub": "sub({0}, {1})",
    "mul": "mul({0}, {1})",
    "div": "div({0}, {1})",
    "neg": "neg({0})",
    "abs": "absolute({0})",
    "reciprocal": "div(ONE, {0})",
    "relu": "select(le({0}, ZERO), ZERO, {0})",
    "sign": "select(gt({0}, ZERO), ONE, select(lt({0}, ZERO), -ONE, ZERO))",
    "sqrt": "sqrt({0})",
    "exp": "exp({0})",
    "expm1": "expm1({0})",
    "log": "log({0})",
    "log1p": "log1p({0})",
    "sin": "sin({0})",
    "cos": "cos({0})",
    "tanh": "tanh({0})",
    "sigmoid": "div(ONE, add(ONE, exp(neg({0}))))",
    "erf": "erf({0})",
    "atan": "atan({0})",
    "floor": "floor({0})",
    "pow": "power({0}, {1})",
    "maximum": "select(either(ge({0}, {1}), ne({0}, {0})), {0}, {1})",
    "minimum": "select(either(le({0}, {1}), ne({0}, {0})), {0}, {1})",
    "where": "select({0}, {1}, {2})",
    "ge": "ge({0}, {1})",
    "gt": "gt({0}, {1})",
    "le": "le({0}, {1})",
    "lt": "lt({0}, {1})",
    "eq": "eq({0}, {1})",
    "ne": "ne({0}, {1})",
    "and": "both({0}, {1})",
    "or": "either({0}, {1})",
    "not": "opposite({0})",
    "number": "select({0}, ONE, ZERO)",
}


def numba_source(traced: Traced, dtype: str) -> str:
    """Return the text of a module with ``forward`` and ``backward`` in ``float32`` or ``float64``.

    Both are C functions of the type ``rows.kernel_type`` for one block of neurons. The addresses they take are those of

    - ``forward``: ``xs[T, N], first[N].., param[N].., spikes[T, N], last[N]..``; it writes spikes and the last state.
    - ``backward``: ``xs, first.., param.., dspikes[T, N], dlast[N].., dxs[T, N], dfirst[N].., dparam[N]..``; it writes
      the gradients of input, first state and, for each neuron, parameters.

    Null as ``first`` stands for the state at rest, as ``dlast`` for zeros; a null ``dfirst`` is not written. Their
    scratch memory holds `rows_forward` and `rows_backward` of a block, filled up to whole lines; it begins at a line.
    """
    scalar = np.dtype(dtype).type
    constants = {"0.0": "ZERO", "1.0": "ONE"}  # by their text: 0 and -0 are equal
    language = Language(
        "Numba",
        _OPERATIONS,
        constant=lambda number: constants.setdefault(repr(float(scalar(number))), f"C{len(constants)}"),
        statement=lambda name, expression, _is_flag: f"{name} = {expression}",
    )
    kernels = _forward(traced, language) + _backward(traced, language)
    # As globals, because Numba compiles every call of F anew.
    named = "\n".join(f"{name} = F({number!r})" for number, name in constants.items())  # also of 'inf'
    lanes = LINE_BYTES // np.dtype(dtype).itemsize
    return _HEADER.format(dtype=dtype, parts=_PARTS, lanes=lanes, constants=named) + kernels


def rows_forward(traced: Traced) -> int:
    """Return how many rows of scratch memory ``forward`` needs."""
    return len(_own_forward(traced))


def rows_backward(traced: Traced) -> tuple[int, int]:
    """Return how many rows ``backward`` needs for each of T + 1 steps, and beside them."""
    return len(traced.written), len(_own_backward(traced))


def _own_forward(traced: Traced) -> list[str]:
    states, params = _numbered(traced)
    return [*(f"v{i}_" for i in states), "whole_x", "whole_s", *(f"whole_p{i}" for i in params)]


def _own_backward(traced: Traced) -> list[str]:
    states, params = _numbered(traced)
    own = [f"v{i}_" for i in states if f"v{i}" not in traced.kept]  # a kept state has a row for each step
    own += [*(f"dn{i}_" for i in states), "whole_x", "whole_ds", "whole_dx"]
    return own + [f"{name}{i}{end}" for i in params for name, end in (("whole_p", ""), ("dp", "_"))]


def _forward(traced: Traced, language: Language) -> str:
    states, params = _numbered(traced)
    tensors = ["xs", *(f"first{i}" for i in states), *(f"param{i}" for i in params), "spikes"]
    tensors += [f"last{i}" for i in states]
    program = traced.forward.only(["s", *(f"n{i}" for i in states)])
    return _joined(
        [
            *_start("forward", tensors),
            *_rows(_own_forward(traced), "0"),
            *_params(params),
            *_first_states(traced, language),
            "    for t in range(steps):",
            *_input_row(),
            f"        ahead_ = either_row(t + {AHEAD} < steps, row(xs, t + {AHEAD}, neurons, start), "
            f"row(xs, t + {AHEAD} - steps, neurons, start + width))",
            "        s_ = either_row(width < whole, whole_s, row(spikes, t, neurons, start))",
            *_each_line(language, program, {"s": "s", **{f"n{i}": f"v{i}" for i in states}}, result="s"),
            "        if width < whole:",
            "            write(spikes, t * neurons + start, width, s_)",
            *(f"    write(last{i}, start, width, v{i}_)" for i in states),
        ]
    )


def _backward(traced: Traced, language: Language) -> str:
    states, params = _numbered(traced)
    tensors = ["xs", *(f"first{i}" for i in states), *(f"param{i}" for i in params)]
    tensors += ["dspikes", *(f"dlast{i}" for i in states), "dxs", *(f"dfirst{i}" for i in states)]
    tensors += [f"dparam{i}" for i in params]
    return _joined(
        [
            *_start("backward", tensors),
            *_rows(_own_backward(traced), f"(steps + 1) * {len(traced.written)}"),
            *_params(params),
            *(f"    {_kept_row(traced, f'v{i}', '0')}" for i in states if f"v{i}" in traced.kept),
            *_first_states(traced, language),
            *(f"    read(dn{i}_, dlast{i}, start, width, ZERO)" for i in states),
            *(f"    fill(dp{i}_, whole, ZERO)" for i in params),
            *_again(traced, language),
            *_back(traced, language),
            *(f"    write(dfirst{i}, start, width, dn{i}_)" for i in states),
            *(f"    write(dparam{i}, start, width, dp{i}_)" for i in params),
        ]
    )


def _again(traced: Traced, language: Language) -> list[str]:
    """Run the steps once more and keep of each what its gradient needs."""
    states, _ = _numbered(traced)
    program = traced.forward.only([*(f"n{i}" for i in states), *traced.written])
    kept_states = [i for i in states if f"v{i}" in traced.kept]
    rows = [_kept_row(traced, name, "t") for name in traced.written]
    rows += [_kept_row(traced, f"v{i}", "t + 1", f"n{i}") for i in kept_states]
    targets = {f"n{i}": f"n{i}" if i in kept_states else f"v{i}" for i in states}
    targets |= {name: name for name in traced.written if not name.startswith("v")}
    return [
        "    for t in range(steps):",
        *_input_row(),
        f"        ahead_ = either_row(t + {AHEAD} < steps, row(xs, t + {AHEAD}, neurons, start), "
        f"row(dspikes, 2 * steps - 1 - t - {AHEAD}, neurons, start))",
        *_indented(8, rows),
        *_each_line(language, program, targets),
    ]


def _back(traced: Traced, language: Language) -> list[str]:
    """Walk back over the steps."""
    states, params = _numbered(traced)
    rows = [_kept_row(traced, name, "t") for name in traced.written]
    targets = {"dx": "dx", **{f"dv{i}": f"dn{i}" for i in states}}
    return [
        "    for t in range(steps - 1, -1, -1):",
        *(_input_row() if "x" in traced.kept else []),
        "        ds_ = whole_row(row(dspikes, t, neurons, start), width, whole, whole_ds)",
        f"        ahead_ = either_row(t >= {AHEAD}, row(dspikes, t - {AHEAD}, neurons, start), "
        f"row(xs, {AHEAD} - 1 - t, neurons, start + width))",
        *_indented(8, rows),
        "        dx_ = either_row(width < whole, whole_dx, row(dxs, t, neurons, start))",
        *_each_line(language, traced.backward, targets, result="dx", sums=[f"dp{i}" for i in params]),
        "        if width < whole:",
        "            write(dxs, t * neurons + start, width, dx_)",
    ]


def _each_line(
    language: Language, program: Program, targets: Mapping[str, str], result: str = "", sums: Iterable[str] = ()
) -> list[str]:
    """Run `program` on each line of a row: outputs go to the rows of `targets` or, as `sums`, are added to theirs.

    The `result` is what a caller gets, and may go past the cache.
    """
    used, outputs = program.used(), program.outputs
    lines = ["fetch(ahead_, i)", *(f"{name} = load({name}_, i)" for name in program.inputs if name in used)]
    lines += language.body(program)
    for name, row in targets.items():
        value = language.value(outputs[name])
        lines.append(f"put({row}_, i, {value}, past_cache)" if name == result else f"store({row}_, i, {value})")
    lines += [f"store({name}_, i, add(load({name}_, i), {language.value(outputs[name])}))" for name in sums]
    return ["        for i in range(0, whole, LANES):", *_indented(12, lines)]


def _numbered(traced: Traced) -> tuple[list[str], list[str]]:
    return [str(i) for i in range(len(traced.states))], [str(i) for i in range(len(traced.params))]


def _start(name: str, tensors: list[str]) -> list[str]:
    """Begin a kernel and name the tensors whose addresses it is given."""
    return [
        '@cfunc(KERNEL, cache=True, error_model="numpy")',
        f"def {name}(tensors, scratch, steps, neurons, start, width, past_cache):",
        *(f"    {tensor} = tensors[{place}]" for place, tensor in enumerate(tensors)),
        "    whole = (width + LANES - 1) & -LANES",
    ]


def _rows(names: list[str], first: str) -> list[str]:
    """Name rows of scratch memory."""
    return [f"    {name} = row(scratch, {first} + {place}, whole, 0)" for place, name in enumerate(names)]


def _input_row() -> list[str]:
    return ["        x_ = whole_row(row(xs, t, neurons, start), width, whole, whole_x)"]


def _params(params: list[str]) -> list[str]:
    return [f"    p{i}_ = whole_row(row(param{i}, 0, 0, start), width, whole, whole_p{i})" for i in params]


def _first_states(traced: Traced, language: Language) -> list[str]:
    """Fill the rows of the states."""
    return [
        f"    read(v{i}_, first{i}, start, width, {language.value(number)})" for i, number in enumerate(traced.start)
    ]


def _kept_row(traced: Traced, kept: str, step: str, name: str = "") -> str:
    """Find the row of scratch memory for what is kept of a step."""
    place, count = traced.written.index(kept), len(traced.written)
    return f"{name or kept}_ = row(scratch, ({step}) * {count} + {place}, whole, 0)"


def _indented(width: int, lines: list[str]) -> list[str]:
    return [" " * width + line for line in lines]


def _joined(lines: list[str]) -> str:
    return "\n".join(lines) + "\n\n\n"


_HEADER = '''"""Made by Spikeboard from a neuron's step; do not edit. Parts {parts}."""
import numpy as np
from numba import cfunc, types

from reference_impls.backends.fused.lanes import load, put, store
from reference_impls.backends.fused.operations import *
from reference_impls.backends.fused.rows import either_row, fetch, fill, kernel_type, read, row, whole_row, write

F = np.{dtype}
KERNEL = kernel_type(types.{dtype})
LANES = {lanes}
{constants}


'''
