"""Coverage of thin curves of varying width, anti-aliased."""

from __future__ import annotations

from collections.abc import Sequence

import cv2
import numpy as np
from numpy.typing import NDArray

from carpet_data.weave.noise import F32

__all__ = ["coverage", "rough_path"]

_FINE = 4
"""Subpixels a pixel and direction."""


def rough_path(start: NDArray[np.float64], goal: NDArray[np.float64], roughness: float, rng: np.random.Generator,
               levels: int = 6) -> NDArray[np.float64]:  # fmt: skip
    """A broken line by midpoint displacement (Fournier, Fussell and Carpenter 1982).

    Args:
        start: x, y.
        goal: x, y.
        roughness: Deviation of the first midpoint as a share of the length; each level has 0.55 of the one before.
        rng: Draws the displacements.
        levels: How often each piece is halved.

    Returns:
        float64 (2 ** levels + 1, 2).
    """
    points = np.stack([start, goal]).astype(np.float64)
    length = float(np.hypot(*(goal - start)))
    across = np.array([-(goal - start)[1], (goal - start)[0]]) / max(length, 1e-9)
    scale = roughness * length
    for _ in range(levels):
        middle = (points[:-1] + points[1:]) / 2 + rng.normal(0, scale, (len(points) - 1, 1)) * across
        woven = np.empty((2 * len(points) - 1, 2))
        woven[0::2], woven[1::2] = points, middle
        points, scale = woven, scale * 0.55
    return points


def coverage(size: int, paths: Sequence[tuple[NDArray[np.float64], NDArray[np.float64]]]) -> F32:
    """How much of each pixel is covered by lines.

    Args:
        size: Edge of the square in pixels.
        paths: (points (n, 2) in pixels, width at each point (n,) in pixels); lines thinner than a pixel cover a part
            of it.

    Returns:
        float32 size x size, 0 … 1.
    """
    everything = np.concatenate([points for points, _ in paths])
    widest = max(float(width.max()) for _, width in paths)
    low = np.clip(np.floor(everything.min(axis=0) - widest - 2).astype(int), 0, size - 1)
    high = np.clip(np.ceil(everything.max(axis=0) + widest + 3).astype(int), low + 1, size)
    columns, rows = (int(v) for v in high - low)
    fine = np.zeros((rows * _FINE, columns * _FINE), np.uint8)
    for points, width in paths:
        # fillPoly of the outline: both sides, offset along the normals.
        step = np.gradient(points, axis=0)
        normal = np.stack([-step[:, 1], step[:, 0]], axis=1) / np.maximum(np.hypot(*step.T), 1e-9)[:, None]
        side = normal * (np.maximum(width, 0.05) / 2)[:, None]
        for first in range(len(points) - 1):
            quad = np.stack([points[first] + side[first], points[first + 1] + side[first + 1],
                             points[first + 1] - side[first + 1], points[first] - side[first]])  # fmt: skip
            spot = np.rint(((quad - low + 0.5) * _FINE - 0.5) * 16).astype(np.int32)
            cv2.fillConvexPoly(fine, spot, 255, cv2.LINE_AA, shift=4)
    part = cv2.resize(fine, (columns, rows), interpolation=cv2.INTER_AREA)
    result = np.zeros((size, size), np.float32)
    result[low[1] : high[1], low[0] : high[0]] = part.astype(np.float32) / 255
    return result
