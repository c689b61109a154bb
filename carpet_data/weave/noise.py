"""Smooth and fibrous random fields, float32, mean about 0 and deviation about 1."""

from __future__ import annotations

import cv2
import numpy as np
from numpy.typing import NDArray

__all__ = ["F32", "fiber_tile", "sample", "smooth_field", "smooth_lines", "streaks", "wrapped"]

F32 = NDArray[np.float32]


def smooth_field(rng: np.random.Generator, shape: tuple[int, int], cell_px: float) -> F32:
    """A field without direction whose features are about `cell_px` wide, at least 1."""
    rows, columns = (int(np.ceil(length / cell_px)) + 3 for length in shape)
    knots = rng.standard_normal((rows, columns), dtype=np.float32)
    grid_x, grid_y = np.meshgrid(
        np.arange(shape[1], dtype=np.float32) / np.float32(cell_px) + np.float32(rng.uniform(0.5, 1.5)),
        np.arange(shape[0], dtype=np.float32) / np.float32(cell_px) + np.float32(rng.uniform(0.5, 1.5)),
    )
    # Cubic interpolation between the knots loses about 30 % of their deviation.
    field = cv2.remap(knots, grid_x, grid_y, cv2.INTER_CUBIC, borderMode=cv2.BORDER_REFLECT_101)
    return np.asarray(field * np.float32(1.4), dtype=np.float32)


def smooth_lines(rng: np.random.Generator, lines: int, length: int, sigma: float) -> F32:
    """One smooth random walk per row, float32 (lines, length), with a correlation length of `sigma` samples.

    It is what varies along each yarn, independent from yarn to yarn.
    """
    white = rng.standard_normal((lines, length), dtype=np.float32)
    smooth = cv2.GaussianBlur(white, (_odd(sigma), 1), sigmaX=sigma, sigmaY=1, borderType=cv2.BORDER_REFLECT_101)
    return np.asarray(smooth * np.float32(np.sqrt(2.0 * np.sqrt(np.pi) * sigma)), dtype=np.float32)


def streaks(rng: np.random.Generator, along: F32, across: F32, length: float, width: float) -> F32:
    """A field of features drawn out in one direction.

    `along` and `across` (float32 HxW) are positions along that direction and across it, in pixels, as are `length` and
    `width` of a feature.
    """
    tile = rng.standard_normal((64, 64), dtype=np.float32)
    field = wrapped(tile, (along / length).astype(np.float32), (across / width).astype(np.float32))
    # Bilinear interpolation between the knots leaves about two thirds of their deviation.
    return np.asarray(field * np.float32(1.5), dtype=np.float32)


def fiber_tile(rng: np.random.Generator, size: int, along: float, across: float) -> F32:
    """A square tile of streaks, `size` pixels wide and high, periodic in both directions, mean 0 and deviation 1.

    A streak has the sigmas `along` and `across` its row, in pixels.
    """
    white = rng.standard_normal((size, size), dtype=np.float32)
    pad = _odd(max(along, across)) // 2
    padded = np.pad(white, pad, mode="wrap")
    blurred = cv2.GaussianBlur(padded, (_odd(along), _odd(across)), sigmaX=along, sigmaY=across)
    tile = blurred[pad : pad + size, pad : pad + size]
    return np.asarray((tile - tile.mean()) / tile.std(), dtype=np.float32)


def wrapped(tile: F32, x: F32, y: F32) -> F32:
    """Sample a periodic tile at real positions (columns x, rows y), bilinear; float32 of the shape of x."""
    size = np.float32(tile.shape[0])
    ringed = np.pad(tile, ((0, 1), (0, 1)), mode="wrap")
    found = cv2.remap(ringed, np.mod(x, size), np.mod(y, size), cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE)
    return np.asarray(found, dtype=np.float32)


def sample(field: F32, x: F32, y: F32) -> F32:
    """Sample a field at real pixel positions, bilinear, the border repeated; float32 of the shape of x."""
    return np.asarray(cv2.remap(field, x, y, cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE), dtype=np.float32)


def _odd(sigma: float) -> int:
    return 2 * int(np.ceil(3 * sigma)) + 1
