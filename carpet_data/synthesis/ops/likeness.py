"""Whether a made defect looks as strong as real ones: its contrast against what surrounds it, at three scales."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

import numpy as np

from carpet_data.synthesis.contract import Image, Mask
from carpet_data.synthesis.ops.blend import log
from carpet_data.synthesis.ops.masks import depth_of
from carpet_data.synthesis.ops.pixels import F32, blurred, grey

_RING_PX = (3, 24)
_LEAST_PX = 24
_SCALES_PX = (0.8, 2.0, 5.0)
_STRENGTH_RANGE = (0.5, 2.5)
"""Of the weakest and of the strongest real defect; on real carpet, made ones have 0.7 to 1.3 of one donor's."""


@dataclass(frozen=True, slots=True)
class DefectContrast:
    """How a defect stands out of its surroundings.

    Attributes:
        bands: Spread of the luminance (logarithms) inside the mask over that around it, in bands of three scales.
    """

    bands: tuple[float, float, float]

    @property
    def strength(self) -> float:
        """The geometric mean of the bands: 1 where a defect is as rough as what surrounds it."""
        return float(np.exp(np.mean(np.log(self.bands))))


def contrast_of(image: Image, mask: Mask) -> DefectContrast | None:
    """Measure a defect (uint8 hxwx3 or hxw, bool hxw) with some of its surroundings; None where too little is shown."""
    outside = depth_of(~mask)
    ring = (outside > _RING_PX[0]) & (outside <= _RING_PX[1])
    if np.count_nonzero(mask) < _LEAST_PX or np.count_nonzero(ring) < _LEAST_PX:
        return None
    light = log(grey(image))
    smooth = [light, *(blurred(light, sigma) for sigma in _SCALES_PX)]
    bands = [_ratio(fine - coarse, mask, ring) for fine, coarse in pairwise(smooth)]
    return DefectContrast((bands[0], bands[1], bands[2]))


def unlike(made: DefectContrast | None, real: Sequence[DefectContrast | None]) -> str | None:
    """Why a made defect is not like real ones: translucent, or a block of too much contrast; None where it is."""
    strengths = [one.strength for one in real if one is not None]
    if made is None or not strengths:
        return None
    if made.strength < _STRENGTH_RANGE[0] * min(strengths):
        return f"the defect is translucent: contrast {made.strength:.2f}, of real ones {min(strengths):.2f} or more"
    if made.strength > _STRENGTH_RANGE[1] * max(strengths):
        return f"the defect is too strong: contrast {made.strength:.2f}, of real ones {max(strengths):.2f} or less"
    return None


def _ratio(band: F32, mask: Mask, ring: Mask) -> float:
    here, there = (float(np.abs(band[where]).mean()) for where in (mask, ring))
    return (here + 0.004) / (there + 0.004)
