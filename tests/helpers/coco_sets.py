"""Small COCO data sets as annotation tools write them, built from plain values."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
from numpy.typing import NDArray
from pycocotools import mask as coco_mask

import carpet_data as cd
from carpet_data.errors import DataError, ProblemsError

WIDTH, HEIGHT = 32, 24

SKIP = cd.ReadOptions(skip_faulty=True)

CATEGORIES = ({"id": 1, "name": "scratch"}, {"id": 2, "name": "dent"})


def picture(path: Path, seed: int = 0, *, width: int = WIDTH, height: int = HEIGHT) -> Path:
    """Write a color image of noise, another one for each seed."""
    path.parent.mkdir(parents=True, exist_ok=True)
    pixels = np.random.default_rng(seed).integers(0, 256, (height, width, 3), dtype=np.uint8)
    assert cv2.imwrite(str(path), pixels)
    return path


def pictures(root: Path, *names: str) -> None:
    """Write several images, all different."""
    for seed, name in enumerate(names):
        picture(root / name, seed)


def square(x: int, y: int, size: int = 4) -> list[list[float]]:
    """The segmentation of a square whose upper left pixel is (x, y)."""
    return [[x, y, x + size, y, x + size, y + size, x, y + size]]


def entry(number: int, file_name: str | None = None, **changes: Any) -> dict[str, Any]:
    """An image of the JSON; `im_N.png` without a name."""
    name = f"im_{number}.png" if file_name is None else file_name
    return {"id": number, "file_name": name, "width": WIDTH, "height": HEIGHT, **changes}


def annotation(number: int, image: Any, segmentation: Any, **changes: Any) -> dict[str, Any]:
    """An annotation of the category 1."""
    return {"id": number, "image_id": image, "category_id": 1, "segmentation": segmentation, "iscrowd": 0, **changes}


def write(
    path: Path,
    images: Sequence[Mapping[str, Any]],
    annotations: Sequence[Mapping[str, Any]],
    categories: Sequence[Mapping[str, Any]] = CATEGORIES,
    **more: Any,
) -> Path:
    """Write the JSON file."""
    path.parent.mkdir(parents=True, exist_ok=True)
    document = {"images": images, "annotations": annotations, "categories": categories, **more}
    path.write_text(json.dumps(document), encoding="utf-8")
    return path


def plain(root: Path, count: int = 3) -> Path:
    """A sound data set: images/im_N.png, each with a square elsewhere; the path of its JSON file."""
    pictures(root / "images", *(f"im_{number}.png" for number in range(1, count + 1)))
    return write(
        root / "annotations/instances_train.json",
        [entry(number) for number in range(1, count + 1)],
        [annotation(number, number, square(3 * number % 27, 2 * number % 19)) for number in range(1, count + 1)],
    )


def pixels_of(segmentation: Any, *, width: int = WIDTH, height: int = HEIGHT) -> NDArray[np.bool_]:
    """The pixels of a segmentation, as pycocotools decodes them."""
    encoded: Any = segmentation
    if isinstance(segmentation, list):
        encoded = coco_mask.merge(coco_mask.frPyObjects(segmentation, height, width))
    elif isinstance(segmentation["counts"], list):
        encoded = coco_mask.frPyObjects(segmentation, height, width)
    decoded: NDArray[np.uint8] = coco_mask.decode(encoded)
    return decoded.astype(np.bool_)


def changed(path: Path, change: Callable[[dict[str, Any]], object]) -> Path:
    """Change a JSON file in annotations/; its data set's folder."""
    document = json.loads(path.read_text())
    change(document)
    path.write_text(json.dumps(document))
    return path.parent.parent


def errors_of(root: Path, options: cd.ReadOptions | None = None) -> list[str]:
    """What reading a data set refuses it for; each error says where, and how to fix it."""
    with pytest.raises(DataError) as caught:
        cd.read(root, options)
    found = caught.value.problems if isinstance(caught.value, ProblemsError) else (caught.value,)
    assert all(error.where and error.hint for error in found)
    return [error.what for error in found]
