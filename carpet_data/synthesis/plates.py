"""Clean plates: hosts made of defect images whose defects are taken out.

A class folder of three images and no good one still holds good ground: all that surrounds the defects. A plate is such
an image with each defect re-synthesised from its own surroundings, and `vary` turns few hosts into more.
"""

from __future__ import annotations

import cv2
import numpy as np

from carpet_data.synthesis.contract import Image, Mask
from carpet_data.synthesis.quilting import bounds, disc, fill

__all__ = ["clean_plate", "vary"]

_MARGIN_FRAC = 0.12
_MARGIN_RANGE_PX = (4, 32)


def clean_plate(image: Image, mask: Mask, rng: np.random.Generator) -> Image:
    """Take the defects out of an image, so that its ground runs through where they were.

    The mask is widened first (annotations stop short of bent yarns and shadows); everything in it is replaced by
    patches of the same image, found by comparing what surrounds them (see `quilting.fill`).

    Args:
        image: uint8 HxWx3 RGB or HxW.
        mask: bool HxW: its defects.
        rng: Chooses among patches that fit about equally well.

    Returns:
        uint8 of the shape of `image`; a copy where the mask is empty.

    Raises:
        ValueError: The mask is of another size.
        Redraw: The defects leave too little ground to take patches from.
    """
    if mask.shape != image.shape[:2]:
        raise ValueError(f"mask of shape {mask.shape} for an image of shape {image.shape}")
    hole = _widened(mask)
    return fill(image, hole, ~hole, rng)


def _widened(mask: Mask) -> Mask:
    """Each component grown by a share of its size."""
    count, parts = cv2.connectedComponents(mask.astype(np.uint8), connectivity=8)
    hole = np.zeros_like(mask)
    for number in range(1, count):
        part = parts == number
        x0, y0, x1, y1 = bounds(part, 0)
        margin = int(np.clip(_MARGIN_FRAC * max(x1 - x0, y1 - y0), *_MARGIN_RANGE_PX))
        x0, y0, x1, y1 = bounds(part, margin)
        hole[y0:y1, x0:x1] |= cv2.dilate(part[y0:y1, x0:x1].astype(np.uint8), disc(margin)) > 0
    return hole


def vary(
    image: Image,
    *,
    flip_horizontal: bool = False,
    flip_vertical: bool = False,
    shift_px: tuple[int, int] = (0, 0),
    angle_deg: float = 0.0,
    gain: float = 1.0,
) -> Image:
    """Another view of a host: flipped, turned a little, shifted and lit otherwise.

    What comes in from outside is mirrored, which keeps a texture a texture; small angles keep a weave's direction
    within what real images show.

    Args:
        image: uint8 HxWx3 RGB or HxW.
        flip_horizontal: Swap left and right.
        flip_vertical: Swap top and bottom.
        shift_px: Columns to the right and rows down.
        angle_deg: Counter-clockwise, about the centre.
        gain: Factor on all values.

    Returns:
        uint8 of the same shape; the same pixels where nothing is asked for.
    """
    result = image
    if flip_horizontal:
        result = result[:, ::-1]
    if flip_vertical:
        result = result[::-1]
    result = np.ascontiguousarray(result)
    if angle_deg or shift_px != (0, 0):
        height, width = image.shape[:2]
        turn = cv2.getRotationMatrix2D(((width - 1) / 2, (height - 1) / 2), angle_deg, 1.0)
        turn[:, 2] += shift_px
        # A whole shift keeps every pixel as it is; only a turn needs interpolation.
        how = cv2.INTER_CUBIC if angle_deg else cv2.INTER_NEAREST
        warped = cv2.warpAffine(result, turn, (width, height), flags=how, borderMode=cv2.BORDER_REFLECT_101)
        result = warped.astype(np.uint8)
    if gain != 1.0:
        result = np.clip(np.rint(result * np.float32(gain)), 0, 255).astype(np.uint8)
    return result.copy() if result is image else result
