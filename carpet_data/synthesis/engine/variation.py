"""Vary a host: flipped, turned and moved within itself, lit otherwise."""

from __future__ import annotations

import math

import cv2
import numpy as np

from carpet_data.synthesis.contract import Image, Mask
from carpet_data.synthesis.engine.plan import Variation


def vary(image: Image, variation: Variation) -> Image:
    """A host as planned.

    Flips are exact. A turned or moved image is enlarged just so far that no pixel comes from outside: a mirrored rim
    would break the weave along a line that real images never show. Cubic interpolation keeps the fibres sharp.

    Args:
        image: uint8 HxWx3 RGB or HxW; not written into.
        variation: As planned.

    Returns:
        uint8 of the same shape; the same array where nothing varies.
    """
    result = _flipped(image, variation)
    turn = matrix_of(variation, image.shape[1], image.shape[0])
    if turn is not None:
        height, width = image.shape[:2]
        warped = cv2.warpAffine(result, turn, (width, height), flags=cv2.INTER_CUBIC, borderMode=cv2.BORDER_REFLECT_101)
        result = warped.astype(np.uint8, copy=False)
    if variation.gain != 1.0:
        table = np.clip(np.rint(np.arange(256) * variation.gain), 0, 255).astype(np.uint8)
        result = cv2.LUT(result, table).astype(np.uint8, copy=False)
    return result


def vary_mask(mask: Mask, variation: Variation) -> Mask:
    """The same for a mask, bool HxW, of a host."""
    result = _flipped(mask.astype(np.uint8), variation)
    turn = matrix_of(variation, mask.shape[1], mask.shape[0])
    if turn is not None:
        size = (mask.shape[1], mask.shape[0])
        warped = cv2.warpAffine(result, turn, size, flags=cv2.INTER_NEAREST, borderMode=cv2.BORDER_REPLICATE)
        result = warped.astype(np.uint8, copy=False)
    return result > 0


def _flipped(image: Image, variation: Variation) -> Image:
    if not (variation.flip_x or variation.flip_y):
        return image
    how = -1 if variation.flip_x and variation.flip_y else int(variation.flip_x)
    flipped: Image = cv2.flip(image, how).astype(np.uint8, copy=False)
    return flipped


def matrix_of(
    variation: Variation, width: int, height: int
) -> np.ndarray[tuple[int, int], np.dtype[np.float64]] | None:
    """The affine matrix that turns, moves and enlarges; None where it would change nothing."""
    angle = math.radians(abs(variation.angle_deg))
    shift_x, shift_y = variation.shift_frac[0] * width, variation.shift_frac[1] * height
    if angle == 0 and shift_x == 0 and shift_y == 0:
        return None
    # The turned frame must still hold the frame itself, with room for the shift on either side.
    sin, cos = math.sin(angle), math.cos(angle)
    wide, high = width + 2 * abs(shift_x), height + 2 * abs(shift_y)
    zoom = max((wide * cos + high * sin) / width, (high * cos + wide * sin) / height)
    found = cv2.getRotationMatrix2D(((width - 1) / 2, (height - 1) / 2), variation.angle_deg, zoom)
    matrix = found.astype(np.float64, copy=False)
    matrix[:, 2] += np.array((shift_x, shift_y))
    return matrix
