"""Small YOLO data sets, written as labeling tools write them, and an independent reading of their label lines."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from carpet_data.dataset import Dataset, Sample, Shapes
from helpers.trees import HEIGHT, WIDTH, image

Box = tuple[int, int, int, int]
"""Left, top, right and bottom in pixels, half-open."""

HOLE: Box = (2, 1, 5, 4)
CUT: Box = (6, 2, 11, 7)


def outline(box: Box, number: int = 0, middle: bool = True) -> str:
    """A label line whose polygon is exactly this box; with a fifth point, so that it is not a quadrilateral."""
    left, top, right, bottom = box
    corners = [(left, top), (right, top), (right, bottom), (left, bottom)]
    if middle:
        corners.append((left, top + 1))
    return " ".join([str(number), *(f"{x / WIDTH:.6f} {y / HEIGHT:.6f}" for x, y in corners)])


def text(path: Path, content: str | bytes) -> Path:
    """Write a text file, and the folders above it."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content.encode() if isinstance(content, str) else content)
    return path


def yolo_set(root: Path, labels: Mapping[str, tuple[str | None, str]], **files: str) -> Path:
    """Write images and labels.

    Args:
        root: Where.
        labels: image -> (its label file, or None, and what that holds).
        files: More text files; `__` in a name stands for a point.
    """
    for number, (name, (label, content)) in enumerate(labels.items()):
        image(root / name, 90 + number)
        if label is not None:
            text(root / label, content)
    for name, content in files.items():
        text(root / name.replace("__", "."), content)
    return root


def box_mask(*boxes: Box) -> NDArray[np.bool_]:
    """The pixels of boxes in an image of 12x8."""
    pixels = np.zeros((HEIGHT, WIDTH), np.bool_)
    for left, top, right, bottom in boxes:
        pixels[top:bottom, left:right] = True
    return pixels


def polygons_of(path: Path) -> list[tuple[int, list[float]]]:
    """Class number and flat pixel coordinates of each line, by the rule of the format alone."""
    found = []
    for line in path.read_text(encoding="utf-8-sig").splitlines():
        if line.strip():
            number, *fractions = line.split()
            sizes = [WIDTH, HEIGHT] * (len(fractions) // 2)
            found.append((int(number), [float(part) * size for part, size in zip(fractions, sizes, strict=True)]))
    return found


def polygons_in(sample: Sample) -> list[list[float]]:
    """The polygons that were read."""
    assert isinstance(sample.annotation, Shapes)
    return [list(polygon) for shape in sample.annotation.shapes for polygon in shape.polygons or ()]


def classes_by_name(dataset: Dataset) -> dict[str, str]:
    """image path -> its class."""
    return {sample.image_path: sample.class_name for sample in dataset}
