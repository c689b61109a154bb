"""Windows: what is cut is what lies there, mirrored beyond the image, and what is laid back changes nothing else."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from carpet_data.learned.windows import (
    CropWindow,
    around,
    cut,
    cut_mask,
    enlarged,
    laid_back,
    mask_on,
    part_of,
    without_cut_off,
)

windows = st.builds(CropWindow, st.integers(-40, 40), st.integers(-40, 40), st.integers(1, 48))


@st.composite
def images(draw: st.DrawFn) -> NDArray[np.uint8]:
    shape: tuple[int, ...] = (draw(st.integers(1, 30)), draw(st.integers(1, 30)))
    if draw(st.booleans()):
        shape += (3,)
    return np.random.default_rng(draw(st.integers(0, 99))).integers(0, 256, shape, np.uint8)


def padded(image: NDArray[Any], window: CropWindow) -> NDArray[Any]:
    """The window by numpy's own reflection."""
    height, width = image.shape[:2]
    before, after = max(0, -window.y), max(0, window.y + window.side - height)
    left, right = max(0, -window.x), max(0, window.x + window.side - width)
    rest = ((0, 0),) * (image.ndim - 2)
    wide = np.pad(image, ((before, after), (left, right), *rest), mode="reflect")
    top, first = window.y + before, window.x + left
    return wide[top : top + window.side, first : first + window.side]


@given(images(), windows)
def test_a_cut_at_its_own_size_is_the_image_mirrored_beyond_its_edges(
    image: NDArray[np.uint8], window: CropWindow
) -> None:
    found = cut(image, window, window.side)
    expected = padded(image, window)
    if image.ndim == 2:
        expected = np.repeat(expected[:, :, None], 3, axis=2)
    assert found.shape == (window.side, window.side, 3)
    assert (found == expected).all()


@given(
    st.tuples(st.integers(0, 900), st.integers(0, 900), st.integers(1, 500), st.integers(1, 500)),
    st.sampled_from([32, 64, 128]),
    st.floats(1, 4),
)
def test_a_window_holds_its_defect_in_its_middle(box: tuple[int, int, int, int], crop_px: int, context: float) -> None:
    x, y, width, height = box
    window = around(box, crop_px, context)
    assert window.side >= crop_px
    assert window.x <= x
    assert window.x + window.side >= x + width
    assert window.y <= y
    assert window.y + window.side >= y + height
    assert abs((2 * window.x + window.side) - (2 * x + width)) <= 1
    assert abs((2 * window.y + window.side) - (2 * y + height)) <= 1


@given(windows, st.integers(1, 30), st.integers(1, 30), st.integers(0, 99), st.integers(1, 40))
def test_a_reduced_mask_keeps_its_area_and_every_trace(
    window: CropWindow, height: int, width: int, seed: int, crop_px: int
) -> None:
    mask = np.random.default_rng(seed).random((height, width)) < 0.2
    rows, columns = window.inside(height, width)
    inside = int(mask[rows, columns].sum()) if rows.stop > rows.start and columns.stop > columns.start else 0
    found = cut_mask(mask, window, crop_px)
    assert found.shape == (crop_px, crop_px)
    assert found.dtype == np.float32
    assert found.min() >= 0
    assert found.max() <= 1 + 1e-5
    assert found.any() == (inside > 0) or crop_px > window.side
    if crop_px <= window.side:
        assert float(found.sum()) * (window.side / crop_px) ** 2 == pytest.approx(inside, rel=2e-3, abs=2e-3)


@given(windows, st.integers(1, 30), st.integers(1, 30), st.integers(0, 99))
def test_a_mask_comes_back_where_the_window_sees_it(window: CropWindow, height: int, width: int, seed: int) -> None:
    mask = np.random.default_rng(seed).random((height, width)) < 0.5
    part = part_of(mask, window)
    assert part.shape == (window.side, window.side)
    assert part.dtype == np.bool_
    x, y, wide, high = window.box(height, width)
    assert 0 <= x <= x + wide <= width
    assert 0 <= y <= y + high <= height
    expected = np.zeros_like(mask)
    expected[y : y + high, x : x + wide] = mask[y : y + high, x : x + wide]
    assert (mask_on((height, width), window, part) == expected).all()
    assert part.sum() == expected.sum()


@given(images(), windows, st.integers(0, 99))
def test_what_is_laid_back_changes_the_mask_and_nothing_else(
    host: NDArray[np.uint8], window: CropWindow, seed: int
) -> None:
    rng = np.random.default_rng(seed)
    rows, columns = window.inside(*host.shape[:2])
    mask = np.zeros(host.shape[:2], np.bool_)
    if rows.stop > rows.start and columns.stop > columns.start:
        mask[rows, columns] = rng.random(mask[rows, columns].shape) < 0.5
    values = rng.uniform(-50, 300, (window.side, window.side, 3)).astype(np.float32)
    before = host.copy()
    made = laid_back(host, window, values, mask)
    assert (host == before).all()
    assert made.dtype == np.uint8
    assert made.shape == host.shape
    assert (made[~mask] == host[~mask]).all()
    for y, x in np.argwhere(mask):
        value = values[y - window.y, x - window.x]
        expected = value if host.ndim == 3 else value.mean()
        assert (np.abs(made[y, x] - np.clip(expected, 0, 255)) <= 0.51).all()


@given(images(), windows)
def test_a_cut_laid_back_is_the_host(host: NDArray[np.uint8], window: CropWindow) -> None:
    mask = np.zeros(host.shape[:2], np.bool_)
    rows, columns = window.inside(*mask.shape)
    if rows.stop > rows.start and columns.stop > columns.start:
        mask[rows, columns] = True
    assert (laid_back(host, window, cut(host, window, window.side).astype(np.float32), mask) == host).all()


@given(st.integers(1, 60), st.integers(8, 32), st.floats(0, 255))
def test_a_plain_crop_stays_plain_when_enlarged(side: int, crop_px: int, level: float) -> None:
    values = np.full((crop_px, crop_px, 3), level, np.float32)
    found = enlarged(values, CropWindow(0, 0, side))
    assert found.shape == (side, side, 3)
    assert np.abs(found - np.float32(level)).max() < 1e-2


def test_what_reaches_the_edge_of_the_window_inside_the_image_is_dropped() -> None:
    width = 300
    window = CropWindow(width - 64, 100, 64)

    def strip(first: int, last: int) -> NDArray[np.bool_]:
        mask = np.zeros((256, width), np.bool_)
        mask[120:140, first:last] = True
        return mask

    inner, cut_off, at_the_border = strip(260, 280), strip(236, 250), strip(280, 300)
    assert (without_cut_off(inner, window) == inner).all()
    assert (without_cut_off(inner | cut_off, window) == inner).all()
    assert (without_cut_off(at_the_border, window) == at_the_border).all(), "at the image's own edge it may go on"
