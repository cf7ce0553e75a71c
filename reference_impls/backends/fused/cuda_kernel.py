"""The text of a CUDA kernel around its loop over time: arguments, the grid that shares the neurons, sums at the end."""

from __future__ import annotations

from collections.abc import Container, Sequence

__all__ = ["THREADS_PER_BLOCK", "kernel", "unrolled"]

THREADS_PER_BLOCK = 128


def unrolled(indent: int, condition: str, *body: str) -> list[str]:
    """Print a loop that the compiler unrolls, indented."""
    space = " " * indent
    return [
        f"{space}#pragma unroll",
        f"{space}for ({condition}) {{",
        *(f"{space}    {line}" for line in body),
        f"{space}}}",
    ]


def kernel(
    name: str,
    *,
    inputs: Sequence[str],
    params: Sequence[bool],
    used: Container[object],
    more_inputs: Sequence[str] = (),
    outputs: Sequence[str],
    gradients: Sequence[str] = (),
    lanes: int,
    before: Sequence[str],
    arrays: Sequence[str],
    totals: Sequence[str] = (),
    loop: Sequence[str],
    after: Sequence[str],
    end: Sequence[str] = (),
) -> str:
    """Print a kernel around its loop over time; `arrays` are its numbers per neuron, `totals` those per thread.

    Of its `params` (whether each is shared) it reads those `used`.
    """
    arguments = [f"const stored *__restrict__ {given}" for given in inputs]
    for i, is_shared in enumerate(params):
        arguments.append(f"const real *__restrict__ param{i}")
        arguments += [] if is_shared else [f"offset repeats{i}", f"offset count{i}"]
    arguments += [f"const stored *__restrict__ {given}" for given in more_inputs]
    arguments += [f"stored *__restrict__ {given}" for given in outputs]
    arguments += [f"real *__restrict__ {given}" for given in gradients]
    each = [i for i, is_shared in enumerate(params) if not is_shared and f"p{i}" in used]
    one = [i for i, is_shared in enumerate(params) if is_shared and f"p{i}" in used]
    lines = [
        f'extern "C" __global__ void __launch_bounds__({THREADS_PER_BLOCK}) {name}(',
        *(f"    {argument}," for argument in arguments),
        "    int steps, offset neurons)",
        "{",
        f"    enum {{ LANES = {lanes} }};",
        *(f"    const real p{i} = param{i}[0];" for i in one),
        *(f"    real {total}[LANES] = {{}};" for total in totals),
        "    const offset threads = offset(gridDim.x) * blockDim.x * LANES;",
        "    for (offset at = (offset(blockIdx.x) * blockDim.x + threadIdx.x) * LANES; at < neurons; at += threads) {",
        *(f"        real {array}[LANES];" for array in (*arrays, *(f"each{i}" for i in each))),
        *(f"        {line}" for line in before),
        *(f"        spread(param{i}, at, repeats{i}, count{i}, each{i});" for i in each),
        *(f"        {line}" for line in (*loop, *after)),
        "    }",
        *(f"    {line}" for line in end),
        "}",
    ]
    return "\n".join(lines) + "\n\n"
