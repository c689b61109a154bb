"""An abrasion: a patch rubbed by something hard, many short grooves and bright burrs side by side."""

from __future__ import annotations

import cv2
import numpy as np

from carpet_data.synthesis.defect_models.look import Look, toned
from carpet_data.weave.noise import F32, smooth_field, streaks

__all__ = ["draw"]


def draw(pixels: F32, centre: tuple[float, float], extent: float, look: Look, rng: np.random.Generator) -> F32:
    """Draw an abrasion.

    Args:
        pixels: float32 SxSx3, the surface.
        centre: x, y of its middle.
        extent: Its longer diameter in pixels.
        look: Tone, strength, light and direction (of the grooves).
        rng: Draws its shape.

    Returns:
        float32 SxSx3.
    """
    size = len(pixels)
    y, x = np.mgrid[:size, :size].astype(np.float32)
    dx, dy = x - np.float32(centre[0]), y - np.float32(centre[1])
    cosine, sine = np.float32(np.cos(look.turn)), np.float32(np.sin(look.turn))
    along, across = dx * cosine + dy * sine, dy * cosine - dx * sine
    half = np.float32(max(extent / 2, 0.5))
    width = np.float32(np.clip(0.028 * extent, 1.2, 2.4))
    # Every groove begins and ends where it likes, so the patch is ragged along them and smooth across.
    ragged = np.float32(0.09) * streaks(rng, along, across, float(half) * 0.9, float(width))
    lumpy = np.float32(0.15) * smooth_field(rng, (size, size), max(0.35 * extent, 2))
    slant = rng.uniform(-0.4, 0.4)
    shape = np.hypot((along + slant * across) / half, across / (half * np.float32(rng.uniform(0.5, 0.9))))
    patch = np.clip((1 - shape - ragged - lumpy) / 0.18, 0, 1)
    patch = np.asarray(cv2.GaussianBlur(patch, (0, 0), 0.6), np.float32)
    grooves = streaks(rng, along, across, max(0.8 * extent, 6), float(width))
    grooves += np.float32(0.6) * streaks(rng, along, across, max(0.4 * extent, 4), max(float(width) * 0.6, 1.1))
    grooves = np.asarray(cv2.GaussianBlur(grooves, (0, 0), 0.7), np.float32)
    # Rubbing takes the old skin off: its texture goes, a flatter, fresher one comes.
    flat = cv2.GaussianBlur(pixels, (0, 0), max(0.08 * extent, 1))
    fresh = pixels + (flat - pixels) * (np.float32(0.6) * patch)[..., None]
    bias = np.float32(-0.25 if look.darker else 0.25)
    depth = np.clip(grooves * np.float32(0.55) + bias, -1.2, 1.2) * patch * np.float32(look.strength)
    return toned(toned(fresh, np.maximum(-depth, 0), darker=True), np.maximum(depth, 0), darker=False)
