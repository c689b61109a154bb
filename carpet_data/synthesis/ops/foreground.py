"""Object or texture, and where the object is: told from how the frame of an image differs from its middle."""

from __future__ import annotations

import cv2
import numpy as np
from numpy.typing import NDArray

from carpet_data.synthesis.contract import Image, Mask

_SIDE = 256
_FRAME_FRAC = 0.04
_FLATTER = 0.35
"""A ground is flat: its spread is at most this share of the whole image's."""
_OBJECT_SHARE = (0.02, 0.9)


def find(image: Image) -> Mask | None:
    """Where the object of an image is.

    The frame of the image is taken for ground if it is nearly flat while the image is not; the object is then what
    differs from a plane of brightness through the frame (Otsu's threshold, 1979), its holes filled.

    Args:
        image: uint8 HxWx3 RGB or HxW.

    Returns:
        bool HxW; None where no object stands out, as on a texture.
    """
    height, width = image.shape[:2]
    scale = min(1.0, _SIDE / max(height, width))
    size = (max(1, round(width * scale)), max(1, round(height * scale)))
    small = cv2.resize(image, size, interpolation=cv2.INTER_AREA)
    grey = (cv2.cvtColor(small, cv2.COLOR_RGB2GRAY) if small.ndim == 3 else small).astype(np.float32)
    if min(grey.shape) < 16:
        return None
    difference = _from_ground(grey)
    if difference is None:
        return None
    levels = np.clip(difference, 0, 255).astype(np.uint8)
    threshold, _ = cv2.threshold(levels, 0, 255, cv2.THRESH_BINARY | cv2.THRESH_OTSU)
    # Not below the threshold: that is where the object's shadow on the ground lies (seen on screws).
    mask = (levels > threshold).astype(np.uint8)
    mask = cv2.morphologyEx(mask, cv2.MORPH_CLOSE, np.ones((5, 5), np.uint8)).astype(np.uint8)
    filled = _largest_filled(mask)
    share = float(filled.mean())
    if not _OBJECT_SHARE[0] <= share <= _OBJECT_SHARE[1]:
        return None
    return cv2.resize(filled, (width, height), interpolation=cv2.INTER_LINEAR_EXACT) > 0


def _from_ground(grey: NDArray[np.float32]) -> NDArray[np.float32] | None:
    """How much each pixel differs from the plane through the frame; None where the frame is no flat ground."""
    height, width = grey.shape
    border = max(2, round(_FRAME_FRAC * min(height, width)))
    frame = np.ones(grey.shape, np.bool_)
    frame[border:-border, border:-border] = False
    y, x = np.indices(grey.shape, np.float32)
    design = np.stack([x / width, y / height, np.ones_like(x)], axis=-1)
    plane = np.linalg.lstsq(design[frame], grey[frame], rcond=None)[0]
    difference = np.abs(grey - design @ plane)
    # Medians, because an object may reach into the frame here and there.
    noise = float(np.median(difference[frame]))
    whole = float(np.percentile(difference[~frame], 95))
    return difference.astype(np.float32) if noise <= _FLATTER * whole / 3 else None


def _largest_filled(mask: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """The outlines of all parts that are not specks, filled."""
    outlines, _ = cv2.findContours(mask, cv2.RETR_EXTERNAL, cv2.CHAIN_APPROX_NONE)
    areas = [cv2.contourArea(outline) for outline in outlines]
    least = 0.05 * max(areas, default=0.0)
    filled = np.zeros_like(mask)
    kept = [outline for outline, area in zip(outlines, areas, strict=True) if area >= least]
    cv2.drawContours(filled, kept, -1, (1,), thickness=cv2.FILLED)
    return filled
