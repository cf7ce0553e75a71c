"""Prints a traced step as a Numba module: a forward and a backward kernel for a block of neurons.

A block is small enough that what its gradient needs of all time steps stays in the cache of a core. The forward kernel
keeps nothing: the backward kernel runs the step once more over its block, writes what is kept into a scratch buffer of
its thread, and then walks back in time. Reading a membrane from memory would cost more than computing it again. Rows of
a large result go past the cache (``rows``). Blocks are shared among threads by ``launch``.

The loops over the neurons of a block are plain, so that LLVM vectorises them. No fast math: every operation rounds as
torch's does, so spikes are the same. Must not know torch.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from pathlib import Path

import numpy as np

from reference_impls.backends.fused.printing import Language
from reference_impls.backends.fused.program import Traced

__all__ = ["numba_source", "scratch_rows"]

_PARTS = hashlib.sha256(
    b"".join(Path(__file__).with_name(name).read_bytes() for name in ("exponential.py", "rows.py"))
).hexdigest()[:16]
"""In the text, because Numba does not see that a function which its cached kernel has taken in has changed."""

AHEAD = 4
"""Steps between asking for a row and reading it."""

_OPERATIONS = {
    "add": "{0} + {1}",
    "sub": "{0} - {1}",
    "mul": "{0} * {1}",
    "div": "{0} / {1}",
    "neg": "-{0}",
    "abs": "abs({0})",
    "reciprocal": "ONE / {0}",
    "relu": "select({0} <= ZERO, ZERO, {0})",
    "sign": "select({0} > ZERO, ONE, select({0} < ZERO, -ONE, ZERO))",
    "sqrt": "math.sqrt({0})",
    "exp": "exp({0})",
    "expm1": "math.expm1({0})",
    "log": "math.log({0})",
    "log1p": "math.log1p({0})",
    "sin": "math.sin({0})",
    "cos": "math.cos({0})",
    "tanh": "math.tanh({0})",
    "sigmoid": "ONE / (ONE + exp(-{0}))",
    "erf": "math.erf({0})",
    "atan": "math.atan({0})",
    "floor": "np.floor({0})",
    "pow": "{0} ** {1}",
    "maximum": "select(({0} >= {1}) | ({0} != {0}), {0}, {1})",
    "minimum": "select(({0} <= {1}) | ({0} != {0}), {0}, {1})",
    "where": "select({0}, {1}, {2})",
    "ge": "{0} >= {1}",
    "gt": "{0} > {1}",
    "le": "{0} <= {1}",
    "lt": "{0} < {1}",
    "eq": "{0} == {1}",
    "ne": "{0} != {1}",
    "and": "{0} & {1}",
    "or": "{0} | {1}",
    "not": "not {0}",
    "number": "select({0}, ONE, ZERO)",
}


def numba_source(traced: Traced, dtype: str) -> str:
    """Return the text of a module with ``forward`` and ``backward`` in ``float32`` or ``float64``.

    Both are C functions of the type ``rows.kernel_type`` for one block of neurons. The addresses they take are those of

    - ``forward``: ``xs[T, N], first[N].., param[N].., spikes[T, N], last[N]..``; it writes spikes and the last state.
      Its scratch memory holds one row.
    - ``backward``: ``xs, first.., param.., dspikes[T, N], dlast[N].., dxs[T, N], dfirst[N].., dparam[N]..``; it writes
      the gradients of input, first state and, for each neuron, parameters. Its scratch memory holds `scratch_rows`.

    Null as ``first`` stands for the state at rest, as ``dlast`` for zeros; a null ``dfirst`` is not written.
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
    return _HEADER.format(dtype=dtype, parts=_PARTS, constants=named) + kernels


def scratch_rows(traced: Traced, steps: int) -> int:
    """Return how many rows ``backward`` needs: what is kept, the states and their gradients, and a result."""
    return (steps + 1) * len(_in_scratch(traced)) + 2 * len(traced.states) + 1


def _in_scratch(traced: Traced) -> tuple[str, ...]:
    """Return what is kept and not just read again."""
    return tuple(name for name in traced.kept if name != "x")


def _forward(traced: Traced, language: Language) -> str:
    states, params = _numbered(traced)
    tensors = ["xs", *(f"first{i}" for i in states), *(f"param{i}" for i in params), "spikes"]
    tensors += [f"last{i}" for i in states]
    program = traced.forward.only(["s", *(f"n{i}" for i in states)])
    load = ["x = x_[i]", *(f"v{i} = v{i}_[i]" for i in states), *(f"p{i} = p{i}_[i]" for i in params)]
    store = language.results(program, {"s": "s_[i]", **{f"n{i}": f"v{i}_[i]" for i in states}})
    return _joined(
        [
            *_start("forward", tensors),
            *_block({"v": "last"}, states),
            *_block({"p": "param"}, params),
            *_first_states(traced, language),
            "    for t in range(steps):",
            "        x_ = row(xs, t, neurons, start)",
            *_fetched("xs", f"t + {AHEAD}"),
            *_fetched("xs", f"t + {AHEAD} - steps", "start + width"),
            "        s_ = scratch if past_cache else row(spikes, t, neurons, start)",
            "        for i in range(width):",
            *_indented(12, [*load, *language.body(program), *store]),
            *_streamed("spikes", "scratch"),
        ]
    )


def _backward(traced: Traced, language: Language) -> str:
    states, params = _numbered(traced)
    kept = len(_in_scratch(traced))
    tensors = ["xs", *(f"first{i}" for i in states), *(f"param{i}" for i in params)]
    tensors += ["dspikes", *(f"dlast{i}" for i in states), "dxs", *(f"dfirst{i}" for i in states)]
    tensors += [f"dparam{i}" for i in params]
    own = [*(f"v{i}_" for i in states), *(f"dn{i}_" for i in states), "last_row"]
    clear = [f"dp{i}_[i] = ZERO" for i in params]
    return _joined(
        [
            *_start("backward", tensors),
            *_block({"p": "param", "dp": "dparam"}, params),
            *(f"    {name} = row(scratch, (steps + 1) * {kept} + {place}, width, 0)" for place, name in enumerate(own)),
            *(f"    {_kept_row(traced, f'v{i}', '0')}" for i in states if f"v{i}" in traced.kept),
            *_first_states(traced, language),
            *(f"    read(dn{i}_, dlast{i}, start, width, ZERO)" for i in states),
            *(["    for i in range(width):", *_indented(8, clear)] if clear else []),
            *_again(traced, language),
            *_back(traced, language),
            *(f"    write(dfirst{i}, start, width, dn{i}_)" for i in states),
        ]
    )


def _again(traced: Traced, language: Language) -> list[str]:
    """Run the steps once more and keep of each what its gradient needs."""
    states, params = _numbered(traced)
    kept = _in_scratch(traced)
    program = traced.forward.only([*(f"n{i}" for i in states), *kept])
    load = ["x = x_[i]", *(f"v{i} = v{i}_[i]" for i in states), *(f"p{i} = p{i}_[i]" for i in params)]
    # A kept state has a row for each step, any other the same row all the time.
    places = {f"n{i}": f"n{i}_[i]" if f"v{i}" in kept else f"v{i}_[i]" for i in states}
    places |= {name: f"{name}_[i]" for name in kept if not name.startswith("v")}
    rows = [_kept_row(traced, name, "t") for name in kept]
    rows += [_kept_row(traced, f"v{i}", "t + 1", f"n{i}") for i in states if f"v{i}" in kept]
    return [
        "    for t in range(steps):",
        *_fetched("xs", f"t + {AHEAD}"),
        *_fetched("dspikes", f"2 * steps - 1 - t - {AHEAD}"),
        *_indented(8, ["x_ = row(xs, t, neurons, start)", *rows]),
        "        for i in range(width):",
        *_indented(12, [*load, *language.body(program), *language.results(program, places)]),
    ]


def _back(traced: Traced, language: Language) -> list[str]:
    """Walk back over the steps."""
    states, params = _numbered(traced)
    program = traced.backward
    rows = ["x_ = row(xs, t, neurons, start)"] if "x" in traced.kept else []
    rows += [_kept_row(traced, name, "t") for name in _in_scratch(traced)]
    load = [*(f"{name} = {name}_[i]" for name in traced.kept), *(f"p{i} = p{i}_[i]" for i in params), "ds = ds_[i]"]
    load += [f"dn{i} = dn{i}_[i]" for i in states]
    store = language.results(program, {"dx": "dx_[i]", **{f"dv{i}": f"dn{i}_[i]" for i in states}})
    store += [f"dp{i}_[i] += {language.value(program.outputs[f'dp{i}'])}" for i in params]
    return [
        "    for t in range(steps - 1, -1, -1):",
        *_fetched("dspikes", f"t - {AHEAD}"),
        *_fetched("xs", f"{AHEAD} - 1 - t", "start + width"),
        *_indented(8, [*rows, "ds_ = row(dspikes, t, neurons, start)"]),
        "        dx_ = last_row if past_cache else row(dxs, t, neurons, start)",
        "        for i in range(width):",
        *_indented(12, [*load, *language.body(program), *store]),
        *_streamed("dxs", "last_row"),
    ]


def _numbered(traced: Traced) -> tuple[list[str], list[str]]:
    return [str(i) for i in range(len(traced.states))], [str(i) for i in range(len(traced.params))]


def _start(name: str, tensors: list[str]) -> list[str]:
    """Begin a kernel and name the tensors whose addresses it is given."""
    return [
        '@cfunc(KERNEL, cache=True, error_model="numpy")',
        f"def {name}(tensors, scratch, steps, neurons, start, width, past_cache):",
        *(f"    {tensor} = tensors[{place}]" for place, tensor in enumerate(tensors)),
    ]


def _block(short: Mapping[str, str], numbers: list[str]) -> list[str]:
    """Name the part of a tensor ``[N]`` that belongs to the block: ``{"v": "last"}`` makes ``v0_`` of ``last0``."""
    return [f"    {name}{i}_ = row({tensor}{i}, 0, 0, start)" for name, tensor in short.items() for i in numbers]


def _first_states(traced: Traced, language: Language) -> list[str]:
    """Fill the rows of the states."""
    rest = traced.rest or (0.0,) * len(traced.states)  # not asked for if there is none
    return [f"    read(v{i}_, first{i}, start, width, {language.value(number)})" for i, number in enumerate(rest)]


def _kept_row(traced: Traced, kept: str, step: str, name: str = "") -> str:
    """Find the row of scratch memory for what is kept of a step."""
    place, count = _in_scratch(traced).index(kept), len(_in_scratch(traced))
    return f"{name or kept}_ = row(scratch, ({step}) * {count} + {place}, width, 0)"


def _fetched(tensor: str, step: str, start: str = "start") -> list[str]:
    """Ask for a row some steps before it is read, if there is one; near the end of a block for one of the next."""
    return [f"        fetch({tensor}, {step}, steps, neurons, {start}, width)"]


def _streamed(target: str, source: str) -> list[str]:
    """Write the row of a step out."""
    return [
        "        if past_cache:",
        f"            stream(row({target}, t, neurons, start), {source}, width)",
    ]


def _indented(width: int, lines: list[str]) -> list[str]:
    return [" " * width + line for line in lines]


def _joined(lines: list[str]) -> str:
    return "\n".join(lines) + "\n\n\n"


_HEADER = '''"""Made by Spikeboard from a neuron's step; do not edit. Parts {parts}."""
import math

import numpy as np
from numba import cfunc, types

from reference_impls.backends.fused.exponential import exp as exp_of_float32
from reference_impls.backends.fused.rows import fetch, kernel_type, read, row, select, stream, write

F = np.{dtype}
KERNEL = kernel_type(types.{dtype})
exp = exp_of_float32 if F is np.float32 else math.exp
{constants}


'''
