"""Where tiles lie, and predictions of tiles as those of the whole image."""

from __future__ import annotations

import itertools
from dataclasses import dataclass

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from carpet_data.errors import UsageError
from carpet_data.tiling.grid import Window, starts, windows
from carpet_data.tiling.stitch import Stitcher, merge_detections, rim_weights


@dataclass(frozen=True)
class Found:
    """A detection, as `training.contract` has them."""

    class_name: str
    score: float
    bbox: tuple[int, int, int, int]
    mask: NDArray[np.bool_] | None = None


@given(st.integers(1, 300), st.integers(1, 80), st.data())
def test_tiles_cover_every_pixel_and_neighbors_share_the_overlap(length: int, size: int, data: st.DataObject) -> None:
    overlap = data.draw(st.integers(0, size - 1))
    places = starts(length, size, overlap)
    assert places[0] == 0
    assert places[-1] == max(length - size, 0)
    for before, after in itertools.pairwise(places):
        assert before < after
        assert before + size - after >= overlap
    if length > size:  # one tile fewer could not cover it
        assert (len(places) - 1) * (size - overlap) + overlap < length


def test_tiles_that_cannot_cover_are_refused() -> None:
    for size, overlap in ((0, 0), (-4, 0), (8, 8), (8, -1)):
        with pytest.raises(UsageError, match="tile"):
            list(windows(20, 20, size, overlap))


@given(st.integers(1, 60), st.integers(1, 60), st.integers(2, 25), st.data())
def test_heat_that_the_tiles_agree_on_comes_back(height: int, width: int, size: int, data: st.DataObject) -> None:
    overlap = data.draw(st.integers(0, size - 1))
    heat = np.random.default_rng(height * width).random((height, width)).astype(np.float32)
    labels = (heat * 5).astype(np.uint8)
    stitcher: Stitcher[Found] = Stitcher(height, width)
    for window in windows(height, width, size, overlap):
        stitcher.add(window, heat=heat[window.slices], labels=labels[window.slices])
    done = stitcher.result()
    assert done.heat is not None
    assert done.labels is not None
    assert done.heat.dtype == np.float32
    np.testing.assert_allclose(done.heat, heat, rtol=1e-5)
    assert done.heat.max() <= heat.max()
    np.testing.assert_array_equal(done.labels, labels)


def test_a_tile_counts_less_toward_its_rim_but_not_at_the_rim_of_the_image() -> None:
    weights = rim_weights(Window(0, 10, 20, 20), 20, 60)
    assert (weights > 0).all()
    np.testing.assert_allclose(weights, weights[:1].repeat(20, axis=0))  # rows end where the image ends
    assert weights[0, 0] < 0.01 > weights[0, -1]
    assert weights[0, 9:11] == pytest.approx(1, abs=0.02)


def test_two_tiles_that_disagree_meet_without_a_seam() -> None:
    stitcher: Stitcher[Found] = Stitcher(8, 96)
    for window, value in zip(windows(8, 96, 64, 32), (0.0, 1.0), strict=True):
        stitcher.add(window, heat=np.full((8, 64), value, np.float32), labels=np.full((8, 64), int(value), np.uint8))
    done = stitcher.result()
    assert done.heat is not None
    assert done.labels is not None
    assert np.abs(np.diff(done.heat[4])).max() < 0.06  # 32 pixels from 0 to 1
    assert (np.diff(done.heat[4]) >= 0).all()
    assert done.heat[0, 0] == 0
    assert done.heat[0, -1] == 1
    assert done.labels[0].tolist() == [0] * 48 + [1] * 48


def test_maps_of_another_size_and_tiles_outside_are_refused() -> None:
    stitcher: Stitcher[Found] = Stitcher(10, 10)
    with pytest.raises(ValueError, match="does not fit"):
        stitcher.add(Window(0, 0, 4, 4), heat=np.zeros((4, 5), np.float32))
    with pytest.raises(ValueError, match="inside"):
        stitcher.add(Window(8, 0, 4, 4))


def _cut(mask: NDArray[np.bool_], window: Window, class_name: str = "cut", score: float = 0.5) -> Found:
    """What a perfect model finds of one defect in one tile."""
    part = mask[window.slices]
    rows, columns = np.flatnonzero(part.any(1)), np.flatnonzero(part.any(0))
    top, left, bottom, right = rows[0], columns[0], rows[-1] + 1, columns[-1] + 1
    box = (int(left), int(top), int(right - left), int(bottom - top))
    return Found(class_name, score, box, part[top:bottom, left:right])


@pytest.mark.parametrize("with_masks", [True, False])
def test_a_thread_through_all_tiles_is_one_detection(with_masks: bool) -> None:
    mask = np.zeros((100, 220), np.bool_)
    for column in range(5, 215):
        mask[column * 90 // 220 + 2 : column * 90 // 220 + 6, column] = True
    tiles = [window for window in windows(100, 220, 64, 16) if mask[window.slices].any()]
    found = [(window, _cut(mask, window, score=0.1 * number)) for number, window in enumerate(tiles, 1)]
    if not with_masks:
        found = [(window, Found("cut", each.score, each.bbox)) for window, each in found]
    (merged,) = merge_detections(found)
    rows = np.flatnonzero(mask.any(1))
    assert merged.bbox == (5, rows[0], 210, rows[-1] + 1 - rows[0])
    assert merged.score == max(each.score for _, each in found)
    if with_masks:
        assert merged.mask is not None
        np.testing.assert_array_equal(merged.mask, mask[rows[0] : rows[-1] + 1, 5:215])
    else:
        assert merged.mask is None


def test_neighbors_are_not_merged_for_being_near() -> None:
    left, right = windows(64, 112, 64, 16)
    a = Found("hole", 0.9, (50, 10, 6, 6), np.ones((6, 6), np.bool_))  # columns 50 to 55 of the image
    b = Found("hole", 0.8, (8, 10, 5, 6), np.ones((6, 5), np.bool_))  # columns 56 to 60
    assert [each.bbox for each in merge_detections([(left, a), (right, b)])] == [(50, 10, 6, 6), (56, 10, 5, 6)]
    boxes = [(left, Found("hole", 0.9, (50, 10, 6, 6))), (right, Found("hole", 0.8, (8, 10, 5, 6)))]
    assert len(merge_detections(boxes)) == 2


def test_other_classes_and_the_same_tile_are_not_merged() -> None:
    left, right = windows(64, 112, 64, 16)
    hole = Found("hole", 0.9, (50, 10, 6, 6), np.ones((6, 6), np.bool_))
    cut = Found("cut", 0.9, (2, 10, 6, 6), np.ones((6, 6), np.bool_))
    assert len(merge_detections([(left, hole), (right, cut)])) == 2
    assert len(merge_detections([(left, hole), (left, hole)])) == 2


def test_a_defect_that_one_tile_breaks_in_two_is_one() -> None:
    left, right = windows(64, 112, 64, 16)
    whole = Found("cut", 0.6, (50, 20, 12, 3), np.ones((3, 12), np.bool_))
    halves = [Found("cut", 0.9, (2, 20, 5, 3), np.ones((3, 5), np.bool_)), Found("cut", 0.4, (8, 20, 6, 3))]
    halves[1] = Found("cut", 0.4, (8, 20, 6, 3), np.ones((3, 6), np.bool_))
    (merged,) = merge_detections([(right, halves[1]), (left, whole), (right, halves[0])])
    assert merged == Found("cut", 0.9, (50, 20, 12, 3), merged.mask)


def test_a_large_box_does_not_swallow_a_small_one() -> None:
    left, right = windows(64, 112, 64, 16)
    large = Found("color", 0.6, (10, 10, 52, 40))
    small = Found("color", 0.9, (4, 20, 3, 3))
    assert len(merge_detections([(left, large), (right, small)])) == 2


def test_nothing_found_gives_nothing() -> None:
    done = Stitcher[Found](5, 5).result()
    assert done.heat is None
    assert done.labels is None
    assert done.detections == ()
