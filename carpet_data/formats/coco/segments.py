"""What a COCO annotation marks, judged before anything is decoded: one bound for the reader, `check` and `browse`.

pycocotools trusts what it is given: a coordinate of 2e8 or NaN makes it take all memory or crash, and run-length counts
that are too long make it write past its buffer. So nothing reaches it that is not judged here.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from carpet_data.core.masks.rle import expand
from carpet_data.formats.annotated import Fault, polygon_problem
from carpet_data.formats.coco.ids import whole

__all__ = ["FLAT", "Segmentation", "is_flat", "judge"]

FLAT = "its segmentation is one flat list of numbers; wrap it: [[x, y, …]]"
NO_PIXELS = "it has a box but no segmentation, and a box does not tell which pixels are defect"

_FIX_BOX = "draw its outline, or remove the annotation"
_FIX_POINTS = "write each polygon as one flat list: [[x, y, x, y, …]]"
_FIX_BYTES = "write counts.decode('ascii') into the JSON instead of str(counts)"


@dataclass(frozen=True, slots=True)
class Segmentation:
    """A segmentation that pycocotools can be given.

    Attributes:
        polygons: Flat x, y, x, y … lists in pixels; None where there are run-length counts.
        rle: Compressed text, or whole numbers that fill the image.
        flat: Whether it is one polygon that the file does not wrap into a list of polygons.
    """

    polygons: tuple[tuple[float, ...], ...] | None = None
    rle: str | tuple[int, ...] | None = None
    flat: bool = False


def judge(annotation: Mapping[str, Any], width: int, height: int) -> Segmentation | Fault:
    """The segmentation of an annotation, or what is wrong with it, in an image of this size."""
    segmentation = annotation.get("segmentation")
    if isinstance(segmentation, list) and segmentation:
        return _polygons(segmentation, width, height)
    if isinstance(segmentation, Mapping) and segmentation:
        return _run_lengths(segmentation, width, height)
    if segmentation not in (None, [], {}, ""):
        return Fault(f"its segmentation is {_shown(segmentation)}: neither polygons nor run-length counts")
    if annotation.get("bbox"):
        return Fault(NO_PIXELS, _FIX_BOX)
    return Fault("it has no segmentation", _FIX_BOX)


def is_flat(segmentation: Any) -> bool:
    """Whether these are the numbers of one polygon, not wrapped into a list of polygons."""
    return isinstance(segmentation, list) and bool(segmentation) and not any(map(_is_list, segmentation))


def _is_list(value: Any) -> bool:
    return isinstance(value, list | tuple | Mapping)


def _polygons(segmentation: Sequence[Any], width: int, height: int) -> Segmentation | Fault:
    flat = is_flat(segmentation)
    if flat:
        problem = polygon_problem(segmentation, width, height)
        if problem is not None:
            return Fault(f"{FLAT}; besides, {problem}")
        return Segmentation((tuple(float(value) for value in segmentation),), flat=True)
    if any(_is_point(point) for polygon in segmentation for point in (polygon, *_first(polygon))):
        return Fault("a polygon is a list of points [x, y], not a flat list of numbers", _FIX_POINTS)
    for polygon in segmentation:
        problem = polygon_problem(polygon, width, height)
        if problem is not None:
            return Fault(problem)
    return Segmentation(tuple(tuple(float(value) for value in polygon) for polygon in segmentation))


def _first(polygon: Any) -> Sequence[Any]:
    return polygon[:1] if isinstance(polygon, list) else ()


def _is_point(value: Any) -> bool:
    """Whether this is one point where a polygon or a number should be: [x, y] or {"x": x, "y": y}."""
    if isinstance(value, Mapping):
        return {"x", "y"} <= {str(key).casefold() for key in value}
    return isinstance(value, list) and len(value) == 2 and all(isinstance(each, int | float) for each in value)


def _run_lengths(segmentation: Mapping[str, Any], width: int, height: int) -> Segmentation | Fault:
    size = segmentation.get("size")
    numbers = [whole(value) for value in size] if isinstance(size, list) else None
    if numbers != [height, width]:
        swapped = " (height comes first)" if numbers == [width, height] else ""
        return Fault(f"its run-length size is {_shown(size)}, the image's is [{height}, {width}]{swapped}")
    counts = segmentation.get("counts")
    if isinstance(counts, str) and counts:
        return _compressed(counts, width, height)
    if not isinstance(counts, list) or not counts:
        return Fault("its segmentation has no run-length counts")
    lengths = [whole(count) for count in counts]
    plain = tuple(length for length in lengths if isinstance(length, int) and length >= 0)
    if len(plain) < len(lengths):
        wrong = next(c for c, n in zip(counts, lengths, strict=True) if not isinstance(n, int) or n < 0)
        return Fault(f"its run-length counts hold something other than whole numbers from 0: {_shown(wrong)}")
    return Segmentation(rle=plain) if sum(plain) == width * height else _unfilled(sum(plain), width, height)


def _compressed(counts: str, width: int, height: int) -> Segmentation | Fault:
    if counts[:2] in ("b'", 'b"'):
        return Fault("its run-length counts are Python bytes written as text (b'…')", _FIX_BYTES)
    try:
        lengths = expand(counts)
    except ValueError as error:
        return Fault(str(error))
    if min(lengths) < 0:
        return Fault("its compressed run-length counts hold a negative count")
    return Segmentation(rle=counts) if sum(lengths) == width * height else _unfilled(sum(lengths), width, height)


def _unfilled(total: int, width: int, height: int) -> Fault:
    return Fault(
        f"its run-length counts do not fill the image of {width}x{height} pixels: they sum to {total}, "
        f"not {width * height}"
    )


def _shown(value: Any) -> str:
    """A value of the file, cut where it is long."""
    text = repr(value)
    return text if len(text) <= 60 else f"{text[:57]}…"
