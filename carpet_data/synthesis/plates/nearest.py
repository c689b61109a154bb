"""How far images of one product are from each other, place by place, where edges may lie a little beside each other."""

from __future__ import annotations

from collections.abc import Sequence

import cv2
import numpy as np

from carpet_data.synthesis.contract import Image, Mask
from carpet_data.synthesis.ops.pixels import F32, blurred

_NEAR = np.ones((5, 5), np.uint8)
"""Edges may lie two pixels beside each other."""


class Company:
    """Images (uint8 hxwx3 or hxw, all of one shape) that show the same thing; `soft_px` is the blur they are seen with.

    `known` (bool hxw each) is where each may be compared; everywhere if it is left out.
    """

    def __init__(self, images: Sequence[Image], soft_px: float, known: Sequence[Mask] = ()) -> None:
        self._soft = [blurred(image, soft_px) for image in images]
        self._ranges = [
            (np.asarray(cv2.erode(each, _NEAR), np.float32), np.asarray(cv2.dilate(each, _NEAR), np.float32))
            for each in self._soft
        ]
        self._known = list(known) or [np.ones(image.shape[:2], np.bool_) for image in images]

    def apart(self, number: int) -> F32:
        """By how many levels an image differs from the nearest of the others but the first: float32 hxw.

        Infinite where none of them may be compared. The first is the one in question, and speaks for no other.
        """
        best = np.full(self._known[0].shape, np.inf, np.float32)
        for other in range(1, len(self._soft)):
            if other != number:
                low, high = self._ranges[other]
                off = np.maximum(low - self._soft[number], self._soft[number] - high)
                levels = np.maximum(off.reshape(*best.shape, -1).max(axis=-1), 0)
                best = np.where(self._known[other], np.minimum(best, levels), best)
        return np.asarray(best, np.float32)

    def farthest(self, number: int, within: Mask, quantile: float) -> float:
        """A quantile of `apart` where the image and others are known, within a mask (bool hxw)."""
        levels = self.apart(number)
        seen = levels[within & self._known[number] & np.isfinite(levels)]
        return float(np.quantile(seen, quantile)) if seen.size else 0.0
