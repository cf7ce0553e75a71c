"""Numba kernels of events: count them, list them by row, list them by column, add up the rows of a table they name.

Every kernel has the signature of the fused backends' (``rows.kernel_type``), so that one launcher serves all: a table of
addresses, memory of the thread, and the first and the number of what it is to work on. The first address leads to whole
numbers, the sizes; other whole numbers are read through it, too. What is computed of an output does not depend on how
outputs are shared among threads: sums have the same order at any number of them. Must not know torch.

List number m of chunk q is the run of events from ``ends[q * stride + m]`` to ``ends[q * stride + m + to_end]``.
"""

from __future__ import annotations

import functools
from typing import Any

from numba import cfunc, float32, float64

from reference_impls.backends.fused.lanes import load, store
from reference_impls.backends.fused.operations import add, mul, ne
from reference_impls.backends.fused.rows import kernel_type, row
from reference_impls.events._intrinsics import as_int32, as_int64, bits, lane_count, ones_in, trailing_zeros

__all__ = ["CHUNK", "TILE_LANES", "address"]

CHUNK = 256
"""Rows of a table that are added up from in one go: of float32 and four lanes 64 KiB, which stay in the second cache."""
TILE_LANES = 4
"""Lines of a row that are added up at the same time: sums enough to hide what one addition waits for."""
BLOCK = 256
"""Outputs that are worked on, tile after tile, before the next are: they stay in the second cache, too."""


def count(tensors: Any, scratch: Any, columns: int, rows: int, start: int, width: int, past: int) -> None:
    """Count the entries of rows of ``x[R, K]`` that are not zero, into ``counts[1 + r]``.

    Addresses: zero (of the element), x, counts.
    """
    zero, x, counts = tensors[0][0], tensors[1], as_int64(tensors[2])
    lanes = lane_count(x)
    for r in range(start, start + width):
        own = row(x, r, columns, 0)
        found, k = 0, 0
        while k + lanes <= columns:
            found += ones_in(bits(ne(load(own, k), zero)))
            k += lanes
        while k < columns:
            if own[k] != zero:
                found += 1
            k += 1
        counts[r + 1] = found


def list_rows(tensors: Any, scratch: Any, columns: int, rows: int, start: int, width: int, past: int) -> None:
    """List the entries of rows of ``x[R, K]`` that are not zero: their columns and values, and where chunks end.

    Addresses: zero, x, starts of the rows ``[R + 1]``, index, value, ends ``[chunks of K + 1, R]``.
    """
    zero, x, starts = tensors[0][0], tensors[1], as_int64(tensors[2])
    index, value, ends = as_int32(tensors[3]), tensors[4], as_int64(tensors[5])
    lanes = lane_count(x)
    for r in range(start, start + width):
        own = row(x, r, columns, 0)
        at, k = starts[r], 0
        while k + lanes <= columns:
            if k % CHUNK == 0:
                ends[k // CHUNK * rows + r] = at
            left = bits(ne(load(own, k), zero))
            while left != 0:
                column = k + trailing_zeros(left)
                index[at] = column
                value[at] = own[column]
                at += 1
                left &= left - 1
            k += lanes
        while k < columns:
            if k % CHUNK == 0:
                ends[k // CHUNK * rows + r] = at
            if own[k] != zero:
                index[at] = k
                value[at] = own[k]
                at += 1
            k += 1
        ends[(columns + CHUNK - 1) // CHUNK * rows + r] = at


def list_columns(tensors: Any, scratch: Any, columns: int, chunks: int, start: int, width: int, past: int) -> None:
    """Sort the events of chunks of rows by column: their rows and values, and where columns end.

    Addresses: sizes (R), starts of the rows ``[R + 1]``, index and value by row, index and value by column, ends
    ``[chunks of R, K + 1]``.
    """
    rows = as_int64(tensors[0])[0]
    starts, index, value = as_int64(tensors[1]), as_int32(tensors[2]), tensors[3]
    row_of, value_of, all_ends = as_int32(tensors[4]), tensors[5], as_int64(tensors[6])
    for q in range(start, start + width):
        first, last = q * CHUNK, min(rows, (q + 1) * CHUNK)
        ends = row(all_ends, q, columns + 1, 0)
        for k in range(columns + 1):
            ends[k] = 0
        for e in range(starts[first], starts[last]):
            ends[index[e]] += 1
        at = starts[last]
        for k in range(columns, -1, -1):  # where each column begins; filling moves it to where the column ends
            at -= ends[k]
            ends[k] = at
        for r in range(first, last):
            for e in range(starts[r], starts[r + 1]):
                place = ends[index[e]]
                row_of[place] = r
                value_of[place] = value[e]
                ends[index[e]] = place + 1
        for k in range(columns, 0, -1):
            ends[k] = ends[k - 1]
        ends[0] = starts[first]


def add_up(tensors: Any, scratch: Any, columns: int, outputs: int, start: int, width: int, past: int) -> None:
    """Add up ``out[m] = first + sum_e value[e] table[index[e]]`` over the events e of the lists m of all chunks.

    Addresses: sizes (rows of the table, strides of its rows and columns, stride of `ends` from chunk to chunk, and from
    a list's begin to its end), table, index, value, ends, first ``[columns]``, out ``[outputs, columns]``. The scratch
    memory takes two lines of tiles and CHUNK rows of a table filled up to whole tiles.
    """
    sizes, table, index, value = as_int64(tensors[0]), tensors[1], as_int32(tensors[2]), tensors[3]
    ends, first, out = as_int64(tensors[4]), tensors[5], tensors[6]
    rows, per_row, per_column, stride, to_end = sizes[0], sizes[1], sizes[2], sizes[3], sizes[4]
    lanes = lane_count(table)
    tile = TILE_LANES * lanes
    tiles = (columns + tile - 1) // tile
    spare, begin, packed = scratch, row(scratch, 1, tile, 0), row(scratch, 1 + tiles, tile, 0)
    for c in range(tiles * tile):
        begin[c] = first[c] if c < columns else first[0]
    for q in range((rows + CHUNK - 1) // CHUNK):
        low = q * CHUNK
        high = min(rows, low + CHUNK)
        for i in range(tiles):
            own = row(packed, i, CHUNK * tile, 0)
            c0 = i * tile
            whole = c0 + tile <= columns
            if whole and per_column == 1:
                for k in range(high - low):
                    source, target = row(table, low + k, per_row, c0), row(own, k, tile, 0)
                    for lane in range(TILE_LANES):
                        store(target, lane * lanes, load(source, lane * lanes))
            else:
                for c in range(tile):
                    # What fills a tile up is read and multiplied, too: it must be a number that is one.
                    column = min(c0 + c, columns - 1)
                    for k in range(high - low):
                        own[k * tile + c] = table[(low + k) * per_row + column * per_column]
        for block in range(start, start + width, BLOCK):
            for i in range(tiles):
                own, c0 = row(packed, i, CHUNK * tile, 0), i * tile
                whole = c0 + tile <= columns
                for m in range(block, min(start + width, block + BLOCK)):
                    result = row(out, m, columns, c0)
                    so_far = row(begin, i, tile, 0)
                    if q > 0:
                        so_far = result
                        if not whole:
                            so_far = spare
                            for c in range(columns - c0):
                                spare[c] = result[c]
                    a, b = load(so_far, 0), load(so_far, lanes)
                    c_, d = load(so_far, 2 * lanes), load(so_far, 3 * lanes)
                    for e in range(ends[q * stride + m], ends[q * stride + m + to_end]):
                        at, factor = (index[e] - low) * tile, value[e]
                        a = add(a, mul(factor, load(own, at)))
                        b = add(b, mul(factor, load(own, at + lanes)))
                        c_ = add(c_, mul(factor, load(own, at + 2 * lanes)))
                        d = add(d, mul(factor, load(own, at + 3 * lanes)))
                    target = result if whole else spare
                    store(target, 0, a)
                    store(target, lanes, b)
                    store(target, 2 * lanes, c_)
                    store(target, 3 * lanes, d)
                    if not whole:
                        for c in range(columns - c0):
                            result[c] = spare[c]


_ELEMENTS = {"float32": float32, "float64": float64}
_KERNELS = {function.__name__: function for function in (count, list_rows, list_columns, add_up)}


@functools.cache
def address(name: str, dtype: str) -> int:
    """Compile the kernel `name` for ``"float32"`` or ``"float64"``, once; what is compiled is kept on disk if it can be."""
    signature = kernel_type(_ELEMENTS[dtype])
    try:
        compiled = cfunc(signature, cache=True, error_model="numpy")(_KERNELS[name])
    except RuntimeError:  # there is no place to keep it
        compiled = cfunc(signature, error_model="numpy")(_KERNELS[name])
    found: int = compiled.address
    return found
