"""Prints a traced step as a Numba module: a forward and a backward kernel, parallel over blocks of neurons.

A block is small enough that its state over all time steps stays in the cache of a core. The backward kernel keeps
nothing of the forward pass: it runs the step once more over its block, writes the states into a scratch buffer of its
thread, and then walks back in time. Reading a membrane from memory would cost more than computing it again. Rows of a
large result go past the cache (``streaming``).

The loops over the neurons of a block are plain, so that LLVM vectorises them. No fast math: every operation rounds as
torch's does, so spikes are the same. Must not know torch.
"""

from __future__ import annotations

import hashlib
from pathlib import Path

import numpy as np

from reference_impls.backends.fused.printing import Language
from reference_impls.backends.fused.program import Traced

__all__ = ["numba_source"]

_STREAMING = hashlib.sha256(Path(__file__).with_name("streaming.py").read_bytes()).hexdigest()[:16]
"""In the text, because Numba does not see that a function which its cached kernel has taken in has changed."""

_OPERATIONS = {
    "add": "{0} + {1}",
    "sub": "{0} - {1}",
    "mul": "{0} * {1}",
    "div": "{0} / {1}",
    "neg": "-{0}",
    "abs": "abs({0})",
    "reciprocal": "F(1.0) / {0}",
    "relu": "F(0.0) if {0} <= F(0.0) else {0}",
    "sign": "F(1.0) if {0} > F(0.0) else (F(-1.0) if {0} < F(0.0) else F(0.0))",
    "sqrt": "math.sqrt({0})",
    "exp": "exp({0})",
    "expm1": "math.expm1({0})",
    "log": "math.log({0})",
    "log1p": "math.log1p({0})",
    "sin": "math.sin({0})",
    "cos": "math.cos({0})",
    "tanh": "math.tanh({0})",
    "sigmoid": "F(1.0) / (F(1.0) + exp(-{0}))",
    "erf": "math.erf({0})",
    "atan": "math.atan({0})",
    "floor": "math.floor({0})",
    "pow": "{0} ** {1}",
    "maximum": "{0} if {0} >= {1} or {0} != {0} else {1}",
    "minimum": "{0} if {0} <= {1} or {0} != {0} else {1}",
    "where": "{1} if {0} else {2}",
    "ge": "{0} >= {1}",
    "gt": "{0} > {1}",
    "le": "{0} <= {1}",
    "lt": "{0} < {1}",
    "eq": "{0} == {1}",
    "ne": "{0} != {1}",
    "and": "{0} and {1}",
    "or": "{0} or {1}",
    "not": "not {0}",
    "number": "F(1.0) if {0} else F(0.0)",
}


def numba_source(traced: Traced, dtype: str) -> str:
    """Return the text of a module with ``forward`` and ``backward`` in ``float32`` or ``float64``.

    ``forward(xs[T, N], first[N].., param[N].., spikes[T, N], last[N].., scratch, past_cache, block)`` writes spikes and
    the last state. ``backward(xs, first.., param.., dspikes[T, N], dlast[N].., dxs[T, N], dfirst[N].., dparam[N]..,
    scratch, past_cache, block)`` writes the gradients of input, first state and, for each neuron, parameters.
    ``scratch[threads, T + 1, states, block]`` is theirs to use (forward: at least ``[threads, 1, 1, block]``).
    """
    scalar = np.dtype(dtype).type
    language = Language(
        "Numba",
        _OPERATIONS,
        constant=lambda number: f"F({float(scalar(number))!r})",
        statement=lambda name, expression, _is_flag: f"{name} = {expression}",
    )
    states = [str(i) for i in range(len(traced.states))]
    params = [str(i) for i in range(len(traced.params))]
    used = _HEADER.format(dtype=dtype, streaming=_STREAMING, exp=_EXP32 if dtype == "float32" else _EXP64)
    return used + _forward(traced, language, states, params) + _backward(traced, language, states, params)


def _forward(traced: Traced, language: Language, states: list[str], params: list[str]) -> str:
    arguments = ["xs", *(f"first{i}" for i in states), *(f"param{i}" for i in params), "spikes"]
    arguments += [*(f"last{i}" for i in states), "scratch"]
    load = ["x = x_[i]", *(f"v{i} = v{i}_[i]" for i in states), *(f"p{i} = p{i}_[i]" for i in params)]
    store = language.results(traced.forward, {"s": "s_[i]", **{f"n{i}": f"v{i}_[i]" for i in states}})
    return _joined(
        [
            *_START.format(name="forward", arguments=", ".join(arguments)).splitlines(),
            *(f"        v{i}_ = last{i}[start:stop]" for i in states),
            *(f"        p{i}_ = param{i}[start:stop]" for i in params),
            *(f"        v{i}_[:] = first{i}[start:stop]" for i in states),
            "        row = scratch[get_thread_id(), 0, 0, : stop - start]",
            "        for t in range(steps):",
            "            x_ = xs[t, start:stop]",
            "            s_ = row if past_cache else spikes[t, start:stop]",
            "            for i in range(stop - start):",
            *_indented(16, [*load, *language.body(traced.forward), *store]),
            *_streamed("spikes"),
        ]
    )


def _backward(traced: Traced, language: Language, states: list[str], params: list[str]) -> str:
    arguments = ["xs", *(f"first{i}" for i in states), *(f"param{i}" for i in params)]
    arguments += ["dspikes", *(f"dlast{i}" for i in states), "dxs", *(f"dfirst{i}" for i in states)]
    arguments += [*(f"dparam{i}" for i in params), "scratch"]
    rows = ["x_ = xs[t, start:stop]", *(f"v{i}_ = kept[t, {i}, : stop - start]" for i in states)]
    load = ["x = x_[i]", *(f"v{i} = v{i}_[i]" for i in states), *(f"p{i} = p{i}_[i]" for i in params)]
    again = language.results(traced.forward, {f"n{i}": f"n{i}_[i]" for i in states})
    upstream = ["ds = ds_[i]", *(f"dn{i} = dn{i}_[i]" for i in states)]
    store = language.results(traced.backward, {"dx": "dx_[i]", **{f"dv{i}": f"dn{i}_[i]" for i in states}})
    store += [f"dp{i}_[i] += {language.value(traced.backward.outputs[f'dp{i}'])}" for i in params]
    return _joined(
        [
            *_START.format(name="backward", arguments=", ".join(arguments)).splitlines(),
            "        kept = scratch[get_thread_id()]",
            *(f"        kept[0, {i}, : stop - start] = first{i}[start:stop]" for i in states),
            *(f"        dn{i}_ = dfirst{i}[start:stop]" for i in states),
            *(f"        dn{i}_[:] = dlast{i}[start:stop]" for i in states),
            *(f"        p{i}_ = param{i}[start:stop]" for i in params),
            *(f"        dp{i}_ = dparam{i}[start:stop]" for i in params),
            *(f"        dp{i}_[:] = F(0.0)" for i in params),
            "        row = kept[steps, 0, : stop - start]",
            "        for t in range(steps - 1):",
            *_indented(12, [*rows, *(f"n{i}_ = kept[t + 1, {i}, : stop - start]" for i in states)]),
            "            for i in range(stop - start):",
            *_indented(16, [*load, *language.body(traced.forward), *again]),
            "        for t in range(steps - 1, -1, -1):",
            *_indented(12, [*rows, "ds_ = dspikes[t, start:stop]"]),
            "            dx_ = row if past_cache else dxs[t, start:stop]",
            "            for i in range(stop - start):",
            *_indented(16, [*load, *upstream, *language.body(traced.backward), *store]),
            *_streamed("dxs"),
        ]
    )


def _streamed(target: str) -> list[str]:
    """Write the row of a step out, and when the block is done let the others see it."""
    return [
        "            if past_cache:",
        f"                stream({target}[t, start:stop], row)",
        "        if past_cache:",
        "            fence()",
    ]


def _indented(width: int, lines: list[str]) -> list[str]:
    return [" " * width + line for line in lines]


def _joined(lines: list[str]) -> str:
    return "\n".join(lines) + "\n\n\n"


_START = """
@njit(parallel=True, nogil=True, cache=True, error_model="numpy")
def {name}({arguments}, past_cache, block):
    steps, neurons = xs.shape
    for number in prange((neurons + block - 1) // block):
        start = number * block
        stop = min(start + block, neurons)
""".strip("\n")
_HEADER = '''"""Made by Spikeboard from a neuron's step; do not edit. Streaming {streaming}."""
import math

import numpy as np
from numba import get_thread_id, njit, prange

from reference_impls.backends.fused.streaming import fence, stream

F = np.{dtype}

{exp}

'''
_EXP64 = "exp = math.exp"
# Range reduction to |r| <= ln 2 / 2 and the polynomial of Cephes' expf; 2**n is made by its bits. Unlike a call of the
# C library it vectorises.
_EXP32 = """
@njit(inline="always", error_model="numpy")
def exp(x):
    x = np.float32(88.37626) if x > np.float32(88.37626) else x
    x = np.float32(-87.33654) if x < np.float32(-87.33654) else x
    n = np.floor(x * np.float32(1.44269504088896341) + np.float32(0.5))
    r = x - n * np.float32(0.693359375) + n * np.float32(2.12194440e-4)
    y = np.float32(1.9875691500e-4)
    y = y * r + np.float32(1.3981999507e-3)
    y = y * r + np.float32(8.3334519073e-3)
    y = y * r + np.float32(4.1665795894e-2)
    y = y * r + np.float32(1.6666665459e-1)
    y = y * r + np.float32(5.0000001201e-1)
    y = y * r * r + r + np.float32(1.0)
    return y * np.int32((np.int32(n) + np.int32(127)) << np.int32(23)).view(np.float32)
""".strip()
