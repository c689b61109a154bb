"""What a dent does to light: how far its change of the texture reaches, and from which side it is lit.

Annotators mark the dent, not the shading around it; and a dent that is turned is lit from the wrong side.
"""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np

from carpet_data.synthesis.contract import Image, Mask
from carpet_data.synthesis.ops.blend import log
from carpet_data.synthesis.ops.masks import depth_of, disc, signed_distance
from carpet_data.synthesis.ops.pixels import F32, blurred, grey

_SMOOTH_PX = 2.5
_NEAREST_PX = 8.0
"""The collar counts as clean from here on, and what a dent changes is looked for up to here or twice its depth."""
_FRAME_PX = 3
_LEAST_CLEAN = 200
_CHANGED = 2.5
"""Deviations from clean texture, of its own spread, from which a place counts as changed."""
_LIT = 0.35
_STRONG = 1.5


@dataclass(frozen=True, slots=True, eq=False)
class Relief:
    """What a donor's change of its texture says.

    Attributes:
        extent: bool hxw: the mask and what visibly belongs to it.
        light: x, y: the mean of the change's sign times the outward direction, 0 to 1 long. (1, 0): bright to the
            right, dark to the left, as a dent under light from the left.
        strength: The mean change, of the spread of clean texture.
    """

    extent: Mask
    light: tuple[float, float]
    strength: float

    @property
    def is_lit(self) -> bool:
        """Whether one side is clearly bright and the other dark, so that turning or mirroring would show."""
        return float(np.hypot(*self.light)) >= _LIT and self.strength >= _STRONG


def relief_of(image: Image, mask: Mask) -> Relief:
    """Measure a donor on a texture: the cut with its collar (uint8 hxwx3 or hxw) and its mask (bool hxw, not empty).

    Clean texture is the collar away from the mask: its brightness (a plane) and its local contrast with their spreads.
    Where brightness or contrast leave these next to the mask, the defect continues.

    Example:
        >>> y, x = np.mgrid[:90, :90] - 45.0
        >>> dent = 40 * x / 12 * np.exp(-(x**2 + y**2) / 200)
        >>> image = (120 + dent + np.random.default_rng(0).normal(0, 4, x.shape)).astype(np.uint8)
        >>> found = relief_of(image, np.hypot(x, y) < 10)
        >>> found.is_lit, bool(found.light[0] > 0.4), bool(abs(found.light[1]) < 0.2)
        (True, True, True)
    """
    light, outside = log(grey(image)), depth_of(~mask)
    low = blurred(light, _SMOOTH_PX)
    reach = min(2 * float(depth_of(mask).max()) + _NEAREST_PX, _collar_px(outside) - _FRAME_PX)
    clean = outside > max(reach, _NEAREST_PX)
    if np.count_nonzero(clean) < _LEAST_CLEAN:
        clean = outside > _NEAREST_PX
    if np.count_nonzero(clean) < _LEAST_CLEAN:
        return Relief(mask, (0.0, 0.0), 0.0)
    change = low - _plane(low, clean)
    spread = _spread(change[clean])
    contrast = blurred(np.square(light - low), _SMOOTH_PX)
    usual = float(np.median(contrast[clean]))
    rougher = (contrast - usual) / _spread(contrast[clean] - usual, 1e-5)
    deviation = np.maximum(np.abs(change) / spread, 0.7 * rougher)
    extent = _extent(deviation, mask, outside, reach)
    toward, strength = _light(change, mask, extent)
    return Relief(extent, toward, float(strength / spread))


def _collar_px(outside: F32) -> float:
    """How wide the collar is where it is narrowest, besides borders that the mask itself reaches."""
    sides = [float(line.min()) for line in (outside[0], outside[-1], outside[:, 0], outside[:, -1])]
    return min((side for side in sides if side > _FRAME_PX), default=0.0)


def _spread(values: F32, least: float = 1e-3) -> float:
    return 1.48 * float(np.median(np.abs(values))) + least


def _plane(values: F32, where: Mask) -> F32:
    """The plane through some pixels, by least squares."""
    y, x = np.indices(values.shape, np.float32)
    design = np.stack([x, y, np.ones_like(x)], axis=-1)
    step = max(1, np.count_nonzero(where) // 4000)
    found = np.linalg.lstsq(design[where][::step], values[where][::step], rcond=None)[0]
    return np.asarray(design @ found, np.float32)


def _extent(deviation: F32, mask: Mask, outside: F32, reach: float) -> Mask:
    hot = (blurred(np.minimum(deviation, 6.0), 1.5) > _CHANGED) & (outside <= reach)
    opened = np.asarray(cv2.morphologyEx((hot | mask).view(np.uint8), cv2.MORPH_OPEN, disc(2)), np.uint8) > 0
    count, labels = cv2.connectedComponents((opened | mask).view(np.uint8))
    touched = np.zeros(count, np.bool_)
    touched[np.unique(labels[mask])] = True
    return np.asarray(touched[labels] | mask, np.bool_)


def _light(change: F32, mask: Mask, extent: Mask) -> tuple[tuple[float, float], float]:
    """The mean of the change times the direction away from the mask, and the mean size of the change."""
    away = blurred(-signed_distance(mask), 2.0)
    x, y = cv2.Sobel(away, cv2.CV_32F, 1, 0), cv2.Sobel(away, cv2.CV_32F, 0, 1)
    length = np.hypot(x, y) + 1e-6
    size = float(np.abs(change[extent]).sum()) + 1e-6
    toward = tuple(float((change * d / length)[extent].sum()) / size for d in (x, y))
    return (toward[0], toward[1]), size / np.count_nonzero(extent)
