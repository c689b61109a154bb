"""A scratch: one to a few grooves side by side, drawn in one movement, with a lit far edge."""

from __future__ import annotations

import cv2
import numpy as np

from carpet_data.synthesis.defect_models.lines import coverage
from carpet_data.synthesis.defect_models.look import Look, toned
from carpet_data.weave.noise import F32
from carpet_data.weave.strands import curve

__all__ = ["draw"]


def draw(pixels: F32, centre: tuple[float, float], extent: float, look: Look, rng: np.random.Generator) -> F32:
    """Draw a scratch.

    Args:
        pixels: float32 SxSx3, the surface.
        centre: x, y of its middle.
        extent: Its length in pixels.
        look: Tone, strength, light and direction.
        rng: Draws its course.

    Returns:
        float32 SxSx3.
    """
    direction = np.array([np.cos(look.turn), np.sin(look.turn)])
    side = np.array([-direction[1], direction[0]])
    bend = rng.normal(0, 0.05) * extent
    width = float(np.clip(extent * rng.uniform(0.008, 0.025), 0.7, 4.0))
    paths = []
    for groove in range(1 + int(rng.random() < 0.4) + int(rng.random() < 0.2)):
        first, last = np.sort(rng.uniform(-0.5, 0.5, 2)) if groove else (-0.5, 0.5)
        share = np.linspace(first, last, 5)
        offset = groove * rng.normal(0, 2.5 * width)
        knots = (np.asarray(centre) + np.outer(share * extent, direction)
                 + np.outer(bend * (1 - 4 * share**2) + offset + rng.normal(0, 0.003 * extent, 5), side))  # fmt: skip
        points = curve(knots, 80)
        # Pressure rises quickly and fades; the tool jumps where it meets something hard.
        place = np.linspace(0, 1, 80)
        pressure = np.minimum(place / 0.08, 1) * np.minimum((1 - place) / 0.3, 1) ** 0.7
        jumps = cv2.GaussianBlur(rng.standard_normal((1, 80)), (0, 0), 2.5).ravel()
        pressure *= np.clip(1 + 1.2 * jumps, 0.15, 1.6)
        paths.append((points, width * pressure * (1.0 if groove == 0 else rng.uniform(0.4, 0.9))))
    groove_area = coverage(len(pixels), paths)
    # The wall that faces the light is bright: the groove's own shape, moved away from the light.
    reach = 0.6 * width + 0.4
    shift = np.array([[1, 0, -look.light[0] * reach], [0, 1, -look.light[1] * reach]], np.float32)
    wall = cv2.warpAffine(groove_area, shift, groove_area.shape[::-1], flags=cv2.INTER_LINEAR)
    lit = np.clip(np.asarray(wall, np.float32) - groove_area, 0, 1)
    deep = toned(pixels, groove_area * np.float32(look.strength), look.darker)
    return toned(deep, lit * np.float32(0.25 * look.strength), not look.darker)
