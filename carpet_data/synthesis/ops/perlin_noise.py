"""Gradient noise: K. Perlin, "An image synthesizer" (SIGGRAPH 1985)."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray


def perlin_noise(
    rng: np.random.Generator, shape: tuple[int, int], cell_px: tuple[float, float], angle_deg: float = 0.0
) -> NDArray[np.float32]:
    """Smooth noise without steps: random gradients on a grid, their ramps blended by Perlin's curve.

    `cell_px` is the width and height of a grid cell; features are about that large. A turn of the grid hides its
    directions. float32 of `shape`, about -0.7 to 0.7.
    """
    angle = np.radians(angle_deg)
    y, x = np.mgrid[: shape[0], : shape[1]].astype(np.float32)
    x -= (shape[1] - 1) / 2
    y -= (shape[0] - 1) / 2
    u = (x * np.cos(angle) - y * np.sin(angle)) / np.float32(cell_px[0])
    v = (x * np.sin(angle) + y * np.cos(angle)) / np.float32(cell_px[1])
    u = (u - u.min() + np.float32(rng.uniform())).astype(np.float32)
    v = (v - v.min() + np.float32(rng.uniform())).astype(np.float32)
    column, row = np.floor(u).astype(np.int64), np.floor(v).astype(np.int64)
    directions = rng.uniform(0, 2 * np.pi, (int(row.max()) + 2, int(column.max()) + 2)).astype(np.float32)
    gradient_x, gradient_y = np.cos(directions), np.sin(directions)
    u -= column
    v -= row

    def ramp(right: int, down: int) -> NDArray[np.float32]:
        at = (row + down, column + right)
        return np.asarray(gradient_x[at] * (u - right) + gradient_y[at] * (v - down), dtype=np.float32)

    ease_u, ease_v = (t * t * t * (t * (t * 6 - 15) + 10) for t in (u, v))
    top = ramp(0, 0) * (1 - ease_u) + ramp(1, 0) * ease_u
    bottom = ramp(0, 1) * (1 - ease_u) + ramp(1, 1) * ease_u
    return np.asarray(top * (1 - ease_v) + bottom * ease_v, dtype=np.float32)
