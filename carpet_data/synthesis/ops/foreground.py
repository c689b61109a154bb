"""Object or texture, and where the object is: seen from how the frame of an image differs from its middle."""

from __future__ import annotations

import cv2
import numpy as np

from carpet_data.synthesis.contract import Image, Mask
from carpet_data.synthesis.ops.masks import filled
from carpet_data.synthesis.ops.pixels import F32, grey

_SIDE = 256
_FRAME_FRAC = 0.04
_FLATTER = 0.35
"""A background is flat: its spread is at most this share of the whole image's."""
_OBJECT_SHARE = (0.02, 0.9)
_SPECK_FRAC = 0.05
_CORE_SIDE = 512
_LEAST_KEPT = 0.3
"""With less of the foreground left, what looked like shadow was the object."""


def find(image: Image) -> Mask | None:
    """Where the object of an image (uint8 HxWx3 RGB or HxW) is: bool HxW; None where none stands out, as on a texture.

    The frame of the image is taken for background if it is nearly flat while the image is not; the object is then what
    differs from a plane of brightness through the frame (Otsu's threshold, 1979), its holes filled.
    """
    height, width = image.shape[:2]
    scale = min(1.0, _SIDE / max(height, width))
    size = (max(1, round(width * scale)), max(1, round(height * scale)))
    values = grey(np.asarray(cv2.resize(image, size, interpolation=cv2.INTER_AREA), np.uint8))
    if min(values.shape) < 16:
        return None
    difference = _from_background(values)
    if difference is None:
        return None
    levels = np.clip(difference, 0, 255).astype(np.uint8)
    threshold, _ = cv2.threshold(levels, 0, 255, cv2.THRESH_BINARY | cv2.THRESH_OTSU)
    # Not below the threshold: that is where the object's shadow on the background lies (seen on screws).
    closed = cv2.morphologyEx((levels > threshold).view(np.uint8), cv2.MORPH_CLOSE, np.ones((5, 5), np.uint8))
    whole = filled(np.asarray(closed) > 0, _SPECK_FRAC)
    if not _OBJECT_SHARE[0] <= float(whole.mean()) <= _OBJECT_SHARE[1]:
        return None
    return cv2.resize(whole.view(np.uint8), (width, height), interpolation=cv2.INTER_LINEAR_EXACT) > 0


def _from_background(values: F32) -> F32 | None:
    """How much each pixel differs from the plane through the frame; None where the frame is not flat."""
    height, width = values.shape
    border = max(2, round(_FRAME_FRAC * min(height, width)))
    frame = np.ones(values.shape, np.bool_)
    frame[border:-border, border:-border] = False
    y, x = np.indices(values.shape, np.float32)
    design = np.stack([x / width, y / height, np.ones_like(x)], axis=-1)
    plane = np.linalg.lstsq(design[frame], values[frame], rcond=None)[0]
    difference = np.abs(values - design @ plane)
    # Medians, because an object may reach into the frame here and there.
    noise = float(np.median(difference[frame]))
    strong = float(np.percentile(difference[~frame], 95))
    return difference.astype(np.float32) if noise <= _FLATTER * strong / 3 else None


def object_core(image: Image, foreground: Mask) -> Mask:
    """The part of a foreground that is certainly the object, without its shadow: a scratch must not leave the object.

    Shadow differs from the background a little, the object much: Otsu's threshold (1979) of the difference inside the
    foreground parts them; bright spots inside the object are filled in, and a thin rim is taken off. Bool HxW within
    the foreground; all of it where too little of it would be left.
    """
    height, width = foreground.shape
    scale = min(1.0, _CORE_SIDE / max(height, width))
    size = (max(1, round(width * scale)), max(1, round(height * scale)))
    values = grey(np.asarray(cv2.resize(image, size, interpolation=cv2.INTER_AREA), np.uint8))
    inside = np.asarray(cv2.resize(foreground.view(np.uint8), size, interpolation=cv2.INTER_NEAREST)) > 0
    if inside.all() or not inside.any():
        return foreground
    reach = max(3, round(0.05 * max(size)) | 1)
    around = np.asarray(cv2.dilate(inside.view(np.uint8), np.ones((reach, reach), np.uint8))).view(np.bool_) & ~inside
    background = float(np.median(values[around if around.any() else ~inside]))
    difference = np.clip(np.abs(values - background), 0, 255).astype(np.uint8)
    level, _ = cv2.threshold(difference[inside].reshape(-1, 1), 0, 255, cv2.THRESH_BINARY | cv2.THRESH_OTSU)
    low, high = difference[inside & (difference <= level)], difference[inside & (difference > level)]
    if len(low) == 0 or len(high) == 0:
        return foreground
    # Between the means of both sides: where little lies between them, Otsu's level is that of the lower one.
    between = 0.55 * float(low.mean()) + 0.45 * float(high.mean())
    bits = (inside & (difference > between)).view(np.uint8)
    bits = np.asarray(cv2.morphologyEx(bits, cv2.MORPH_OPEN, np.ones((3, 3), np.uint8)), np.uint8)
    bits = np.asarray(cv2.morphologyEx(bits, cv2.MORPH_CLOSE, np.ones((7, 7), np.uint8)), np.uint8)
    solid = filled(bits.view(np.bool_)).view(np.uint8)
    core = (np.asarray(cv2.erode(solid, np.ones((5, 5), np.uint8))) > 0) & inside
    if core.sum() < _LEAST_KEPT * inside.sum():
        return foreground
    whole = cv2.resize(core.astype(np.float32), (width, height), interpolation=cv2.INTER_LINEAR) >= 0.5
    return np.asarray(whole & foreground, np.bool_)
