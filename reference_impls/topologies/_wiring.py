"""Where the skip connections of a network run: adjacency matrices of its blocks, read into arrivals at each layer.

The one place that knows what a matrix means; networks are built from it and searches count with it. Must not import
torch.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from reference_impls.names import check_name

__all__ = [
    "ASC",
    "DSC",
    "EVERYWHERE",
    "NONE",
    "Arrivals",
    "Matrix",
    "Wiring",
    "filled",
    "pairs",
    "parameter_count",
    "read_wiring",
]

NONE, DSC, ASC = 0, 1, 2
"""No skip; concatenated (DenseNet-like); added to what the layer before sends (ResNet-like)."""
EVERYWHERE = {"none": NONE, "dsc": DSC, "asc": ASC}
"""Words for a block whose pairs all hold the same symbol."""

Matrix = tuple[tuple[int, ...], ...]
Wiring = str | Sequence[Sequence[Sequence[int]]]
"""A word of `EVERYWHERE`, or an adjacency matrix for each block."""


class Arrivals(NamedTuple):
    """The skips that arrive at one layer, each as the distance to the layer that it leaves (2: the one before last)."""

    added: tuple[int, ...]
    concatenated: tuple[int, ...]


def pairs(depth: int) -> tuple[tuple[int, int], ...]:
    """Return the pairs (i, j) of a block of `depth` layers that may hold a skip, by arrival; 0 is the block's input."""
    return tuple((i, j) for j in range(2, depth + 1) for i in range(j - 1))


def filled(depth: int, symbols: Sequence[int]) -> Matrix:
    """Return the adjacency matrix of a block of `depth` layers with these `symbols` at its `pairs`."""
    at = dict(zip(pairs(depth), symbols, strict=True))
    return tuple(tuple(at.get((i, j), NONE) for j in range(depth + 1)) for i in range(depth + 1))


def read_wiring(skips: Wiring, layers: int, depths: Sequence[int] | None = None) -> tuple[Arrivals, ...]:
    """Return what arrives at each of `layers` layers; the first feeds the first block and receives none.

    Parameters
    ----------
    skips : a word, or for each block a square matrix whose entry (i, j), 0 <= i < j - 1, is the symbol of the skip
        from layer i to layer j of the block, layer 0 being its input. The sequential edge (j - 1, j) is not written.
    layers : layers of neurons of the network, that before the first block included.
    depths : layers of each block; None: what the matrices say, or one block of all layers for a word.

    Raises
    ------
    ValueError
        If a matrix is no adjacency of a block, or the blocks do not have the network's layers.
    """
    if depths is None:
        whole = (layers - 1,) if layers > 1 else ()
        depths = whole if isinstance(skips, str) else tuple(len(matrix) - 1 for matrix in skips)
    if any(depth < 1 for depth in depths) or sum(depths) != layers - 1:
        raise ValueError(
            f"blocks of {list(depths)} layers do not make up the {layers - 1} layers after the first; give as many "
            "as the network has"
        )
    if isinstance(skips, str):
        symbol = EVERYWHERE[check_name("skips", skips, EVERYWHERE)]
        matrices = [filled(depth, [symbol] * len(pairs(depth))) for depth in depths]
    else:
        matrices = [tuple(tuple(row) for row in matrix) for matrix in skips]
        if [len(matrix) - 1 for matrix in matrices] != list(depths):
            raise ValueError(
                f"matrices for blocks of {[len(matrix) - 1 for matrix in matrices]} layers do not fit blocks of "
                f"{list(depths)}"
            )
    return (Arrivals((), ()), *(arrivals for matrix in matrices for arrivals in _arrivals(matrix)))


def parameter_count(
    wiring: Sequence[Arrivals],
    widths: Sequence[int],
    entering: int,
    reading: int,
    classes: int,
    kernel_area: int = 1,
    pools: Sequence[int] | None = None,
) -> int:
    """Return the weights and biases of a network with these skips; what its neurons learn is not in it.

    Parameters
    ----------
    wiring : what arrives at each layer.
    widths : neurons (or channels) of each layer.
    entering : features (or channels) of a sample.
    reading : inputs of the read-out.
    classes : its outputs.
    kernel_area : weights of a convolution for each pair of channels (1: fully connected).
    pools : side of the pooling behind each layer's spikes; None: there is none.
    """
    sides = pools or [1] * len(widths)
    total = (reading + 1) * classes
    for layer, (added, concatenated) in enumerate(wiring):
        before = widths[layer - 1] if layer else entering
        joined = before + sum(widths[layer - distance] for distance in concatenated)
        total += (joined * kernel_area + 1) * widths[layer]
        for width, crossed in ((widths[layer - k], sides[layer - k : layer - 1]) for k in added):
            if width != before or max(crossed) > 1:
                total += width * before
    return total


def _arrivals(matrix: Matrix) -> list[Arrivals]:
    """Return what arrives at the layers 1 to d of a block."""
    size = len(matrix)
    for i, row in enumerate(matrix):
        if len(row) != size:
            raise ValueError(f"an adjacency matrix is square; row {i} of this one has {len(row)} entries, not {size}")
        for j, symbol in enumerate(row):
            if symbol not in (NONE, DSC, ASC):
                raise ValueError(f"entry ({i}, {j}) must be 0 (none), 1 (DSC) or 2 (ASC), got {symbol!r}")
            if symbol != NONE and i >= j - 1:
                raise ValueError(
                    f"entry ({i}, {j}) must be 0: a skip passes over at least one layer, and the edge from each "
                    "layer to the next is always there"
                )
    return [
        Arrivals(*(tuple(j - i for i in reversed(range(j - 1)) if matrix[i][j] == kind) for kind in (ASC, DSC)))
        for j in range(1, size)
    ]
