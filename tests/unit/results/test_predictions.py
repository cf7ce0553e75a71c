"""What was said of every test sample survives packing: classes exactly, hits exactly, margins to 6 %."""

from __future__ import annotations

import base64
import zlib

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from harness.results.predictions import LARGEST, pack, unpack
from harness.results.record import Predictions

SMALLEST = 2.0**-17
"""The least margin that three bits after the leading one can be kept of."""


def packed(labels: list[int], classes: list[int], margins: list[float], digest: str = "split") -> Predictions:
    return pack(digest, np.array(labels, np.int64), np.array(classes, np.int64), np.array(margins, float))


samples = st.lists(
    st.tuples(st.integers(0, 65_535), st.integers(0, 65_535), st.floats(allow_nan=True, allow_infinity=True)),
    max_size=50,
)


@given(samples)
def test_classes_and_misses_are_exact_and_margins_near(drawn: list[tuple[int, int, float]]) -> None:
    labels, classes, margins = ([each[i] for each in drawn] for i in range(3))
    found = unpack(packed(labels, classes, margins))
    assert found.classes.tolist() == classes
    assert found.missed.tolist() == [a != b for a, b in zip(labels, classes, strict=True)]
    for kept, margin in zip(np.abs(found.margins.astype(float)), margins, strict=True):
        wanted = 0.0 if np.isnan(margin) else min(abs(margin), LARGEST)
        assert kept == pytest.approx(wanted, rel=1 / 16, abs=SMALLEST)


def test_the_layout_is_the_one_that_is_documented() -> None:
    text = packed([3, 3, 300], [3, 1, 300], [1.5, -0.75, 0.0]).packed
    planes = zlib.decompress(base64.b64decode(text))
    assert [planes[i : i + 3].hex() for i in range(0, 12, 3)] == ["03012c", "000001", "3eba00", "000000"]


def test_a_tie_that_the_read_out_lost_is_a_miss() -> None:
    assert unpack(packed([1, 0], [0, 0], [0.0, 0.0])).missed.tolist() == [True, False]


def test_two_predictions_share_a_digest_only_if_they_are_of_the_same_samples_in_the_same_order() -> None:
    base = packed([0, 1, 2], [0, 0, 0], [1, 1, 1])
    assert packed([0, 1, 2], [2, 1, 2], [3, 1, 1]).digest == base.digest
    others = [([0, 2, 1], "split"), ([0, 1, 2], "other"), ([0, 1], "split")]
    digests = {packed(labels, [0] * len(labels), [1.0] * len(labels), split).digest for labels, split in others}
    assert len(digests | {base.digest}) == 4


@pytest.mark.parametrize(
    "changed",
    [
        {"packed": "no base64"},
        {"packed": base64.b64encode(b"no zlib").decode()},
        {"packed": base64.b64encode(zlib.compress(bytes(1 << 26))).decode()},
        {"samples": 4},
        {"samples": -1},
        {"samples": 10**400},
    ],
)
def test_edited_predictions_are_an_error(changed: dict[str, object]) -> None:
    with pytest.raises(ValueError, match="predictions"):
        unpack(packed([0, 1], [0, 1], [1, 1]).model_copy(update=changed))


def test_ten_thousand_samples_take_less_than_twenty_kilobytes() -> None:
    luck = np.random.default_rng(0)
    labels = luck.integers(0, 10, 10_000)
    classes = np.where(luck.random(10_000) < 0.02, luck.integers(0, 10, 10_000), labels)
    found = pack("split", labels, classes, luck.gamma(4, 1.5, 10_000))
    assert len(found.packed) < 20_000
