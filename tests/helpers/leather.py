"""Grained leather under slanting light, with and without a dent."""

from __future__ import annotations

import cv2
import numpy as np

from carpet_data.synthesis.contract import Image, Mask


def dent(
    side: int = 200, seed: int = 0, light_deg: float = 45.0, at: tuple[int, int] = (100, 100)
) -> tuple[Image, Mask]:
    """A dent under light from one side: its shading is about twice as wide as its mask."""
    rng = np.random.default_rng(seed)
    y, x = np.mgrid[:side, :side].astype(np.float32)
    distance = np.hypot(x - at[0], y - at[1])
    grain = cv2.GaussianBlur(rng.normal(0, 1, (side, side)).astype(np.float32), (0, 0), 2.0)
    height = 9 * grain - 26 * np.exp(-((distance / 13) ** 2))
    along_x, along_y = cv2.Sobel(height, cv2.CV_32F, 1, 0) / 8, cv2.Sobel(height, cv2.CV_32F, 0, 1) / 8
    angle = np.radians(light_deg)
    shade = 120 + 38 * (along_x * np.cos(angle) + along_y * np.sin(angle))
    return np.clip(shade + rng.normal(0, 1.5, shade.shape), 0, 255).astype(np.uint8), distance < 10


def flat(side: int = 200, seed: int = 9) -> Image:
    """The same leather without a dent."""
    return dent(side, seed, at=(-500, -500))[0]
