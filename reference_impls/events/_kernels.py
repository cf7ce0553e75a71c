"""Numba kernels of events: count them, list them by row, list them by column, add up the rows of a table they name.

Every kernel has the signature of the fused backends' (``rows.kernel_type``), so that one launcher serves all:
addresses, memory of the thread, and the first and the number of what it is to work on. The first address leads to whole
numbers, the sizes; other whole numbers are read through it, too. What is computed of an output does not depend on how
outputs are shared among threads: sums have the same order at any number of them. Must not know torch.

List number m of chunk q is the run of events from ``ends[q * stride + m]`` to ``ends[q * stride + m + to_end]``.
"""

from __future__ import annotations

import functools
from typing import Any

from numba import cfunc, float32, float64, njit

from reference_impls.backends.fused.lanes import load, store
from reference_impls.backends.fused.operations import add, mul, ne
from reference_impls.backends.fused.rows import kernel_type, row
from reference_impls.events._intrinsics import as_int32, as_int64, bits, lane_count, ones_in, trailing_zeros

__all__ = ["CHUNK", "TILE_LANES", "address"]

CHUNK = 256
"""Rows of a table that are added up from in one go: of float32 64 KiB, which stay in the second cache."""
TILE_LANES = 4
"""Lines of a row that are added up at the same time: sums enough to hide what one addition waits for."""
WORD = 64
"""Columns whose events are found together."""
BLOCK = 256
"""Outputs that are worked on, tile after tile, before the next are: they stay in the second cache, too."""


def count(tensors: Any, scratch: Any, columns: int, rows: int, start: int, width: int, past: int) -> None:
    """Count the entries of rows of ``x[R, K]`` that are not zero, into ``counts[1 + r]``.

    Addresses: zero (of the element), x, counts.
    """
    zero, x, counts = tensors[0][0], tensors[1], as_int64(tensors[2])
    lanes: int = lane_count(x)  # type: ignore[call-arg]  # Numba's first
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
    lanes: int = lane_count(x)  # type: ignore[call-arg]  # Numba's first
    for r in range(start, start + width):
        own = row(x, r, columns, 0)
        at = starts[r]
        for word in range(0, columns, WORD):
            if word % CHUNK == 0:
                ends[word // CHUNK * rows + r] = at
            # As many columns as there are bits: when the loop over them ends cannot be foreseen, so it ends rarely.
            left, k, high = 0, word, min(columns, word + WORD)
            while k + lanes <= high:
                left |= bits(ne(load(own, k), zero)) << (k - word)
                k += lanes
            while k < high:
                if own[k] != zero:
                    left |= 1 << (k - word)
                k += 1
            while left != 0:
                column = word + trailing_zeros(left)
                index[at] = column
                value[at] = own[column]
                at += 1
                left &= left - 1
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
        ends: Any = row(all_ends, q, columns + 1, 0)  # type: ignore[call-arg]  # Numba's first
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


@njit(error_model="numpy")
def pack(table: Any, own: Any, low: int, high: int, c0: int, width: int, sizes: Any) -> None:
    """Copy `width` columns from `c0` of the rows `low` to `high` of a table beside each other, a tile to a row."""
    per_row, per_column = sizes[1], sizes[2]
    lanes: int = lane_count(table)  # type: ignore[call-arg]  # Numba's first
    tile = TILE_LANES * lanes
    if per_column == 1 and width == tile:
        for k in range(high - low):
            source, target = row(table, low + k, per_row, c0), row(own, k, tile, 0)
            for lane in range(TILE_LANES):
                store(target, lane * lanes, load(source, lane * lanes))
        return
    if per_column == 1:
        for k in range(high - low):
            for c in range(width):
                own[k * tile + c] = table[(low + k) * per_row + c0 + c]
    else:
        for c in range(width):
            for k in range(high - low):
                own[k * tile + c] = table[(low + k) * per_row + (c0 + c) * per_column]
    for k in range(high - low):  # what fills the last lanes up is added, too, and should be plain numbers
        for c in range(width, (width + lanes - 1) // lanes * lanes):
            own[k * tile + c] = 0.0


@njit(error_model="numpy")
def add_wide(own: Any, low: int, index: Any, value: Any, begin: int, end: int, so_far: Any, result: Any) -> None:
    """Add the rows that the events from `begin` to `end` name to `so_far`, into `result`: a whole tile of columns."""
    lanes: int = lane_count(own)  # type: ignore[call-arg]  # Numba's first
    tile = TILE_LANES * lanes
    s0, s1 = load(so_far, 0), load(so_far, lanes)
    s2, s3 = load(so_far, 2 * lanes), load(so_far, 3 * lanes)
    for e in range(begin, end):
        at, factor = (index[e] - low) * tile, value[e]
        s0 = add(s0, mul(factor, load(own, at)))
        s1 = add(s1, mul(factor, load(own, at + lanes)))
        s2 = add(s2, mul(factor, load(own, at + 2 * lanes)))
        s3 = add(s3, mul(factor, load(own, at + 3 * lanes)))
    store(result, 0, s0)
    store(result, lanes, s1)
    store(result, 2 * lanes, s2)
    store(result, 3 * lanes, s3)


@njit(error_model="numpy")
def add_narrow(
    own: Any,
    low: int,
    index: Any,
    value: Any,
    begin: int,
    end: int,
    so_far: Any,
    result: Any,
    spare: Any,
    width: int,
) -> None:
    """Do the same for `width` columns, fewer than a tile, line by line; `spare` holds what is no whole line."""
    lanes: int = lane_count(own)  # type: ignore[call-arg]  # Numba's first
    tile = TILE_LANES * lanes
    for c in range(width):
        spare[c] = so_far[c]
    for lane in range((width + lanes - 1) // lanes):
        s = load(spare, lane * lanes)
        for e in range(begin, end):
            s = add(s, mul(value[e], load(own, (index[e] - low) * tile + lane * lanes)))
        store(spare, lane * lanes, s)
    for c in range(width):
        result[c] = spare[c]


def add_up(tensors: Any, scratch: Any, columns: int, outputs: int, start: int, width: int, past: int) -> None:
    """Add up ``out[m] = first + sum_e value[e] table[index[e]]`` over the events e of the lists m of all chunks.

    Addresses: sizes (rows of the table, strides of its rows and columns, stride of `ends` from chunk to chunk, and from
    a list's begin to its end), table, index, value, ends, first ``[columns]``, out ``[outputs, columns]``. The scratch
    memory takes 1 + CHUNK rows of the table, each filled up to whole tiles, and one tile.
    """
    sizes, table, index, value = as_int64(tensors[0]), tensors[1], as_int32(tensors[2]), tensors[3]
    ends, first, out = as_int64(tensors[4]), tensors[5], tensors[6]
    rows, stride, to_end = sizes[0], sizes[3], sizes[4]
    tile = TILE_LANES * lane_count(table)  # type: ignore[call-arg]  # Numba's first
    tiles = (columns + tile - 1) // tile
    spare, begin, packed = scratch, row(scratch, 1, tile, 0), row(scratch, 1 + tiles, tile, 0)
    for c in range(columns):
        begin[c] = first[c]
    for q in range((rows + CHUNK - 1) // CHUNK):
        low = q * CHUNK
        high = min(rows, low + CHUNK)
        for i in range(tiles):
            pack(table, row(packed, i, CHUNK * tile, 0), low, high, i * tile, min(tile, columns - i * tile), sizes)
        for block in range(start, start + width, BLOCK):
            for i in range(tiles):
                c0 = i * tile
                for m in range(block, min(start + width, block + BLOCK)):
                    here, result = q * stride + m, row(out, m, columns, c0)
                    so_far = row(begin, i, tile, 0) if q == 0 else result
                    own = row(packed, i, CHUNK * tile, 0)
                    if columns - c0 >= tile:
                        add_wide(own, low, index, value, ends[here], ends[here + to_end], so_far, result)
                    else:
                        add_narrow(
                            own, low, index, value, ends[here], ends[here + to_end], so_far, result, spare, columns - c0
                        )


_ELEMENTS = {"float32": float32, "float64": float64}
_KERNELS = {function.__name__: function for function in (count, list_rows, list_columns, add_up)}


@functools.cache
def address(name: str, dtype: str) -> int:
    """Compile the kernel `name` for ``"float32"`` or ``"float64"``, once; it is kept on disk if it can be."""
    signature = kernel_type(_ELEMENTS[dtype])
    try:
        compiled = cfunc(signature, cache=True, error_model="numpy")(_KERNELS[name])
    except RuntimeError:  # there is no place to keep it
        compiled = cfunc(signature, error_model="numpy")(_KERNELS[name])
    found: int | None = compiled.address
    assert found is not None
    return found
