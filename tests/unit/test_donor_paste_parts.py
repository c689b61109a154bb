"""The parts of donor paste: alignment, periods, poses, warps, light."""

from __future__ import annotations

import cv2
import numpy as np
import pytest
from numpy.typing import NDArray

from carpet_data.synthesis.contract import Donor, Image, Mask, Redraw
from carpet_data.synthesis.ops import color, placement, warp
from carpet_data.synthesis.ops.period import period
from carpet_data.synthesis.ops.pose import mirrored, pose_of, sides_of, similarity
from carpet_data.synthesis.ops.warp import Inner, Patch
from carpet_data.weave.image import generator, render


@pytest.fixture(scope="module")
def cloth() -> Image:
    return render("good", generator(3, "train", "good", 0, 512), 512).image


def ring(shape: tuple[int, int]) -> Mask:
    inside = np.zeros(shape, np.bool_)
    inside[20:-20, 20:-20] = True
    return ~inside


@pytest.mark.parametrize("size", [50, 120])
@pytest.mark.parametrize("shift", [(0, 0), (5, -7), (-11, 9)])
def test_alignment_finds_where_a_patch_came_from(cloth: Image, size: int, shift: tuple[int, int]) -> None:
    piece = np.ascontiguousarray(cloth[200 : 200 + size, 180 : 180 + size])
    patch = Patch(piece, ~ring((size, size)), np.ones((size, size), np.bool_))
    start = 180 + shift[0], 200 + shift[1]
    x, y, mismatch = placement.align(cloth, patch, *start, ring((size, size)), (14, 14))
    assert (x, y) == (180, 200)
    assert mismatch < 1e-3


def test_alignment_stays_on_the_host_and_within_its_reach(cloth: Image) -> None:
    patch = Patch(cloth[100:180, 100:180].copy(), ~ring((80, 80)), np.ones((80, 80), np.bool_))
    x, y, mismatch = placement.align(cloth, patch, 0, 512 - 80, ring((80, 80)), (9, 9))
    assert 0 <= x <= 9
    assert 512 - 89 <= y <= 512 - 80
    assert 0 <= mismatch < 3


def grid(along_x: int, along_y: int) -> Image:
    y, x = np.indices((200, 220))
    wave = 60 * np.cos(2 * np.pi * x / along_x) + 50 * np.cos(2 * np.pi * y / along_y) + 128
    return np.clip(wave + np.random.default_rng(2).normal(0, 5, wave.shape), 0, 255).astype(np.uint8)


@pytest.mark.parametrize("periods", [(12, 12), (17, 11), (24, 30)])
def test_the_period_of_a_grid(periods: tuple[int, int]) -> None:
    along_x, along_y, strength = period(grid(*periods))
    assert along_x % periods[0] in (0, 1, periods[0] - 1)
    assert along_y % periods[1] in (0, 1, periods[1] - 1)
    assert strength > 0.2


def test_noise_has_no_period_and_a_tiny_or_flat_image_neither() -> None:
    noise = np.random.default_rng(3).integers(0, 255, (200, 200)).astype(np.uint8)
    assert period(noise)[2] < 0.15
    assert period(noise[:9, :9]) == (0, 0, 0.0)
    assert period(np.full((100, 100), 7, np.uint8)) == (0, 0, 0.0)


@pytest.mark.parametrize("angle", [0, 35, 90, 179, 250, 330])
def test_the_pose_of_an_object_points_to_its_heavy_end(angle: int) -> None:
    canvas = np.zeros((400, 400), np.uint8)
    turn = cv2.getRotationMatrix2D((0, 0), -angle, 1)[:, :2]
    for corners in ([(-120, -8), (60, -8), (60, 8), (-120, 8)], [(60, -30), (90, -30), (90, 30), (60, 30)]):
        cv2.fillPoly(canvas, [np.round(np.array(corners) @ turn.T + 200).astype(np.int32)], 1)
    pose = pose_of(canvas > 0)
    assert pose is not None
    assert pose.elongated
    assert abs((pose.angle_deg - angle + 180) % 360 - 180) < 1.5
    assert pose.length_px == pytest.approx(210, abs=10)


def test_a_disc_has_no_axis_and_nothing_no_pose() -> None:
    canvas = np.zeros((100, 100), np.uint8)
    assert pose_of(canvas > 0) is None
    cv2.circle(canvas, (40, 60), 20, 1, -1)
    pose = pose_of(canvas > 0)
    assert pose is not None
    assert not pose.elongated
    assert pose.angle_deg == 0
    assert pose.center == pytest.approx((40, 60), abs=0.5)


def test_the_sides_that_a_defect_reaches_are_those_of_its_image_not_of_its_cut() -> None:
    mask = np.ones((10, 10), np.bool_)
    pixels = np.zeros((10, 10), np.uint8)
    corner = sides_of(Donor("d", pixels, mask, (0, 40, 10, 10), (100, 50)))
    assert corner == {"left", "bottom"}
    assert mirrored(corner) == {"right", "bottom"}
    assert not sides_of(Donor("d", pixels, mask, (20, 20, 10, 10), (100, 50)))


def test_a_patch_off_the_host_is_drawn_again() -> None:
    patch = Patch(np.zeros((10, 10), np.uint8), np.ones((10, 10), np.bool_), np.ones((10, 10), np.bool_))
    with pytest.raises(Redraw):
        placement.clip(patch, 50, 0, (40, 40))
    part, x, y = placement.clip(patch, 35, -4, (40, 40))
    assert (part.size, x, y) == ((5, 6), 35, 0)


def random_cut(seed: int = 0) -> tuple[Image, Mask]:
    rng = np.random.default_rng(seed)
    mask = np.zeros((31, 46), np.bool_)
    mask[10:20, 12:30] = True
    return rng.integers(0, 255, (31, 46, 3)).astype(np.uint8), mask


def test_a_warp_that_moves_nothing_keeps_every_pixel() -> None:
    image, mask = random_cut()
    patch = warp.apply(image, mask, similarity(0, 1, 1), Inner(), np.random.default_rng(0))
    assert np.array_equal(patch.image, image)
    assert np.array_equal(patch.mask, mask)
    assert patch.valid.all()


@pytest.mark.parametrize("quarters", range(4))
@pytest.mark.parametrize("flip", [False, True])
def test_turns_by_quarters_keep_every_pixel(quarters: int, flip: bool) -> None:
    image, mask = random_cut()
    turned, moved = warp.turned(image, mask, quarters, flip)
    back, there = warp.turned(turned, moved, -quarters, False)
    assert np.array_equal(back, image[:, ::-1] if flip else image)
    assert np.array_equal(there, mask[:, ::-1] if flip else mask)


@pytest.mark.parametrize("angle", [90.0, 180.0, -90.0])
def test_a_quarter_turn_by_the_matrix_agrees_with_the_exact_one(angle: float) -> None:
    image, mask = random_cut()
    patch = warp.apply(image, mask, similarity(angle, 1, 1), Inner(), np.random.default_rng(0))
    turned, moved = warp.turned(image, mask, round(-angle / 90), False)
    assert patch.image.shape == turned.shape
    assert np.abs(patch.image.astype(int) - turned).max() <= 2
    assert np.array_equal(patch.mask, moved)


def test_scale_changes_the_area_by_its_product() -> None:
    image, mask = random_cut()
    patch = warp.apply(image, mask, similarity(30, 1.5, 1.2), Inner(), np.random.default_rng(0))
    assert patch.mask.sum() == pytest.approx(mask.sum() * 1.8, rel=0.06)
    assert not (patch.mask & ~patch.valid).any()


def test_a_kept_rim_moves_the_middle_only() -> None:
    y, x = np.indices((120, 120))
    image = np.repeat((127 + 100 * np.sin(x / 5) * np.sin(y / 4)).astype(np.uint8)[..., None], 3, axis=2)
    mask = np.zeros((120, 120), np.bool_)
    mask[30:90, 30:90] = True
    inner = Inner(elastic_px=6, swell_frac=0.15, keep_rim=True)
    patch = warp.apply(image, mask, similarity(0, 1, 1), inner, np.random.default_rng(1))
    outside = cv2.dilate(mask.view(np.uint8), np.ones((7, 7), np.uint8)) == 0
    assert np.array_equal(patch.image[outside], image[outside])
    assert np.abs(patch.image.astype(int) - image)[50:70, 50:70].mean() > 5
    assert np.mean(patch.mask != mask) < 0.01


def test_a_bend_curves_a_bar_and_keeps_about_its_area() -> None:
    mask = np.zeros((80, 160), np.bool_)
    mask[37:43, 20:140] = True
    image = np.where(mask, 20, 200).astype(np.uint8)
    patch = warp.apply(image, mask, similarity(0, 1, 1), Inner(bend_px=12), np.random.default_rng(0))
    rows: NDArray[np.float64] = np.array([np.flatnonzero(patch.mask[:, x]).mean() for x in (30, 80, 130)])
    assert abs(rows[0] - rows[1]) > 5
    assert rows[0] == pytest.approx(rows[2], abs=2)
    assert patch.mask.sum() == pytest.approx(mask.sum(), rel=0.1)


@pytest.mark.parametrize("channels", [1, 3])
def test_light_follows_the_host_and_black_stays_black(channels: int) -> None:
    rng = np.random.default_rng(4)
    image = np.clip(rng.normal(120, 10, (60, 60, channels)), 0, 255).astype(np.uint8)
    host = np.clip(rng.normal(80, 7, (60, 60, channels)), 0, 255).astype(np.uint8)
    image[25:35, 25:35] = 3
    where = np.ones((60, 60), np.bool_)
    where[20:40, 20:40] = False
    image, host = (image[..., 0], host[..., 0]) if channels == 1 else (image, host)
    out = color.match(image, host, where)
    assert out.dtype == np.uint8
    assert out[where].mean() == pytest.approx(host[where].mean(), abs=1.5)
    assert out[25:35, 25:35].max() <= 4


def test_color_follows_the_host() -> None:
    rng = np.random.default_rng(4)
    image = np.clip(rng.normal((120, 120, 120), 8, (60, 60, 3)), 0, 255).astype(np.uint8)
    host = np.clip(rng.normal((130, 110, 90), 8, (60, 60, 3)), 0, 255).astype(np.uint8)
    out = color.match(image, host, np.ones((60, 60), np.bool_))
    assert np.abs(out.reshape(-1, 3).mean(axis=0) - host.reshape(-1, 3).mean(axis=0)).max() < 3
    half = color.match(image, host, np.ones((60, 60), np.bool_), strength=0.5)
    assert half[..., 0].mean() == pytest.approx((image[..., 0].mean() + out[..., 0].mean()) / 2, abs=1.5)


def test_without_a_collar_light_is_left_alone() -> None:
    image = np.full((5, 5, 3), 90, np.uint8)
    host = np.full((5, 5, 3), 30, np.uint8)
    assert np.array_equal(color.match(image, host, np.zeros((5, 5), np.bool_)), image)
