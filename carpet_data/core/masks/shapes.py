"""Polygons and run-length counts of other tools, as pixels; pycocotools is the reference for both."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray
from pycocotools import mask as coco_mask

from carpet_data.core.masks.rle import decode
from carpet_data.core.masks.runs import to_binary
from carpet_data.dataset import Shape
from carpet_data.errors import DataError


def rasterize(shape: Shape, height: int, width: int, where: str) -> NDArray[np.bool_]:
    """The pixels of one shape, bool HxW: polygons filled as pycocotools fills them, or run-length counts.

    Errors call the shape `where`.

    Raises:
        DataError: The polygon has fewer than three points, or the counts do not fit the image.
    """
    if shape.rle is not None:
        try:
            return to_binary(decode(shape.rle, height, width))
        except ValueError as error:
            raise DataError(str(error), where=where, hint="export the annotation again") from error
    polygons = shape.polygons or ()
    for polygon in polygons:
        if len(polygon) < 6 or len(polygon) % 2:
            raise DataError(
                f"a polygon of {len(polygon)} numbers; x, y pairs of at least three points are needed",
                where=where,
                hint="remove or redraw the polygon",
            )
    if not polygons:
        return np.zeros((height, width), np.bool_)
    outlines: Any = [list(polygon) for polygon in polygons]
    encoded: Any = coco_mask.frPyObjects(outlines, height, width)
    merged: NDArray[np.uint8] = coco_mask.decode(coco_mask.merge(encoded))
    return merged.astype(np.bool_)
