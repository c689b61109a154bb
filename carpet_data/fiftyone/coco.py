"""Any COCO file, to be looked at: what a strict reader would refuse is left out and named instead.

Training on boxes without masks or on overlapping instances would go wrong; looking at them is how it is found.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping
from pathlib import Path, PurePosixPath
from typing import Any

from carpet_data.core.images import probe
from carpet_data.dataset import GOOD, Sample, Shape, Shapes
from carpet_data.errors import CarpetDataError, DataError
from carpet_data.fiftyone.content import MaskJob
from carpet_data.fiftyone.shown import Shown
from carpet_data.formats.coco import file as coco_file
from carpet_data.formats.entries import COMBINED

__all__ = ["of_coco"]

_Boxes = list[tuple[str, tuple[float, float, float, float]]]


def of_coco(path: Path) -> Shown:
    """The images of a COCO file with their annotations.

    Images are looked for beside the file, in `images` beside it, and in the same places one folder up.

    Raises:
        DataError: It is not a COCO file, or none of its images was found.
    """
    if path.is_dir():
        raise DataError("this is a folder", where=path, hint="name the JSON file, or browse the folder as a data set")
    document = coco_file.load(path)
    names = {category.get("id"): str(category.get("name")) for category in document.categories}
    by_image: defaultdict[Any, list[dict[str, Any]]] = defaultdict(list)
    for annotation in document.annotations:
        by_image[annotation.get("image_id")].append(annotation)
    problems: list[CarpetDataError] = []
    jobs: dict[str, MaskJob] = {}
    for image in document.images:
        job = _job(image, by_image.get(image.get("id"), []), names, path, problems)
        if job is not None:
            jobs.setdefault(job.sample.id, job)
    if not jobs:
        hint = "put the images beside the file, or in a folder images beside it"
        raise DataError("none of its images was found beside it", where=path, hint=hint)
    classes = {job.sample.class_name for job in jobs.values()}
    for job in jobs.values():
        classes.update(job.sample.defect_classes, (name for name, _ in job.boxes))
    return Shown(
        root=path,
        name=f"{path.absolute().parent.name} {path.stem}",
        jobs=tuple(jobs.values()),
        classes=tuple(sorted(classes, key=lambda name: (name != GOOD, name))),
        info={"format": "coco"},
        problems=tuple(problems),
    )


def _job(
    image: Mapping[str, Any],
    annotations: list[dict[str, Any]],
    names: Mapping[Any, str],
    path: Path,
    problems: list[CarpetDataError],
) -> MaskJob | None:
    name = str(image.get("file_name", "")).replace("\\", "/")
    place = _find(path, name)
    if place is None:
        where = f"{path} (image {image.get('id')})"
        problems.append(DataError(f"the image {name!r} was not found", where=where, hint="put it beside the file"))
        return None
    try:
        info = probe(place)
    except CarpetDataError as error:
        problems.append(error)
        return None
    shapes, boxes = _annotations(annotations, names, (info.width, info.height), path, problems)
    classes = {shape.class_name for shape in shapes} | {class_name for class_name, _ in boxes}
    class_name = GOOD if not classes else classes.pop() if len(classes) == 1 else COMBINED
    sample = Sample(
        id=name,
        image_path=str(place.absolute()),
        class_name=str(image.get("class_name") or class_name),
        width=info.width,
        height=info.height,
        annotation=Shapes(tuple(shapes)) if shapes else None,
        origin="synthetic" if image.get("origin") == "synthetic" else "real",
    )
    return MaskJob(path.parent.absolute(), sample, 8, tuple(boxes))


def _annotations(
    annotations: list[dict[str, Any]],
    names: Mapping[Any, str],
    size: tuple[int, int],
    path: Path,
    problems: list[CarpetDataError],
) -> tuple[list[Shape], _Boxes]:
    """The shapes of an image, and the boxes of annotations that have none."""
    shapes: list[Shape] = []
    boxes: _Boxes = []
    for annotation in annotations:
        class_name = names.get(annotation.get("category_id"), "unknown category")
        shape = _shape(annotation, class_name, size)
        if shape is not None:
            shapes.append(shape)
        elif (box := _box(annotation.get("bbox"))) is not None:
            boxes.append((class_name, box))
        else:
            what = "it has neither a box nor a segmentation that fits the image"
            where = f"{path} (annotation {annotation.get('id')})"
            problems.append(DataError(what, where=where, hint="export it again"))
    return shapes, boxes


def _find(path: Path, name: str) -> Path | None:
    """The image; a name that leads out of these folders is not followed."""
    parts = PurePosixPath(name)
    if not name or parts.is_absolute() or ".." in parts.parts:
        return None
    here, above = path.parent, path.absolute().parent.parent
    rest = path.stem.removeprefix("instances").lstrip("_-")
    places = [here, here / "images", above, above / "images"]
    if rest:
        places += [here / rest, here / "images" / rest, above / rest, above / "images" / rest]
    return next((place / parts for place in places if (place / parts).is_file()), None)


def _shape(annotation: Mapping[str, Any], class_name: str, size: tuple[int, int]) -> Shape | None:
    segmentation, label = annotation.get("segmentation"), f"annotation {annotation.get('id')}"
    width, height = size
    if isinstance(segmentation, list):
        polygons = tuple(tuple(map(float, polygon)) for polygon in segmentation if _is_polygon(polygon))
        return Shape(class_name, polygons=polygons, label=label) if polygons else None
    if isinstance(segmentation, Mapping) and segmentation.get("size") == [height, width]:
        counts = segmentation.get("counts")
        if isinstance(counts, str):
            return Shape(class_name, rle=counts, label=label)
        if isinstance(counts, list) and all(isinstance(count, int) for count in counts):
            return Shape(class_name, rle=tuple(counts), label=label)
    return None


def _is_polygon(values: Any) -> bool:
    return (
        isinstance(values, list)
        and len(values) >= 6
        and len(values) % 2 == 0
        and all(isinstance(value, int | float) for value in values)
    )


def _box(values: Any) -> tuple[float, float, float, float] | None:
    if isinstance(values, list) and len(values) == 4 and all(isinstance(value, int | float) for value in values):
        x, y, width, height = map(float, values)
        return (x, y, width, height) if width > 0 and height > 0 else None
    return None
