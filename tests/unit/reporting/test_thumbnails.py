"""Thumbnails show the defect, its outline lies on it, and they keep to their bounds."""

from __future__ import annotations

import base64
import re
from pathlib import Path

import cv2
import numpy as np
import pytest

from carpet_data import read
from carpet_data.dataset import Dataset
from carpet_data.errors import DataError
from carpet_data.reporting.contents import sheets
from carpet_data.reporting.thumbnails import MOST_BYTES, SIDE, Thumbnail, sheet, thumbnail


def decoded(made: Thumbnail) -> np.ndarray:
    head, data = made.address.split(",", 1)
    assert head == "data:image/jpeg;base64"
    pixels = cv2.imdecode(np.frombuffer(base64.b64decode(data), np.uint8), cv2.IMREAD_COLOR)
    assert pixels is not None
    return pixels


def square(root: Path, size: tuple[int, int], box: tuple[int, int, int, int]) -> Dataset:
    """A grey image with a white square, masked, and one without."""
    height, width = size
    x, y, w, h = box
    for folder in ("test/hole", "ground_truth/hole", "test/good"):
        (root / folder).mkdir(parents=True)
    pixels = np.full((height, width), 90, np.uint8)
    cv2.imwrite(str(root / "test/good/0.png"), pixels)
    pixels[y : y + h, x : x + w] = 255
    cv2.imwrite(str(root / "test/hole/0.png"), pixels)
    mask = np.zeros((height, width), np.uint8)
    mask[y : y + h, x : x + w] = 255
    cv2.imwrite(str(root / "ground_truth/hole/0_mask.png"), mask)
    return read(root)


@pytest.mark.parametrize(
    ("size", "box"), [((1000, 1000), (700, 100, 90, 200)), ((400, 90), (30, 350, 40, 45)), ((64, 64), (3, 3, 20, 12))]
)
def test_the_outline_lies_on_the_defect(size: tuple[int, int], box: tuple[int, int, int, int], tmp_path: Path) -> None:
    dataset = square(tmp_path, size, box)
    (hole,) = dataset.of_class("hole")
    made = thumbnail(dataset.root, hole)
    pixels = decoded(made)
    assert pixels.shape[:2] == (made.height, made.width)
    assert max(made.width, made.height) <= SIDE
    rows, columns = np.nonzero(pixels[..., 0] > 170)
    numbers = np.array([float(each) for each in re.findall(r"[\d.]+", made.outline)]).reshape(-1, 2)
    assert abs(numbers.min(axis=0) - (columns.min() + 0.5, rows.min() + 0.5)).max() <= 1.5
    assert abs(numbers.max(axis=0) - (columns.max() + 0.5, rows.max() + 0.5)).max() <= 1.5


def test_an_image_without_defect_is_shown_as_a_whole(tmp_path: Path) -> None:
    dataset = square(tmp_path, (300, 150), (10, 10, 5, 5))
    (good,) = dataset.of_class("good")
    made = thumbnail(dataset.root, good)
    assert (made.width, made.height, made.outline) == (SIDE // 2, SIDE, "")
    assert "whole image" in made.alt


def test_a_sheet_keeps_to_its_room_and_names_what_it_cannot_show(tmp_path: Path) -> None:
    dataset = square(tmp_path, (300, 300), (10, 10, 50, 50))
    (hole,) = dataset.of_class("hole")
    one = thumbnail(dataset.root, hole).size
    assert len(sheet(dataset.root, [hole] * 5, 5, 3 * one)[0]) == 3
    (tmp_path / "test/hole/0.png").write_bytes(b"no picture")
    shown, faults = sheet(dataset.root, [hole], 5, 3 * one)
    assert shown == ()
    assert isinstance(faults[0], DataError)


def test_many_classes_of_noise_keep_to_the_bound(tmp_path: Path) -> None:
    """Noise is what JPEG is worst at."""
    random = np.random.default_rng(0)
    for number in range(60):
        folder = tmp_path / "test" / f"class{number:02d}"
        folder.mkdir(parents=True)
        for each in range(4):
            cv2.imwrite(str(folder / f"{each}.png"), random.integers(0, 256, (SIDE, SIDE, 3), dtype=np.uint8))
    found, faults = sheets(read(tmp_path))
    assert faults == []
    assert len(found) == 60
    assert all(each.real for each in found), "every class has its share"
    assert sum(made.size for each in found for made in each.real) <= MOST_BYTES
