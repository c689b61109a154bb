"""Views are pure functions of seed, sample and number, and masks move with their images."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from helpers.examples import examples
from hypothesis import given, settings
from hypothesis import strategies as st

from carpet_data.errors import CarpetDataError, UsageError
from carpet_data.training import views

STRENGTHS = ["light", "strong", "augment"]
IDS = ("a", "b", "c")


def _images(size: int = 32) -> tuple[np.ndarray, np.ndarray]:
    """Smooth images with a bright disc each, and the disc as mask."""
    y, x = np.mgrid[:size, :size]
    pixels, masks = [], []
    for number in range(3):
        disc = (x - 10 - number) ** 2 + (y - 14) ** 2 < 25
        base = (40 + x + 0.5 * y)[..., None] * np.array([1.0, 0.9, 0.8])
        pixels.append(np.where(disc[..., None], 230, base).astype(np.uint8))
        masks.append(disc.astype(np.uint8))
    return np.stack(pixels), np.stack(masks)


@pytest.mark.parametrize("strength", STRENGTHS)
def test_a_view_depends_on_seed_id_and_number_alone(strength: str) -> None:
    pixels, masks = _images()
    out, out_masks = views.augment(pixels, masks, strength=strength, seed=5, ids=IDS, view=3)
    again, _ = views.augment(pixels, None, strength=strength, seed=5, ids=IDS, view=3)
    assert out.shape == pixels.shape
    assert out.dtype == np.uint8
    assert np.array_equal(out, again), "with or without masks, again and again"
    back, back_masks = views.augment(pixels[::-1], masks[::-1], strength=strength, seed=5, ids=IDS[::-1], view=3)
    assert np.array_equal(back[::-1], out), "whatever stands beside it"
    assert out_masks is not None
    assert back_masks is not None
    assert np.array_equal(back_masks[::-1], out_masks)
    alone, _ = views.augment(pixels[1:2], None, strength=strength, seed=5, ids=["b"], view=3)
    assert np.array_equal(alone[0], out[1])


@pytest.mark.parametrize("strength", STRENGTHS)
def test_seeds_samples_and_numbers_differ(strength: str) -> None:
    same = np.repeat(_images()[0][:1], 16, axis=0)
    ids = [f"s{number}" for number in range(16)]
    one, _ = views.augment(same, None, strength=strength, seed=0, ids=ids, view=1)
    other, _ = views.augment(same, None, strength=strength, seed=1, ids=ids, view=1)
    later, _ = views.augment(same, None, strength=strength, seed=0, ids=ids, view=2)
    assert not np.array_equal(one, other)
    assert not np.array_equal(one, later)
    assert len({image.tobytes() for image in one}) >= 5


@pytest.mark.parametrize("strength", ["none", *STRENGTHS])
def test_view_0_is_the_plain_image(strength: str) -> None:
    pixels, masks = _images()
    out, out_masks = views.augment(pixels, masks, strength=strength, seed=5, ids=IDS, view=0)
    assert np.array_equal(out, pixels)
    assert out_masks is not None
    assert np.array_equal(out_masks, masks)


def test_eight_light_views_are_the_eight_positions() -> None:
    pixels = np.random.default_rng(0).integers(0, 256, (1, 9, 9, 3), dtype=np.uint8)
    positions = {np.rot90(p, k).tobytes() for p in (pixels[0], pixels[0][:, ::-1]) for k in range(4)}
    assert len(positions) == 8
    for block in range(3):
        seen = {
            views.augment(pixels, None, strength="light", seed=2, ids=["x"], view=view)[0][0].tobytes()
            for view in range(8 * block, 8 * block + 8)
        }
        assert seen == positions


@pytest.mark.parametrize("strength", STRENGTHS)
@settings(max_examples=examples(25), deadline=None)
@given(seed=st.integers(0, 2**32), view=st.integers(1, 300))
def test_masks_move_with_their_images(strength: str, seed: int, view: int) -> None:
    pixels, masks = _images()
    before = pixels.copy(), masks.copy()
    out, moved = views.augment(pixels, masks, strength=strength, seed=seed, ids=IDS, view=view)
    assert np.array_equal(pixels, before[0])
    assert np.array_equal(masks, before[1])
    assert moved is not None
    assert set(np.unique(moved)) <= {0, 1}
    for image, mask in zip(out, moved, strict=True):
        inside = mask > 0
        if inside.sum() < 12:
            continue  # the crop left hardly any of the disc
        # The disc is far brighter than the ground, whatever the light: the mask lies on it, but for its soft edge.
        level = image.mean(axis=2)
        assert np.median(level[inside]) > np.median(level[~inside]) + 20


def test_grey_stays_grey() -> None:
    grey = np.repeat(np.random.default_rng(1).integers(0, 256, (24, 32, 32, 1), dtype=np.uint8), 3, axis=3)
    ids = [str(number) for number in range(24)]
    out, _ = views.augment(grey, None, strength="strong", seed=0, ids=ids, view=1)
    assert (out == out[..., :1]).all()


def test_strong_stays_near_the_image() -> None:
    """Light varies, but an image is not washed out: its mean moves by less than a third of the range."""
    pixels, _ = _images()
    for view in range(1, 40):
        out, _ = views.augment(pixels, None, strength="strong", seed=0, ids=IDS, view=view)
        assert abs(out.mean() - pixels.mean()) < 85


def test_a_recipe_file_of_the_user(tmp_path: Path) -> None:
    recipe = tmp_path / "flip.yaml"
    text = (
        "schema: 1\nmethod: augment\nversion: 1\nparameters:\n  pipeline:\n    __version__: '2.0.8'\n    transform:\n"
        "      __class_fullname__: Compose\n      p: 1.0\n      transforms:\n"
        "        - {__class_fullname__: HorizontalFlip, p: 1.0}\n"
    )
    recipe.write_text(text)
    pixels, masks = _images()
    views.check(str(recipe))
    out, moved = views.augment(pixels, masks, strength=str(recipe), seed=0, ids=IDS, view=1)
    assert np.array_equal(out, pixels[:, :, ::-1])
    assert moved is not None
    assert np.array_equal(moved, masks[:, :, ::-1])
    before = views.identity(str(recipe))
    recipe.write_text(text.replace("Horizontal", "Vertical").replace("schema: 1", "schema: 1  # changed"))
    out, _ = views.augment(pixels, masks, strength=str(recipe), seed=0, ids=IDS, view=1)
    assert np.array_equal(out, pixels[:, ::-1]), "a changed file is read again"
    assert views.identity(str(recipe)) != before


@pytest.mark.parametrize("strength", ["mild", "donor-paste", "gone.yaml"])
def test_what_is_no_augmentation(strength: str) -> None:
    with pytest.raises(UsageError) as caught:
        views.check(strength)
    assert "augment" in (caught.value.hint or "")


def test_a_broken_recipe_names_its_line(tmp_path: Path) -> None:
    (tmp_path / "x.yaml").write_text("schema: 1\nmethod: augment\nversion: 1\nparameters:\n  min_keep: 0.5\n")
    with pytest.raises(CarpetDataError, match=r"x\.yaml"):
        views.check(str(tmp_path / "x.yaml"))
