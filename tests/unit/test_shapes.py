"""New shapes are whole, of the right size, and between those they came from."""

from __future__ import annotations

import cv2
import numpy as np
import pytest
from helpers.examples import examples
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from carpet_data.synthesis.ops.masks import cropped, signed_distance
from carpet_data.synthesis.ops.new_shape import bend, centerd, deform, is_thin, morph, new_shape, turned

Mask = NDArray[np.bool_]


def disc(radius: int) -> Mask:
    y, x = np.mgrid[-radius : radius + 1, -radius : radius + 1]
    return np.asarray(np.hypot(x, y) <= radius)


def ribbon(length: int, width: int) -> Mask:
    return np.ones((width, length), np.bool_)


def parts(mask: Mask) -> int:
    return int(cv2.connectedComponents(mask.astype(np.uint8), connectivity=8)[0]) - 1


def iou(first: Mask, second: Mask) -> float:
    """Of two shapes laid center on center."""
    reach = max(*first.shape, *second.shape) + 1
    one, other = (centerd(mask, reach) for mask in (first, second))
    return float((one & other).sum() / (one | other).sum())


def test_signed_distance_tells_inside_from_outside() -> None:
    mask = np.zeros((9, 9), np.bool_)
    mask[2:7, 2:7] = True
    distance = signed_distance(mask)
    assert ((distance > 0) == mask).all()
    assert distance[4, 4] == pytest.approx(2.5, abs=0.1)
    assert (signed_distance(np.zeros((4, 4), np.bool_)) < 0).all()


def test_threads_are_thin_and_blobs_are_not() -> None:
    assert is_thin(ribbon(80, 5))
    assert is_thin(np.pad(ribbon(30, 1), 4))
    assert not is_thin(disc(12))
    assert not is_thin(ribbon(20, 12))
    assert not is_thin(np.ones((1, 1), np.bool_))


def test_a_morph_goes_from_one_to_the_other() -> None:
    first, second = disc(20), ribbon(70, 22)
    assert iou(morph(first, second, 0.0), first) > 0.97
    shares = [iou(morph(second, first, share), first) for share in (0.0, 0.5, 1.0)]
    assert shares == sorted(shares)
    assert shares[2] > 0.95


def test_a_morph_turns_the_second_shape_to_the_first() -> None:
    lying = ribbon(60, 20)
    assert iou(morph(lying, np.ascontiguousarray(lying.T), 0.5), lying) > 0.9


@pytest.mark.parametrize("width", [1, 2, 5])
def test_a_bent_thread_stays_one_thread_of_its_width(width: int) -> None:
    thread = ribbon(100, width)
    bent = bend(thread, 0.4, 0.15, 1.0)
    assert parts(bent) == 1
    assert bent.shape[0] > 3 * width
    assert 0.7 * thread.sum() < bent.sum() < (2.2 if width == 1 else 1.5) * thread.sum()


def test_bending_by_nothing_changes_nothing() -> None:
    assert (bend(ribbon(40, 6), 0.0) == ribbon(40, 6)).all()


def test_a_turned_shape_keeps_its_area() -> None:
    shape = cropped(np.pad(disc(15), 3) & (np.arange(37) < 25))
    for angle in (17.0, 90.0, 200.0):
        assert turned(shape, angle).sum() == pytest.approx(shape.sum(), rel=0.08)
    assert turned(shape, 0.0, 2.0).sum() == pytest.approx(4 * shape.sum(), rel=0.08)


def test_a_deformed_shape_is_another_of_about_that_size() -> None:
    shape = deform(disc(30), np.random.default_rng(0), strength=0.12)
    assert parts(shape) == 1
    assert shape.sum() == pytest.approx(disc(30).sum(), rel=0.35)
    assert 0.6 < iou(shape, disc(30)) < 0.99


SHAPES = st.sampled_from(
    [disc(3), disc(14), ribbon(50, 3), ribbon(9, 1), np.ones((1, 1), np.bool_), disc(20) & (np.mgrid[:41, :41][0] > 12)]
)


@settings(max_examples=examples(60), deadline=None)
@given(first=SHAPES, second=SHAPES, seed=st.integers(0, 2**32 - 1))
def test_new_shapes_fit_their_class(first: Mask, second: Mask, seed: int) -> None:
    areas = sorted([float(first.sum()), float(second.sum())])
    shape = new_shape([first, second], np.random.default_rng(seed), area_range_px=(areas[0], areas[1]))
    assert shape.any()
    assert (cropped(shape) == shape).all()
    assert shape.dtype == np.bool_
    # Pixels are whole: small shapes miss their area by their outline.
    slack = 4 * np.sqrt(areas[1]) + 8
    assert 0.6 * areas[0] - slack <= shape.sum() <= 1.4 * areas[1] + slack
    again = new_shape([first, second], np.random.default_rng(seed), area_range_px=(areas[0], areas[1]))
    assert (shape == again).all()
