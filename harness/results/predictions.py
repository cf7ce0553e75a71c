"""What a trained network said of every test sample, packed into a record: class, whether it was right, by how much.

With it two rows are compared sample by sample, which tells more than their two error counts. Without labels at hand a
reader still knows which samples were missed: the sign of a margin says so.

The text is base64 of zlib of four planes of n bytes each, n the number of samples, in the order in which they were
tested: low byte of the class, high byte of the class, high byte of the margin, low byte of the margin. A margin is a
half-precision float (IEEE 754 binary16, little-endian by its two planes), rounded to three bits after the leading one,
that is to 6 %: the logit of the true class minus the largest of the others. Its sign bit is set where the sample was
missed, also on a zero, so that a tie is decided as the read-out decided it. Planes of like bytes pack well: 10,000
samples of ten classes take about 13 kB.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import zlib
from dataclasses import dataclass
from typing import TYPE_CHECKING

from harness.results.record import Predictions

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

__all__ = ["Unpacked", "pack", "unpack"]

BYTES_PER_SAMPLE = 4
MOST_SAMPLES = 1 << 24
"""A hundred times the largest test split."""
DROPPED_BITS = 7
"""Of the ten bits after the leading one of a half-precision float."""
LARGEST = 61_440.0
"""The largest margin that has a place: rounding up never makes it infinite."""


@dataclass(frozen=True, slots=True)
class Unpacked:
    """Predictions as arrays ``[N]``, in the order of the test split."""

    classes: NDArray[np.uint16]
    margins: NDArray[np.float16]

    @property
    def missed(self) -> NDArray[np.bool_]:
        """Return which samples were classified wrongly."""
        import numpy as np

        return np.signbit(self.margins)


def pack(
    split_digest: str, labels: NDArray[np.integer], classes: NDArray[np.integer], margins: NDArray[np.floating]
) -> Predictions:
    """Return the predictions of a test split, ready for a record.

    Parameters
    ----------
    split_digest : hash of which sample lies in which part of the split.
    labels : true classes ``[N]`` of the samples that were tested, in order; at most 65,536 classes.
    classes : predicted classes ``[N]``.
    margins : logit of the true class minus the largest of the others, ``[N]``; only its size counts here, and what is
        not a number counts as zero.
    """
    import numpy as np

    size = np.nan_to_num(np.abs(margins), nan=0.0, posinf=LARGEST).clip(max=LARGEST)
    signed = np.copysign(size, np.where(classes == labels, 1.0, -1.0)).astype(np.float16)
    bits = signed.view(np.uint16) + np.uint16(1 << (DROPPED_BITS - 1))
    bits &= np.uint16(0xFFFF << DROPPED_BITS & 0xFFFF)
    names = classes.astype(np.uint16)
    planes = np.stack([names & 0xFF, names >> 8, bits >> 8, bits & 0xFF]).astype(np.uint8)
    order = hashlib.sha256(f"{split_digest} {len(labels)}\n".encode())
    order.update(labels.astype("<i8").tobytes())
    return Predictions(
        digest=order.hexdigest(),
        samples=len(labels),
        packed=base64.b64encode(zlib.compress(planes.tobytes(), 9)).decode(),
    )


def unpack(predictions: Predictions) -> Unpacked:
    """Return what `pack` was given, margins as precise as they were kept.

    Raises
    ------
    ValueError
        If the text is not what it says: a record was edited.
    """
    import numpy as np

    if not 0 <= predictions.samples <= MOST_SAMPLES:
        raise ValueError("predictions of fewer than no samples, or of more than any test split has")
    size = BYTES_PER_SAMPLE * predictions.samples
    try:
        # No more than was announced: a few kilobytes of zeros, packed, may become gigabytes.
        content = zlib.decompressobj().decompress(base64.b64decode(predictions.packed, validate=True), size + 1)
    except (binascii.Error, zlib.error) as error:
        raise ValueError(f"predictions cannot be unpacked: {error}") from error
    if len(content) != size:
        raise ValueError(f"predictions of {predictions.samples} samples hold {len(content)} bytes or more")
    planes = np.frombuffer(content, np.uint8).reshape(BYTES_PER_SAMPLE, -1).astype(np.uint16)
    return Unpacked(planes[0] | planes[1] << 8, (planes[2] << 8 | planes[3]).view(np.float16))
