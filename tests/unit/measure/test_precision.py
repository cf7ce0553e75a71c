"""Average precision: worked out by hand on a few boxes, and what cannot be judged is refused."""

from __future__ import annotations

import numpy as np
import pytest

from harness.measure.precision import Boxes, average_precision

pytest.importorskip("pycocotools", reason="python -m pip install 'spikeboard[detection]'")

SQUARE = (10.0, 10.0, 20.0, 20.0)
OTHER = (40.0, 40.0, 50.0, 52.0)


def boxes(*found: tuple[tuple[float, ...], int, float]) -> Boxes:
    edges = np.array([box for box, _, _ in found], dtype=np.float64).reshape(-1, 4)
    return Boxes(edges, np.array([kind for _, kind, _ in found], dtype=np.int64), np.array([s for *_, s in found]))


def test_the_true_boxes_are_perfect() -> None:
    true = [boxes((SQUARE, 0, 1.0), (OTHER, 1, 1.0)), boxes((OTHER, 0, 1.0))]
    assert average_precision(true, true, 2) == pytest.approx((1.0, 1.0))


def test_half_an_overlap_is_enough_for_one_of_the_two() -> None:
    """Moved by 2 of 10 pixels: 80 of 120 pixels overlap, 0.667: right at 0.5, 0.55, 0.6 and 0.65, of ten demands."""
    moved = boxes(((12.0, 10.0, 22.0, 20.0), 0, 0.9))
    assert average_precision([boxes((SQUARE, 0, 1.0))], [moved], 1) == pytest.approx((1.0, 0.4))


def test_a_surer_wrong_box_halves_the_precision() -> None:
    said = [boxes((OTHER, 0, 0.9), (SQUARE, 0, 0.5))]
    assert average_precision([boxes((SQUARE, 0, 1.0))], said, 1).at_half == pytest.approx(0.5)
    less_sure = [boxes((OTHER, 0, 0.1), (SQUARE, 0, 0.5))]
    assert average_precision([boxes((SQUARE, 0, 1.0))], less_sure, 1).at_half == pytest.approx(1.0)


def test_classes_count_alike_and_a_wrong_class_is_wrong() -> None:
    true = [boxes((SQUARE, 0, 1.0), (OTHER, 1, 1.0))]
    assert average_precision(true, [boxes((SQUARE, 0, 0.9))], 2).at_half == pytest.approx(0.5)
    assert average_precision(true, [boxes((SQUARE, 1, 0.9), (OTHER, 0, 0.9))], 2).at_half == 0


def test_who_says_nothing_has_none(capsys: pytest.CaptureFixture[str]) -> None:
    assert average_precision([boxes((SQUARE, 0, 1.0))], [boxes()], 1) == (0.0, 0.0)
    assert capsys.readouterr().out == "", "the library's own report stays out of the log"


def test_what_cannot_be_judged_is_refused() -> None:
    with pytest.raises(ValueError, match="2 views were answered, and 1"):
        average_precision([boxes((SQUARE, 0, 1.0))], [boxes(), boxes()], 1)
    with pytest.raises(ValueError, match="no view has a true box"):
        average_precision([boxes()], [boxes()], 1)
