"""A spot: a pit or blowhole, dark where its wall turns from the light, bright on the far rim."""

from __future__ import annotations

import cv2
import numpy as np

from carpet_data.synthesis.defect_models.look import Look, toned
from carpet_data.weave.noise import F32, smooth_field

__all__ = ["draw"]


def draw(pixels: F32, centre: tuple[float, float], extent: float, look: Look, rng: np.random.Generator) -> F32:
    """Draw a spot.

    Args:
        pixels: float32 SxSx3, the surface.
        centre: x, y of its middle.
        extent: Its longest diameter in pixels; 1 is allowed.
        look: Tone, strength and light.
        rng: Draws its shape.

    Returns:
        float32 SxSx3.
    """
    size = len(pixels)
    y, x = np.mgrid[:size, :size].astype(np.float32)
    turn, flat = rng.uniform(0, np.pi), rng.uniform(0.55, 1.0)
    dx, dy = x - np.float32(centre[0]), y - np.float32(centre[1])
    along = dx * np.float32(np.cos(turn)) + dy * np.float32(np.sin(turn))
    across = (dy * np.float32(np.cos(turn)) - dx * np.float32(np.sin(turn))) / np.float32(flat)
    half = np.float32(max(extent / 2, 0.5))
    bumpy = 1 + np.float32(0.10) * smooth_field(rng, (size, size), max(0.45 * extent, 1.5))
    bumpy += np.float32(0.05) * smooth_field(rng, (size, size), max(0.15 * extent, 1.0))
    radius = np.hypot(along, across) / (half * np.clip(bumpy, 0.5, 1.6))
    # One pixel of ramp at the rim, as a lens gives.
    soft = np.float32(max(1.2 / float(half), 0.12))
    pit = np.clip((1 - radius) / soft + np.float32(0.5), 0, 1)
    # The wall under the light lies in shadow, the one across from it catches it.
    toward = (dx * np.float32(look.light[0]) + dy * np.float32(look.light[1])) / half
    shadow = np.clip(np.float32(0.75) + np.float32(0.35) * toward, 0.25, 1.0)
    grain = 1 + np.float32(0.12) * smooth_field(rng, (size, size), max(0.12 * extent, 1.0))
    deep = toned(pixels, pit * shadow * grain * np.float32(look.strength), look.darker)
    ring = np.exp(-(((radius - 1) / (2 * soft)) ** 2)) * np.clip(-toward, 0, 1)
    lit = cv2.GaussianBlur(ring * (1 - pit), (0, 0), 0.5)
    return toned(deep, np.asarray(lit, np.float32) * np.float32(0.2 * look.strength), not look.darker)
