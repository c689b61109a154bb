"""The readers on real data, and on what our exports make of it."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from pathlib import Path

import pytest

from carpet_data.core.masks import find, load, rle
from carpet_data.dataset import Dataset
from carpet_data.formats import read
from carpet_data.formats.exports import to_coco, to_yolo
from carpet_data.formats.mvtec import ad
from carpet_data.formats.reading import detect

pytestmark = pytest.mark.real

MTD_CLASSES = {"good": 952, "blowhole": 115, "break": 85, "crack": 57, "fray": 32, "uneven": 103}


@pytest.mark.parametrize(
    ("name", "images", "masks", "sides"),
    [
        ("mvtec/carpet", 16, 15, {"test": 16}),
        ("mvtec/screw_512", 480, 119, {"train": 320, "test": 160}),
        ("mtd", 1344, 392, {"train": 952, "test": 392}),
    ],
)
def test_counts(name: str, images: int, masks: int, sides: dict[str, int], real_data: Callable[[str], Path]) -> None:
    root = real_data(name)
    assert detect(root) == "mvtec"
    dataset = read(root)
    assert len(dataset) == images
    assert sum(sample.mask_path is not None for sample in dataset) == masks
    assert dataset.splits["source"].counts() == sides
    assert all(sample.mask_path or sample.class_name == "good" for sample in dataset)
    tree = ad.scan(root)
    assert (tree.orphans, tree.unknown, tree.problems) == ((), (), ())


def test_mtd_has_a_long_tail_and_four_empty_masks(real_data: Callable[[str], Path]) -> None:
    dataset = read(real_data("mtd"))
    assert Counter(sample.class_name for sample in dataset) == MTD_CLASSES
    empty = [sample for sample in dataset if sample.mask_path and len(load(dataset.root, sample).runs) == 0]
    assert len(empty) == 4
    assert {sample.class_name for sample in empty} == {"uneven"}


def test_the_folder_above_lists_the_data_sets(real_data: Callable[[str], Path]) -> None:
    from carpet_data.errors import DataError

    carpet = real_data("mvtec/carpet")
    with pytest.raises(DataError) as caught:
        detect(carpet.parent)
    assert "carpet" in caught.value.what
    assert f"carpet-data doctor {carpet.parent}" in str(caught.value.hint)


def _instances(dataset: Dataset) -> dict[str, list[tuple[str, str]]]:
    found = {}
    for sample in dataset:
        regions = find(load(dataset.root, sample), connectivity=dataset.connectivity)
        found[sample.id] = sorted(zip(regions.class_names, rle.encode_each(regions), strict=True))
    return found


@pytest.mark.parametrize("name", ["mvtec/carpet", "mtd"])
def test_exports_are_read_back_to_the_pixel(name: str, real_data: Callable[[str], Path], tmp_path: Path) -> None:
    dataset = read(real_data(name))
    expected = _instances(dataset)
    coco = read(to_coco(dataset, tmp_path / "coco").out)
    yolo = read(to_yolo(dataset, tmp_path / "yolo").out)
    assert _instances(coco) == _instances(yolo) == expected
    assert {sample.id: (sample.class_name, sample.side) for sample in coco} == {
        sample.id: (sample.class_name, sample.side) for sample in dataset
    }
