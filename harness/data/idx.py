"""The idx format of MNIST and its relatives: a big-endian header, then unsigned bytes; gzipped or not.

Reading trusts nothing: a file that is not what its header says is named in the error.
"""

from __future__ import annotations

import gzip
import math
import struct
from contextlib import AbstractContextManager
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from harness.data.base import naming

__all__ = ["content", "idx_shape", "read_idx", "write_idx"]

UNSIGNED_BYTES = 0x08


def read_idx(path: Path) -> NDArray[np.uint8]:
    """Return the array in the file at `path` (``.gz``: decompressed), read-only.

    Raises
    ------
    UserError
        If the file is cut short, too long, corrupt or of another format.
    """
    data = content(path)
    with _naming(path):
        shape, offset = _header(data)
        if len(data) - offset != math.prod(shape):
            raise ValueError(f"{len(data) - offset:,} bytes follow a header that announces {math.prod(shape):,}")
        return np.frombuffer(data, dtype=np.uint8, offset=offset).reshape(shape)


def idx_shape(path: Path) -> tuple[int, ...]:
    """Return the shape that the file's header announces, reading nothing else; errors as in `read_idx`."""
    with _naming(path), gzip.open(path) if path.suffix == ".gz" else path.open("rb") as file:
        return _header(file.read(4 + 4 * 8))[0]


def content(path: Path) -> bytes:
    """Return the bytes of the file at `path`, decompressed if its name ends in ``.gz``; errors as in `read_idx`."""
    with _naming(path):
        data = path.read_bytes()
        return gzip.decompress(data) if path.suffix == ".gz" else data


def write_idx(path: Path, array: NDArray[np.uint8]) -> None:
    """Write unsigned bytes, not compressed."""
    header = struct.pack(f">BBBB{array.ndim}I", 0, 0, UNSIGNED_BYTES, array.ndim, *array.shape)
    path.write_bytes(header + np.ascontiguousarray(array, dtype=np.uint8).tobytes())


def _header(data: bytes) -> tuple[tuple[int, ...], int]:
    """Return the shape, and where the bytes of the array begin."""
    if len(data) < 4 or data[:3] != bytes((0, 0, UNSIGNED_BYTES)):
        raise ValueError(f"it begins with {data[:4].hex() or 'nothing'}, not with 000008")
    dimensions = data[3]
    if len(data) < 4 + 4 * dimensions:
        raise ValueError("it ends inside the header")
    return struct.unpack_from(f">{dimensions}I", data, 4), 4 + 4 * dimensions


def _naming(path: Path) -> AbstractContextManager[None]:
    hint = "remove it and fetch the set again; 'spikeboard data verify' checks every file"
    return naming(path, "a whole idx file", hint)
