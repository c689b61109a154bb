"""The object without its shadow: a foreground is often generous, but a scratch must not run out into the air."""

from __future__ import annotations

import cv2
import numpy as np

from carpet_data.synthesis.contract import Image, Mask

__all__ = ["object_core"]

_SIDE = 512
_LEAST_KEPT = 0.3
"""With less of the foreground left, what looked like shadow was the object."""


def object_core(image: Image, foreground: Mask) -> Mask:
    """The part of a foreground that is surely object.

    Shadow differs from the ground a little, the object much: Otsu's threshold (1979) of the difference inside the
    foreground parts them; bright spots inside the object are filled in, and a thin rim is taken off.

    Args:
        image: uint8 HxWx3 RGB or HxW.
        foreground: bool HxW.

    Returns:
        bool HxW, within the foreground.
    """
    height, width = foreground.shape
    scale = min(1.0, _SIDE / max(height, width))
    size = (max(1, round(width * scale)), max(1, round(height * scale)))
    small = cv2.resize(image, size, interpolation=cv2.INTER_AREA)
    grey = np.asarray(cv2.cvtColor(small, cv2.COLOR_RGB2GRAY) if small.ndim == 3 else small)
    inside = np.asarray(cv2.resize(foreground.view(np.uint8), size, interpolation=cv2.INTER_NEAREST)) > 0
    if inside.all() or not inside.any():
        return foreground
    reach = max(3, round(0.05 * max(size)) | 1)
    around = cv2.dilate(inside.view(np.uint8), np.ones((reach, reach), np.uint8)).view(np.bool_) & ~inside
    ground = float(np.median(grey[around if around.any() else ~inside]))
    difference = np.clip(np.abs(grey.astype(np.float32) - ground), 0, 255).astype(np.uint8)
    level, _ = cv2.threshold(difference[inside].reshape(-1, 1), 0, 255, cv2.THRESH_BINARY | cv2.THRESH_OTSU)
    low, high = difference[inside & (difference <= level)], difference[inside & (difference > level)]
    if len(low) == 0 or len(high) == 0:
        return foreground
    # Between the means of both sides: where little lies between them, Otsu's level is that of the lower one.
    between = 0.55 * float(low.mean()) + 0.45 * float(high.mean())
    kept = (inside & (difference > between)).view(np.uint8)
    kept = np.asarray(cv2.morphologyEx(kept, cv2.MORPH_OPEN, np.ones((3, 3), np.uint8)))
    kept = np.asarray(cv2.morphologyEx(kept, cv2.MORPH_CLOSE, np.ones((7, 7), np.uint8)))
    outlines, _ = cv2.findContours(kept, cv2.RETR_EXTERNAL, cv2.CHAIN_APPROX_NONE)
    filled = np.zeros_like(kept)
    cv2.drawContours(filled, outlines, -1, (1,), thickness=cv2.FILLED)
    core = (np.asarray(cv2.erode(filled, np.ones((5, 5), np.uint8))) > 0) & inside
    if core.sum() < _LEAST_KEPT * inside.sum():
        return foreground
    whole = cv2.resize(core.astype(np.float32), (width, height), interpolation=cv2.INTER_LINEAR) >= 0.5
    return np.asarray(whole & foreground, np.bool_)
