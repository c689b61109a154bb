"""Patches are found exactly, fitted, and cut where nobody sees it."""

from __future__ import annotations

import time

import cv2
import numpy as np
import pytest
from helpers.scenes import carpet, grey_of
from numpy.typing import NDArray

from carpet_data.synthesis.contract import Redraw
from carpet_data.synthesis.ops.quilting import Finder, agree, fill
from carpet_data.synthesis.ops.seam import cut_between


def noise(shape: tuple[int, ...], seed: int = 0, sigma: float = 1.5) -> NDArray[np.uint8]:
    values = cv2.GaussianBlur(np.random.default_rng(seed).normal(0, 1, shape), (0, 0), sigma)
    return np.clip(128 + 40 * values / values.std(), 0, 255).astype(np.uint8)


@pytest.mark.parametrize("shape", [(150, 210), (150, 210, 3), (700, 640)])
def test_an_exact_copy_is_found_first(shape: tuple[int, ...]) -> None:
    image = noise(shape)
    finder = Finder(image, np.ones(shape[:2], np.bool_))
    for x, y in ((0, 0), (37, 51), (shape[1] - 40, shape[0] - 30)):
        found = finder.find(image[y : y + 30, x : x + 40], np.ones((30, 40), np.float32))
        assert (found[0].x, found[0].y, found[0].cost) == (x, y, 0.0)
        assert [place.cost for place in found] == sorted(place.cost for place in found)


def test_no_window_touches_a_forbidden_pixel() -> None:
    image = noise((120, 120))
    allowed = np.ones((120, 120), np.bool_)
    allowed[40:80, 60] = False
    wanted = image[45:65, 50:70]
    for place in Finder(image, allowed).find(wanted, np.ones((20, 20), np.float32)):
        assert allowed[place.y : place.y + 20, place.x : place.x + 20].all()
    assert Finder(image, np.zeros((120, 120), np.bool_)).find(wanted, np.ones((20, 20), np.float32)) == []


def test_unknown_pixels_do_not_count() -> None:
    image = noise((90, 90))
    wanted, weight = image[20:50, 30:60].copy(), np.ones((30, 30), np.float32)
    wanted[10:20, 10:20] = 255
    weight[10:20, 10:20] = 0
    found = Finder(image, np.ones((90, 90), np.bool_)).find(wanted, weight)[0]
    assert (found.x, found.y, found.cost) == (30, 20, 0.0)


def test_a_window_larger_than_the_source_is_not_found() -> None:
    image = noise((20, 20))
    finder = Finder(image, np.ones((20, 20), np.bool_))
    assert finder.find(noise((21, 5)), np.ones((21, 5), np.float32)) == []


def test_the_cut_runs_where_old_and_new_agree() -> None:
    old = np.full((60, 60), 100, np.uint8)
    new = np.full((60, 60), 180, np.uint8)
    y, x = np.mgrid[:60, :60]
    ring = np.abs(np.hypot(x - 30, y - 30) - 20) < 1.5
    new[ring] = 100
    known = np.hypot(x - 30, y - 30) > 10
    fixed = np.hypot(x - 30, y - 30) > 28
    taken = cut_between(new, old, ~known, ~fixed)
    assert taken[~known].all()
    assert not taken[fixed].any()
    result = np.where(taken, new, old).astype(np.int64)
    # Across the cut the values agree: it lies on the ring.
    edges = taken[:, 1:] != taken[:, :-1]
    assert np.abs(np.diff(result, axis=1))[edges].max() == 0
    assert abs(int(taken.sum()) - np.pi * 400) < 150


def test_nothing_unknown_leaves_nothing_to_take() -> None:
    image = noise((20, 20))
    nothing = np.zeros((20, 20), np.bool_)
    assert not cut_between(image, image, nothing, nothing).any()


def test_a_shifted_patch_is_bent_back() -> None:
    image = noise((120, 130), sigma=3)
    context, shifted = image[:, 5:125], image[:, 2:122]
    known = np.ones((120, 120), np.bool_)
    known[40:80, 40:80] = False
    before = np.abs(shifted.astype(float) - context).mean()
    after = np.abs(agree(shifted, context, known).astype(float) - context)
    assert after[known].mean() < before / 3
    # The displacement goes on where nothing is known.
    assert after[~known].mean() < before / 2


def test_light_follows_the_context_only_when_asked() -> None:
    patch = noise((80, 80), sigma=3)
    context = np.clip(patch.astype(np.int64) + 20, 0, 255).astype(np.uint8)
    known = np.ones((80, 80), np.bool_)
    assert abs(float(agree(patch, context, known).mean()) - float(context.mean())) < 3
    assert abs(float(agree(patch, context, known, light=False).mean()) - float(patch.mean())) < 3


def pattern(height: int, width: int) -> NDArray[np.uint8]:
    """A weave whose period is 24 x 20 pixels."""
    y, x = np.mgrid[:height, :width]
    return np.clip(128 + 50 * np.sin(2 * np.pi * x / 24) + 50 * np.sin(2 * np.pi * y / 20), 0, 255).astype(np.uint8)


@pytest.mark.parametrize("patch_px", [None, 48])
@pytest.mark.parametrize("corner", [(100, 120), (0, 0), (170, 250)])
def test_a_periodic_ground_is_continued(corner: tuple[int, int], patch_px: int | None) -> None:
    image = pattern(220, 300)
    hole = np.zeros(image.shape, np.bool_)
    hole[corner[0] : corner[0] + 50, corner[1] : corner[1] + 60] = True
    damaged = np.where(hole, 0, image).astype(np.uint8)
    filled = fill(damaged, hole, ~hole, np.random.default_rng(0), patch_px=patch_px)
    assert np.abs(filled.astype(int) - image)[hole].mean() < 4
    near = cv2.dilate(hole.astype(np.uint8), np.ones((43, 43), np.uint8)) > 0
    assert (filled[~near] == image[~near]).all()


def test_what_lies_in_the_hole_is_never_looked_at() -> None:
    image = carpet("good").image
    hole = np.zeros(image.shape[:2], np.bool_)
    hole[100:150, 90:160] = True
    results = []
    for value in (0, 255):
        damaged = image.copy()
        damaged[hole] = value
        results.append(fill(damaged, hole, ~hole, np.random.default_rng(3)))
    assert (results[0] == results[1]).all()


def test_the_same_seed_gives_the_same_pixels_in_grey_too() -> None:
    image = grey_of(carpet("good").image)
    hole = np.zeros(image.shape, np.bool_)
    hole[200:240, 20:80] = True
    first, second = (fill(image, hole, ~hole, np.random.default_rng(1)) for _ in range(2))
    assert (first == second).all()
    assert first.shape == image.shape


def test_too_little_ground_is_a_redraw() -> None:
    image = noise((40, 40))
    hole = np.ones((40, 40), np.bool_)
    hole[:3] = False
    with pytest.raises(Redraw, match="too little"):
        fill(image, hole, ~hole, np.random.default_rng(0))


def test_a_hole_of_200_pixels_is_filled_quickly() -> None:
    image = np.tile(carpet("good").image, (4, 4, 1))[:1024, :1024]
    hole = np.zeros((1024, 1024), np.bool_)
    hole[400:600, 300:500] = True
    started = time.process_time()
    fill(image, hole, ~hole, np.random.default_rng(0))
    # About 0.6 s on one core; far more would mean that the search has left the Fourier domain.
    assert time.process_time() - started < 6
