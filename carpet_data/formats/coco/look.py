"""One image of a COCO file: its file, and its annotations as pycocotools decodes them.

Whatever is given to pycocotools was judged before (`segments`), and stays run-length encoded: memory is bounded by the
text of the file, not by the size that it claims.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from pycocotools import mask as coco_mask

from carpet_data.core.images import ImageInfo, probe
from carpet_data.core.images.limits import check_size
from carpet_data.core.masks.rle import expand
from carpet_data.core.problems import Problem
from carpet_data.core.text import counted
from carpet_data.errors import CarpetDataError
from carpet_data.formats.annotated import Fault
from carpet_data.formats.coco.ids import same_id, whole
from carpet_data.formats.coco.segments import FLAT, Segmentation, judge
from carpet_data.formats.coco.sizes import is_stated, size_fault

_LARGE = 1e12

__all__ = ["Decoded", "Difference", "Seen", "decode", "look", "picture_file", "size_of"]


@dataclass(frozen=True, slots=True)
class Difference:
    """A stated number that is not the mask's.

    Attributes:
        kind: "coco-area" or "coco-box".
        amount: Pixels, or the largest of the four numbers of the box.
    """

    kind: str
    amount: float
    what: str
    where: str


@dataclass(frozen=True, slots=True)
class Decoded:
    """One annotation; `encoded` is what pycocotools works with."""

    number: Any
    name: str
    encoded: Any
    area: int
    box: tuple[int, int, int, int]

    def __str__(self) -> str:
        return f"annotation {self.number} ({self.name})"

    def pixels(self) -> NDArray[np.bool_]:
        """bool HxW."""
        values: NDArray[np.uint8] = coco_mask.decode(self.encoded)
        return values.astype(np.bool_)


@dataclass(slots=True)
class Seen:
    """What was found in one image.

    Attributes:
        faults: (what, hint) of its annotations, with the place of each.
        lacking: Annotations without area or bbox.
        empty: Annotations without a pixel.
        overlaps: (pair and pixels, place) of annotations of different classes that overlap.
        repeats: Places of annotations that repeat another of their class.
    """

    problems: list[Problem] = field(default_factory=list)
    faults: list[tuple[Fault, str]] = field(default_factory=list)
    differences: list[Difference] = field(default_factory=list)
    lacking: list[str] = field(default_factory=list)
    empty: list[str] = field(default_factory=list)
    overlaps: list[tuple[str, str]] = field(default_factory=list)
    repeats: list[str] = field(default_factory=list)
    decoded: list[Decoded] = field(default_factory=list)


def picture_file(path: Path, image: dict[str, Any], where: str) -> ImageInfo | Problem:
    """The header of an image's file, or what is wrong with it or with the size that the file states."""
    try:
        info = probe(path)
    except CarpetDataError as error:
        return Problem("error", "coco-image-unreadable", error.what, str(path), error.hint or "")
    wrong = size_fault(image, info)
    return info if wrong is None else Problem("error", "coco-size", wrong.what, where, wrong.hint)


def size_of(image: dict[str, Any], info: ImageInfo | None, where: str) -> tuple[int, int] | Problem | None:
    """Width and height to decode with; None where neither the JSON nor the file says, which is a problem elsewhere."""
    stated = [whole(value) if is_stated(value) else None for value in (image.get("width"), image.get("height"))]
    width, height = (s or i for s, i in zip(stated, (info.width, info.height) if info else (0, 0), strict=True))
    if width < 1 or height < 1:
        return None
    try:
        check_size(width, height, where)
    except CarpetDataError as error:
        hint = "correct the size, or put the image where it is found"
        return Problem("error", "coco-size", f"the JSON says {error.what}, so nothing was decoded", where, hint)
    return width, height


def look(
    annotations: tuple[dict[str, Any], ...], names: dict[Any, str], size: tuple[int, int], where: str, seen: Seen
) -> None:
    """Judge and decode the annotations of one image of this width and height."""
    width, height = size
    for annotation in annotations:
        place = f"{where}, annotation {annotation.get('id')!r}"
        judged = judge(annotation, width, height)
        if isinstance(judged, Segmentation) and judged.flat:
            judged = Fault(FLAT, "wrap each polygon into a list; carpet-data reads it, pycocotools does not")
        if isinstance(judged, Fault):
            seen.faults.append((judged, place))
            continue
        name = names.get(same_id(annotation.get("category_id"), names), "?")
        decoded = decode(judged, width, height, annotation.get("id"), name)
        seen.decoded.append(decoded)
        if decoded.area == 0:
            seen.empty.append(place)
        elif annotation.get("area") is None or annotation.get("bbox") is None:
            seen.lacking.append(place)
        else:
            seen.differences += _differences(annotation, decoded, place)
    _overlaps(seen, where)


def decode(judged: Segmentation, width: int, height: int, number: Any, name: str) -> Decoded:
    """A judged segmentation, encoded by pycocotools."""
    encoded: Any
    uncompressed: Any
    lengths: Sequence[int] = ()
    if judged.polygons is not None:
        outlines: Any = [list(polygon) for polygon in judged.polygons]
        encoded = coco_mask.merge(coco_mask.frPyObjects(outlines, height, width))
    elif isinstance(judged.rle, str):
        encoded = {"size": [height, width], "counts": judged.rle.encode("ascii")}
        lengths = expand(judged.rle)
    else:
        lengths = judged.rle or ()
        uncompressed = {"size": [height, width], "counts": list(lengths)}
        encoded = coco_mask.frPyObjects(uncompressed, height, width)
    if 0 in lengths[1:]:
        # pycocotools takes an empty run for a part of the box; decoded and encoded again, there is none.
        encoded = coco_mask.encode(np.asfortranarray(coco_mask.decode(encoded)))
    x, y, box_width, box_height = (int(value) for value in coco_mask.toBbox(encoded))
    return Decoded(number, name, encoded, int(coco_mask.area(encoded)), (x, y, box_width, box_height))


def _differences(annotation: dict[str, Any], decoded: Decoded, place: str) -> list[Difference]:
    found = []
    area, box = annotation["area"], annotation["bbox"]
    if area != decoded.area:
        what = f"area is {area}, the mask has {decoded.area} pixels"
        found.append(Difference("coco-area", _amount([area], [decoded.area]), what, place))
    if box != list(decoded.box):
        what = f"bbox is {box}, the mask's is {list(decoded.box)}"
        found.append(Difference("coco-box", _amount(box, decoded.box), what, place))
    return found


def _amount(stated: Any, found: Any) -> float:
    """The largest difference; infinite where these are no numbers."""
    is_list = isinstance(stated, list) and len(stated) == len(found)
    if not is_list or any(isinstance(value, bool) or not isinstance(value, int | float) for value in stated):
        return float("inf")
    differences = [abs(value - other) for value, other in zip(stated, found, strict=True)]
    # JSON's whole numbers may be longer than any float; NaN cannot be compared.
    return max(float(each) if each < _LARGE else float("inf") for each in differences)


def _overlaps(seen: Seen, where: str) -> None:
    """Pairs of annotations that share pixels: of different classes, or the same pixels of one class."""
    shown = [each for each in seen.decoded if each.area]
    boxes = np.array([each.box for each in shown], np.int64).reshape(-1, 4)
    low, high = boxes[:, :2], boxes[:, :2] + boxes[:, 2:]
    for number, one in enumerate(shown):
        near = ((low[number + 1 :] < high[number]) & (high[number + 1 :] > low[number])).all(axis=1)
        for other in (shown[number + 1 + int(offset)] for offset in np.flatnonzero(near)):
            if one.name == other.name and (one.area, one.box) != (other.area, other.box):
                continue
            shared = int(coco_mask.area(coco_mask.merge([one.encoded, other.encoded], intersect=True)))
            if one.name == other.name and shared == one.area:
                seen.repeats.append(f"{other} repeats {one} in {where}")
            elif one.name != other.name and shared:
                seen.overlaps.append((f"{one} and {other} share {counted(shared, 'pixel')}", where))
