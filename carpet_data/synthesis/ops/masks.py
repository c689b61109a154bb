"""Masks: grown, shrunk, cut to their box, measured, rid of specks. All are bool HxW."""

from __future__ import annotations

import cv2
import numpy as np
from numpy.typing import NDArray

from carpet_data.synthesis.contract import Box, Mask, Redraw
from carpet_data.synthesis.ops.pixels import F32


def disc(radius: int) -> NDArray[np.uint8]:
    """The structuring element of a radius in pixels, uint8."""
    return cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (2 * radius + 1, 2 * radius + 1)).astype(np.uint8)


def grown(mask: Mask, radius: int) -> Mask:
    """The mask dilated by a disc of a radius in pixels."""
    return np.asarray(cv2.dilate(mask.view(np.uint8), disc(radius))) > 0


def shrunk(mask: Mask, radius: int, *, from_border: bool = False) -> Mask:
    """The mask eroded by a disc of a radius in pixels; at the border of the array only where `from_border`."""
    outside = {"borderType": cv2.BORDER_CONSTANT, "borderValue": 0} if from_border else {}
    return np.asarray(cv2.erode(mask.view(np.uint8), disc(radius), **outside)) > 0  # type: ignore[call-overload]


def depth_of(mask: Mask) -> F32:
    """How far each pixel of the mask lies from the nearest one outside it, float32 HxW; 0 outside."""
    return np.asarray(cv2.distanceTransform(mask.view(np.uint8), cv2.DIST_L2, 3), np.float32)


def signed_distance(mask: Mask) -> F32:
    """Distance to the mask's edge in pixels: positive inside, negative outside, never 0; float32 HxW.

    Beyond the array nothing is mask.
    """
    if not mask.any():
        return np.full(mask.shape, -float(max(mask.shape)), np.float32)
    padded = np.pad(mask, 1).astype(np.uint8)
    inside, outside = (
        np.asarray(cv2.distanceTransform(part, cv2.DIST_L2, cv2.DIST_MASK_5))[1:-1, 1:-1]
        for part in (padded, 1 - padded)
    )
    return np.asarray(np.where(mask, inside - 0.5, 0.5 - outside), np.float32)


def mask_box(mask: Mask) -> Box:
    """x, y, width, height of the True pixels.

    Raises:
        Redraw: There are none.
    """
    x, y, width, height = cv2.boundingRect(mask.view(np.uint8))
    if width == 0:
        raise Redraw("nothing is left of the defect")
    return x, y, width, height


def window_of(mask: Mask, margin: int = 0) -> tuple[slice, slice]:
    """Rows and columns of the True pixels and a margin, inside the array.

    Raises:
        Redraw: There are no True pixels.

    Example:
        >>> mask = np.zeros((6, 8), np.bool_)
        >>> mask[2:4, 5:7] = True
        >>> window_of(mask, margin=2)
        (slice(0, 6, None), slice(3, 8, None))
    """
    x, y, width, height = mask_box(mask)
    return (
        slice(max(0, y - margin), min(mask.shape[0], y + height + margin)),
        slice(max(0, x - margin), min(mask.shape[1], x + width + margin)),
    )


def cropped(mask: Mask) -> Mask:
    """The mask in the smallest array that holds it."""
    rows, columns = window_of(mask)
    return np.array(mask[rows, columns], np.bool_)


def filled(mask: Mask, least_frac: float = 0.0) -> Mask:
    """The mask's parts with their holes filled, without those smaller than a share of the largest.

    Example:
        >>> ring = grown(np.pad([[True]], 5), 3) & ~np.pad([[True]], 5)
        >>> int(ring.sum()), int(filled(ring).sum())
        (32, 33)
    """
    outlines, _ = cv2.findContours(mask.view(np.uint8), cv2.RETR_EXTERNAL, cv2.CHAIN_APPROX_NONE)
    areas = [max(cv2.contourArea(outline), 1.0) for outline in outlines]
    least = least_frac * max(areas, default=0.0)
    kept = [outline for outline, area in zip(outlines, areas, strict=True) if area >= least]
    result = np.zeros(mask.shape, np.uint8)
    cv2.drawContours(result, kept, -1, (1,), thickness=cv2.FILLED)
    return result.view(np.bool_)


def parts_below(mask: Mask, area: float) -> Mask:
    """The connected parts (8 neighbors) of fewer pixels than `area`."""
    _, labels, stats, _ = cv2.connectedComponentsWithStats(mask.view(np.uint8), connectivity=8)
    small = stats[:, cv2.CC_STAT_AREA] < area
    small[0] = False
    return np.asarray(small[labels], np.bool_)


def largest_parts(mask: Mask, count: int) -> tuple[Mask, int]:
    """The `count` largest connected parts (8 neighbors), and the area of the largest in pixels."""
    parts, labels, stats, _ = cv2.connectedComponentsWithStats(mask.view(np.uint8), connectivity=8)
    if parts == 1:
        return mask, 0
    areas = stats[1:, cv2.CC_STAT_AREA]
    kept = np.zeros(parts, np.bool_)
    kept[1 + np.argsort(-areas, kind="stable")[:count]] = True
    return np.asarray(kept[labels], np.bool_), int(areas.max())
