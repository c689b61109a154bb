"""What a filled place looks like in numbers: seams along its rim, its light and its detail against what is around it.

The same numbers are taken where nothing was filled, in the same shape: elsewhere in the image, or at the same place of
other images. A plate is judged by how it stands among these (see `gate`).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from itertools import pairwise

import cv2
import numpy as np

from carpet_data.synthesis.contract import Image, Mask
from carpet_data.synthesis.ops.membrane import continued
from carpet_data.synthesis.ops.pixels import F32, blurred, grey

DETAIL_PX = (0.7, 1.4, 2.8, 5.6)
"""Bands of detail, finest first: differences of Gaussians of these sigmas."""
_STEPS_PX = (1.2, 4.0)
"""Widths of the steps that are looked for: a cut, and a change of light."""
_ALONG_PX = 5.0
"""A step is a seam where it keeps its sign this far along the rim (sigma)."""
_QUANTILE = 0.95
_NOISE = 1.0
"""Levels: bands that hold less are rounding."""
_LEAST_AROUND = 64
_LEAST_RIM = 8


@dataclass(frozen=True, slots=True, eq=False)
class FilledShape:
    """A filled place in a window.

    Attributes:
        area: bool hxw: what was filled.
        rim: float32 hxwx2: at the pixels along the cuts, the direction across them (x, y; length 1); elsewhere 0.
        around: bool hxw: what the place is compared with.
    """

    area: Mask
    rim: F32
    around: Mask


def measured(image: Image, shape: FilledShape) -> Mapping[str, float]:
    """Measure -> value, of a window (uint8 hxwx3 or hxw).

    `seam W`: height in levels of the steps, W pixels wide, that run along the rim. `light`: levels by which the area
    leaves what its surroundings continue to. `detail S`: logarithm of the amplitude of a band in the area over that
    around it. `direction`: by how much more the gradients in the area lie along an axis, as a share of them. What
    cannot be measured, as without surroundings, is left out.
    """
    values = image.astype(np.float32).reshape(*image.shape[:2], -1)
    found: dict[str, float] = {}
    line = np.asarray(np.abs(shape.rim).sum(axis=-1) > 0)
    if line.sum() >= _LEAST_RIM:
        found |= {f"seam {width:g}": _seam(values, shape.rim, line, width) for width in _STEPS_PX}
    if min(shape.around.sum(), shape.area.sum()) >= _LEAST_AROUND:
        found["light"] = _light(values, shape)
        for sigma, band in zip(DETAIL_PX, detail(grey(image)), strict=True):
            inside, outside = (float(band[part].mean()) for part in (shape.area, shape.around))
            found[f"detail {sigma:g}"] = 0.5 * float(np.log((inside + _NOISE**2) / (outside + _NOISE**2)))
        for name, shares in _directions(blurred(grey(image), 1.0)).items():
            inside, outside = (
                float(shares[part].sum(axis=0)[0] / (shares[part].sum(axis=0)[1] + 1e-6))
                for part in (shape.area, shape.around)
            )
            found[f"direction {name}"] = inside - outside
    return found


def _directions(light: F32) -> dict[str, F32]:
    """Of each pixel, HxWx2: the difference of the squared gradients in two directions, and their sum with noise."""
    x, y = (cv2.Sobel(light, cv2.CV_32F, *order) / 8 for order in ((1, 0), (0, 1)))
    total = x * x + y * y + _NOISE**2 / 4
    return {
        "axes": np.stack([x * x - y * y, total], axis=-1),
        "diagonals": np.stack([2 * x * y, total], axis=-1),
    }


def detail(light: F32) -> list[F32]:
    """The energy of each band of `DETAIL_PX`, squared levels."""
    blurs = [light, *(blurred(light, sigma) for sigma in DETAIL_PX)]
    return [np.asarray((fine - coarse) ** 2, np.float32) for fine, coarse in pairwise(blurs)]


def _seam(values: F32, rim: F32, line: Mask, width: float) -> float:
    """The steps along the rim, of the channel that shows them most."""
    mass = np.maximum(blurred(line, _ALONG_PX), 1e-6)
    worst = 0.0
    for channel in cv2.split(blurred(values, width)):
        gradient = np.stack([cv2.Sobel(channel, cv2.CV_32F, 1, 0), cv2.Sobel(channel, cv2.CV_32F, 0, 1)], axis=-1) / 8
        # A step of h levels, blurred, rises by h / (width * sqrt(2 pi)) a pixel.
        step = (gradient * rim).sum(axis=-1) * width * np.sqrt(2 * np.pi)
        along = np.abs(blurred(np.asarray(step, np.float32), _ALONG_PX) / mass)[line]
        worst = max(worst, float(np.quantile(along, _QUANTILE)))
    return worst


def _light(values: F32, shape: FilledShape) -> float:
    sigma = float(np.clip(0.15 * np.sqrt(shape.area.sum()), 2.0, 12.0))
    parts = [np.asarray(part, np.float32) for part in (shape.area, shape.around)]
    weights = [np.maximum(blurred(part, sigma), 1e-3) for part in parts]
    worst = 0.0
    for channel in cv2.split(values):
        inside, outside = (blurred(channel * part, sigma) / weight for part, weight in zip(parts, weights, strict=True))
        expected = continued(np.asarray(outside, np.float32), shape.around)
        worst = max(worst, float(np.quantile(np.abs(inside - expected)[shape.area], _QUANTILE)))
    return worst
