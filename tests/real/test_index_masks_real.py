"""NEU-seg's class-index masks, against Pillow's own view of them."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from carpet_data.errors import ClassNumbersError
from carpet_data.formats import ReadOptions, read
from carpet_data.formats.exports import to_masks

pytestmark = pytest.mark.real

NAMES = {1: "inclusion", 2: "patches", 3: "scratches"}
OPTIONS = ReadOptions(mask_classes=",".join(f"{value}={name}" for value, name in NAMES.items()))


def test_each_class_is_exact(real_data: Callable[[str], Path]) -> None:
    root = real_data("neu_seg")
    dataset = read(root, OPTIONS)
    assert dataset.splits["source"].counts() == {"train": 90, "test": 30}
    assert dataset.categories == tuple(NAMES.values())
    for sample in dataset:
        path = sample.image_path.replace("images/", "annotations/").replace(".jpg", ".png")
        values = np.asarray(Image.open(root / path))
        found = np.zeros_like(values)
        for instance in sample.instances():
            found[instance.mask()] = next(value for value, name in NAMES.items() if name == instance.class_name)
        np.testing.assert_array_equal(found, values, err_msg=path)


def test_without_names_it_says_what_to_type(real_data: Callable[[str], Path]) -> None:
    root = real_data("neu_seg")
    with pytest.raises(ClassNumbersError, match=r"120 masks hold class numbers \(1, 2, 3\)") as caught:
        read(root)
    assert f"{root} --mask-classes 1=NAME,2=NAME,3=NAME" in str(caught.value.hint)


def test_to_masks_gives_the_same_masks(real_data: Callable[[str], Path], tmp_path: Path) -> None:
    root = real_data("neu_seg")
    out = to_masks(read(root, OPTIONS), tmp_path / "out", workers=1).out
    for line in (out / "samples.jsonl").read_text(encoding="utf-8").splitlines():
        record = json.loads(line)
        side = {"train": "training", "test": "test"}[record["part"]]
        source = root / "annotations" / side / f"{record['id'].rsplit('_', 1)[-1]}.png"
        np.testing.assert_array_equal(np.asarray(Image.open(out / record["mask"])), np.asarray(Image.open(source)))
