"""Small folders of images and masks for tests of the readers."""

from __future__ import annotations

import json
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import numpy as np

from carpet_data.core.images import write_png

WIDTH, HEIGHT = 12, 8


def image(path: Path, value: int = 90) -> Path:
    """Write a grey image of 12x8 pixels."""
    path.parent.mkdir(parents=True, exist_ok=True)
    write_png(path, np.full((HEIGHT, WIDTH), value, np.uint8))
    return path


def mask(path: Path, *, value: int = 255, columns: slice = slice(2, 5)) -> Path:
    """Write a mask of 12x8 pixels whose defect is rows 1..3 of some columns."""
    path.parent.mkdir(parents=True, exist_ok=True)
    pixels = np.zeros((HEIGHT, WIDTH), np.uint8)
    pixels[1:4, columns] = value
    write_png(path, pixels)
    return path


def files(root: Path, images: Iterable[str] = (), masks: Iterable[str] = ()) -> Path:
    """Write many images and masks."""
    for name in images:
        image(root / name)
    for name in masks:
        mask(root / name)
    return root


def coco(path: Path, **changes: Any) -> Path:
    """Write a COCO file of one image a.png with one hole of 3x3 pixels; `changes` replace its top-level keys."""
    document: dict[str, Any] = {
        "images": [{"id": 1, "file_name": "a.png", "width": WIDTH, "height": HEIGHT}],
        "annotations": [
            {"id": 17, "image_id": 1, "category_id": 3, "segmentation": [[2, 1, 5, 1, 5, 4, 2, 4]], "iscrowd": 0}
        ],
        "categories": [{"id": 3, "name": "hole"}],
    }
    document.update(changes)
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(document), encoding="utf-8")
    return path
