"""Prints a traced step as Triton: a program has a block of neurons, with their states in registers over all of T.

The arithmetic is that of torch's CUDA kernels (`cuda_arithmetic`); divisions and square roots that decide a spike are
exactly rounded, and whoever compiles the text must keep products and sums apart (``enable_fp_fusion=False``). Tensors
of half precision are computed in float32, as are parameters whatever the tensors are. Must not know torch or Triton.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

from reference_impls.backends.fused.cuda_arithmetic import as_on_cuda
from reference_impls.backends.fused.cuda_source import real_of
from reference_impls.backends.fused.printing import Language
from reference_impls.backends.fused.program import Program, Traced

__all__ = ["triton_source"]

_OPERATIONS = {
    "add": "{0} + {1}",
    "sub": "{0} - {1}",
    "mul": "{0} * {1}",
    "near_div": "{0} / {1}",
    "neg": "{0} * -1.0",  # Triton's own minus is 0 - x, which has another zero
    "abs": "tl.abs({0})",
    "near_reciprocal": "1.0 / {0}",
    "relu": "tl.where({0} <= 0.0, 0.0, {0})",
    "sign": "({0} > 0.0).to(REAL) - ({0} < 0.0).to(REAL)",
    "exp": "tl.exp({0})",
    "log": "tl.log({0})",
    "sin": "tl.sin({0})",
    "cos": "tl.cos({0})",
    "near_sigmoid": "1.0 / (1.0 + tl.exp(-{0}))",
    "erf": "tl.erf({0})",
    "floor": "floor({0})",
    "maximum": "tl.where(({0} >= {1}) | ({0} != {0}), {0}, {1})",
    "minimum": "tl.where(({0} <= {1}) | ({0} != {0}), {0}, {1})",
    "where": "tl.where({0}, {1}, {2})",
    "ge": "{0} >= {1}",
    "gt": "{0} > {1}",
    "le": "{0} <= {1}",
    "lt": "{0} < {1}",
    "eq": "{0} == {1}",
    "ne": "{0} != {1}",
    "and": "{0} & {1}",
    "or": "{0} | {1}",
    "not": "~{0}",
    "number": "{0}.to(REAL)",
}
_ROUNDED = {
    # Triton's own / and sqrt are exact in float64 and to a unit or two in the last place in float32.
    "float32": {"div": "tl.div_rn({0}, {1})", "sqrt": "tl.sqrt_rn({0})"},
    "float64": {"div": "{0} / {1}", "sqrt": "tl.sqrt({0})"},
}
_TEXT = '''"""Made by Spikeboard from a neuron's step; do not edit."""

import triton
import triton.language as tl

REAL = tl.constexpr(tl.{real})


@triton.jit
def floor(x):
    # tl.floor takes subnormal numbers for zero; from 2**52 on every number is whole.
    whole = x.to(tl.int64).to(REAL)
    below = tl.where(whole > x, whole - 1.0, whole)
    return tl.where((whole == x) | (tl.abs(x) >= 4503599627370496.0) | (x != x), x, below)


'''


def triton_source(traced: Traced, dtype: str) -> str:
    """Return the text of a module with the kernels ``forward`` and ``backward``, for tensors of `dtype`.

    Arguments, in order, all contiguous, parameters and their gradients of the type computed in, a number a neuron:

    ``forward``: xs[T, N], first[N].., param[N].., spikes[T, N], last[N].., kept[T, N].. (all but x), steps, neurons,
    AT_REST (no first is read), KEEP (kept is written), BLOCK.
    ``backward``: kept[T, N].., param[N].., dspikes[T, N], dlast[N].., dxs[T, N], dfirst[N].., dparam[N].., steps,
    neurons, BLOCK.
    """
    real = real_of(dtype)
    printed = _Printer(as_on_cuda(traced, real), _language(real))
    return _TEXT.format(real=real) + printed.forward() + "\n\n" + printed.backward()


def _language(real: str) -> Language:
    rounded, one = _ROUNDED[real], "tl.full([BLOCK], 1.0, REAL)"
    inverted = {
        "reciprocal": rounded["div"].format(one, "{0}"),
        "sigmoid": rounded["div"].format(one, "(1.0 + tl.exp(-{0}))"),
    }

    def constant(number: float) -> str:
        # A full block: the type of a bare number would be Triton's choice. It knows one zero only.
        if number == 0 and math.copysign(1.0, number) < 0:
            return "(tl.full([BLOCK], 0.0, REAL) * -1.0)"
        value = repr(number) if math.isfinite(number) else f'float("{number}")'
        return f"tl.full([BLOCK], {value}, REAL)"

    return Language(
        "Triton",
        {**_OPERATIONS, **rounded, **inverted},
        constant,
        lambda name, expression, _is_flag: f"{name} = {expression}",
    )


class _Printer:
    """Prints the kernels of a step."""

    def __init__(self, traced: Traced, language: Language) -> None:
        self.traced, self.language = traced, language
        self.states, self.params = range(len(traced.states)), range(len(traced.params))

    def forward(self) -> str:
        """Run the steps, and write down what is kept of each."""
        program, written = self.traced.forward, self.traced.written
        found, used = program.outputs, program.used()
        return _kernel(
            "forward",
            ["xs", *(f"first{i}" for i in self.states), *(f"param{i}" for i in self.params)],
            ["spikes", *(f"last{i}" for i in self.states), *(f"kept_{name}" for name in written)],
            ["AT_REST", "KEEP"],
            [
                "row = at",
                "if AT_REST:",
                *(f"    v{i} = {self.language.value(number)}" for i, number in enumerate(self.traced.start)),
                *([] if self.states else ["    pass"]),
                "else:",
                *(f"    v{i} = {_load(f'first{i}', 'at')}" for i in self.states),
                *([] if self.states else ["    pass"]),
                *self._load_params(program),
                "for _ in range(steps):",
                *([f"    x = {_load('xs', 'row')}"] if "x" in used else []),
                *(f"    {line}" for line in self.language.body(program)),
                f"    tl.store(spikes + row, {self.language.value(found['s'])}, mask=inside)",
                *(["    if KEEP:"] if written else []),
                *(f"        tl.store(kept_{name} + row, {self.language.value(name)}, mask=inside)" for name in written),
                # Into the next step's names first: a state may pass into another.
                *(f"    n{i} = {self.language.value(found[f'n{i}'])}" for i in self.states),
                *(f"    v{i} = n{i}" for i in self.states),
                "    row += neurons",
                *(f"tl.store(last{i} + at, v{i}, mask=inside)" for i in self.states),
            ],
        )

    def backward(self) -> str:
        """Walk back over the steps."""
        program, kept = self.traced.backward, self.traced.kept
        found, used = program.outputs, program.used()
        read = {"ds": "dspikes", **{name: f"kept_{name}" for name in kept}}
        return _kernel(
            "backward",
            [
                *(f"kept_{name}" for name in kept),
                *(f"param{i}" for i in self.params),
                *("dspikes", *(f"dlast{i}" for i in self.states)),
            ],
            ["dxs", *(f"dfirst{i}" for i in self.states), *(f"dparam{i}" for i in self.params)],
            [],
            [
                "row = at + (steps - 1).to(tl.int64) * neurons",
                *(f"dn{i} = {_load(f'dlast{i}', 'at')}" for i in self.states),
                *self._load_params(program),
                *(f"sum{i} = tl.full([BLOCK], 0.0, REAL)" for i in self.params),
                "for _ in range(steps):",
                *(f"    {name} = {_load(array, 'row')}" for name, array in read.items() if name in used),
                *(f"    {line}" for line in self.language.body(program)),
                f"    tl.store(dxs + row, {self.language.value(found['dx'])}, mask=inside)",
                *(f"    sum{i} += {self.language.value(found[f'dp{i}'])}" for i in self.params),
                *(f"    dv{i} = {self.language.value(found[f'dv{i}'])}" for i in self.states),
                *(f"    dn{i} = dv{i}" for i in self.states),
                "    row -= neurons",
                *(f"tl.store(dfirst{i} + at, dn{i}, mask=inside)" for i in self.states),
                *(f"tl.store(dparam{i} + at, sum{i}, mask=inside)" for i in self.params),
            ],
        )

    def _load_params(self, program: Program) -> list[str]:
        used = program.used()
        return [f"p{i} = {_load(f'param{i}', 'at')}" for i in self.params if f"p{i}" in used]


def _load(array: str, where: str) -> str:
    return f"tl.load({array} + {where}, mask=inside, other=0.0).to(REAL)"


def _kernel(
    name: str, inputs: Sequence[str], outputs: Sequence[str], switches: Sequence[str], body: Sequence[str]
) -> str:
    switched = [f"{switch}: tl.constexpr" for switch in (*switches, "BLOCK")]
    lines = [
        # A number of steps that is 1 would be no tensor.
        '@triton.jit(do_not_specialize=["steps"])',
        f"def {name}({', '.join([*inputs, *outputs, 'steps', 'neurons', *switched])}):",
        # 64 bits: a sequence may have more than 2**31 elements.
        "    at = tl.program_id(0).to(tl.int64) * BLOCK + tl.arange(0, BLOCK)",
        "    inside = at < neurons",
        *(f"    {line}" for line in body),
    ]
    return "\n".join(lines) + "\n"
