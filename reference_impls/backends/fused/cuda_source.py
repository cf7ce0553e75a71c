"""Prints a traced step as CUDA C: a forward and a backward kernel, one thread a neuron, its state in registers.

Neighbouring threads read neighbouring neurons, so every access is coalesced. When a gradient will be wanted, the
forward kernel writes down what it needs of each step; the backward kernel reads that instead of running the step again,
because a thread has no cache of its own to keep a history in. Half-precision tensors are stored as such and computed in
float32. Must not know torch or CuPy; the text is plain enough that a C++ compiler takes it too.
"""

from __future__ import annotations

import math
from collections.abc import Container, Mapping

import numpy as np

from reference_impls.backends.fused.printing import Language
from reference_impls.backends.fused.program import Traced

__all__ = ["STORAGE", "cuda_source"]

STORAGE = {"float64": "double", "float32": "float", "float16": "__half", "bfloat16": "__nv_bfloat16"}
"""dtype -> how a tensor of it lies in memory."""
_HEADER_OF = {"__half": "#include <cuda_fp16.h>", "__nv_bfloat16": "#include <cuda_bf16.h>"}

_OPERATIONS = {
    "add": "{0} + {1}",
    "sub": "{0} - {1}",
    "mul": "{0} * {1}",
    "div": "{0} / {1}",
    "neg": "-{0}",
    "abs": "fabs({0})",
    "reciprocal": "real(1) / {0}",
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


def cuda_source(traced: Traced, dtype: str) -> str:
    """Return the text of a module with the kernels ``forward`` and ``backward`` for tensors of `dtype`.

    Arguments, in order, all contiguous; ``steps`` and ``neurons`` are 64-bit integers:

    ``forward``: xs[T, N], first[N].., param[N].., spikes[T, N], last[N].., kept[T, N].. (all but x), steps, neurons.
    ``backward``: kept[T, N].., param[N].., dspikes[T, N], dlast[N].., dxs[T, N], dfirst[N].., dparam[N].., steps,
    neurons.

    Null as ``first`` stands for the state at rest, as ``dlast`` for zeros; null ``kept`` and ``dfirst`` are not
    written. Any grid will do: a thread takes neuron after neuron, as many apart as there are threads.
    """
    stored = STORAGE[dtype]
    language = _language("double" if dtype == "float64" else "float")
    states, params = range(len(traced.states)), range(len(traced.params))
    header = _HEADER.format(
        include=_HEADER_OF.get(stored, ""), stored=stored, real="double" if dtype == "float64" else "float"
    )
    return header + _forward(traced, language, states, params) + _backward(traced, language, states, params)


def _language(real: str) -> Language:
    def constant(number: float) -> str:
        if not math.isfinite(number):
            return "real(NAN)" if math.isnan(number) else f"real({'-' if number < 0 else ''}INFINITY)"
        return f"real({number!r})" if real == "double" else f"real({float(np.float32(number))!r})"

    def statement(name: str, expression: str, is_flag: bool) -> str:
        return f"const {'bool' if is_flag else 'real'} {name} = {expression};"

    return Language("CUDA", _OPERATIONS, constant, statement)


def _forward(traced: Traced, language: Language, states: range, params: range) -> str:
    inputs = ["xs", *(f"first{i}" for i in states), *(f"param{i}" for i in params)]
    outputs = ["spikes", *(f"last{i}" for i in states), *(f"kept_{name}" for name in traced.written)]
    found, used = traced.forward.outputs, traced.forward.used()
    return _kernel(
        "forward",
        inputs,
        outputs,
        start=[
            f"real v{i} = first{i} ? load(first{i}, at) : {language.value(number)};"
            for i, number in enumerate(traced.start)
        ],
        load=[f"const real p{i} = load(param{i}, at);" for i in params if f"p{i}" in used],
        loop="for (long long t = 0; t < steps; ++t)",
        body=[
            *_loads({"x": "xs"}, used),
            *language.body(traced.forward),
            *(f"if (kept_{name}) store(kept_{name}, t * neurons + at, {name});" for name in traced.written),
            f"store(spikes, t * neurons + at, {language.value(found['s'])});",
            # Into the next step's names first: a state may pass into another.
            *(f"const real n{i} = {language.value(found[f'n{i}'])};" for i in states),
            *(f"v{i} = n{i};" for i in states),
        ],
        end=[f"store(last{i}, at, v{i});" for i in states],
    )


def _backward(traced: Traced, language: Language, states: range, params: range) -> str:
    inputs = [*(f"kept_{name}" for name in traced.kept), *(f"param{i}" for i in params), "dspikes"]
    inputs += [f"dlast{i}" for i in states]
    found, used = traced.backward.outputs, traced.backward.used()
    start = [f"real dn{i} = dlast{i} ? load(dlast{i}, at) : real(0);" for i in states]
    return _kernel(
        "backward",
        inputs,
        ["dxs", *(f"dfirst{i}" for i in states), *(f"dparam{i}" for i in params)],
        start=[*start, *(f"real sum{i} = real(0);" for i in params)],
        load=[f"const real p{i} = load(param{i}, at);" for i in params if f"p{i}" in used],
        loop="for (long long t = steps - 1; t >= 0; --t)",
        body=[
            *_loads({"ds": "dspikes", **{name: f"kept_{name}" for name in traced.kept}}, used),
            *language.body(traced.backward),
            f"store(dxs, t * neurons + at, {language.value(found['dx'])});",
            *(f"sum{i} += {language.value(found[f'dp{i}'])};" for i in params),
            *(f"const real dv{i} = {language.value(found[f'dv{i}'])};" for i in states),
            *(f"dn{i} = dv{i};" for i in states),
        ],
        end=[
            *(f"if (dfirst{i}) store(dfirst{i}, at, dn{i});" for i in states),
            *(f"store(dparam{i}, at, sum{i});" for i in params),
        ],
    )


def _loads(arrays: Mapping[str, str], used: Container[object]) -> list[str]:
    """Read what the program takes of this step, and nothing else: memory is what the kernel waits for."""
    return [f"const real {name} = load({array}, t * neurons + at);" for name, array in arrays.items() if name in used]


def _kernel(
    name: str,
    inputs: list[str],
    outputs: list[str],
    *,
    start: list[str],
    load: list[str],
    loop: str,
    body: list[str],
    end: list[str],
) -> str:
    arguments = [f"const stored *__restrict__ {given}" for given in inputs]
    arguments += [f"stored *__restrict__ {given}" for given in outputs]
    lines = [
        f'extern "C" __global__ void {name}(',
        *(f"    {argument}," for argument in arguments),
        "    long long steps, long long neurons)",
        "{",
        "    const long long threads = (long long)gridDim.x * blockDim.x;",
        "    for (long long at = (long long)blockIdx.x * blockDim.x + threadIdx.x; at < neurons; at += threads) {",
        *(f"        {line}" for line in (*start, *load)),
        f"        {loop} {{",
        *(f"            {line}" for line in body),
        "        }",
        *(f"        {line}" for line in end),
        "    }",
        "}",
    ]
    return "\n".join(lines) + "\n\n"


_HEADER = """// Made by Spikeboard from a neuron's step; do not edit.
{include}
typedef {stored} stored;
typedef {real} real;

__device__ inline real load(const stored *p, long long at) {{ return real(p[at]); }}
__device__ inline void store(stored *p, long long at, real value) {{ p[at] = stored(value); }}

"""
