"""Any COCO file, to be looked at: what a strict reader would refuse is left out and named instead.

Training on boxes without masks or on overlapping instances would go wrong; looking at them is how it is found. What is
drawn is judged as by the reader, so that no damaged entry takes all memory.
"""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from carpet_data.core.images import ImageInfo, probe
from carpet_data.core.text import counted
from carpet_data.dataset import GOOD, Sample, Shape, Shapes
from carpet_data.errors import CarpetDataError, DataError
from carpet_data.fiftyone.content import MaskJob
from carpet_data.fiftyone.shown import Shown
from carpet_data.formats.annotated import Fault, is_text
from carpet_data.formats.coco import file as coco_file
from carpet_data.formats.coco.file import CocoDocument
from carpet_data.formats.coco.ids import Id, id_of, same_id
from carpet_data.formats.coco.look import decode
from carpet_data.formats.coco.places import Places, Surroundings, root_of
from carpet_data.formats.coco.segments import NO_PIXELS, judge
from carpet_data.formats.entries import COMBINED

__all__ = ["of_coco"]

_XYWH = tuple[float, float, float, float]
_UNKNOWN = "unknown category"
_FIX = "correct the entry, or export the file again"


def of_coco(path: Path) -> Shown:
    """The images of a COCO file with their annotations; whatever of it is not shown is a problem that names it.

    Images are looked for where the reader looks: beside the file, in `images` beside it, and one folder up.

    Raises:
        DataError: It is not a COCO file, or none of its images was found.
    """
    if path.is_dir():
        raise DataError("this is a folder", where=path, hint="name the JSON file, or browse the folder as a data set")
    made = _Made(coco_file.load(path))
    jobs = made.jobs()
    if not jobs:
        hint = "put the images beside the file, or in a folder images beside it"
        raise DataError("none of its images was found beside it", where=path, hint=hint)
    classes = {job.sample.class_name for job in jobs}
    for job in jobs:
        classes.update(job.sample.defect_classes, (name for name, _ in job.boxes))
    return Shown(
        root=path,
        name=f"{path.absolute().parent.name} {path.stem}",
        jobs=tuple(jobs),
        classes=tuple(sorted(classes, key=lambda name: (name != GOOD, name))),
        info={"format": "coco"},
        problems=tuple(made.problems),
    )


@dataclass(slots=True)
class _Made:
    """What is shown of a file, and what is not."""

    document: CocoDocument
    problems: list[CarpetDataError] = field(default_factory=list)

    def jobs(self) -> list[MaskJob]:
        document, root = self.document, root_of(self.document)
        names = {id_of(each.get("id")): str(each.get("name")) for each in document.categories}
        places = Places(document, Surroundings(root))
        by_image = self._by_image()
        jobs: dict[str, MaskJob] = {}
        for image in document.images:
            key = id_of(image.get("id"))
            annotations = [] if key is None else by_image.get(key, [])
            where = f"{document.path} (image {image.get('id')!r})"
            found = self._found(image, places, root, where, len(annotations))
            if found is None:
                continue
            file, info = found
            job = self._job(image, file, info, annotations, names)
            if jobs.setdefault(job.sample.id, job) is not job:
                what = f"the image {job.sample.id!r} is listed twice; this entry{_and_its(annotations)} is not shown"
                self._say(what, where, "list each image once")
        return list(jobs.values())

    def _say(self, what: str, where: str, hint: str = _FIX) -> None:
        self.problems.append(DataError(what, where=where, hint=hint))

    def _by_image(self) -> dict[Id, list[dict[str, Any]]]:
        """image id -> its annotations; the others are named."""
        listed = self.document.ids("images")
        found: defaultdict[Id, list[dict[str, Any]]] = defaultdict(list)
        for annotation in self.document.annotations:
            same = same_id(annotation.get("image_id"), listed)
            if same is None:
                what = f"its image_id {annotation.get('image_id')!r} is not among the images, so it is not shown"
                self._say(what, self._place(annotation))
            else:
                found[same].append(annotation)
        return found

    def _place(self, annotation: Mapping[str, Any]) -> str:
        return f"{self.document.path} (annotation {annotation.get('id')})"

    def _found(
        self, image: Mapping[str, Any], places: Places, root: Path, where: str, annotations: int
    ) -> tuple[Path, ImageInfo] | None:
        name = image.get("file_name")
        found = places.find(name) if is_text(name) else Fault("the image has no file_name", "write it into the entry")
        lost = f"; its {counted(annotations, 'annotation')} cannot be shown" if annotations else ""
        if isinstance(found, Fault):
            self._say(found.what + lost, where, found.hint)
            return None
        try:
            return root / found, probe(root / found)
        except CarpetDataError as error:
            self.problems.append(DataError(error.what + lost, where=error.where, hint=error.hint))
            return None

    def _job(
        self,
        image: Mapping[str, Any],
        file: Path,
        info: ImageInfo,
        annotations: Sequence[Mapping[str, Any]],
        names: Mapping[Any, str],
    ) -> MaskJob:
        shapes: list[Shape] = []
        boxes: list[tuple[str, _XYWH]] = []
        for annotation in annotations:
            class_name = names.get(same_id(annotation.get("category_id"), names), _UNKNOWN)
            shape = self._shape(annotation, class_name, info)
            box = _box(annotation.get("bbox"), info)
            if isinstance(shape, Shape):
                shapes.append(shape)
                continue
            if box is not None:
                boxes.append((class_name, box))
            if shape.what != NO_PIXELS or box is None:
                shown = "only its box is shown" if box is not None else "it is not shown"
                self._say(f"{shape.what}; {shown}", self._place(annotation), shape.hint)
        classes = {shape.class_name for shape in shapes} | {class_name for class_name, _ in boxes}
        class_name = GOOD if not classes else classes.pop() if len(classes) == 1 else COMBINED
        sample = Sample(
            id=str(image["file_name"]).replace("\\", "/"),
            image_path=str(file.absolute()),
            class_name=str(image.get("class_name") or class_name),
            width=info.width,
            height=info.height,
            annotation=Shapes(tuple(shapes)) if shapes else None,
            origin="synthetic" if image.get("origin") == "synthetic" else "real",
        )
        return MaskJob(self.document.path.parent.absolute(), sample, 8, tuple(boxes))

    def _shape(self, annotation: Mapping[str, Any], class_name: str, info: ImageInfo) -> Shape | Fault:
        judged = judge(annotation, info.width, info.height)
        if isinstance(judged, Fault):
            return judged
        if decode(judged, info.width, info.height, annotation.get("id"), class_name).area == 0:
            return Fault("its segmentation has no pixel", "redraw it, or remove the annotation")
        label = f"annotation {annotation.get('id')}"
        return Shape(class_name, polygons=judged.polygons, rle=judged.rle, label=label)


def _and_its(annotations: Sequence[Any]) -> str:
    return f" with its {counted(len(annotations), 'annotation')}" if annotations else ""


def _box(values: Any, info: ImageInfo) -> _XYWH | None:
    """A box in pixels that can be drawn; None for anything else, also one that is far outside of the image."""
    if not isinstance(values, list) or len(values) != 4:
        return None
    if any(isinstance(value, bool) or not isinstance(value, int | float) for value in values):
        return None
    limit = 2 * max(info.width, info.height)
    if not all(-limit <= value <= limit for value in values):
        return None
    x, y, width, height = map(float, values)
    return (x, y, width, height) if width > 0 and height > 0 and math.isfinite(x + y) else None
