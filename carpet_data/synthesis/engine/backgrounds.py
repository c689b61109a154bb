"""Clean plates: hosts made of defect images whose defects are taken out.

A class folder of three images and no good one still holds good ground: all that surrounds the defects. A plate is such
an image with each defect re-synthesised from its own surroundings.
"""

from __future__ import annotations

import cv2
import numpy as np

from carpet_data.synthesis.contract import Image, Mask
from carpet_data.synthesis.ops.quilting import bounds, disc, fill

__all__ = ["clean_plate"]

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
