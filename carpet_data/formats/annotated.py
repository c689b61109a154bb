"""What the readers of annotation files (COCO, YOLO) have in common: images, their classes, their polygons."""

from __future__ import annotations

import math
import os
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path, PurePosixPath
from typing import Any, TypeGuard

from carpet_data.core.images import ImageInfo, probe
from carpet_data.dataset import GOOD, Dataset, Origin, Sample, Shape, Shapes, Side
from carpet_data.errors import CarpetDataError, DataError, ProblemsError
from carpet_data.formats.entries import COMBINED
from carpet_data.formats.problems import FIX_EXPORT, Problems
from carpet_data.formats.registry import ReadOptions
from carpet_data.formats.tree import from_samples, unique_ids

_MOST_COORDINATE_SIZES = 1.0


@dataclass(frozen=True, slots=True)
class Fault:
    """What is wrong with an entry, and how to fix it."""

    what: str
    hint: str = FIX_EXPORT


@dataclass(frozen=True, slots=True)
class Picture:
    """An image of an annotation file, found and measured.

    Attributes:
        path: Relative to the root, POSIX.
        class_name: What the file says of the whole image; None to take it from the shapes.
        origin: real or synthetic.
    """

    path: str
    side: Side | None
    info: ImageInfo
    shapes: tuple[Shape, ...] = ()
    class_name: str | None = None
    origin: Origin = "real"


def dataset(
    pictures: Sequence[Picture],
    categories: Sequence[str],
    *,
    root: Path,
    license: str = "",
    options: ReadOptions,
    problems: Problems,
    format: str,
    documents: Sequence[str] = (),
) -> Dataset:
    """The data set of these images (unique paths); a sample's id is its file's stem where that is unique.

    The categories are in the order of their ids, unused ones too. Instances of annotation files do not depend on the
    connectivity. Images at fault (`problems`, which knows them by root / path) are left out, and listed as skipped.
    `documents` are the files that reading used beside the images, relative to the root.

    Raises:
        DataError: There are no images.
        ProblemsError: The problems that leaving out images does not settle, or every image is at fault.
    """
    skipped = problems.settle()
    if not pictures and not skipped:
        raise DataError("the data set lists no images", where=root, hint="name a data set with images")
    # Named before any is left out, so that an image is called the same with and without --skip-faulty.
    ids = unique_ids([PurePosixPath(picture.path).stem for picture in pictures], [p.path for p in pictures])
    samples = [
        _sample(sample_id, picture, options)
        for sample_id, picture in zip(ids, pictures, strict=True)
        if not problems.faulty(root / picture.path)
    ]
    if not samples:
        raise ProblemsError(skipped)
    name = root.resolve().name or "data"
    made = from_samples(
        samples,
        root=root,
        name=name,
        license=license,
        connectivity=options.connectivity,
        format=format,
        skipped=skipped,
    )
    categories = tuple(dict.fromkeys([*categories, *made.categories]))
    return replace(made, categories=categories, documents=tuple(documents))


def _sample(sample_id: str, picture: Picture, options: ReadOptions) -> Sample:
    return Sample(
        sample_id,
        picture.path,
        picture.class_name or class_of(picture.shapes),
        picture.info.width,
        picture.info.height,
        annotation=_shapes(picture, options),
        origin=picture.origin,
        side=picture.side,
    )


def _shapes(picture: Picture, options: ReadOptions) -> Shapes | None:
    # A defect class without instances had an empty mask, which is something else than none.
    marked = picture.shapes or picture.class_name not in (None, GOOD)
    return Shapes(picture.shapes, options.overlap) if marked else None


def class_of(shapes: Sequence[Shape]) -> str:
    """The class of an image: its one defect type, "combined" for several, good for none."""
    names = {shape.class_name for shape in shapes}
    if len(names) > 1:
        return COMBINED
    return next(iter(names), GOOD)


def measure(path: Path, problems: Problems) -> ImageInfo | None:
    """The image's header; None, and a problem, where it cannot be read."""
    try:
        return probe(path)
    except CarpetDataError as error:
        problems.add(error, image=path)
        return None


def polygon_problem(values: Sequence[Any], width: int, height: int) -> str | None:
    """What is wrong with a flat list x, y, x, y … in pixels; None where nothing is.

    Points a little outside of the image are clipped when the polygon is filled. Those further out than the image is
    large are not rounding errors, and filling them would need unlimited memory.
    """
    if not isinstance(values, list | tuple):
        return "a polygon is not a list of numbers"
    if any(isinstance(value, bool) or not isinstance(value, int | float) for value in values):
        return "a polygon has coordinates that are not numbers"
    if len(values) < 6 or len(values) % 2:
        return f"a polygon has {len(values)} numbers; it needs x, y pairs of at least three points"
    for value, size in zip(values, [width, height] * (len(values) // 2), strict=True):
        if isinstance(value, float) and not math.isfinite(value):
            return f"the coordinate {value} is not a finite number"
        # Compared before anything is computed of it: JSON's whole numbers may be longer than any float.
        if not -size * _MOST_COORDINATE_SIZES <= value <= size * (1 + _MOST_COORDINATE_SIZES):
            return f"the coordinate {value} is far outside of the image of {width}x{height} pixels"
    return None


def is_text(value: Any) -> TypeGuard[str]:
    """Whether this is text with something in it that a file or a terminal can take (JSON may hold half characters)."""
    if not isinstance(value, str) or not value.strip():
        return False
    try:
        value.encode()
    except UnicodeEncodeError:
        return False
    return True


def inside(root: Path, path: str) -> str | None:
    """A path relative to the root, made plain of `.` and `..`; None where it leaves the root."""
    if "\0" in path:
        return None  # some versions of normpath end the path there
    plain = os.path.normpath(path).replace(os.sep, "/")
    if os.path.isabs(plain):  # noqa: PTH117 (a file name is judged, nothing is opened)
        plain = os.path.relpath(plain, root.resolve()).replace(os.sep, "/")
    return None if plain in ("", ".", "..") or plain.startswith("../") else plain
