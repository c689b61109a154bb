"""A stain on any surface: a blot of soaked or dried liquid, its texture kept, its rim often darker."""

from __future__ import annotations

import cv2
import numpy as np

from carpet_data.synthesis.defect_models.look import Look, toned
from carpet_data.weave.noise import F32, smooth_field

__all__ = ["draw"]


def draw(pixels: F32, centre: tuple[float, float], extent: float, look: Look, rng: np.random.Generator) -> F32:
    """Draw a stain of one to three blots.

    Args:
        pixels: float32 SxSx3, the surface.
        centre: x, y of its middle.
        extent: Its length in pixels.
        look: Tone, strength and light.
        rng: Draws its shape and tint.

    Returns:
        float32 SxSx3.
    """
    size = len(pixels)
    y, x = np.mgrid[:size, :size].astype(np.float32)
    distance = np.full((size, size), np.inf, np.float32)
    for blot in range(int(rng.integers(1, 4))):
        share = 1.0 if blot == 0 else rng.uniform(0.25, 0.6)
        turn, flat = rng.uniform(0, np.pi), rng.uniform(0.5, 0.95)
        middle = np.asarray(centre) + (blot > 0) * rng.normal(0, 0.22 * extent, 2)
        dx, dy = x - np.float32(middle[0]), y - np.float32(middle[1])
        along = dx * np.float32(np.cos(turn)) + dy * np.float32(np.sin(turn))
        across = dy * np.float32(np.cos(turn)) - dx * np.float32(np.sin(turn))
        half = max(0.5 * extent * share, 0.5)
        np.minimum(distance, np.hypot(along / np.float32(half), across / np.float32(half * flat)), out=distance)
    distance += np.float32(0.16) * smooth_field(rng, (size, size), max(0.28 * extent, 2))
    distance += np.float32(0.05) * smooth_field(rng, (size, size), max(0.08 * extent, 1.5))
    edge = max(rng.uniform(0.05, 0.35), 1.5 / max(0.5 * extent, 0.5))
    body = np.clip((1 - distance) / np.float32(edge) + np.float32(0.5), 0, 1)
    # Drying carries pigment to the rim (Deegan et al. 1997).
    dried = np.float32(rng.uniform(0.2, 0.6) if rng.random() < 0.5 else 0.0)
    rim = np.exp(-(((distance - np.float32(0.92)) / np.float32(0.10)) ** 2))
    uneven = 1 + np.float32(0.12) * smooth_field(rng, (size, size), max(0.2 * extent, 2))
    amount = cv2.GaussianBlur(body * (1 - dried * (1 - rim)) * uneven, (0, 0), 0.7)
    tinted = toned(pixels, np.asarray(amount, np.float32) * np.float32(look.strength), look.darker)
    tint = 1 + np.asarray(amount, np.float32)[..., None] * rng.normal(0, 0.05, 3).astype(np.float32)
    return np.asarray(tinted * tint, np.float32)
