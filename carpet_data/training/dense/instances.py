"""Instances: the connected components of what a calibrated map calls defect."""

from __future__ import annotations

from collections.abc import Sequence

import cv2
import numpy as np
from numpy.typing import NDArray

from carpet_data.training.contract import Detection

__all__ = ["detections"]

F32 = NDArray[np.float32]
_TOP_SHARE = 0.25
"""The share of an instance's pixels, its surest ones, whose mean is its score."""
_MOST = 300
"""Largest number of instances of an image; the surest are kept."""


def detections(
    heat: F32, shares: F32, classes: Sequence[str], *, minimum_area: int = 1
) -> tuple[tuple[Detection, ...], NDArray[np.uint8]]:
    """The defects of an image and the class of each pixel.

    A defect is a component (8-connected) of the pixels whose heat is at least 0.5. Its type has the largest mean
    probability over the component, weighted by heat; its score is the mean heat of its surest pixels.

    Args:
        heat: float32 (h, w) in [0, 1].
        shares: float32 (k - 1, h', w'), the probability of each type given a defect, of the pixels or of the cells that
            cover the image evenly.
        classes: `good` first.
        minimum_area: Components of fewer pixels are left out.

    Returns:
        The defects, the surest first, and uint8 (h, w): 0, or the index of the class of the pixel's defect.
    """
    labels = np.zeros(heat.shape, np.uint8)
    if not (heat >= 0.5).any():
        return (), labels
    count, numbers, boxes, _ = cv2.connectedComponentsWithStats((heat >= 0.5).astype(np.uint8), connectivity=8)
    found = []
    for number in range(1, count):
        x, y, width, height, area = (int(value) for value in boxes[number])
        if area < minimum_area:
            continue
        place = slice(y, y + height), slice(x, x + width)
        mask = numbers[place] == number
        inside = heat[place][mask]
        kind = 1 + int(np.argmax(_mean_share(shares, heat, mask, place)))
        labels[place][mask] = kind
        top = np.sort(inside)[-max(1, round(_TOP_SHARE * area)) :]
        score = min(max(float(top.mean()), 0.0), 1.0)
        found.append(Detection(classes[kind], score, (x, y, width, height), mask))
    found.sort(key=lambda each: -each.score)
    return tuple(found[:_MOST]), labels


def _mean_share(shares: F32, heat: F32, mask: NDArray[np.bool_], place: tuple[slice, slice]) -> F32:
    weights = heat[place] * mask
    return np.asarray((shares[:, place[0], place[1]] * weights).sum(axis=(1, 2)), np.float32)
