"""What a COCO file must hold to be read as it was meant; pycocotools is the judge of every mask."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from pycocotools import mask as coco_mask

from carpet_data.core.images import probe
from carpet_data.core.masks.rle import expand
from carpet_data.core.problems import Problem, Severity
from carpet_data.errors import CarpetDataError
from carpet_data.formats.coco.file import CocoDocument, image_path


def _error(code: str, what: str, where: str, hint: str = "export the file again") -> Problem:
    return Problem("error", code, what, where, hint)


def structure(document: CocoDocument) -> Iterator[Problem]:
    """Ids, references and names: what can be judged without decoding a mask."""
    yield from _ids(document)
    yield from _references(document)
    yield from _file_names(document)
    if any(annotation.get("iscrowd") not in (0, None) for annotation in document.annotations):
        count = sum(annotation.get("iscrowd") not in (0, None) for annotation in document.annotations)
        yield Problem(
            "warning",
            "coco-crowd",
            f"{count} annotations have iscrowd 1: detectors skip them in training",
            str(document.path),
            "set iscrowd to 0 where the annotation is one object",
        )


def _ids(document: CocoDocument) -> Iterator[Problem]:
    where = str(document.path)
    for kind in ("images", "annotations", "categories"):
        ids = [entry.get("id") for entry in getattr(document, kind)]
        bad = sorted({repr(value) for value in ids if not isinstance(value, int) or isinstance(value, bool)})
        if bad:
            yield _error("coco-id", f"{kind}: ids that are not whole numbers: {_few(bad)}", where)
        repeated = sorted(repr(value) for value, count in Counter(map(repr, ids)).items() if count > 1)
        if repeated:
            yield _error("coco-id-repeated", f"{kind}: ids used twice: {_few(repeated)}", where)
        if any(isinstance(value, int) and value < 1 for value in ids):
            severity: Severity = "error" if kind == "categories" else "warning"
            yield Problem(
                severity,
                "coco-id-zero",
                f"{kind}: an id below 1; many readers treat category 0 as background",
                where,
                "number from 1",
            )


def _references(document: CocoDocument) -> Iterator[Problem]:
    where = str(document.path)
    for key, kind in (("image_id", "images"), ("category_id", "categories")):
        known = {repr(entry.get("id")) for entry in getattr(document, kind)}
        lost = [repr(a.get("id")) for a in document.annotations if repr(a.get(key)) not in known]
        if lost:
            yield _error(
                "coco-reference",
                f"annotations whose {key} is not among the {kind}: {_few(lost)}",
                where,
            )


def _file_names(document: CocoDocument) -> Iterator[Problem]:
    names: defaultdict[str, int] = defaultdict(int)
    for image in document.images:
        where = f"{document.path} (image {image.get('id')!r})"
        name = image.get("file_name")
        if not isinstance(name, str) or not name:
            yield _error("coco-file-name", "the image has no file_name", where)
            continue
        names[name] += 1
        hint = "write paths relative to the images' folder, with forward slashes"
        if _leads_out(name):
            yield _error(
                "coco-file-name", f"{name!r} leads outside the data set, so the file was not opened", where, hint
            )
        elif "\\" in name:
            yield Problem("warning", "coco-file-name", f"{name!r} has backslashes", where, hint)
        if not all(isinstance(image.get(side), int) and image[side] > 0 for side in ("width", "height")):
            yield _error("coco-size", "the image has no width and height in pixels", where)
    for name, count in names.items():
        if count > 1:
            yield _error("coco-file-name", f"{name!r} is listed {count} times", str(document.path))


def _leads_out(name: str) -> bool:
    """Whether a file name is absolute or climbs out of its folder, in the ways of any system."""
    return name.startswith(("/", "\\")) or name[1:2] == ":" or ".." in name.replace("\\", "/").split("/")


def image_file(coco: Path, image: dict[str, Any]) -> Problem | None:
    """Whether an image's file is there and of the stated size; names that lead elsewhere are not followed."""
    name = str(image.get("file_name"))
    if _leads_out(name):
        return None
    where = f"{coco} ({name})"
    path = image_path(coco, name)
    if path is None:
        return _error("coco-image-missing", "the image file was not found", where, "put the images beside the JSON")
    try:
        info = probe(path)
    except CarpetDataError as error:
        return _error("coco-image-unreadable", error.what, str(path), error.hint or "")
    if (info.width, info.height) != (image.get("width"), image.get("height")):
        return _error(
            "coco-size",
            f"the file is {info.width}x{info.height}, the JSON says {image.get('width')}x{image.get('height')}",
            where,
        )
    return None


def decode(annotation: dict[str, Any], height: int, width: int) -> NDArray[np.bool_]:
    """The pixels of an annotation, as pycocotools sees them.

    Returns:
        bool HxW.

    Raises:
        ValueError: The segmentation is missing or damaged.
    """
    segmentation = annotation.get("segmentation")
    encoded: Any
    uncompressed: Any = segmentation
    try:
        if isinstance(segmentation, list) and segmentation:
            if any(not isinstance(polygon, list) or len(polygon) < 6 or len(polygon) % 2 for polygon in segmentation):
                raise ValueError("a polygon with fewer than three points")
            encoded = coco_mask.merge(coco_mask.frPyObjects(segmentation, height, width))
        elif isinstance(segmentation, dict):
            if list(segmentation.get("size", ())) != [height, width]:
                raise ValueError(f"its size {segmentation.get('size')!r} is not the image's [{height}, {width}]")
            counts = segmentation.get("counts")
            if isinstance(counts, list):
                if sum(counts) != height * width or min(counts) < 0:
                    raise ValueError("its counts do not fill the image")
                encoded = coco_mask.frPyObjects(uncompressed, height, width)
            elif isinstance(counts, str):
                # pycocotools trusts the text and writes past its buffer where the counts are too long.
                if sum(expand(counts)) != height * width:
                    raise ValueError("its counts do not fill the image")
                encoded = {"size": [height, width], "counts": counts.encode("ascii")}
            else:
                raise ValueError("it has no counts")
        else:
            raise ValueError("it has no segmentation")
        pixels: NDArray[np.uint8] = coco_mask.decode(encoded)
    except (TypeError, KeyError, OverflowError) as error:
        raise ValueError(f"the segmentation is damaged ({error})") from error
    return pixels.astype(np.bool_)


def geometry(annotation: dict[str, Any], pixels: NDArray[np.bool_], where: str) -> Iterator[Problem]:
    """Whether box and area say the same as the mask."""
    area, box = int(pixels.sum()), _box(pixels)
    if area == 0:
        yield _error("coco-empty", "the segmentation has no pixel", where)
        return
    if annotation.get("area") != area:
        yield _error("coco-area", f"area is {annotation.get('area')}, the mask has {area} pixels", where)
    if annotation.get("bbox") != box:
        yield _error("coco-box", f"bbox is {annotation.get('bbox')}, the mask's is {box}", where)


def _box(pixels: NDArray[np.bool_]) -> list[int]:
    rows, columns = np.flatnonzero(pixels.any(axis=1)), np.flatnonzero(pixels.any(axis=0))
    if not len(rows):
        return [0, 0, 0, 0]
    return [int(columns[0]), int(rows[0]), int(columns[-1] - columns[0] + 1), int(rows[-1] - rows[0] + 1)]


def _few(values: list[str]) -> str:
    return ", ".join(values[:5]) + (f" and {len(values) - 5} more" if len(values) > 5 else "")
