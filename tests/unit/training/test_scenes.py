"""Scenes and crops: instances that survive resizing, crops that show what they must, and are functions of the seed."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from helpers import marked

from carpet_data import store
from carpet_data.core.images import write_png
from carpet_data.dataset import Dataset, IndexFile, MaskFile, Sample
from carpet_data.errors import DataError, ImageError
from carpet_data.training.segment.options import SegmentOptions
from carpet_data.training.tuning.crops import CropSource, ahead, padded
from carpet_data.training.tuning.scenes import Scenes, load_scene, resized


def _dataset(root: Path, values: np.ndarray, table: tuple[tuple[int, str], ...]) -> Dataset:
    write_png(root / "a.png", np.arange(values.size, dtype=np.uint8).reshape(values.shape))
    write_png(root / "m.png", values.astype(np.uint8))
    sample = Sample("a", "a.png", "hole", values.shape[1], values.shape[0], IndexFile("m.png", table))
    return Dataset(root, "d", (sample,), ("cut", "hole"))


def test_several_types_in_one_image_keep_their_classes(tmp_path: Path) -> None:
    values = np.zeros((20, 30), np.uint8)
    values[2:8, 2:8], values[2:8, 8:12], values[14:18, 3:9] = 1, 2, 3
    dataset = _dataset(tmp_path, values, ((1, "cut"), (2, "hole"), (3, "cut")))
    classes = ("good", "cut", "hole")
    scene = load_scene(dataset, dataset[0], classes, None)
    np.testing.assert_array_equal(scene.labels, np.array([0, 1, 2, 1])[values])
    assert [(each.class_name, each.area) for each in scene.instances(classes)] == [
        ("cut", 36),
        ("hole", 24),
        ("cut", 24),
    ]
    united = load_scene(dataset, dataset[0], ("good", "defect"), None)
    np.testing.assert_array_equal(united.labels, values > 0)


@pytest.mark.parametrize("size", [32, 50, 100, 400])
def test_no_defect_vanishes_by_resizing(tmp_path: Path, size: int) -> None:
    values = np.zeros((200, 160), np.uint8)
    values[50, 20:100], values[100:103, 7:10], values[150:190, 40:120] = 1, 2, 3
    dataset = _dataset(tmp_path, values, ((1, "cut"), (2, "hole"), (3, "cut")))
    scene = load_scene(dataset, dataset[0], ("good", "cut", "hole"), size)
    assert scene.image.shape[:2] == scene.numbers.shape == (size, round(size * 0.8))
    assert set(np.unique(scene.numbers).tolist()) == {0, 1, 2, 3}
    share = np.count_nonzero(scene.numbers == 3) / scene.numbers.size
    assert share == pytest.approx(40 * 80 / values.size, rel=0.15)


def test_gray_images_become_three_channels_and_shapes_are_kept() -> None:
    assert resized(np.zeros((10, 20), np.uint8), None).shape == (10, 20, 3)
    assert resized(np.zeros((10, 20, 3), np.uint8), 40).shape == (20, 40, 3)
    assert resized(np.zeros((1, 999), np.uint8), 32).shape == (1, 32, 3)


def test_a_small_image_is_filled_with_its_mean_color() -> None:
    image = np.full((4, 6, 3), 7, np.uint8)
    filled = padded(image, 8)
    assert filled.shape == (8, 8, 3)
    assert (filled == 7).all()
    assert padded(filled, 8) is filled


@pytest.fixture(scope="module")
def scenes(tmp_path_factory: pytest.TempPathFactory) -> Scenes:
    dataset = store.read(marked.prepared(tmp_path_factory.mktemp("marked")))
    return Scenes(dataset, dataset.samples, marked.KINDS, None)


@pytest.mark.parametrize("augment", ["none", "light"])
@pytest.mark.parametrize("instances", [False, True])
def test_crops_around_defects_show_them_and_follow_from_the_seed(scenes: Scenes, augment: str, instances: bool) -> None:
    options = SegmentOptions(crop=32, defect_share=1.0, augment=augment)
    source = CropSource(scenes, options, instances=instances)
    crops = [source.draw(epoch, number) for epoch in (0, 1) for number in range(10)]
    assert all(crop.labels.any() for crop in crops)
    shown = [int(crop.labels.max()) for crop in crops]
    assert set(shown) == {1, 2}
    again = CropSource(scenes, options, instances=instances).draw(1, 3)
    np.testing.assert_array_equal(again.image, crops[13].image)
    np.testing.assert_array_equal(again.numbers, crops[13].numbers)
    assert not np.array_equal(crops[3].image, crops[13].image)


@pytest.mark.parametrize("augment", ["none", "light", "strong", "augment"])
def test_the_mask_moves_with_the_image(scenes: Scenes, augment: str) -> None:
    source = CropSource(scenes, SegmentOptions(crop=48, defect_share=1.0, augment=augment), instances=False)
    for number in range(8):
        crop = source.draw(0, number)
        defect = crop.image[crop.labels > 0].mean()
        clean = crop.image[crop.labels == 0].mean()
        assert abs(defect - clean) > 30, "holes are dark and threads bright, wherever they were moved to"


def test_without_a_defect_share_crops_lie_anywhere(scenes: Scenes) -> None:
    source = CropSource(scenes, SegmentOptions(crop=32, defect_share=0.0, augment="none"), instances=True)
    crops = [source.draw(0, number) for number in range(40)]
    assert any(not crop.labels.any() for crop in crops)
    assert any(crop.labels.any() for crop in crops)


def test_a_crop_larger_than_the_image_holds_all_of_it(scenes: Scenes) -> None:
    crop = CropSource(scenes, SegmentOptions(crop=64, augment="none"), instances=True).draw(0, 0)
    assert crop.image.shape == (64, 64, 3)
    assert not crop.numbers[48:].any()


def test_results_come_in_order_and_errors_reach_the_caller() -> None:
    assert list(ahead(lambda n: n * n, range(7))) == [n * n for n in range(7)]
    with pytest.raises(ZeroDivisionError):
        list(ahead(lambda n: 1 // n, [1, 0, 1]))


def test_faulty_images_are_errors(tmp_path: Path) -> None:
    dataset = store.read(marked.prepared(tmp_path, count=4))
    samples = dataset.of_class("hole").samples
    (dataset.path(samples[0].image_path)).unlink()
    with pytest.raises(ImageError):
        Scenes(dataset, samples, marked.KINDS, None)


def test_a_defect_image_without_a_mask_is_refused(tmp_path: Path) -> None:
    dataset = store.read(marked.prepared(tmp_path, count=4))
    sample = replace(dataset.of_class("hole")[0], annotation=None)
    with pytest.raises(DataError, match="has no mask"):
        load_scene(dataset, sample, marked.KINDS, None)


def test_masks_of_a_file_with_a_threshold(tmp_path: Path) -> None:
    write_png(tmp_path / "a.png", np.zeros((8, 8), np.uint8))
    write_png(tmp_path / "m.png", np.eye(8, dtype=np.uint8) * 255)
    sample = Sample("a", "a.png", "hole", 8, 8, MaskFile("m.png"))
    scene = load_scene(Dataset(tmp_path, "d", (sample,), ("hole",)), sample, ("good", "hole"), None)
    assert np.count_nonzero(scene.labels) == 8
