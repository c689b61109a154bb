"""Crops of the train side: the right labels on the right pixels, whole defects, the same for the same chance."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from helpers.examples import examples
from hypothesis import given, settings
from hypothesis import strategies as st

from carpet_data.learned.crops import CropDataset, Example
from carpet_data.synthesis.contract import Facts
from carpet_data.synthesis.ops.masks import mask_box

DEFECT, GROUND = 230, 30


def example(name: str, box: tuple[int, int, int, int], side: int = 200, level: int = DEFECT) -> Example:
    """An image that is all of one level, so that a crop tells where it is from."""
    mask = np.zeros((side, side), np.bool_)
    x, y, width, height = box
    mask[y : y + height, x : x + width] = True
    return Example(f"{name}-{level}", name, np.full((side, side, 3), level, np.uint8), mask, mask_box(mask))


def crops_of(*examples: Example, crop_px: int = 32, context: float = 1.6, is_object: bool = False) -> CropDataset:
    names = tuple(sorted({one.class_name for one in examples}))
    known: dict[str, Facts] = {}
    ground = (np.full((120, 150), GROUND, np.uint8),)
    return CropDataset(names, examples, ground, known, (), crop_px, context, is_object)


boxes = st.tuples(st.integers(60, 90), st.integers(60, 90), st.integers(1, 50), st.integers(1, 50))


@settings(max_examples=examples(40), deadline=None)
@given(boxes, st.sampled_from([32, 64]), st.floats(1, 3), st.integers(0, 99))
def test_a_defect_is_whole_in_every_crop(
    box: tuple[int, int, int, int], crop_px: int, context: float, seed: int
) -> None:
    data = crops_of(example("a", box), crop_px=crop_px, context=context)
    rng = np.random.default_rng(seed)
    for _ in range(8):
        window = data.drawn_window(data.examples[0], rng)
        assert window.x <= box[0]
        assert window.y <= box[1]
        assert window.x + window.side >= box[0] + box[2]
        assert window.y + window.side >= box[1] + box[3]
        assert window.side >= crop_px


@settings(max_examples=examples(25), deadline=None)
@given(boxes, boxes, st.floats(0, 1), st.integers(0, 99), st.booleans())
def test_labels_say_what_the_pixels_are(
    one: tuple[int, int, int, int], other: tuple[int, int, int, int], share: float, seed: int, is_object: bool
) -> None:
    data = crops_of(example("a", one, level=150), example("b", other, level=250), is_object=is_object)
    batch = data.draw(np.random.default_rng(seed), 12, share)
    again = data.draw(np.random.default_rng(seed), 12, share)
    assert batch.images.dtype == np.uint8
    assert batch.images.shape == (12, 32, 32, 3)
    assert batch.masks.dtype == np.float32
    assert batch.masks.min() >= 0
    assert batch.masks.max() <= 1 + 1e-5
    assert all(mask.any() for mask in batch.masks)
    assert (batch.images == again.images).all()
    assert (batch.masks == again.masks).all()
    level = {0: 150, 1: 250, data.good: GROUND}
    for image, label in zip(batch.images, batch.labels.tolist(), strict=True):
        assert np.abs(image.astype(int) - level[label]).max() <= 0.04 * level[label] + 1


def test_the_share_of_defects_is_as_asked() -> None:
    data = crops_of(example("a", (70, 70, 30, 30)), example("b", (70, 70, 30, 30)), example("b", (60, 60, 9, 9)))
    batch = data.draw(np.random.default_rng(0), 600, 0.4)
    defects = batch.labels != data.good
    assert defects.mean() == pytest.approx(0.4, abs=0.07)
    # Each class as often, however many images it has.
    assert (batch.labels[defects] == 0).mean() == pytest.approx(0.5, abs=0.08)
    for share, expected in ((0.0, False), (1.0, True)):
        found = data.draw(np.random.default_rng(1), 40, share).labels != data.good
        assert (found == expected).all()


@pytest.mark.parametrize("only", [0, 1])
def test_masks_of_one_class_alone(only: int) -> None:
    data = crops_of(example("a", (60, 60, 80, 8)), example("b", (60, 60, 8, 80)), is_object=True)
    for share in (0.0, 1.0):
        batch = data.draw(np.random.default_rng(2), 20, share, only=only)
        wide = batch.masks.any(axis=1).sum(axis=1) > batch.masks.any(axis=2).sum(axis=1)
        assert (wide == (only == 0)).all()
        assert (batch.labels == (only if share else data.good)).all()


def test_objects_are_never_mirrored_and_textures_are() -> None:
    shown = example("a", (80, 80, 40, 40))
    half = np.zeros_like(shown.image)
    half[:, 100:] = 200
    shown = replace(shown, image=half)

    def left_is_dark(is_object: bool) -> list[bool]:
        images = crops_of(shown, is_object=is_object).draw(np.random.default_rng(0), 30, 1.0).images
        return [bool(image[:, 0].mean() < image[:, -1].mean()) for image in images]

    assert all(left_is_dark(True))
    assert 5 < sum(left_is_dark(False)) < 25


@given(st.integers(1, 20), st.integers(1, 20), st.integers(0, 50))
def test_background_smaller_than_a_crop_is_mirrored_on(height: int, width: int, seed: int) -> None:
    data = replace(
        crops_of(example("a", (60, 60, 30, 30))), background=(np.full((height, width, 3), GROUND, np.uint8),)
    )
    images = data.draw(np.random.default_rng(seed), 2, 0.0).images
    assert np.abs(images.astype(int) - GROUND).max() <= 2


def test_a_crop_as_it_lies_holds_the_defect_in_its_middle() -> None:
    data = crops_of(example("a", (60, 90, 40, 40)), context=2)
    image, mask = data.crop(data.examples[0])
    assert image.shape == (32, 32, 3)
    rows, columns = np.nonzero(mask > 0.5)
    assert abs(rows.mean() - 15.5) <= 1
    assert abs(columns.mean() - 15.5) <= 1
    assert mask.mean() == pytest.approx(0.25, abs=0.02)
    assert data.unknown == data.good + 1 == 2
