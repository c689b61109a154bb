"""The ops that every method is made of: pixels, masks, what can be seen, seams."""

from __future__ import annotations

import cv2
import numpy as np
import pytest
from helpers.scenes import carpet
from numpy.typing import NDArray

from carpet_data.synthesis.contract import Redraw
from carpet_data.synthesis.ops import masks, pixels
from carpet_data.synthesis.ops.seam import coarse_cut, cut_between, seam_energy
from carpet_data.synthesis.ops.visible import visible_change, visible_levels, visible_mask, visible_region


def square(side: int = 40, low: int = 10, high: int = 30) -> NDArray[np.bool_]:
    mask = np.zeros((side, side), np.bool_)
    mask[low:high, low:high] = True
    return mask


def test_channels_follow_the_model() -> None:
    color = carpet("good").image
    gray = color[..., 0].copy()
    assert pixels.in_channels(color, color) is color
    assert pixels.in_channels(color, gray).ndim == 2
    assert (pixels.in_channels(gray, color) == gray[..., None]).all()
    assert (pixels.in_color(gray) == gray[..., None]).all()
    assert pixels.grey(gray).dtype == np.float32


def test_floats_become_bytes_by_rounding_and_clipping() -> None:
    assert pixels.to_bytes(np.float32([[-9, 0.4, 0.6, 254.6, 300]])).tolist() == [[0, 0, 1, 255, 255]]


def test_noise_is_measured() -> None:
    flat = np.full((200, 200), 128.0)
    noisy = np.clip(np.rint(flat + np.random.default_rng(0).normal(0, 5, flat.shape)), 0, 255).astype(np.uint8)
    assert pixels.noise_level(noisy) == pytest.approx(5, rel=0.1)
    assert pixels.noise_level(np.full((9, 9), 7, np.uint8)) == 0
    assert pixels.noise_level(np.zeros((2, 2), np.uint8)) == 0
    noisy[:120] = carpet("good").image[:120, :200, 0]
    assert pixels.noise_level(noisy) > 1.2 * pixels.camera_noise(noisy.astype(np.float32))


def test_growing_and_shrinking_at_the_border() -> None:
    mask = square(high=40)
    assert masks.grown(mask, 2).sum() > mask.sum()
    assert masks.shrunk(mask, 2)[39, 39]
    assert not masks.shrunk(mask, 2, from_border=True)[39, 39]
    assert (masks.depth_of(mask) > 0).sum() == mask.sum()


def test_windows_stay_inside_and_nothing_has_none() -> None:
    mask = np.zeros((10, 12), np.bool_)
    mask[0, 11] = True
    assert masks.window_of(mask, 3) == (slice(0, 4), slice(8, 12))
    assert masks.mask_box(mask) == (11, 0, 1, 1)
    assert masks.cropped(mask).shape == (1, 1)
    with pytest.raises(Redraw):
        masks.mask_box(mask & False)


def test_parts_by_their_size() -> None:
    mask = square()
    mask[20, 20] = False  # a hole
    mask[2:4, 2:4] = True
    mask[36, 36] = True
    assert masks.parts_below(mask, 4).sum() == 1
    assert masks.parts_below(mask, 5).sum() == 5
    kept, area = masks.largest_parts(mask, 2)
    assert (kept.sum(), area) == (403, 399)
    assert masks.largest_parts(mask & False, 2)[1] == 0
    assert masks.filled(mask, 0.1).sum() == 400
    assert masks.filled(mask).sum() == 405


def test_a_visible_change_is_whole_and_exact() -> None:
    before = carpet("good", 0).image[:100, :100]
    after = before.copy()
    after[20:60, 30:70] = 255 - after[20:60, 30:70] // 2
    after[90, 90] ^= 128
    found = visible_mask(after, before, np.ones((100, 100), np.bool_), 10)
    expected = np.zeros((100, 100), np.bool_)
    expected[20:60, 30:70] = True
    assert (found & expected).sum() / (found | expected).sum() > 0.97
    assert not visible_mask(before, before, expected, 10).any()
    assert not visible_change(before, before, 0, 5).any()
    region = visible_region(after.astype(np.float32), before.astype(np.float32), 1.0)
    assert (region & expected).sum() / (region | expected).sum() > 0.95


def test_what_counts_as_visible_follows_the_noise_unless_it_is_given() -> None:
    assert visible_levels(np.full((50, 50), 90, np.uint8), None) == 4
    noisy = np.random.default_rng(0).normal(128, 2.5, (80, 80)).astype(np.uint8)
    assert visible_levels(noisy, None) == pytest.approx(7.5, rel=0.15)
    assert visible_levels(noisy + np.random.default_rng(1).integers(0, 60, (80, 80), np.uint8), None) == 10
    assert visible_levels(noisy, 5) == 5


@pytest.mark.parametrize("cut", [cut_between, coarse_cut])
def test_a_seam_in_one_image_cannot_be_told_and_an_edge_can(cut: object) -> None:
    image = carpet("good").image[:80, :80]
    core, reach = square(80, 30, 50), square(80, 15, 65)
    region = cut(image, image, core, reach)  # type: ignore[operator]
    assert seam_energy(image, image, region) == 0
    pasted = image.copy()
    pasted[region] = cv2.convertScaleAbs(image, alpha=0.2)[region]
    assert seam_energy(pasted, image, region) > 0.1
    assert seam_energy(image, image, region & False) == 0
