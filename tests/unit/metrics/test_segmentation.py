"""Intersections over union against counting pixel by pixel."""

from __future__ import annotations

import numpy as np
import pytest
from helpers.examples import examples
from hypothesis import given, settings
from hypothesis import strategies as st

from carpet_data.errors import UsageError
from carpet_data.metrics import SegmentationScores, class_pixels, segmentation_scores

CLASSES = ("good", "hole", "thread", "cut")


@given(st.integers(0, 2**32 - 1), st.integers(1, 4), st.integers(1, 4))
@settings(max_examples=examples(60), deadline=None)
def test_pooled_over_all_pixels(seed: int, count: int, shown: int) -> None:
    random = np.random.default_rng(seed)
    shapes = [tuple(random.integers(1, 8, 2)) for _ in range(count)]
    labels = [random.integers(0, 4, shape).astype(np.uint8) for shape in shapes]
    truths = [random.integers(0, shown, shape).astype(np.uint8) for shape in shapes]
    found = segmentation_scores(labels, truths, CLASSES)
    told, true = np.concatenate([each.ravel() for each in labels]), np.concatenate([each.ravel() for each in truths])
    expected = {}
    for number, name in enumerate(CLASSES[1:], start=1):
        one, other = set(np.flatnonzero(told == number)), set(np.flatnonzero(true == number))
        expected[name] = len(one & other) / len(one | other) if other else None
        f1 = 2 * len(one & other) / (len(one) + len(other)) if other else None
        assert found.f1[name] == (None if f1 is None else pytest.approx(f1))
        assert found.pixels[name] == len(other)
    assert found.iou == {name: None if value is None else pytest.approx(value) for name, value in expected.items()}
    known = [value for value in expected.values() if value is not None]
    assert found.mean_iou == (pytest.approx(np.mean(known)) if known else None)


def test_text_and_no_defects() -> None:
    none = segmentation_scores([np.zeros((2, 2), int)], [np.zeros((2, 2), int)], CLASSES)
    assert (none.mean_iou, none.text()) == (None, "mIoU –")
    some = segmentation_scores([np.array([[1, 0]])], [np.array([[1, 1]])], CLASSES)
    assert some.text() == "mIoU 0.500 (hole 0.500), F1 0.667"


def test_what_cannot_be_scored_is_refused() -> None:
    with pytest.raises(UsageError, match="shape"):
        class_pixels(np.zeros((2, 3), int), np.zeros((3, 2), int), 2)
    with pytest.raises(UsageError, match="2 classes"):
        class_pixels(np.array([[2]]), np.array([[0]]), 2)
    with pytest.raises(UsageError, match="whole numbers"):
        class_pixels(np.array([[0.5]]), np.array([[0]]), 2)
    with pytest.raises(UsageError, match="masks"):
        segmentation_scores([], [np.zeros((1, 1), int)], CLASSES)
    with pytest.raises(UsageError, match="counts"):
        SegmentationScores.of(np.zeros((2, 4)), CLASSES)
