"""Composition: only the mask changes, unchanged crops change nothing, and fine structure follows the network's."""

from __future__ import annotations

import numpy as np
import pytest
from helpers.examples import examples
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from carpet_data.learned.compose import composed
from carpet_data.learned.windows import CropWindow, cut

CROP = 32


def host_of(seed: int, grey: bool, side: int = 96) -> NDArray[np.uint8]:
    """A weave: yarns of 6 pixels with a little noise."""
    y, x = np.mgrid[:side, :side]
    weave = 120 + 30 * np.sin(2 * np.pi * x / 6) * np.sin(2 * np.pi * y / 6)
    noisy = weave[..., None] + np.random.default_rng(seed).normal(0, 2, (side, side, 3))
    image = np.clip(np.rint(noisy), 0, 255).astype(np.uint8)
    return np.ascontiguousarray(image[..., 0]) if grey else image


def disc(side: int, x: int, y: int, radius: int) -> NDArray[np.bool_]:
    rows, columns = np.mgrid[:side, :side]
    return np.asarray((rows - y) ** 2 + (columns - x) ** 2 <= radius**2)


@settings(max_examples=examples(40), deadline=None)
@given(
    st.integers(0, 9),
    st.booleans(),
    st.integers(-60, 120),
    st.integers(-60, 120),
    st.integers(8, 110),
    st.integers(1, 50),
    st.floats(0, 6),
)
def test_only_the_mask_changes(
    seed: int, grey: bool, x: int, y: int, side: int, radius: int, feather_px: float
) -> None:
    host = host_of(seed, grey)
    window = CropWindow(x, y, side)
    within = disc(96, 48, 48, radius)
    generated = np.random.default_rng(seed).uniform(0, 255, (CROP, CROP, 3)).astype(np.float32)
    before = host.copy()
    image, mask = composed(host, window, generated, within, feather_px=feather_px)
    assert (host == before).all()
    assert image.shape == host.shape
    assert image.dtype == np.uint8
    assert (image[~mask] == host[~mask]).all()
    assert not (mask & ~within).any()
    beyond = np.ones_like(mask)
    beyond[window.inside(96, 96)] = False
    assert not mask[beyond].any()


@settings(max_examples=examples(30), deadline=None)
@given(st.integers(0, 9), st.booleans(), st.integers(-20, 40), st.integers(16, 110))
def test_the_host_itself_as_a_crop_changes_nothing(seed: int, grey: bool, x: int, side: int) -> None:
    host = host_of(seed, grey)
    window = CropWindow(x, 10, side)
    same = cut(host, window, CROP).astype(np.float32)
    image, mask = composed(host, window, same, disc(96, 48, 48, 30))
    assert not mask.any()
    assert (image == host).all()


@settings(max_examples=examples(20), deadline=None)
@given(st.integers(0, 9), st.booleans())
def test_a_paste_made_again_as_it_was_is_the_paste(seed: int, grey: bool) -> None:
    host, pasted = host_of(seed, grey), host_of(seed, grey)
    within = disc(96, 48, 48, 20)
    pasted[within] = 255 - pasted[within] // 2
    window = CropWindow(10, 12, 70)
    image, mask = composed(host, window, cut(pasted, window, CROP).astype(np.float32), within, detail=pasted)
    deep = disc(96, 48, 48, 17)
    assert mask[deep].mean() > 0.95
    assert np.abs(image[deep & mask].astype(int) - pasted[deep & mask]).max() <= 1


@pytest.mark.parametrize("grey", [False, True])
def test_under_a_stain_the_weave_runs_on_and_in_a_hole_it_ends(grey: bool) -> None:
    host = host_of(3, grey)
    window, within, deep = CropWindow(0, 0, 96), disc(96, 48, 48, 30), disc(96, 48, 48, 20)
    seen = cut(host, window, CROP).astype(np.float32)
    stain, hole = seen * 0.5, np.full_like(seen, 20.0)

    def contrast(image: NDArray[np.uint8]) -> float:
        return float(image[deep].std())

    stained, _ = composed(host, window, stain, within)
    holed, _ = composed(host, window, hole, within)
    assert 0.3 * contrast(host) < contrast(stained) < 1.1 * contrast(host)
    assert contrast(holed) < 0.25 * contrast(host)
    assert abs(float(holed[deep].mean()) - 20) < 3


def test_the_change_fades_towards_the_rim() -> None:
    host = np.full((96, 96, 3), 100, np.uint8)
    within = disc(96, 48, 48, 20)
    generated = np.full((CROP, CROP, 3), 200.0, np.float32)
    image, mask = composed(host, CropWindow(0, 0, 96), generated, within, feather_px=8)
    assert image[48, 48, 0] == 200
    line = image[48, 48:69, 0].astype(int)
    assert (np.diff(line) <= 0).all()
    assert 100 <= line[19] < 130
    assert mask[48, 48]


def test_a_scratch_of_one_pixel_keeps_its_full_strength() -> None:
    host = np.full((96, 96), 100, np.uint8)
    within = np.zeros((96, 96), np.bool_)
    within[40, 20:70] = True
    image, mask = composed(host, CropWindow(0, 0, 96), np.full((CROP, CROP, 3), 30.0, np.float32), within)
    assert (image[40, 22:68] == 30).all()
    assert mask[40, 22:68].all()


def test_a_window_beside_the_image_changes_nothing() -> None:
    host = host_of(0, False)
    generated = np.zeros((CROP, CROP, 3), np.float32)
    for window in (CropWindow(200, 0, 40), CropWindow(-80, 0, 60), CropWindow(0, 96, 50)):
        image, mask = composed(host, window, generated, np.ones((96, 96), np.bool_))
        assert (image == host).all()
        assert not mask.any()


@pytest.mark.filterwarnings("error")
def test_a_mask_that_fills_the_window_has_no_rim() -> None:
    host = np.full((96, 96, 3), 100, np.uint8)
    window = CropWindow(40, 40, 16)
    image, mask = composed(
        host, window, np.full((CROP, CROP, 3), 200.0, np.float32), disc(96, 48, 48, 40), feather_px=0.1
    )
    assert (image[window.inside(96, 96)] == 200).all()
    assert mask.sum() == window.side**2
