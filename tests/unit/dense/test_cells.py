"""What masks say of cells."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from helpers.cloth import save
from hypothesis import given, settings
from hypothesis import strategies as st

from carpet_data.dataset import ClassFile, Dataset, MaskFile, Sample
from carpet_data.errors import UsageError
from carpet_data.training.dense.cells import (
    IGNORED,
    chosen_cells,
    class_cover,
    moved,
    moved_back,
    scaled_size,
    targets,
)

CLASSES = ("good", "dark", "red")


@pytest.mark.parametrize("view", range(8))
def test_a_view_is_undone(view: int) -> None:
    image = np.arange(24).reshape(4, 6)
    assert np.array_equal(moved_back(moved(image, view), view), image)


def test_the_eight_views_differ() -> None:
    image = np.arange(16).reshape(4, 4)
    assert len({moved(image, view).tobytes() for view in range(8)}) == 8


@pytest.mark.parametrize(
    ("scale", "stride", "view"), [(1.0, 8, 0), (1.0, 8, 3), (2.0, 16, 5), (0.5, 4, 1), (1.0, 10, 6)]
)
def test_the_share_of_each_cell(squares: Dataset, scale: float, stride: int, view: int) -> None:
    sample = next(each for each in squares if each.class_name == "red")
    cover = class_cover(sample, CLASSES, scale=scale, stride=stride, view=view)
    assert cover is not None
    shown = moved(sample.mask(), view)
    factor = int(stride / scale)
    for row in range(cover.shape[1]):
        for column in range(cover.shape[2]):
            part = shown[row * factor : (row + 1) * factor, column * factor : (column + 1) * factor]
            assert cover[1, row, column] == pytest.approx(part.mean(), abs=1e-6)
    assert not cover[0].any()


def test_good_images_and_images_without_a_mask(squares: Dataset) -> None:
    good = next(each for each in squares if each.class_name == "good")
    cover = class_cover(good, CLASSES, scale=1, stride=16)
    assert cover is not None
    assert cover.shape == (2, 4, 4)
    assert not cover.any()


def test_each_class_of_an_image_has_its_own_cells(tmp_path: Path) -> None:
    values = np.zeros((32, 32), np.uint8)
    values[:8, :8], values[16:24, 16:24], values[24:, :] = 1, 2, 255
    save(tmp_path / "mask.png", values)
    save(tmp_path / "image.png", values)
    table = ClassFile("mask.png", ((1, "dark"), (2, "red")), (0, 255))
    sample = Sample("a", "image.png", "red", 32, 32, annotation=table, root=tmp_path)
    cover = class_cover(sample, CLASSES, scale=1, stride=8)
    assert cover is not None
    found = targets(cover)
    assert found[0, 0] == 1
    assert found[2, 2] == 2
    assert (found == 0).sum() == 14
    with pytest.raises(UsageError, match="unknown class 'dark'"):
        class_cover(sample, ("good", "red"), scale=1, stride=8)


def test_an_empty_mask_says_nothing_of_the_cells(tmp_path: Path) -> None:
    save(tmp_path / "mask.png", np.zeros((16, 16), np.uint8))
    sample = Sample("a", "a.png", "red", 16, 16, annotation=MaskFile("mask.png"), root=tmp_path)
    assert class_cover(sample, CLASSES, scale=1, stride=8) is None


def test_a_defect_thinner_than_a_cell_still_has_cells() -> None:
    thin = np.zeros((1, 3, 3), np.float32)
    thin[0, 1] = (0.1, 0.2, 0.05)
    assert targets(thin)[1].tolist() == [IGNORED, 1, IGNORED]


def test_partly_covered_cells_are_ignored() -> None:
    cover = np.array([[[1.0, 0.4, 0.0]], [[0.0, 0.0, 0.6]]], np.float32)
    assert targets(cover).tolist() == [[1, IGNORED, 2]]


def test_at_most_so_many_cells_are_drawn() -> None:
    target = np.array([[0] * 50 + [1] * 50 + [IGNORED] * 10], np.int16)
    places = chosen_cells(target, defect=7, background=11, rng=np.random.default_rng(0))
    drawn = target.ravel()[places]
    assert (drawn == 1).sum() == 7
    assert (drawn == 0).sum() == 11
    assert len(set(places.tolist())) == 18


@settings(max_examples=30)
@given(st.integers(1, 3000), st.integers(1, 3000), st.floats(0.001, 8))
def test_every_image_keeps_a_pixel(height: int, width: int, scale: float) -> None:
    assert min(scaled_size(height, width, scale)) >= 1
