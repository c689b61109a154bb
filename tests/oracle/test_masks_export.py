"""to-masks before Pillow, which most semantic segmentation code reads masks with."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from carpet_data.core.masks import find, load
from carpet_data.core.masks.runs import to_binary
from carpet_data.dataset import Dataset
from carpet_data.formats import ReadOptions
from carpet_data.formats.exports import to_masks
from carpet_data.formats.mvtec import ad

pytestmark = pytest.mark.oracle


@pytest.fixture(scope="module")
def dataset(hostile_shapes: Path) -> Dataset:
    return ad.read(hostile_shapes, ReadOptions())


def test_masks_hold_category_ids_and_instances(dataset: Dataset, tmp_path: Path) -> None:
    result = to_masks(dataset, tmp_path / "out", instances=True, workers=1)
    classes = json.loads((result.out / "classes.json").read_text())
    assert classes == {"background": 0, "hole": 1, "thread": 2}
    assert (result.out / "labels.txt").read_text().split() == list(classes)
    rows = [json.loads(line) for line in (result.out / "samples.jsonl").read_text(encoding="utf-8").splitlines()]
    assert {row["id"] for row in rows} == set(dataset.by_id())
    for row in rows:
        sample = dataset.by_id()[row["id"]]
        mask = to_binary(load(dataset.root, sample).runs)
        with Image.open(result.out / row["mask"]) as image:
            assert image.mode == "L"
            np.testing.assert_array_equal(np.asarray(image), mask * classes.get(sample.class_name, 0), sample.id)
        with Image.open(result.out / row["instance_mask"]) as image:
            assert image.mode == "I;16"
            values = np.asarray(image)
        regions = find(load(dataset.root, sample))
        assert row["instances"] == list(regions.class_names)
        np.testing.assert_array_equal(np.bincount(values.ravel(), minlength=1)[1:], regions.area, sample.id)
        np.testing.assert_array_equal(values > 0, mask)
        if len(regions) < 50:
            for number, (_, runs) in enumerate(regions, start=1):
                np.testing.assert_array_equal(values == number, to_binary(runs))
        assert (result.out / row["image"]).read_bytes() == dataset.path(sample.image_path).read_bytes()


def test_images_may_stay(dataset: Dataset, tmp_path: Path) -> None:
    out = to_masks(dataset, tmp_path / "out", images="none", workers=1).out
    assert not (out / "images").exists()
    row = json.loads((out / "samples.jsonl").read_text(encoding="utf-8").splitlines()[0])
    assert (dataset.root / row["image"]).is_file()
