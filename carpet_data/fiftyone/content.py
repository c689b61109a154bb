"""What FiftyOne shows of one image, as plain values; reading a mask is the only costly part and runs in workers.

A sample's content comes in parts, each with a hash of what it depends on. Opening a data set again writes only the
parts whose hash has changed, so that what a user edited in the App stays, and masks are not read twice.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Literal, TypeAlias

import numpy as np
from numpy.typing import NDArray

from carpet_data.core.masks import find, load
from carpet_data.core.masks.runs import Runs, to_binary
from carpet_data.core.masks.shapes import rasterize
from carpet_data.dataset import GOOD, Connectivity, MaskStack, Sample, Shape, Shapes
from carpet_data.errors import CarpetDataError

__all__ = ["PARTS", "Box", "Drawn", "MaskJob", "Part", "draw", "hash_of", "image_key", "mask_key"]

Part: TypeAlias = Literal["place", "mask", "class", "facts", "model", "image"]
PARTS: tuple[Part, ...] = ("place", "mask", "class", "facts", "model", "image")
"""The order in which a state names their hashes. "image" writes nothing: by it a moved data set is known again."""

DEFECT = 255
"""The value of a defect pixel in a segmentation that has no file."""


@dataclass(frozen=True, slots=True, eq=False)
class Box:
    """One instance.

    Attributes:
        label: Its class.
        box: x, y, width, height as fractions of the image, as FiftyOne wants them.
        mask: bool [height, width] of the box in pixels; None where an annotation is only a box.
        area: Its pixels.
    """

    label: str
    box: tuple[float, float, float, float]
    mask: NDArray[np.bool_] | None
    area: int


@dataclass(frozen=True, slots=True, eq=False)
class Drawn:
    """The annotation of one image.

    Attributes:
        id: The sample's id.
        boxes: Its instances.
        area: Defect pixels (each once, even where instances overlap); None where nothing says which they are.
        pixels: uint8 HxW, 0 or 255, for annotations without a mask file; None for those with one.
    """

    id: str
    boxes: tuple[Box, ...]
    area: int | None
    pixels: NDArray[np.uint8] | None = None


@dataclass(frozen=True, slots=True)
class MaskJob:
    """One annotation to read.

    Attributes:
        root: Of the data set.
        sample: With its annotation.
        connectivity: Of a binary mask's components.
        boxes: Annotations of which nothing but the box is known: class, and x, y, width, height in pixels.
    """

    root: Path
    sample: Sample
    connectivity: Connectivity
    boxes: tuple[tuple[str, tuple[float, float, float, float]], ...] = ()


_Annotated: TypeAlias = tuple[list[Box], int | None, NDArray[np.uint8] | None]


def draw(job: MaskJob) -> Drawn | tuple[str, CarpetDataError]:
    """Read the annotation of a sample.

    Returns:
        The annotation, or (sample id, error) where its mask cannot be read.
    """
    sample = job.sample
    try:
        boxes, area, pixels = _mask(job) if not isinstance(sample.annotation, Shapes) else _shapes(job)
    except CarpetDataError as error:
        return sample.id, error
    boxes += [Box(name, _relative(box, sample), None, 0) for name, box in job.boxes]
    return Drawn(sample.id, tuple(boxes), area, pixels)


def _mask(job: MaskJob) -> _Annotated:
    sample = job.sample
    regions = find(load(job.root, sample), connectivity=job.connectivity)
    boxes = []
    for number, (name, runs) in enumerate(regions):
        x, y, width, height = (int(value) for value in regions.bbox[number])
        inside = Runs(height, width, runs.column - x, runs.start - y, runs.stop - y, runs.value)
        box = _relative((x, y, width, height), sample)
        boxes.append(Box(name, box, to_binary(inside), int(regions.area[number])))
    pixels = None
    if isinstance(sample.annotation, MaskStack):
        pixels = to_binary(regions.runs).astype(np.uint8) * DEFECT
    has_mask = sample.annotation is not None or (sample.class_name == GOOD and not job.boxes)
    return boxes, int(regions.area.sum()) if has_mask else None, pixels


def _shapes(job: MaskJob) -> _Annotated:
    """Each shape by itself: instances of COCO may overlap, which is no problem where they are only looked at."""
    sample = job.sample
    assert isinstance(sample.annotation, Shapes)
    boxes = []
    pixels = np.zeros((sample.height, sample.width), np.uint8)
    for shape in sample.annotation.shapes:
        mask = rasterize(shape, sample.height, sample.width, _where(job.root, sample, shape))
        rows, columns = np.flatnonzero(mask.any(axis=1)), np.flatnonzero(mask.any(axis=0))
        if len(rows):
            y, x = int(rows[0]), int(columns[0])
            height, width = int(rows[-1]) + 1 - y, int(columns[-1]) + 1 - x
            inside = np.ascontiguousarray(mask[y : y + height, x : x + width])
            box = _relative((x, y, width, height), sample)
            boxes.append(Box(shape.class_name, box, inside, int(inside.sum())))
            pixels[mask] = DEFECT
    return boxes, int((pixels > 0).sum()), pixels


def _relative(box: tuple[float, float, float, float], sample: Sample) -> tuple[float, float, float, float]:
    x, y, width, height = box
    return x / sample.width, y / sample.height, width / sample.width, height / sample.height


def _where(root: Path, sample: Sample, shape: Shape) -> str:
    return f"{root / sample.image_path} ({shape.label})" if shape.label else str(root / sample.image_path)


def hash_of(values: Any) -> str:
    """Twelve hex digits of plain values."""
    return hashlib.sha256(json.dumps(values, sort_keys=True, ensure_ascii=True).encode()).hexdigest()[:12]


def mask_key(job: MaskJob) -> str:
    """What the drawn annotation of a sample depends on, without reading a pixel."""
    sample = job.sample
    annotation: Mapping[str, Any] | None = None if sample.annotation is None else asdict(sample.annotation)
    stamps: list[tuple[int, int] | None] = []
    if sample.mask_sha256 is None:
        # A raw folder knows no hashes: the files' sizes and times stand in for them.
        paths = [] if sample.mask_path is None else [sample.mask_path]
        if isinstance(sample.annotation, MaskStack):
            paths = [path for path, _ in sample.annotation.files]
        stamps = [_stamp(job.root / path) for path in paths]
    kind = type(sample.annotation).__name__
    size = (sample.width, sample.height)
    return hash_of([kind, annotation, sample.mask_sha256, stamps, sample.class_name, size, job.connectivity, job.boxes])


def image_key(sample: Sample, image: Path) -> str:
    """What tells an image from others of the same id: its bytes' hash, or in a raw folder its size."""
    known = sample.image_sha256 or [sample.width, sample.height, (_stamp(image) or (None,))[0]]
    return hash_of([sample.id, known])


def _stamp(path: Path) -> tuple[int, int] | None:
    try:
        found = path.stat()
    except OSError:
        return None
    return found.st_size, found.st_mtime_ns
