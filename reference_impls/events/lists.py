"""Events: the entries of a matrix that are not zero, listed by row and by column, and what is added up along the lists.

A matrix of spikes is mostly zeros. A product with it only needs the rows of the other factor that a spike names: along
the lists by row it is the product itself, along those by column the gradient of the other factor. Entries keep their
value, so that counts and analog input are events as much as spikes are. Must not know layers, nor what is worth it.
"""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor

from reference_impls.backends.fused.kernels_numba import run_shared
from reference_impls.backends.fused.lanes import LINE_BYTES
from reference_impls.events._kernels import CHUNK, TILE_LANES, address

__all__ = ["Events", "events_in", "gradient_of_table", "sum_of_rows"]


class Events(NamedTuple):
    """The entries of ``x[R, K]`` that are not zero, row by row."""

    columns: int
    """K."""
    starts: Tensor
    """Where the events of each row begin, and where the last one's end: int64 ``[R + 1]``."""
    column: Tensor
    """The column of each event, int32 ``[E]``."""
    value: Tensor
    """What stands there, ``[E]``."""
    ends: Tensor
    """Where in the row's events each chunk of columns begins, and the last ends: int64 ``[chunks + 1, R]``."""

    @property
    def rows(self) -> int:
        """Return R."""
        return self.starts.numel() - 1


def events_in(x: Tensor, most: float = 1.0) -> Events | None:
    """List what is not zero in ``x[R, K]``, contiguous, float32 or float64 on the CPU.

    Parameters
    ----------
    most : share of the entries; None is returned, after they were counted, if more of them are not zero.
    """
    rows, columns = x.shape
    dtype, zero = _short(x.dtype), x.new_zeros(1)
    starts = torch.zeros(rows + 1, dtype=torch.int64)
    run_shared(address("count", dtype), [zero, x, starts], columns, rows)
    torch.cumsum(starts, 0, out=starts)
    found = int(starts[-1])
    if found > most * x.numel():
        return None
    index, value = torch.empty(found, dtype=torch.int32), x.new_empty(found)
    ends = torch.empty(_chunks(columns) + 1, rows, dtype=torch.int64)
    run_shared(address("list_rows", dtype), [zero, x, starts, index, value, ends], columns, rows)
    return Events(columns, starts, index, value, ends)


def sum_of_rows(events: Events, table: Tensor, first: Tensor) -> Tensor:
    """Return ``first + x @ table`` for the matrix ``x[R, K]`` of the events: ``[R, C]``.

    Parameters
    ----------
    table : ``[K, C]``, of any strides.
    first : ``[C]``.
    """
    return _add_up(events.column, events.value, events.ends, (events.rows, events.rows), events.rows, table, first)


def gradient_of_table(events: Events, upstream: Tensor) -> Tensor:
    """Return ``x^T @ upstream`` for the matrix ``x[R, K]`` of the events and ``upstream[R, C]``: ``[K, C]``."""
    chunks = _chunks(events.rows)
    sizes = torch.tensor([events.rows])
    index, value = torch.empty_like(events.column), torch.empty_like(events.value)
    ends = torch.empty(chunks, events.columns + 1, dtype=torch.int64)
    tensors = [sizes, events.starts, events.column, events.value, index, value, ends]
    run_shared(address("list_columns", _short(value.dtype)), tensors, events.columns, chunks)
    nothing = upstream.new_zeros(upstream.shape[1])
    return _add_up(index, value, ends, (events.columns + 1, 1), events.columns, upstream, nothing)


def _add_up(
    index: Tensor, value: Tensor, ends: Tensor, strides: tuple[int, int], outputs: int, table: Tensor, first: Tensor
) -> Tensor:
    rows, columns = table.shape
    out = table.new_empty(outputs, columns)
    sizes = torch.tensor([rows, *table.stride(), *strides])
    tile_bytes = TILE_LANES * LINE_BYTES
    tiles = -(-columns * table.element_size() // tile_bytes)
    scratch_bytes = (1 + tiles + CHUNK * tiles) * tile_bytes
    tensors = [sizes, table, index, value, ends, first, out]
    run_shared(address("add_up", _short(table.dtype)), tensors, columns, outputs, scratch_bytes)
    return out


def _chunks(rows: int) -> int:
    return -(-rows // CHUNK)


def _short(dtype: torch.dtype) -> str:
    return str(dtype).removeprefix("torch.")
