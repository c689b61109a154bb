"""Clean plates hold nothing of the defect, and all of the rest."""

from __future__ import annotations

import cv2
import numpy as np
import pytest
from helpers.scenes import carpet, grey_of

from carpet_data.synthesis.engine.train_images import clean_plate


@pytest.mark.parametrize("class_name", ["hole", "cut", "color", "thread", "metal_contamination"])
def test_the_defect_is_gone_and_the_rest_is_kept(class_name: str) -> None:
    shown = carpet(class_name)
    source = shown.image.copy()
    plate = clean_plate(source, shown.mask, np.random.default_rng(0))
    assert (source == shown.image).all()
    away = cv2.dilate(shown.mask.astype(np.uint8), np.ones((121, 121), np.uint8)) == 0
    assert (plate[away] == shown.image[away]).all()
    # Within the mask the plate has the statistics of the clean cloth, which the defect had not.
    clean, made = (image[shown.mask].astype(float) for image in (shown.clean, plate))
    assert np.abs(clean.mean(axis=0) - made.mean(axis=0)).max() < 16
    assert 0.7 < made.std() / clean.std() < 1.4


def test_the_weave_runs_through() -> None:
    """Gradients across the rim of the plate are those of the cloth: no seam stands out."""
    shown = carpet("hole")
    plate = grey_of(clean_plate(shown.image, shown.mask, np.random.default_rng(0))).astype(float)
    steps = np.abs(np.diff(plate, axis=1))
    near = cv2.dilate(shown.mask.astype(np.uint8), np.ones((61, 61), np.uint8)) > 0
    inside, outside = steps[near[:, 1:]], steps[~near[:, 1:]]
    assert inside.mean() < 1.15 * outside.mean()
    assert np.quantile(inside, 0.995) < 1.25 * np.quantile(outside, 0.995)


def test_a_painted_marker_never_shows() -> None:
    image = carpet("good").image.copy()
    mask = np.zeros(image.shape[:2], np.bool_)
    mask[140:170, 150:200] = True
    image[mask] = (255, 0, 255)
    plate = clean_plate(image, mask, np.random.default_rng(0)).astype(int)
    assert not ((plate[:, :, 0] - plate[:, :, 1] > 60) & (plate[:, :, 2] - plate[:, :, 1] > 60)).any()


def test_one_pixel_at_the_border_of_a_grey_image() -> None:
    image = grey_of(carpet("good").image).copy()
    mask = np.zeros(image.shape, np.bool_)
    mask[0, 0] = True
    image[0, 0] = 255
    plate = clean_plate(image, mask, np.random.default_rng(0))
    assert plate.shape == image.shape
    assert (plate[40:] == image[40:]).all()


def test_no_defect_gives_a_copy() -> None:
    image = carpet("good").image
    plate = clean_plate(image, np.zeros(image.shape[:2], np.bool_), np.random.default_rng(0))
    assert (plate == image).all()
    assert plate is not image


def test_a_mask_of_another_size_is_refused() -> None:
    with pytest.raises(ValueError, match="mask of shape"):
        clean_plate(np.zeros((8, 8), np.uint8), np.zeros((8, 9), np.bool_), np.random.default_rng(0))
