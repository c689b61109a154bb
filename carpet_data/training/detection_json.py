"""Detections as JSON: boxes, scores, and masks as COCO's run lengths of the size of the image."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from carpet_data.core.masks import rle
from carpet_data.core.masks.runs import Runs, from_binary
from carpet_data.training.contract import Detection

__all__ = ["detection_json"]

_DIGITS = 6


def detection_json(detection: Detection, width: int, height: int) -> dict[str, Any]:
    """A detection of an image of this size as plain values; "mask" is None for a box alone.

    Examples:
        >>> found = Detection("hole", 0.5, (1, 0, 2, 1), np.ones((1, 2), np.bool_))
        >>> detection_json(found, width=4, height=2)["mask"]
        {'size': [2, 4], 'counts': '21102'}
    """
    runs = None if detection.mask is None else _in_image(detection.mask, detection.bbox, width, height)
    return {
        "class": detection.class_name,
        "score": round(float(detection.score), _DIGITS),
        "bbox": [int(value) for value in detection.bbox],
        "area": detection.bbox[2] * detection.bbox[3] if runs is None else runs.area,
        "mask": None if runs is None else {"size": [height, width], "counts": rle.encode(runs)},
    }


def _in_image(mask: NDArray[np.bool_], bbox: tuple[int, int, int, int], width: int, height: int) -> Runs:
    x, y, _, _ = bbox
    runs = from_binary(mask)
    return Runs(height, width, runs.column + x, runs.start + y, runs.stop + y, runs.value)
