"""The exports beside COCO on real photographs and masks."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from pycocotools import mask as coco_mask

from carpet_data.core.masks import load
from carpet_data.core.masks.runs import to_binary
from carpet_data.formats import read
from carpet_data.formats.exports import to_masks, to_mvtec, to_yolo

pytestmark = pytest.mark.real


@pytest.mark.parametrize("name", ["mvtec/carpet", "mvtec/screw_512"])
def test_no_pixel_differs(name: str, real_data: Callable[[str], Path], tmp_path: Path) -> None:
    dataset = read(real_data(name))
    segments = to_yolo(dataset, tmp_path / "yolo").out
    masks = to_masks(dataset, tmp_path / "masks", images="none").out
    again = read(to_mvtec(dataset, tmp_path / "mvtec").out)
    copies = {Path(sample.image_path).stem: sample for sample in again}
    defects = [sample for sample in dataset if sample.annotation is not None]
    assert len(defects) in (15, 119)
    for sample in defects:
        truth = to_binary(load(dataset.root, sample).runs)
        total = np.zeros(truth.shape, np.uint8)
        size = np.array([sample.width, sample.height], float)
        for line in (segments / "labels" / str(sample.side) / f"{sample.id}.txt").read_text().splitlines():
            corners = np.array(line.split()[1:], float).reshape(-1, 2) * size
            total += coco_mask.decode(coco_mask.frPyObjects([corners.ravel().tolist()], sample.height, sample.width))[
                :, :, 0
            ]
        np.testing.assert_array_equal(total, truth, sample.id)
        with Image.open(masks / "masks" / str(sample.side) / f"{sample.id}.png") as image:
            np.testing.assert_array_equal(np.asarray(image) > 0, truth, sample.id)
        np.testing.assert_array_equal(to_binary(load(again.root, copies[sample.id]).runs), truth, sample.id)
