"""A crack: a rough line that branches, wider in the middle, with a thin lit rim."""

from __future__ import annotations

import cv2
import numpy as np

from carpet_data.synthesis.defect_models.lines import coverage, rough_path
from carpet_data.synthesis.defect_models.look import Look, toned
from carpet_data.weave.noise import F32

__all__ = ["draw"]


def draw(pixels: F32, centre: tuple[float, float], extent: float, look: Look, rng: np.random.Generator) -> F32:
    """Draw a crack.

    Args:
        pixels: float32 SxSx3, the surface.
        centre: x, y of its middle.
        extent: Its length in pixels.
        look: Tone, strength, light and direction.
        rng: Draws its course.

    Returns:
        float32 SxSx3.
    """
    half = extent / 2 * np.array([np.cos(look.turn), np.sin(look.turn)])
    width = float(np.clip(extent * rng.uniform(0.012, 0.03), 0.8, 6.0))
    main = rough_path(np.asarray(centre) - half, np.asarray(centre) + half, rng.uniform(0.04, 0.11), rng)
    paths = [(main, width * _opening(len(main), rng))]
    for _ in range(int(rng.integers(0, 4))):
        root = int(rng.integers(len(main) // 8, 7 * len(main) // 8))
        ahead = main[min(root + 4, len(main) - 1)] - main[root]
        heading = np.arctan2(ahead[1], ahead[0]) + rng.choice([-1, 1]) * rng.uniform(0.4, 1.1)
        goal = main[root] + extent * rng.uniform(0.08, 0.28) * np.array([np.cos(heading), np.sin(heading)])
        branch = rough_path(main[root], goal, 0.09, rng, levels=5)
        paths.append((branch, 0.6 * width * np.linspace(1, 0.15, len(branch))))
    opening = coverage(len(pixels), paths)
    soft = cv2.GaussianBlur(opening, (0, 0), 0.6)
    shift = np.array([[1, 0, -look.light[0]], [0, 1, -look.light[1]]], np.float32)
    rim = cv2.warpAffine(soft, shift, opening.shape[::-1], flags=cv2.INTER_LINEAR)
    lit = np.clip(np.asarray(rim, np.float32) - soft, 0, 1)
    deep = toned(pixels, np.asarray(soft, np.float32) * np.float32(look.strength), look.darker)
    return toned(deep, lit * np.float32(0.2 * look.strength), not look.darker)


def _opening(count: int, rng: np.random.Generator) -> np.ndarray[tuple[int, ...], np.dtype[np.float64]]:
    """How wide the crack stands open along it, 0 … about 1: nothing at its tips."""
    place = np.linspace(-1, 1, count)
    rough = cv2.GaussianBlur(rng.standard_normal((1, count)), (0, 0), 3).ravel()
    return np.asarray((1 - np.abs(place) ** 3) * np.clip(0.8 + 1.2 * rough, 0.25, 1.5) + 0.02, np.float64)
