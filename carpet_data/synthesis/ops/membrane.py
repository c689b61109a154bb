"""Smooth continuation: known values carried into the unknown, and light that runs from one image into another.

The membrane is that of gradient cloning (Perez et al., SIGGRAPH 2003), interpolated as by Farbman et al. ("Coordinates
for instant image cloning", SIGGRAPH 2009) rather than solved for.
"""

from __future__ import annotations

import cv2
import numpy as np

from carpet_data.synthesis.contract import Image, Mask
from carpet_data.synthesis.ops.pixels import F32, blurred, like

_LIGHT_LEVELS = 30.0
_KNOWN = 1e-3
"""Weights below this are rounding, and dividing by them would make light out of nothing."""


def continued(values: F32, known: Mask) -> F32:
    """Known values carried smoothly into the unknown: a membrane, by push and pull over a pyramid.

    float32 hxwx3 or hxw, like `values`: unchanged where known (bool hxw); 0 everywhere where nothing is known.
    """
    weight = known.astype(np.float32)
    if not known.any():
        return np.zeros_like(values)
    return np.asarray(np.where(like(known, values), values, _pull(values * like(weight, values), weight)), np.float32)


def _pull(sums: F32, weight: F32) -> F32:
    height, width = weight.shape
    if float(weight.min()) > _KNOWN:
        return np.asarray(sums / like(weight, sums), np.float32)
    if min(height, width) <= 2:
        mean = sums.sum(axis=(0, 1)) / max(float(weight.sum()), 1e-6)
        return np.array(np.broadcast_to(np.asarray(mean, np.float32), sums.shape))
    half = (max(1, (width + 1) // 2), max(1, (height + 1) // 2))
    below = _pull(*(np.asarray(cv2.resize(v, half, interpolation=cv2.INTER_AREA), np.float32) for v in (sums, weight)))
    up = np.asarray(cv2.resize(below, (width, height), interpolation=cv2.INTER_LINEAR))
    return np.asarray(sums + up * like(1 - np.minimum(weight, 1.0), sums), np.float32)


def membrane(host: Image, source: Image, known: Mask, smooth_px: float, least: float = 0.3) -> F32:
    """What to add to a source so that its light runs into the host's: their difference, low-passed and continued.

    Both are uint8 hxwx3 or hxw, the result float32; `known` (bool hxw) is where the two show the same thing and can be
    compared. Differences finer than `smooth_px` are left; where less than a share `least` of what lies within it is
    known, it is continued from elsewhere.
    """
    height, width = known.shape
    step = 4 if smooth_px >= 4 and min(height, width) >= 32 else 1
    size = (-(-width // step), -(-height // step))
    weight = np.asarray(cv2.resize(known.astype(np.float32), size, interpolation=cv2.INTER_AREA))
    difference = np.asarray(cv2.subtract(host, source, dtype=cv2.CV_32F))
    difference = difference * like(known, difference)
    if step > 1:
        difference = np.asarray(cv2.resize(difference, size, interpolation=cv2.INTER_AREA))
    total = blurred(weight, smooth_px / step)
    low = blurred(difference, smooth_px / step) / like(np.maximum(total, _KNOWN), difference)
    strength = np.abs(low) if low.ndim == 2 else np.abs(low).max(axis=2)
    # Where outlines of an object lie otherwise in the two they differ by more than light: that is ignored.
    smooth = continued(np.asarray(low, np.float32), np.asarray((total > least) & (strength < _LIGHT_LEVELS)))
    return np.asarray(cv2.resize(smooth, (width, height), interpolation=cv2.INTER_LINEAR))
